//! What a running query tells. The same events come from a local run and, through `weir-rpc`, from an
//! agent, so that whoever shows them need not know which it was.

use std::fmt;
use std::time::Duration;

use weir_sandbox::{Failure, Filter, Kind, SessionStats};
use weir_scan::{RecordBatch, Source};

use crate::policy_status::PolicyStatus;
use crate::resume::SourcePosition;
use crate::shadow_status::ShadowStatus;

/// One thing a query tells, in this order: sources before their first record; records, gaps and
/// progress as they come; counts or histogram; one status for each source, each filter and each policy; the
/// [`Summary`] last.
#[derive(Clone, Debug)]
pub enum Event {
    /// The number that later events use for a source.
    Source {
        /// Number within this query.
        id: u32,
        /// Whose log it is.
        source: Source,
        /// Name of the agent that has it, where several were asked.
        agent: Option<String>,
    },
    /// Records, never an empty batch.
    Records {
        /// The records.
        batch: RecordBatch,
        /// Where the search of each of their sources stands behind them.
        positions: Vec<SourcePosition>,
    },
    /// Where the search of sources stands that may have got there without giving a record. The first one, empty
    /// when there are no sources, tells that what was there was given and that the search follows from now on.
    Positions(Vec<SourcePosition>),
    /// Something that whoever waits for more should know, in a sentence.
    Notice(String),
    /// Something that was on disk and could not be read.
    Gap(Gap),
    /// How far the search is; at most a few each second.
    Progress(Progress),
    /// The answer to [`Output::Count`](crate::Output::Count): one entry for all sources, or one for each.
    Counts(Vec<Count>),
    /// The answer to [`Output::Histogram`](crate::Output::Histogram), ascending by source and time; steps
    /// without a record are left out.
    Histogram(Vec<Bucket>),
    /// How the search of one source ended.
    SourceEnd(SourceStatus),
    /// What one filter did.
    Filter(FilterStatus),
    /// What one policy did; behind the filters, one for each that covers a source of the query.
    Policy(PolicyStatus),
    /// The end of the query.
    Summary(Summary),
}

/// A hole in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Number of the source.
    pub source: u32,
    /// Name of the file within the source's directory.
    pub file: String,
    /// What happened, in one lower-case word such as `vanished`; see
    /// [`GapReason`](weir_scan::GapReason).
    pub reason: String,
    /// The reason in a sentence, with the system's error where there is one.
    pub detail: String,
    /// Nanoseconds since the epoch: the last record before the gap, where known.
    pub from: Option<i64>,
    /// Nanoseconds since the epoch: the first record after the gap, where known.
    pub to: Option<i64>,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far (decompressed), but for those of sources that policies cover.
    pub bytes_read: u64,
    /// Bytes on disk of all selected files (compressed, for gzip), but for those of sources that policies cover.
    pub bytes_total: u64,
    /// Matches so far.
    pub matched: u64,
}

/// How many matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Number of the source; `None` for the sum over all.
    pub source: Option<u32>,
    /// Matches.
    pub matched: u64,
}

/// One step of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Number of the source; `None` for the sum over all.
    pub source: Option<u32>,
    /// Start of the step, nanoseconds since the epoch; `None` for records without a time.
    pub start: Option<i64>,
    /// Matches in it.
    pub matched: u64,
}

/// How the search of one source ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Number of the source.
    pub source: u32,
    /// Matches in it, up to the query's limit.
    pub matched: u64,
    /// Bytes read of it (decompressed), those that were read again included; 0 where a policy covers it.
    pub bytes_read: u64,
    /// How many gaps were told for it; 0 when all that was looked for could be read.
    pub gaps: u64,
}

/// What one filter did in the query.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterStatus {
    /// Its place in the query, from 0.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the component, `sha256:` and hex.
    pub digest: String,
    /// Its kind.
    pub kind: Kind,
    /// Records that reached the filter, whether or not they entered the sandbox.
    pub records_in: u64,
    /// Records that its prefilter decided, without entering the sandbox. Lines that the scanner's candidate
    /// pass rejected for the filter's sake are counted, but not decoded.
    pub skipped_by_prefilter: u64,
    /// Records kept unchanged by the guest.
    pub kept: u64,
    /// Records dropped by the guest.
    pub dropped: u64,
    /// Records rewritten by the guest.
    pub replaced: u64,
    /// Records that a failed redaction withheld.
    pub withheld: u64,
    /// Records that the guest failed on, withheld ones included.
    pub failed: u64,
    /// Time spent in the guest.
    pub time: Duration,
    /// Most memory the guest had, in bytes.
    pub peak_memory: u64,
    /// Whether the compiled code came from the cache.
    pub compile_cached: bool,
    /// Time until the compiled code was there.
    pub compile_time: Duration,
    /// Those of them that never entered the guest, since it was not to be called for a while after too many failures or
    /// too much time.
    pub paused: u64,
    /// How often that began because of failures.
    pub breaker_opened: u64,
    /// The first failures.
    pub failures: Vec<FilterFailure>,
    /// What the filter wants to tell its author.
    pub diagnostics: Vec<String>,
    /// Summary records of an aggregate: JSON objects.
    pub summaries: Vec<String>,
    /// What the filter beside it would have done, where there is one.
    pub shadow: Option<Box<ShadowStatus>>,
}

