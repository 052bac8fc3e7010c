//! Record batches and their columns on the wire, both ways.

use std::collections::BTreeMap;
use std::ops::Range;

use weir_query::{Flags, Record, RecordBatch, SourcePosition, Stream};

use crate::wire::v1;

/// Stands for "no time" in the column of times.
const NO_TIME: i64 = i64::MIN;

/// Collects records of several batches into the columns of one.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    messages: Vec<u8>,
    ends: Vec<u32>,
    times: Vec<i64>,
    sources: Vec<u32>,
    files: Vec<u32>,
    offsets: Vec<u64>,
    streams: Vec<u8>,
    flags: Vec<u8>,
    fields: Vec<u8>,
    field_ends: Vec<u32>,
    positions: BTreeMap<u32, Vec<u8>>,
}

impl Columns {
    /// Takes the records of `batch` to the end, column by column. Its buffer becomes the column of messages where
    /// that is all it holds and nothing was collected before; else messages are copied.
    ///
    /// # Panics
    /// When a column of bytes would pass 4 GiB; callers take batches long before.
    pub(crate) fn append(&mut self, batch: RecordBatch) {
        let records = &batch.records;
        self.append_fields(&batch);
        self.times.extend(records.iter().map(|record| record.time.unwrap_or(NO_TIME)));
        self.sources.extend(records.iter().map(|record| record.source));
        self.files.extend(records.iter().map(|record| record.file));
        self.offsets.extend(records.iter().map(|record| record.offset));
        self.streams.extend(records.iter().map(|record| match record.stream {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        }));
        self.flags.extend(records.iter().map(|record| record.flags.bits()));
        if self.messages.is_empty() && is_dense(&batch) {
            self.ends.extend(records.iter().map(|record| record.end));
            self.messages = batch.bytes;
        } else {
            let bytes = records.iter().map(|record| (record.end - record.start) as usize).sum();
            self.messages.reserve(bytes);
            self.ends.reserve(records.len());
            for record in records {
                self.messages.extend_from_slice(batch.message(record));
                self.ends.push(end(&self.messages));
            }
        }
    }

    fn append_fields(&mut self, batch: &RecordBatch) {
        if batch.records.iter().all(|record| record.fields_start == record.fields_end) {
            let end = end(&self.fields);
            self.field_ends.extend(std::iter::repeat_n(end, batch.records.len()));
            return;
        }
        for record in &batch.records {
            self.fields.extend_from_slice(batch.fields(record));
            self.field_ends.push(end(&self.fields));
        }
    }

    /// Notes where the search of the sources stands behind what was pushed.
    pub(crate) fn note(&mut self, positions: Vec<SourcePosition>) {
        self.positions.extend(positions.into_iter().map(|position| (position.source, position.position)));
    }

    /// Records collected.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of messages and fields collected.
    pub(crate) fn bytes(&self) -> usize {
        self.messages.len() + self.fields.len()
    }

    /// Takes what was collected, as a message.
    pub(crate) fn take(&mut self) -> v1::RecordBatch {
        let taken = std::mem::take(self);
        let field_ends = if taken.fields.is_empty() { Vec::new() } else { taken.field_ends };
        v1::RecordBatch {
            messages: taken.messages.into(),
            ends: taken.ends,
            times: taken.times,
            sources: taken.sources,
            files: taken.files,
            offsets: taken.offsets,
            streams: taken.streams.into(),
            flags: taken.flags.into(),
            fields: taken.fields.into(),
            field_ends,
            positions: wire_positions(taken.positions.into_iter()),
        }
    }
}

/// Whether the messages are all that a batch's buffer holds, one behind the other.
fn is_dense(batch: &RecordBatch) -> bool {
    let mut at = 0;
    let follows = |record: &Record| record.start == std::mem::replace(&mut at, record.end);
    batch.records.iter().all(follows) && at as usize == batch.bytes.len()
}

/// Positions for the wire, from numbers of sources and what is handed back for them.
pub(crate) fn wire_positions(positions: impl Iterator<Item = (u32, Vec<u8>)>) -> Vec<v1::SourcePosition> {
    positions.map(|(source, position)| v1::SourcePosition { source, position }).collect()
}

