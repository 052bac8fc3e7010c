//! What a scan couldn't read, and what it did: so that no answer is silently short.

/// A part of a log that couldn't be read. The scan goes on behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The number of the source within the query.
    pub source: u32,
    /// Name of the file, without its directories.
    pub file: String,
    /// What happened.
    pub reason: GapReason,
    /// The same in words, for people.
    pub detail: String,
    /// What was lost is newer than this, as far as it is known (nanoseconds since the epoch).
    pub from: Option<i64>,
    /// What was lost is older than this, as far as it is known.
    pub to: Option<i64>,
}

/// Why a part of a log couldn't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The file was deleted between being listed and being opened.
    Vanished,
    /// Opening or reading it failed.
    Unreadable,
    /// It is a directory, a device or the like.
    NotRegular,
    /// Its compressed data is damaged; what stands before the damage was read.
    CorruptGzip,
    /// Its compressed data ends too early; what is there was read.
    TruncatedGzip,
    /// It decompresses to more than [`ScanLimits::gzip_output_bytes`](crate::ScanLimits::gzip_output_bytes);
    /// what stands before was read.
    GzipLimit,
    /// It became shorter while it was read (`copytruncate`, or a process that emptied it).
    Shrunk,
    /// Files may have been deleted between two looks, before they could be read.
    RotatedAway,
    /// A file turned up that is older than what was given already, so it wasn't read.
    Missed,
}

impl GapReason {
    /// A short name for machines, such as `vanished`.
    pub fn name(self) -> &'static str {
        match self {
            GapReason::Vanished => "vanished",
            GapReason::Unreadable => "unreadable",
            GapReason::NotRegular => "not-regular",
            GapReason::CorruptGzip => "corrupt-gzip",
            GapReason::TruncatedGzip => "truncated-gzip",
            GapReason::GzipLimit => "gzip-limit",
            GapReason::Shrunk => "shrunk",
            GapReason::RotatedAway => "rotated-away",
            GapReason::Missed => "missed",
        }
    }
}

/// What a scanner has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Bytes read from files, decompressed; those that were read again count again.
    pub bytes_read: u64,
    /// Blocks searched.
    pub blocks: u64,
    /// Lines that were decoded and looked at, because the pass over the raw block couldn't rule them out.
    pub candidates: u64,
    /// Lines that fail a required expression of the matcher, most of them without having been decoded;
    /// 0 when it has none. Counts lines, so a record in several parts may count several times.
    pub skipped_by_prefilter: u64,
    /// Records given that aren't of their file's format.
    pub malformed: u64,
    /// Records given that were cut at the line limit.
    pub truncated: u64,
    /// Whether any line that was met, given or not, is over the line limit: what stands behind it was not
    /// searched.
    pub met_long_line: bool,
    /// Whether neighbours of a match were left out, since they are over the limit of their bytes.
    pub cut_context: bool,
}

impl std::ops::AddAssign for ScanStats {
    fn add_assign(&mut self, other: ScanStats) {
        self.bytes_read += other.bytes_read;
        self.blocks += other.blocks;
        self.candidates += other.candidates;
        self.skipped_by_prefilter += other.skipped_by_prefilter;
        self.malformed += other.malformed;
        self.truncated += other.truncated;
        self.met_long_line |= other.met_long_line;
        self.cut_context |= other.cut_context;
    }
}
