//! What a session counts: records, time, memory and failures.

use std::fmt;
use std::time::Duration;

use crate::failure::{FailureReason, FilterFailure, GuestCall};
use crate::verdicts::Verdict;

/// Failures whose details are kept; later ones are only counted.
const KEPT: usize = 16;

/// One failure that was narrowed down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The export that failed.
    pub call: GuestCall,
    /// Why.
    pub reason: FailureReason,
    /// What happened, in one line; parts of it may be the filter's own words.
    pub detail: String,
    /// The source whose record or announcement it was.
    pub source: Option<u32>,
    /// The record at fault, counted from 0 over all that the session was handed.
    pub record: Option<u64>,
}

/// Why a session calls its filter no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// More than [`FilterLimits::failures`](crate::FilterLimits::failures).
    Failures,
    /// More than [`FilterLimits::failed_time`](crate::FilterLimits::failed_time) lost in failed calls.
    FailedTime,
    /// No further instance could be made or opened; the last failure says why.
    NoInstance,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GaveUp::Failures => "more failures than the limit `failures`",
            GaveUp::FailedTime => "more time lost in failed calls than the limit failed_time",
            GaveUp::NoInstance => "no further instance could be made",
        })
    }
}

/// Counts of one session; sums over several with [`SessionStats::add`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Records handed in.
    pub records_in: u64,
    /// Records kept as they were.
    pub kept: u64,
    /// Records dropped, stops included.
    pub dropped: u64,
    /// Records kept with another message.
    pub replaced: u64,
    /// Records that came out as [`Verdict::Failed`].
    pub failed: u64,
    /// Calls of `process`, those that narrowed down a failure included.
    pub batches: u64,
    /// Instances that had to be made again after a failure. An aggregate filter has then lost what it
    /// counted before.
    pub restarts: u64,
    /// CPU time in the guest.
    pub cpu: Duration,
    /// Wall time in the guest.
    pub wall: Duration,
    /// The most linear memory that any instance had, in bytes.
    pub peak_memory_bytes: u64,
    /// Failures, narrowed down: records at fault, sources not begun, broken summaries.
    pub failure_count: u64,
    /// The first 16 of them.
    pub failures: Vec<Failure>,
    /// Set once the filter is called no more.
    pub gave_up: Option<GaveUp>,
}

impl SessionStats {
    /// Adds another session's counts.
    pub fn add(&mut self, other: &SessionStats) {
        self.records_in += other.records_in;
        self.kept += other.kept;
        self.dropped += other.dropped;
        self.replaced += other.replaced;
        self.failed += other.failed;
        self.batches += other.batches;
        self.restarts += other.restarts;
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.peak_memory_bytes = self.peak_memory_bytes.max(other.peak_memory_bytes);
        self.failure_count += other.failure_count;
        let room = KEPT.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.iter().take(room).cloned());
        self.gave_up = self.gave_up.or(other.gave_up);
    }

    pub(crate) fn note(&mut self, failure: FilterFailure, source: Option<u32>, record: Option<u64>) {
        let FilterFailure { filter, call, reason, detail } = failure;
        tracing::debug!(filter, %call, %reason, detail, source, record, "a filter failed");
        self.failure_count += 1;
        if self.failures.len() < KEPT {
            self.failures.push(Failure { call, reason, detail, source, record });
        }
    }

    pub(crate) fn count(&mut self, verdicts: &[Verdict]) {
        self.records_in += verdicts.len() as u64;
        for verdict in verdicts {
            match verdict {
                Verdict::Keep => self.kept += 1,
                Verdict::Drop | Verdict::Stop => self.dropped += 1,
                Verdict::Replace(_) => self.replaced += 1,
                Verdict::Failed => self.failed += 1,
            }
        }
    }
}
