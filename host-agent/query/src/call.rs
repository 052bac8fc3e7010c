//! Records as a filter is lent them in one call: where their messages lie, and the columns that it asks for.

use weir_sandbox::{Batch, Columns};
use weir_scan::{Flags, Record, Stream};

/// Records handed to the guest in one call at the most: calls get no cheaper per record above this.
pub const CALL_RECORDS: usize = 1024;

/// Message bytes handed over in one call, unless one message alone is longer.
pub(crate) const CALL_BYTES: usize = 256 << 10;

/// The records of one call; kept for its allocations.
#[derive(Debug, Default)]
pub struct CallRecords {
    starts: Vec<u32>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    attrs: Vec<u8>,
}

impl CallRecords {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.starts.clear();
        self.ends.clear();
        self.timestamps.clear();
        self.attrs.clear();
    }

    /// Adds a record, of which the filter reads `columns`.
    pub fn push(&mut self, record: &Record, columns: Columns) {
        self.starts.push(record.start);
        self.ends.push(record.end);
        if columns.timestamp {
            self.timestamps.push(record.time.unwrap_or(-1));
        }
        if columns.attrs {
            self.attrs.push(attrs(record));
        }
    }

    /// What is lent, with the bytes that the messages lie in.
    pub fn batch<'a>(&'a self, block: &'a [u8]) -> Batch<'a> {
        Batch {
            block,
            starts: &self.starts,
            ends: &self.ends,
            timestamps: &self.timestamps,
            attrs: &self.attrs,
        }
    }
}

/// The `attrs` byte of `weir:filter`: bit 0 stderr, bit 1 cut, bit 2 malformed.
fn attrs(record: &Record) -> u8 {
    u8::from(record.stream == Stream::Stderr)
        | u8::from(record.flags.has(Flags::TRUNCATED)) << 1
        | u8::from(record.flags.has(Flags::MALFORMED)) << 2
}
