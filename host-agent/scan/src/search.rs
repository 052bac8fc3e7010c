//! What to look for: the parts of a query that the scanner understands, ready to share between
//! the scanners of all its sources.

use std::ops::Range;
use std::sync::Arc;

use crate::candidates::RawLines;
use crate::pattern::Matcher;
use crate::rewrites::Rewrites;
use crate::source::Format;

/// Named bounds of a scan. Each has a default that [`ScanLimits::default`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// Longest message in bytes (default 1 MiB). A longer one comes out cut and marked. Doesn't bound
    /// how many bytes of the line are read past: its end has to be found.
    pub line_bytes: usize,
    /// Bytes read at once (default 128 KiB). The first blocks of a scan are smaller, so that a short
    /// answer reads little. A line longer than this still comes whole.
    pub block_bytes: usize,
    /// Bytes of lines that may match after which a step gives what it has found (default 256 KiB). A longer line still
    /// comes whole. Doesn't bound stripes, neighbours of matches, nor records that were waited for. What is written while
    /// a set is followed comes in up to 16 KiB in any case.
    pub batch_bytes: usize,
    /// Bytes of a [`Stripe`](crate::Stripe) (default 256 KiB): what one thread searches of a large file before
    /// it takes the next piece; less where the file has given much so far (`batch_bytes`). Doesn't bound the block that a
    /// stripe is read in.
    pub stripe_bytes: usize,
    /// How far apart, in bytes of the file set, two parts of one partial line may lie (default 256 KiB).
    /// A part whose successor is farther away is a record of its own, marked unfinished.
    pub join_bytes: u64,
    /// Decompressed bytes of a gzip file kept in memory to read backward (default 16 MiB). A larger file
    /// is decompressed again for each such window.
    pub gzip_window_bytes: usize,
    /// Bytes that are decompressed of one gzip file (default 4 GiB), against files that are made to be
    /// small on disk only. What stands before is given, and a gap tells the rest. A file that is read backward
    /// and larger than `gzip_window_bytes` is decompressed once more for each such window, and all of that
    /// counts, so that the default suffices for some 340 MiB. Doesn't bound the files of a set together.
    ///
    /// There is no limit on the ratio, since none would tell: gzip can't exceed 1032 to 1, and a log of one
    /// repeated line of 16 KiB comes to 600 to 1.
    pub gzip_output_bytes: u64,
    /// Bytes of neighbours that are gathered ahead of one match (default 16 MiB). Those farther away are
    /// left out. Doesn't bound the neighbours behind a match, which come block by block.
    pub context_bytes: usize,
    /// Size in bytes from which on a file is asked for the part of it that a time window needs (default
    /// 128 KiB; a compressed file from a sixteenth of that on). A smaller one is read whole, which costs no
    /// more. `u64::MAX` has every file read whole.
    pub bisect_bytes: u64,
}

impl Default for ScanLimits {
    fn default() -> ScanLimits {
        ScanLimits {
            line_bytes: 1 << 20,
            block_bytes: 128 << 10,
            batch_bytes: 256 << 10,
            stripe_bytes: 256 << 10,
            join_bytes: 256 << 10,
            gzip_window_bytes: 16 << 20,
            gzip_output_bytes: 4 << 30,
            context_bytes: 16 << 20,
            bisect_bytes: 128 << 10,
        }
    }
}

/// The order in which a scan gives records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// Neighbours of a match that are to be given too, in records of the same source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Records older than the match.
    pub before: usize,
    /// Records newer than the match.
    pub after: usize,
}

impl Context {
    /// Records to give before a match and after it, in the order in which a scan meets them.
    #[must_use]
    pub fn in_scan_order(self, direction: Direction) -> (usize, usize) {
        match direction {
            Direction::Forward => (self.before, self.after),
            Direction::Backward => (self.after, self.before),
        }
    }
}

/// One search, shared by the scanners of all sources.
#[derive(Clone, Debug)]
pub struct Search {
    /// What a message must match; `None` takes all.
    pub matcher: Option<Arc<Matcher>>,
    /// What rewrites messages behind the scan, before the matcher may decide on them: what it may change, and lines that
    /// have no end, or are cut, are given in any case; the oldest line of a stream never is, where older files may be gone,
    /// since it may be the rest of one.
    pub rewrites: Option<Rewrites>,
    /// Nanoseconds since the epoch; half open. A line without a time is taken for as old as the line before
    /// it; one of unknown age passes where it is met.
    ///
    /// Only what can hold records of the window is read. That rests on the times in the files being in order,
    /// which is checked: records may stand up to 2 s from where their times want them; what is left out of
    /// a plain file begins 64 KiB beyond that; the times at some 60 places of it, most of them near the
    /// window, must be in order, and so must the first times of a set's files. Where they aren't, all is
    /// read.
    ///
    /// What can still be missed are records written while a clock ran ahead by more than that: if it ran
    /// ahead and was set right again between two of these places, or within a compressed file, which is left
    /// out by its first time and that of the next file. With [`ScanLimits::bisect_bytes`] all can be read.
    pub time: Option<Range<i64>>,
    /// Order of the records.
    pub direction: Direction,
    /// Neighbours to give.
    pub context: Context,
    /// Whether records come with their messages (by default they do). Without, each has an empty one: enough
    /// for counts.
    pub messages: bool,
    /// Bounds.
    pub limits: ScanLimits,
}

impl Search {
    /// What finds the raw lines of a format that may hold a message to be given; `None` when every line may.
    pub(crate) fn raw_lines(&self, format: Format) -> Option<RawLines<'_>> {
        let wanted = self.matcher.as_ref()?.raw_line(format)?;
        let changed = match &self.rewrites {
            Some(rewrites) => Some(rewrites.changed.as_ref()?.raw_line(format)?),
            None => None,
        };
        Some(RawLines { wanted, changed })
    }
}

impl Default for Search {
    fn default() -> Search {
        Search {
            matcher: None,
            rewrites: None,
            time: None,
            direction: Direction::default(),
            context: Context::default(),
            messages: true,
            limits: ScanLimits::default(),
        }
    }
}
