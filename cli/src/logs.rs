//! `weir logs`.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

use crate::args::LogsArgs;
use crate::failure::{Exit, Failure};
use crate::output::{View, report};
use crate::request::LogsRequest;
use crate::target::Ended;

/// Least and most time until a lost connection is tried again.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Searches, and shows what is found. A search that follows goes on where it stood when its agent was away.
pub(crate) fn run(args: &LogsArgs) -> Result<Exit, Failure> {
    let request = LogsRequest::new(args)?;
    let mut target = request.choice.open(request.threads)?;
    if let Some(note) = &request.note {
        report::say(note);
    }
    let mut spec = request.spec;
    // What "an hour ago" is must not move when the search goes on later.
    spec.resume.since = spec.since.or(spec.resume.since);
    let mut view = View::new(request.look, spec.resume.clone())?;
    loop {
        let lost = match target.query(&spec, &mut |event| view.event(event)) {
            Ok(Ended::Interrupted) => return view.interrupted(),
            Ok(Ended::ByItself) => return view.finish(),
            Err(Failure::Lost(message)) if spec.follow && !view.is_over() => message,
            Err(failure) => {
                view.abandon();
                return Err(failure);
            }
        };
        view.leave(true);
        report::say(&format!("{lost}; going on from there as soon as it answers"));
        spec.resume = view.token().clone();
        let waits = ExponentialBuilder::default().with_min_delay(RECONNECT.0).with_max_delay(RECONNECT.1);
        match target.reconnect(waits.without_max_times().build()) {
            Ok(Ended::ByItself) => view.leave(false),
            Ok(Ended::Interrupted) => return view.interrupted(),
            Err(failure) => {
                view.abandon();
                return Err(failure);
            }
        }
    }
}
