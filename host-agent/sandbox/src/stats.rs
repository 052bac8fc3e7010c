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

/// Why a session did not call its filter for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Paused {
    /// More than [`FilterLimits::failures`](crate::FilterLimits::failures): the breaker opened.
    Failures,
    /// More than [`FilterLimits::failed_time`](crate::FilterLimits::failed_time) lost in failed calls: the breaker
    /// opened.
    FailedTime,
    /// No further instance could be made or opened; the last failure says why. The breaker opened.
    NoInstance,
    /// More than [`FilterLimits::query_time`](crate::FilterLimits::query_time), until the hour is over.
    QueryTime,
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Paused::Failures => "more failures than the limit `failures`",
            Paused::FailedTime => "more time lost in failed calls than the limit failed_ms",
            Paused::NoInstance => "no further instance could be made",
            Paused::QueryTime => "more time in the filter than the limit query_ms",
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
    /// Those of them that came out so without a call, since the filter was not to be called for a while.
    pub paused: u64,
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
    /// How often a failure of this session opened the breaker.
    pub breaker_opened: u64,
    /// Why the filter was not called for a while, the last time.
    pub pause: Option<Paused>,
}

impl SessionStats {
    /// Adds another session's counts.
    pub fn add(&mut self, other: &SessionStats) {
        self.records_in += other.records_in;
        self.kept += other.kept;
        self.dropped += other.dropped;
        self.replaced += other.replaced;
        self.failed += other.failed;
        self.paused += other.paused;
        self.breaker_opened += other.breaker_opened;
        self.batches += other.batches;
        self.restarts += other.restarts;
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.peak_memory_bytes = self.peak_memory_bytes.max(other.peak_memory_bytes);
        self.failure_count += other.failure_count;
        let room = KEPT.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.iter().take(room).cloned());
        self.pause = other.pause.or(self.pause);
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
