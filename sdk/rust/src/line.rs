//! One log line as a filter sees it, and the batch that lines are cut from.

use crate::bytes;
use crate::{Columns, SourceMeta};

/// The stream that a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bit of `attrs`: the line was written to stderr.
pub(crate) const ATTR_STDERR: u8 = 1;
/// Bit of `attrs`: the line was cut at the host's line limit.
pub(crate) const ATTR_TRUNCATED: u8 = 2;
/// Bit of `attrs`: the line did not follow its log format.
pub(crate) const ATTR_MALFORMED: u8 = 4;

/// One log line. Copying it copies no bytes.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    message: &'a [u8],
    time: i64,
    attrs: u8,
    columns: Columns,
    source: &'a SourceMeta,
}

impl<'a> Line<'a> {
    /// The message: any bytes, UTF-8 or not, without the line's end. Column [`Columns::MESSAGE`].
    #[inline]
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.asked(Columns::MESSAGE);
        self.message
    }

    /// Whether the message contains these bytes. A filter that looks for the same bytes in every line is faster
    /// with a [`bytes::Finder`] made once.
    #[inline]
    #[must_use]
    pub fn message_contains(&self, needle: impl AsRef<[u8]>) -> bool {
        bytes::find(self.message(), needle.as_ref()).is_some()
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z; `None` when the record has no time. Column [`Columns::TIMESTAMP`].
    #[inline]
    #[must_use]
    pub fn time_ns(&self) -> Option<i64> {
        self.asked(Columns::TIMESTAMP);
        // The contract's mark for "no time".
        if self.time == -1 { None } else { Some(self.time) }
    }

    /// The stream it was written to. Column [`Columns::ATTRS`].
    #[inline]
    #[must_use]
    pub fn stream(&self) -> Stream {
        self.asked(Columns::ATTRS);
        if self.attrs & ATTR_STDERR == 0 { Stream::Stdout } else { Stream::Stderr }
    }

    /// Whether the message was cut at the host's line limit. Column [`Columns::ATTRS`].
    #[inline]
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.asked(Columns::ATTRS);
        self.attrs & ATTR_TRUNCATED != 0
    }

    /// Whether the line did not follow its log format, so that the message is the raw line. Column
    /// [`Columns::ATTRS`].
    #[inline]
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.asked(Columns::ATTRS);
        self.attrs & ATTR_MALFORMED != 0
    }

    /// Where the line comes from.
    #[inline]
    #[must_use]
    pub fn source(&self) -> &'a SourceMeta {
        self.source
    }

    /// A column that was not asked for holds nothing: in a test this is told at once.
    #[inline]
    fn asked(&self, column: Columns) {
        debug_assert!(
            self.columns.contains(column),
            "the filter reads a column that its COLUMNS do not name: {column:?} is not in {:?}",
            self.columns
        );
    }
}

/// A batch of lines of one source, as it comes from the host: message `i` is `block[starts[i]..ends[i]]`, and a
/// column that was not asked for is empty.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The bytes that messages lie in.
    pub block: &'a [u8],
    /// Where each message starts in `block`.
    pub starts: &'a [u32],
    /// Where each message ends in `block`.
    pub ends: &'a [u32],
    /// Nanoseconds since the epoch; -1 for none.
    pub timestamps: &'a [i64],
    /// Bit 0 stderr, bit 1 cut at the line limit, bit 2 malformed.
    pub attrs: &'a [u8],
}

impl Batch<'_> {
    /// How many lines it has, learnt from the columns that it carries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len().max(self.timestamps.len()).max(self.attrs.len())
    }

    /// Whether it has no line at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The lines of one batch, by index.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    batch: Batch<'a>,
    columns: Columns,
    source: &'a SourceMeta,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(batch: Batch<'a>, columns: Columns, source: &'a SourceMeta) -> Lines<'a> {
        Lines { batch, columns, source }
    }

    /// How many there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Line `index`.
    ///
    /// # Panics
    /// When there is no such line, or when the batch breaks the contract.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Line<'a> {
        let message = if self.columns.contains(Columns::MESSAGE) {
            &self.batch.block[self.batch.starts[index] as usize..self.batch.ends[index] as usize]
        } else {
            &[]
        };
        let time = if self.columns.contains(Columns::TIMESTAMP) { self.batch.timestamps[index] } else { -1 };
        let attrs = if self.columns.contains(Columns::ATTRS) { self.batch.attrs[index] } else { 0 };
        Line { message, time, attrs, columns: self.columns, source: self.source }
    }
}
