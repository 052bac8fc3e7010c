//! What the server tells whoever counts: metrics live outside of this crate.

use std::time::Duration;

use weir_query::{FilterStatus, PolicyStatus};

/// Is told what queries do. Called from the threads that run them: keep it short. What isn't implemented isn't
/// counted.
pub trait Observer: Send + Sync + 'static {
    /// A query was planned and starts to run. One [`Observer::ended`] follows.
    fn started(&self) {}

    /// A running query has read so many more bytes.
    fn read(&self, _bytes: u64) {}

    /// So many more records were handed to a connection.
    fn sent(&self, _records: u64) {}

    /// A filter's part in a query is over.
    fn filter(&self, _status: &FilterStatus) {}

    /// A policy's part in a query is over.
    fn policy(&self, _status: &PolicyStatus) {}

    /// A query that had started is over; `trace_id` is its id in logs.
    fn ended(&self, _outcome: Outcome, _elapsed: Duration, _trace_id: &str) {}

    /// A query was refused before it started, because of the named limit if there is one.
    fn refused(&self, _limit: Option<&str>) {}

    /// A search begins to wait for its turn, or waits no more.
    fn queued(&self, _waits: bool) {}

    /// A filter was uploaded, or refused.
    fn uploaded(&self, _taken: bool) {}

    /// A call was refused or ended for what its caller is or may: `unauthenticated`, `denied`, or `unavailable` where that
    /// could not be told.
    fn denied(&self, _reason: &'static str) {}

    /// Certificates have changed on disk, and can be used or not.
    fn certificates(&self, _usable: bool) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// How a query that had started came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The whole answer was found.
    Complete,
    /// An answer with holes, which its summary tells.
    Incomplete,
    /// The client went away.
    Cancelled,
    /// A query that follows was ended because the agent shuts down, and has told where it stands.
    Drained,
    /// The agent shut down and waited no longer.
    Cut,
    /// The client took nothing for [`ServerLimits::stall`](crate::ServerLimits::stall), or
    /// [`ServerLimits::follow_stall`](crate::ServerLimits::follow_stall).
    Stalled,
    /// Its caller may not read any more what it reads, or that could not be told for too long.
    Revoked,
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
            Outcome::Drained => "drained",
            Outcome::Cut => "cut",
            Outcome::Stalled => "stalled",
            Outcome::Revoked => "revoked",
            Outcome::Failed => "failed",
        }
    }
}
