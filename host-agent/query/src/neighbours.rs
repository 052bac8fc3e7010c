//! Context after filters: the scanner gives the neighbours of what matched the pattern; where filters
//! dropped a match, its neighbours go too, unless another match is near.

use std::collections::VecDeque;

use weir_scan::{Flags, Record, RecordBatch};

/// The context of one source's records, in the order of the scan.
#[derive(Debug)]
pub(crate) struct Neighbours {
    /// Neighbours wanted before a match, in scan order.
    lead: usize,
    /// Neighbours wanted after a match, in scan order.
    trail: usize,
    /// Neighbours that the next match may want.
    held: VecDeque<RecordBatch>,
    held_bytes: usize,
    /// Most bytes of held neighbours; the farthest are given up first.
    most_bytes: usize,
    /// Neighbours that came since the last match or break, given up or held.
    since: usize,
    /// A match had fewer neighbours than it wants, since some were given up for their bytes.
    cut: bool,
    trail_left: usize,
    /// Whether something was left out since the record given last.
    broken: bool,
    given_any: bool,
}

impl Neighbours {
    pub(crate) fn new(lead: usize, trail: usize, most_bytes: usize) -> Neighbours {
        Neighbours {
            lead,
            trail,
            held: VecDeque::new(),
            held_bytes: 0,
            most_bytes,
            since: 0,
            cut: false,
            trail_left: 0,
            broken: false,
            given_any: false,
        }
    }

    /// Whether a match had fewer neighbours than it wants, since they are over the limit of bytes.
    pub(crate) fn were_cut(&self) -> bool {
        self.cut
    }

    /// Leaves in `batch` the matches and those neighbours that are near one.
    pub(crate) fn apply(&mut self, batch: &mut RecordBatch) {
        let seen = std::mem::take(&mut batch.records);
        let mut given = RecordBatch { bytes: std::mem::take(&mut batch.bytes), records: Vec::new() };
        for record in &seen {
            if record.flags.has(Flags::BREAK) {
                self.held.clear();
                self.held_bytes = 0;
                self.since = 0;
                self.trail_left = 0;
                self.broken = true;
            }
            if record.flags.has(Flags::CONTEXT) {
                self.neighbour(record, &mut given);
            } else {
                self.cut |= std::mem::take(&mut self.since).min(self.lead) > self.held.len();
                self.held_bytes = 0;
                for held in std::mem::take(&mut self.held) {
                    for record in &held.records {
                        given.push_from(&held, record);
                        self.mark_last(&mut given);
                    }
                }
                given.records.push(*record);
                self.mark_last(&mut given);
                self.trail_left = self.trail;
            }
        }
        *batch = given;
    }

    fn neighbour(&mut self, record: &Record, given: &mut RecordBatch) {
        if self.trail_left > 0 {
            self.trail_left -= 1;
            given.records.push(*record);
            self.mark_last(given);
            return;
        }
        let mut one = RecordBatch::default();
        one.push_from(given, record);
        self.since += 1;
        self.held_bytes += one.bytes.len();
        self.held.push_back(one);
        while self.held.len() > self.lead || self.held_bytes > self.most_bytes {
            let Some(farthest) = self.held.pop_front() else { break };
            self.held_bytes -= farthest.bytes.len();
            self.broken = true;
        }
    }

    fn mark_last(&mut self, given: &mut RecordBatch) {
        if let Some(last) = given.records.last_mut() {
            last.flags.clear(Flags::BREAK);
            if std::mem::take(&mut self.broken) && self.given_any {
                last.flags.set(Flags::BREAK);
            }
            self.given_any = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_scan::Stream;

    /// `M` a match, `c` a neighbour, `|` before a record: a break.
    fn batch(text: &str) -> RecordBatch {
        let mut batch = RecordBatch::default();
        let mut flags = Flags::default();
        for (offset, mark) in text.char_indices() {
            match mark {
                '|' => flags.set(Flags::BREAK),
                _ => {
                    if mark == 'c' {
                        flags.set(Flags::CONTEXT);
                    }
                    let (start, end) = batch.append(offset.to_string().as_bytes());
                    batch.records.push(Record {
                        start,
                        end,
                        fields_start: 0,
                        fields_end: 0,
                        time: None,
                        source: 0,
                        file: 0,
                        offset: offset as u64,
                        stream: Stream::Stdout,
                        flags,
                    });
                    flags = Flags::default();
                }
            }
        }
        batch
    }

    fn given(batches: &[&str], lead: usize, trail: usize) -> String {
        let mut neighbours = Neighbours::new(lead, trail, 1 << 20);
        let mut out = String::new();
        for text in batches {
            let mut batch = batch(text);
            neighbours.apply(&mut batch);
            for record in &batch.records {
                if record.flags.has(Flags::BREAK) {
                    out.push('|');
                }
                out.push(if record.flags.has(Flags::CONTEXT) { 'c' } else { 'M' });
            }
        }
        out
    }

    #[test]
    fn neighbours_of_dropped_matches_go_with_them() {
        assert_eq!(given(&["ccMcc|ccMcc"], 2, 2), "ccMcc|ccMcc");
        assert_eq!(given(&["ccccc|ccMcc"], 2, 2), "ccMcc");
        assert_eq!(given(&["cccccMcc"], 2, 1), "ccMc");
        assert_eq!(given(&["cMccccccM"], 1, 1), "cMc|cM");
        assert_eq!(given(&["cMcc", "cM"], 2, 2), "cMcccM");
        assert_eq!(given(&["cMcc", "ccM"], 1, 1), "cMc|cM");
        assert_eq!(given(&["c", "|cM"], 5, 0), "cM");
    }

    #[test]
    fn neighbours_over_the_limit_of_bytes_are_told() {
        let were_cut = |batches: &[&str], lead| {
            // Each has one byte of text, up to the tenth.
            let mut neighbours = Neighbours::new(lead, 0, 3);
            batches.iter().for_each(|text| neighbours.apply(&mut batch(text)));
            neighbours.were_cut()
        };
        assert!(were_cut(&["ccccM"], 4) && were_cut(&["cc", "ccM"], 9));
        assert!(!were_cut(&["ccccM"], 3), "a fourth wasn't wanted");
        assert!(!were_cut(&["cccc", "|cM"], 4), "they are no neighbours of it");
        assert!(!were_cut(&["cccc"], 4), "nothing wanted them");
    }
}
