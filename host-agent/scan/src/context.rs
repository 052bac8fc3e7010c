//! Context: the neighbours of matches, each given once, in scan order.
//!
//! Neighbours that come before a match in scan order lead it, those after it trail it. Both are found by
//! walking from record to record, wherever their bytes are, so that lines far from any match cost
//! nothing.

use crate::lines::{Line, Place};
use crate::record::{Flags, Record, RecordBatch};
use crate::scanner::Scanner;
use crate::search::{self, Direction};

/// What has to be remembered from block to block.
pub(crate) struct Context {
    /// Records to give before a match.
    pub(crate) lead: usize,
    /// Records to give after a match.
    trail: usize,
    /// The record given last.
    last: Option<Line>,
    /// The neighbour looked at last; beyond the record given last where neighbours aren't in the time
    /// window.
    walked: Option<Line>,
    /// Neighbours still to be given.
    left: usize,
}

impl Context {
    pub(crate) fn new(wanted: search::Context, direction: Direction) -> Context {
        let (lead, trail) = wanted.in_scan_order(direction);
        Context { lead, trail, last: None, walked: None, left: 0 }
    }

    /// Whether any neighbours are to be given.
    pub(crate) fn is_wanted(&self) -> bool {
        self.lead > 0 || self.trail > 0
    }
}

impl Scanner {
    /// Moves the matches of the block, already in scan order, to the batch, with their neighbours as far
    /// as they are in blocks seen so far.
    pub(crate) fn weave(&mut self, file: usize, batch: &mut RecordBatch) {
        let mut found = std::mem::take(&mut self.found);
        if !self.context.is_wanted() {
            batch.records.extend(found.drain(..).map(|(_, record)| record));
        } else {
            let newer = !self.backward();
            let lines = &self.units.lines;
            let edge = if newer { lines.block_end() } else { lines.block.start() };
            for (line, record) in found.drain(..) {
                self.trail_until(if newer { line.place() } else { (line.file, line.next) }, batch);
                self.lead_to(line, batch);
                self.give(line, record, batch);
                self.context.walked = Some(line);
                self.context.left = self.context.trail;
            }
            self.trail_until((file, edge), batch);
        }
        self.found = found;
    }

    /// Gives the trailing neighbours that are still due, up to a place.
    fn trail_until(&mut self, until: Place, batch: &mut RecordBatch) {
        while self.context.left > 0 {
            let newer = !self.backward();
            let Some(walked) = self.context.walked else {
                return;
            };
            let Some(line) = self.units.neighbour(walked, newer, Some(until)) else {
                return;
            };
            self.context.walked = Some(line);
            self.context.left -= 1;
            if let Some(record) = self.neighbour_record(line, batch) {
                self.give(line, record, batch);
            }
        }
    }

    /// Gives the neighbours that lead a match and haven't been given, up to the byte limit.
    fn lead_to(&mut self, line: Line, batch: &mut RecordBatch) {
        let newer = self.backward();
        let (mut at, mut led) = (line, Vec::new());
        let room = batch.bytes.len().saturating_add(self.search.limits.context_bytes);
        for _ in 0..self.context.lead {
            let Some(neighbour) = self.units.neighbour(at, newer, None) else {
                break;
            };
            let is_given = self.context.walked.is_some_and(|walked| match newer {
                true => neighbour.place() >= walked.place(),
                false => neighbour.place() <= walked.place(),
            });
            if is_given {
                break;
            }
            if batch.bytes.len() >= room {
                self.stats.cut_context = true;
                break;
            }
            at = neighbour;
            led.extend(self.neighbour_record(neighbour, batch).map(|record| (neighbour, record)));
        }
        for (line, record) in led.into_iter().rev() {
            self.give(line, record, batch);
        }
    }

    /// The record at a line, as a neighbour; `None` when it isn't in the time window.
    fn neighbour_record(&mut self, line: Line, batch: &mut RecordBatch) -> Option<Record> {
        let mut unit = self.units.open(line);
        if !self.in_time(&unit) || self.is_rest(&unit) {
            return None;
        }
        self.units.gather(&mut unit);
        let mut record = self.units.record(&unit, self.source, batch);
        record.flags.set(Flags::CONTEXT);
        Some(record)
    }

    fn give(&mut self, line: Line, mut record: Record, batch: &mut RecordBatch) {
        if let Some(last) = self.context.last
            && self.units.neighbour(line, self.backward(), None) != Some(last)
        {
            record.flags.set(Flags::BREAK);
        }
        self.context.last = Some(line);
        batch.records.push(record);
    }
}
