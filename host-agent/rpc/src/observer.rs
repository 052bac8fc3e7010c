//! What the server tells whoever counts: metrics live outside of this crate.

use std::time::Duration;

use weir_query::FilterStatus;

/// Is told what queries do. Called from the threads that run them: keep it short.
pub trait Observer: Send + Sync + 'static {
    /// A query was planned and starts to run. One [`Observer::ended`] follows.
    fn started(&self);

    /// A running query has read so many more bytes.
    fn read(&self, bytes: u64);

    /// So many more records were handed to a connection.
    fn sent(&self, records: u64);

    /// A filter's part in a query is over.
    fn filter(&self, status: &FilterStatus);

    /// A query that had started is over.
    fn ended(&self, outcome: Outcome, elapsed: Duration);

    /// A query was refused before it started.
    fn refused(&self);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn started(&self) {}
    fn read(&self, _bytes: u64) {}
    fn sent(&self, _records: u64) {}
    fn filter(&self, _status: &FilterStatus) {}
    fn ended(&self, _outcome: Outcome, _elapsed: Duration) {}
    fn refused(&self) {}
}

/// How a query that had started came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The whole answer was found.
    Complete,
    /// An answer with holes, which its summary tells.
    Incomplete,
    /// The client went away, or the agent shut down.
    Cancelled,
    /// The client took nothing for [`ServerLimits::stall`](crate::ServerLimits::stall).
    Stalled,
    /// It ended without a summary.
    Failed,
}

impl Outcome {
    /// The outcome in one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Incomplete => "incomplete",
            Outcome::Cancelled => "cancelled",
            Outcome::Stalled => "stalled",
            Outcome::Failed => "failed",
        }
    }
}