impl FilterStatus {
    /// That of a filter at place `index` that has done nothing yet.
    pub(crate) fn of(index: u32, filter: &Filter) -> FilterStatus {
        let (description, compile) = (filter.description(), filter.compile());
        FilterStatus {
            index,
            name: description.name.clone(),
            version: description.version.clone(),
            digest: filter.digest().to_owned(),
            kind: description.kind,
            records_in: 0,
            skipped_by_prefilter: 0,
            kept: 0,
            dropped: 0,
            replaced: 0,
            withheld: 0,
            failed: 0,
            time: Duration::ZERO,
            peak_memory: 0,
            compile_cached: compile.cached,
            compile_time: compile.time,
            paused: 0,
            breaker_opened: 0,
            failures: Vec::new(),
            diagnostics: Vec::new(),
            summaries: Vec::new(),
            shadow: None,
        }
    }

    /// Takes over what its session counts, and its failures that weren't noted yet.
    pub(crate) fn note(&mut self, stats: &SessionStats) {
        self.paused = stats.paused;
        self.breaker_opened = stats.breaker_opened;
        self.kept = stats.kept;
        self.dropped = stats.dropped;
        self.replaced = stats.replaced;
        self.failed = stats.failed;
        self.time = stats.cpu;
        self.peak_memory = stats.peak_memory_bytes;
        self.note_failures(stats, u64::MAX, |_| None);
    }

    /// Takes over the failures of a call before which its session had so many records. `place` tells a record's, by its
    /// number in the call.
    pub(crate) fn note_failures(
        &mut self,
        stats: &SessionStats,
        before: u64,
        place: impl Fn(usize) -> Option<(u32, u64)>,
    ) {
        let known = self.failures.len();
        for failure in &stats.failures[known..] {
            // Sources that were not begun have failed before this call.
            let index = failure.record.and_then(|record| usize::try_from(record.checked_sub(before)?).ok());
            self.failures.push(FilterFailure::of(failure, index.and_then(&place)));
        }
    }
}

/// One failure of a filter, narrowed down to its record where it was one record's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterFailure {
    /// The export that failed, as `weir:filter` names it.
    pub call: String,
    /// Why, in one word such as `trap` or `time`.
    pub reason: String,
    /// What happened, in one line; parts of it may be the filter's own words.
    pub detail: String,
    /// Number of the source that it was about.
    pub source: Option<u32>,
    /// The record's file in the source's list of files, and its offset in bytes in that file.
    pub place: Option<(u32, u64)>,
}

impl FilterFailure {
    /// A failure of a session, of the record at this place.
    fn of(failure: &Failure, place: Option<(u32, u64)>) -> FilterFailure {
        FilterFailure {
            call: failure.call.to_string(),
            reason: failure.reason.to_string(),
            detail: failure.detail.clone(),
            source: failure.source,
            place,
        }
    }
}

impl fmt::Display for FilterFailure {
    /// All but the source, whose name isn't known here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.call)?;
        if let Some((file, offset)) = self.place {
            write!(f, " of the record at byte {offset} of file {file}")?;
        }
        write!(f, ": {}: {}", self.reason, self.detail)
    }
}

/// The end of a query: whether the answer is whole, and if not, why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Why the answer isn't whole, one sentence each; empty when it is.
    pub incomplete: Vec<String>,
    /// Matches found (kept by every filter); with a limit, those up to it.
    pub matched: u64,
    /// Records given, context included.
    pub records: u64,
    /// The limit was reached, so there may be more.
    pub limited: bool,
    /// Sources selected.
    pub sources: u64,
    /// Bytes read (decompressed), but for those of sources that policies cover.
    pub bytes_read: u64,
    /// Lines that came out as they are because they aren't of their file's format.
    pub malformed: u64,
    /// Messages cut at the line limit.
    pub truncated: u64,
    /// Time of the oldest record still on disk among the selected sources, nanoseconds since the epoch.
    pub oldest: Option<i64>,
    /// Time from the start of the run to its end.
    pub elapsed: Duration,
    /// The query's id in an agent's logs and metrics, 32 hex digits; empty when no agent ran it.
    pub trace_id: String,
}

impl Summary {
    /// Whether every matching record was given, up to the limit.
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Nobody wants more.
    Stop,
    /// Nobody wants more for now: [`Running::go_on`](crate::Running::go_on) returns, and goes on when called again. A
    /// query that follows goes on at once.
    Pause,
}
