//! What a search hands on: records, and the batch they travel in.
//!
//! One [`RecordBatch`] goes the whole way from the block that was read to the protobuf frame. Filters
//! and the wire see its buffer, not copies of single messages.

/// Which of the container's output streams a record was written to. Formats without streams
/// count as [`Stream::Stdout`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

/// Marks on a record. Several may be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// The message was cut at [`ScanLimits::line_bytes`](crate::ScanLimits::line_bytes).
    pub const TRUNCATED: Flags = Flags(1);
    /// The line isn't of its file's format; the message is the line as it is.
    pub const MALFORMED: Flags = Flags(1 << 1);
    /// A neighbour of a match, not a match.
    pub const CONTEXT: Flags = Flags(1 << 2);
    /// The writer's line has no end: its last part (CRI tag `P`, json-file without `\n`) has no successor, or the
    /// line in the file has no newline yet.
    pub const UNFINISHED: Flags = Flags(1 << 3);
    /// Records were left out between this one and the one before it of the same source
    /// (only set when context was asked for, and never on the first).
    pub const BREAK: Flags = Flags(1 << 4);
    /// A filter failed on the record, so that it comes out as it was before that filter.
    pub const UNFILTERED: Flags = Flags(1 << 5);
    /// Only while following: a record that belongs behind this one was given before it.
    pub const LATE: Flags = Flags(1 << 6);

    /// The message isn't as it was written. Set and taken away behind the scan; on no wire.
    pub const REWRITTEN: Flags = Flags(1 << 7);

    /// Whether every mark of `other` is set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets every mark of `other`.
    pub fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Takes every mark of `other` away.
    pub fn clear(&mut self, other: Flags) {
        self.0 &= !other.0;
    }

    /// The marks as bits, for the wire: bit 0 truncated, 1 malformed, 2 context, 3 unfinished,
    /// 4 break, 5 unfiltered, 6 late.
    pub fn bits(self) -> u8 {
        self.0 & 0x7f
    }

    /// The marks from bits; unknown ones are dropped.
    pub fn from_bits(bits: u8) -> Flags {
        Flags(bits & 0x7f)
    }
}

/// One logical line of a log. Its bytes are in the [`RecordBatch`] that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Start of the message in [`RecordBatch::bytes`].
    pub start: u32,
    /// End of the message in [`RecordBatch::bytes`], exclusive.
    pub end: u32,
    /// Start of the fields that filters added, a JSON object in [`RecordBatch::bytes`].
    pub fields_start: u32,
    /// End of the added fields; equal to `fields_start` when there are none.
    pub fields_end: u32,
    /// Nanoseconds since 1970-01-01T00:00:00Z; of the first part where a line came in parts. `None`
    /// where the format has no time or the line is malformed.
    pub time: Option<i64>,
    /// The number of the source within the query.
    pub source: u32,
    /// Index of the file in [`LogSet::files`](crate::LogSet::files) that holds the record's first byte.
    pub file: u32,
    /// Offset of the record's first byte in that file (decompressed, for `.gz`).
    pub offset: u64,
    /// Stream it was written to.
    pub stream: Stream,
    /// See [`Flags`].
    pub flags: Flags,
}

impl Record {
    /// Bytes of its message and its fields.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize + (self.fields_end - self.fields_start) as usize
    }

    /// Whether it has neither.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Records and the one buffer that their bytes are in.
///
/// Bytes of the buffer that no record points to mean nothing. Messages never overlap. Offsets are
/// `u32`: a batch stays below 4 GiB, and in practice below a block plus one longest line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordBatch {
    /// Message bytes, and whatever lay between them.
    pub bytes: Vec<u8>,
    /// The records, in the order in which they are to be seen.
    pub records: Vec<Record>,
}

impl RecordBatch {
    /// The message of `record`, which must be of this batch.
    pub fn message(&self, record: &Record) -> &[u8] {
        &self.bytes[record.start as usize..record.end as usize]
    }

    /// The JSON object that filters added to `record`; empty when there is none.
    pub fn fields(&self, record: &Record) -> &[u8] {
        &self.bytes[record.fields_start as usize..record.fields_end as usize]
    }

    /// Forgets records and bytes, keeps the allocations.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    /// Bytes of memory that what is in it takes.
    pub fn used_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(self.records.as_slice())
    }

    /// Bytes of memory that it has.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.records.capacity() * size_of::<Record>()
    }

    /// Copies `record` of `from` to the end of this batch.
    ///
    /// # Panics
    /// When this batch would pass 4 GiB; callers flush long before.
    pub fn push_from(&mut self, from: &RecordBatch, record: &Record) {
        let mut copy = *record;
        (copy.start, copy.end) = self.append(from.message(record));
        (copy.fields_start, copy.fields_end) = self.append(from.fields(record));
        self.records.push(copy);
    }

    /// Appends bytes to the buffer and returns where they are.
    ///
    /// # Panics
    /// When the batch would pass 4 GiB; callers flush long before.
    pub fn append(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
        (start, offset(self.bytes.len()))
    }
}

fn offset(len: usize) -> u32 {
    u32::try_from(len).expect("a batch is flushed long before it reaches 4 GiB")
}