/// Positions from the wire.
pub(crate) fn positions(wire: Vec<v1::SourcePosition>) -> Vec<SourcePosition> {
    let position = |wire: v1::SourcePosition| SourcePosition { source: wire.source, position: wire.position };
    wire.into_iter().map(position).collect()
}

/// Turns a received batch into ours.
///
/// # Errors
/// The column that doesn't fit to the others, or holds what it can't.
pub(crate) fn records(wire: v1::RecordBatch) -> Result<RecordBatch, String> {
    let count = wire.ends.len();
    for (column, len) in [
        ("times", wire.times.len()),
        ("sources", wire.sources.len()),
        ("files", wire.files.len()),
        ("offsets", wire.offsets.len()),
        ("streams", wire.streams.len()),
        ("flags", wire.flags.len()),
    ] {
        if len != count {
            return Err(format!("column {column} has {len} entries for {count} records"));
        }
    }
    if !wire.field_ends.is_empty() && wire.field_ends.len() != count {
        return Err(format!("column field_ends has {} entries for {count} records", wire.field_ends.len()));
    }
    let fields_base = u32::try_from(wire.messages.len()).map_err(|_| "messages pass 4 GiB".to_owned())?;
    if u32::try_from(wire.messages.len() + wire.fields.len()).is_err() {
        return Err("messages and fields pass 4 GiB".to_owned());
    }

    let mut bytes: Vec<u8> = wire.messages.into();
    bytes.extend_from_slice(&wire.fields);
    let mut batch = RecordBatch { bytes, records: Vec::with_capacity(count) };
    let mut message = Spans::new("ends", fields_base);
    let mut fields = Spans::new("field_ends", end(&wire.fields));
    for index in 0..count {
        let message = message.next(wire.ends[index])?;
        let fields = match wire.field_ends.get(index) {
            Some(&end) => fields.next(end)?,
            None => 0..0,
        };
        batch.records.push(Record {
            start: message.start,
            end: message.end,
            fields_start: fields_base + fields.start,
            fields_end: fields_base + fields.end,
            time: Some(wire.times[index]).filter(|time| *time != NO_TIME),
            source: wire.sources[index],
            file: wire.files[index],
            offset: wire.offsets[index],
            stream: match wire.streams[index] {
                0 => Stream::Stdout,
                1 => Stream::Stderr,
                other => return Err(format!("column streams holds {other}")),
            },
            flags: Flags::from_bits(wire.flags[index]),
        });
    }
    Ok(batch)
}

/// The spans that a column of ends tells, checked as they are taken.
struct Spans {
    column: &'static str,
    at: u32,
    limit: u32,
}

impl Spans {
    fn new(column: &'static str, limit: u32) -> Spans {
        Spans { column, at: 0, limit }
    }

    fn next(&mut self, end: u32) -> Result<Range<u32>, String> {
        if end < self.at || end > self.limit {
            return Err(format!(
                "column {} holds {end}, outside of {}..={}",
                self.column, self.at, self.limit
            ));
        }
        let span = self.at..end;
        self.at = end;
        Ok(span)
    }
}

