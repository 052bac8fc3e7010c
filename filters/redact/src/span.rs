//! Places to redact, and how overlapping ones become one.

use core::cmp::Reverse;
use core::ops::Range;

/// Bytes to redact, under the label with this index: detectors first, then the user's patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) label: u16,
}

impl Span {
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Sorts spans and joins those that overlap. A joined span covers all bytes of its parts, so nothing
/// that any detector found is left; it has the label of its leftmost part, of several there the
/// longest, of several equal ones the first by label.
pub(crate) fn merge(spans: &mut Vec<Span>) {
    spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end), span.label));
    spans.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
}

#[cfg(test)]
mod tests {
    use super::{Span, merge};
    use proptest::prelude::*;

    fn span(start: usize, end: usize, label: u16) -> Span {
        Span { start, end, label }
    }

    #[test]
    fn the_leftmost_longest_names_the_whole() {
        let mut spans = vec![span(4, 9, 1), span(2, 5, 3), span(2, 6, 4), span(2, 6, 2), span(9, 10, 0)];
        merge(&mut spans);
        assert_eq!(spans, [span(2, 9, 2), span(9, 10, 0)]);
    }

    proptest! {
        #[test]
        fn the_same_bytes_stay_covered(
            parts in proptest::collection::vec((0_usize..60, 1_usize..20, 0_u16..4), 0..12),
        ) {
            let mut spans: Vec<Span> =
                parts.iter().map(|&(start, length, label)| span(start, start + length, label)).collect();
            let covered = |spans: &[Span]| -> Vec<bool> {
                (0..80).map(|at| spans.iter().any(|span| span.range().contains(&at))).collect()
            };
            let before = covered(&spans);
            merge(&mut spans);
            prop_assert_eq!(before, covered(&spans));
            prop_assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
