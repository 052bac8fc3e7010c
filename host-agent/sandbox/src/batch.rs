//! Records on their way into a guest: the scanner's block with offsets, cut to what a call needs.

use std::ops::Range;

use crate::description::Columns;

/// Bytes that may lie between messages, per record, before they are gathered instead of sent along.
const GAP_BYTES: usize = 64;

/// Records of one source. Message `i` is `block[starts[i]..ends[i]]`; in any order, never overlapping.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// The bytes that hold the messages, and others.
    pub block: &'a [u8],
    /// Where each message starts.
    pub starts: &'a [u32],
    /// Where each message ends; as many.
    pub ends: &'a [u32],
    /// Nanoseconds since 1970-01-01T00:00:00Z, -1 without a time; as many, or empty when the plan
    /// doesn't ask for them.
    pub timestamps: &'a [i64],
    /// One byte each: bit 0 stderr, bit 1 cut at the line limit, bit 2 malformed; as many, or empty when
    /// the plan doesn't ask for them.
    pub attrs: &'a [u8],
}

impl Batch<'_> {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// # Panics
    /// When the lists do not fit together: the host's own mistake.
    pub(crate) fn check(&self, columns: Columns) {
        let records = self.len();
        assert_eq!(self.ends.len(), records, "one end per start");
        assert!(self.block.len() <= u32::MAX as usize, "a block has at most 4 GiB");
        let inside = |(start, end): (&u32, &u32)| start <= end && *end as usize <= self.block.len();
        assert!(self.starts.iter().zip(self.ends).all(inside), "messages lie in their block");
        assert!(!columns.timestamp || self.timestamps.len() == records, "one timestamp per record");
        assert!(!columns.attrs || self.attrs.len() == records, "one attribute byte per record");
    }
}

/// What one call of `process` gets.
pub(crate) struct Lists<'a> {
    pub(crate) records: usize,
    /// Sum of the messages' lengths, also when they are not sent.
    pub(crate) message_bytes: usize,
    /// Where the messages lie in the batch's own block, also when they are not sent.
    messages: (&'a [u32], &'a [u32]),
    pub(crate) block: &'a [u8],
    pub(crate) starts: &'a [u32],
    pub(crate) ends: &'a [u32],
    pub(crate) timestamps: &'a [i64],
    pub(crate) attrs: &'a [u8],
}

impl Lists<'_> {
    /// Length of a record's message in bytes.
    pub(crate) fn message_len(&self, record: usize) -> usize {
        (self.messages.1[record] - self.messages.0[record]) as usize
    }
}

/// Reused buffers for offsets that had to change.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    block: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Layout {
    /// The lists for `range` of a batch: only the asked columns, and little besides the messages. A
    /// block of few, far apart messages is not worth copying into a guest whole.
    pub(crate) fn lay_out<'a>(
        &'a mut self,
        batch: &Batch<'a>,
        range: Range<usize>,
        columns: Columns,
    ) -> Lists<'a> {
        let (starts, ends) = (&batch.starts[range.clone()], &batch.ends[range.clone()]);
        let message_bytes = starts.iter().zip(ends).map(|(start, end)| (end - start) as usize).sum();
        let mut lists = Lists {
            records: range.len(),
            message_bytes,
            messages: (starts, ends),
            block: &[],
            starts: &[],
            ends: &[],
            timestamps: if columns.timestamp { &batch.timestamps[range.clone()] } else { &[] },
            attrs: if columns.attrs { &batch.attrs[range] } else { &[] },
        };
        if !columns.message {
            return lists;
        }
        let first = starts.iter().copied().min().unwrap_or(0);
        let last = ends.iter().copied().max().unwrap_or(0);
        let span = (last - first) as usize;
        if span > message_bytes.saturating_mul(2) + starts.len() * GAP_BYTES {
            self.gather(batch.block, starts, ends);
            (lists.block, lists.starts, lists.ends) = (&self.block, &self.starts, &self.ends);
        } else if first == 0 {
            (lists.block, lists.starts, lists.ends) = (&batch.block[..span], starts, ends);
        } else {
            self.starts.clear();
            self.starts.extend(starts.iter().map(|start| start - first));
            self.ends.clear();
            self.ends.extend(ends.iter().map(|end| end - first));
            lists.block = &batch.block[first as usize..last as usize];
            (lists.starts, lists.ends) = (&self.starts, &self.ends);
        }
        lists
    }

    fn gather(&mut self, block: &[u8], starts: &[u32], ends: &[u32]) {
        self.block.clear();
        self.starts.clear();
        self.ends.clear();
        for (&start, &end) in starts.iter().zip(ends) {
            // Messages do not overlap, so all of them together are no longer than the block: u32.
            self.starts.push(self.block.len() as u32);
            self.block.extend_from_slice(&block[start as usize..end as usize]);
            self.ends.push(self.block.len() as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Batch, Columns, Layout};

    const ALL: Columns = Columns { message: true, timestamp: true, attrs: true };

    proptest! {
        /// Whatever way it is laid out, the guest sees the same messages.
        #[test]
        fn messages_stay_the_same(
            parts in prop::collection::vec((0_usize..300, prop::collection::vec(any::<u8>(), 0..20)), 1..20),
            from in 0_usize..20,
            to in 0_usize..20,
            backward in any::<bool>(),
        ) {
            let (mut block, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            for (gap, message) in &parts {
                block.resize(block.len() + gap, b'.');
                starts.push(block.len() as u32);
                block.extend_from_slice(message);
                ends.push(block.len() as u32);
            }
            if backward {
                starts.reverse();
                ends.reverse();
            }
            let timestamps: Vec<i64> = (0..parts.len() as i64).collect();
            let attrs: Vec<u8> = (0..parts.len() as u8).collect();
            let batch = Batch { block: &block, starts: &starts, ends: &ends, timestamps: &timestamps, attrs: &attrs };
            batch.check(ALL);
            let range = from.min(to).min(parts.len())..to.max(from).min(parts.len());
            let mut layout = Layout::default();
            let lists = layout.lay_out(&batch, range.clone(), ALL);
            prop_assert_eq!(lists.records, range.len());
            for (sent, record) in range.clone().enumerate() {
                let expected = &block[starts[record] as usize..ends[record] as usize];
                prop_assert_eq!(&lists.block[lists.starts[sent] as usize..lists.ends[sent] as usize], expected);
            }
            prop_assert_eq!(lists.timestamps, &timestamps[range.clone()]);
            prop_assert_eq!(lists.attrs, &attrs[range]);
            prop_assert!(lists.block.len() <= 2 * lists.message_bytes + 64 * lists.records);
        }
    }

    #[test]
    fn columns_that_are_not_asked_for_stay_behind() {
        let batch = Batch { block: b"ab", starts: &[0, 1], ends: &[1, 2], timestamps: &[], attrs: &[7, 8] };
        let columns = Columns { message: false, timestamp: false, attrs: true };
        batch.check(columns);
        let mut layout = Layout::default();
        let lists = layout.lay_out(&batch, 1..2, columns);
        assert!(lists.block.is_empty() && lists.starts.is_empty() && lists.ends.is_empty());
        assert_eq!((lists.records, lists.message_bytes, lists.attrs), (1, 1, &[8][..]));
    }
}