fn end(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a batch is sent long before it reaches 4 GiB")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Row = (Vec<u8>, Vec<u8>, Option<i64>, (u32, u32, u64), bool, u8);

    fn row() -> impl Strategy<Value = Row> {
        let fields = prop_oneof![Just(Vec::new()), Just(b"{\"a\":1}".to_vec())];
        let place = (any::<u32>(), any::<u32>(), any::<u64>());
        let time = proptest::option::of(NO_TIME + 1..=i64::MAX);
        (vec(any::<u8>(), 0..20), fields, time, place, any::<bool>(), 0..64_u8)
    }

    fn batch(rows: &[Row], between: &[u8]) -> RecordBatch {
        let mut batch = RecordBatch::default();
        for (message, fields, time, (source, file, offset), stderr, flags) in rows {
            batch.bytes.extend_from_slice(between);
            let (start, end) = batch.append(message);
            let (fields_start, fields_end) = batch.append(fields);
            batch.records.push(Record {
                start,
                end,
                fields_start,
                fields_end,
                time: *time,
                source: *source,
                file: *file,
                offset: *offset,
                stream: if *stderr { Stream::Stderr } else { Stream::Stdout },
                flags: Flags::from_bits(*flags),
            });
        }
        batch
    }

    fn encode(batch: &RecordBatch) -> v1::RecordBatch {
        let mut columns = Columns::default();
        columns.append(batch.clone());
        columns.take()
    }

    proptest! {
        /// In one message, however many batches there were, and whatever lies between their messages.
        #[test]
        fn records_survive_the_wire(
            batches in vec((vec(row(), 1..12), prop_oneof![Just(&b""[..]), Just(&b"prefix "[..])]), 1..4),
        ) {
            let sent: Vec<RecordBatch> = batches.iter().map(|(rows, between)| batch(rows, between)).collect();
            let mut columns = Columns::default();
            sent.iter().for_each(|batch| columns.append(batch.clone()));
            prop_assert_eq!(columns.len(), sent.iter().map(|batch| batch.records.len()).sum::<usize>());
            let wire = columns.take();
            prop_assert!(!wire.messages.windows(7).any(|window| window == b"prefix "));
            let received = records(wire).expect("a batch of our own");
            let all = sent.iter().flat_map(|batch| batch.records.iter().map(move |record| (batch, record)));
            prop_assert_eq!(received.records.len(), all.clone().count());
            for (theirs, (batch, ours)) in received.records.iter().zip(all) {
                prop_assert_eq!(received.message(theirs), batch.message(ours));
                prop_assert_eq!(received.fields(theirs), batch.fields(ours));
                let placed = Record {
                    start: ours.start, end: ours.end,
                    fields_start: ours.fields_start, fields_end: ours.fields_end,
                    ..*theirs
                };
                prop_assert_eq!(&placed, ours);
            }
        }

        /// Whatever a server sends, the client never panics and never hands out a span outside of the bytes.
        #[test]
        fn broken_columns_are_errors(
            ends in vec(0..40_u32, 0..6),
            field_ends in vec(0..40_u32, 0..6),
            len in 0..40_usize,
            streams in vec(0..3_u8, 0..6),
        ) {
            let count = ends.len();
            let wire = v1::RecordBatch {
                messages: vec![b'm'; len].into(),
                times: vec![0; count],
                sources: vec![0; count],
                files: vec![0; count],
                offsets: vec![0; count],
                streams: streams.into(),
                flags: vec![0xff; count].into(),
                fields: vec![b'f'; len / 2].into(),
                ends,
                field_ends,
                positions: Vec::new(),
            };
            if let Ok(batch) = records(wire) {
                for record in &batch.records {
                    prop_assert!(batch.message(record).iter().all(|byte| *byte == b'm'));
                    prop_assert!(batch.fields(record).iter().all(|byte| *byte == b'f'));
                }
            }
        }
    }

    #[test]
    fn a_buffer_of_messages_alone_is_not_copied() {
        let row = |message: &[u8]| (message.to_vec(), Vec::new(), None, (0, 0, 0), false, 0);
        let dense = batch(&[row(b"a"), row(b""), row(b"bc")], b"");
        let buffer = dense.bytes.as_ptr();
        let mut columns = Columns::default();
        columns.append(dense);
        let wire = columns.take();
        assert_eq!(
            (wire.messages.as_ptr(), &wire.messages[..], &wire.ends[..]),
            (buffer, &b"abc"[..], &[1, 1, 3][..])
        );
        let loose = batch(&[row(b"a"), row(b"bc")], b"prefix ");
        assert_eq!(&encode(&loose).messages[..], b"abc");
    }

    #[test]
    fn without_fields_there_is_no_column_of_their_ends() {
        let rows = [(b"a".to_vec(), Vec::new(), None, (0, 0, 0), false, 0)];
        let wire = encode(&batch(&rows, b"prefix "));
        assert!(wire.field_ends.is_empty());
        assert_eq!(wire.times, [NO_TIME]);
    }
}
