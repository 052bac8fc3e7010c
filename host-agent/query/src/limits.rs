//! Named bounds of one query.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use weir_scan::PatternLimits;

/// Named bounds of one query. Each has a default that [`QueryLimits::default`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLimits {
    /// Selectors of one query (default 100). Doesn't bound how many sources they take.
    pub selectors: usize,
    /// Bytes of one selector's text (default 1024): a pod's name has 253 at most.
    pub selector_bytes: usize,
    /// Bounds of patterns and filters' prefilters.
    pub patterns: PatternLimits,
    /// Filters of one query (default 8).
    pub filters: usize,
    /// Context records on either side of a match (default 10,000).
    pub context_records: usize,
    /// Largest line limit that a query may ask for, in bytes (default 16 MiB).
    pub line_bytes: usize,
    /// Bytes of records held back because they are read in another order than they are given in, as with
    /// a tail (default 64 MiB). Doesn't bound what a query sends in all.
    pub held_bytes: usize,
    /// Bytes of records that all sources of a query hold at once to be merged by time (default 1 MiB). Each source
    /// gives at least 2 KiB at a time, however many there are, and a longest line comes whole. Doesn't bound what a
    /// source takes that holds no records.
    pub merge_bytes: usize,
    /// Bytes of one block's records after filters have rewritten them (default 64 MiB). A record whose new
    /// message would pass it counts as one that the filter failed on.
    pub batch_bytes: usize,
    /// Threads that search for one query, its own included (default: as many as [`available_threads`] says, at
    /// most 2). Filters and the merge by time stay on the query's own. Doesn't bound how many queries run.
    pub threads: usize,
    /// How long a query that follows holds a record back, to give older ones of other sources before it (default
    /// 100 ms). One that comes later still is marked as late. Doesn't bound how long a record takes that its
    /// writer or runtime holds, nor a record whose end is still to be written.
    pub follow_hold: Duration,
    /// Time that a filter takes which runs beside another one, in all of a query (default 1 minute); then it isn't called
    /// any more. The query is given that much more time. A call that is running comes to its end.
    pub shadow_time: Duration,
    /// Steps of one histogram, over all sources (default 100,000). Matches of further steps are left out, and
    /// the summary says so.
    pub histogram_buckets: usize,
}

impl Default for QueryLimits {
    fn default() -> QueryLimits {
        QueryLimits {
            selectors: 100,
            selector_bytes: 1024,
            patterns: PatternLimits::default(),
            filters: 8,
            context_records: 10_000,
            line_bytes: 16 << 20,
            held_bytes: 64 << 20,
            merge_bytes: 1 << 20,
            batch_bytes: 64 << 20,
            threads: available_threads().min(2),
            follow_hold: Duration::from_millis(100),
            shadow_time: Duration::from_secs(60),
            histogram_buckets: 100_000,
        }
    }
}

/// How many threads this process can have at work at once: by its processors and the CPU quota of its cgroup.
/// At least 1; 1 also where the system doesn't tell.
pub fn available_threads() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}
