//! What a running query may use up before it is ended with what it has found so far.

use std::time::{Duration, Instant};

/// Bounds of one run. A query that passes one ends as if it were done, and its summary says which bound it was.
///
/// They are looked at between two reads, so that a run may pass them by one read, and by one batch of records.
/// What a query that follows reads and gives of what is written after it has begun to follow isn't counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// `run_seconds`: time since the start, waits for whoever takes the records included.
    pub time: Duration,
    /// `read_bytes`: bytes read (decompressed).
    pub read_bytes: u64,
    /// `sent_bytes`: bytes of messages and fields that are given.
    pub sent_bytes: u64,
}

impl Default for Budget {
    /// No bounds.
    fn default() -> Budget {
        Budget { time: Duration::MAX, read_bytes: u64::MAX, sent_bytes: u64::MAX }
    }
}

/// What a run has used up of a [`Budget`].
pub(crate) struct Spending {
    budget: Budget,
    started: Instant,
}

impl Spending {
    pub(crate) fn new(budget: Budget, started: Instant) -> Spending {
        Spending { budget, started }
    }

    /// Why the run must end, if it must. `excused` is time that doesn't count.
    pub(crate) fn passed(&self, read_bytes: u64, sent_bytes: u64, excused: Duration) -> Option<String> {
        let Budget { time, read_bytes: most_read, sent_bytes: most_sent } = self.budget;
        let what = if read_bytes > most_read {
            format!("more than {most_read} bytes were read (limit read_bytes)")
        } else if sent_bytes > most_sent {
            format!("more than {most_sent} bytes were given (limit sent_bytes)")
        } else if self.started.elapsed().saturating_sub(excused) > time {
            format!("it took more than {} s (limit run_seconds)", time.as_secs_f64())
        } else {
            return None;
        };
        Some(format!("the search was ended early, since {what}; ask for fewer sources or a shorter time"))
    }
}
