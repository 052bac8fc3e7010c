//! Says on a terminal how far a search is, once it has taken a while.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units;

/// A search shorter than this says nothing.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// The progress line on standard error.
pub(crate) struct Progress {
    /// Somebody looks.
    wanted: bool,
    started: Instant,
    /// The line, while it stands.
    line: Option<ProgressBar>,
}

impl Progress {
    /// A progress line, if `wanted` and standard error is a terminal.
    pub(crate) fn new(wanted: bool) -> Progress {
        Progress { wanted: wanted && io::stderr().is_terminal(), started: Instant::now(), line: None }
    }

    /// Shows how far the search is.
    pub(crate) fn show(&mut self, progress: &weir_query::Progress) {
        if !self.wanted || self.started.elapsed() < QUIET_TIME {
            return;
        }
        let line = self.line.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is well formed");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
        });
        // What is read is counted decompressed, what is on disk isn't, so there is no honest percentage.
        line.set_message(format!(
            "{} of log read, {} on disk, {}",
            units::bytes(progress.bytes_read),
            units::bytes(progress.bytes_total),
            units::count(progress.matched, "match"),
        ));
        line.tick();
    }

    /// Takes the line away, so that something else can be written; the next progress brings it back.
    pub(crate) fn clear(&mut self) {
        if let Some(line) = self.line.take() {
            line.finish_and_clear();
        }
    }
}
