//! One source of a running query: scanned a block at a time, filtered, and ready to be merged.

use weir_scan::{Direction, RecordBatch, Scanner, Step};

use crate::filter_stage::FilterStage;
use crate::neighbours::Neighbours;

/// One source, and those of its records that were read and not yet merged.
pub(crate) struct Lane {
    pub(crate) scanner: Scanner,
    pub(crate) source: u32,
    /// Gaps told so far.
    pub(crate) gaps: u64,
    pending: RecordBatch,
    next: usize,
    ended: bool,
    /// Time of the last record or bound; what a record without a time is taken to have.
    last_key: i64,
    neighbours: Option<Neighbours>,
    skipped: u64,
}

impl Lane {
    pub(crate) fn new(
        scanner: Scanner,
        source: u32,
        direction: Direction,
        neighbours: Option<Neighbours>,
    ) -> Lane {
        let last_key = match direction {
            Direction::Forward => i64::MIN,
            Direction::Backward => i64::MAX,
        };
        Lane {
            scanner,
            source,
            gaps: 0,
            pending: RecordBatch::default(),
            next: 0,
            ended: false,
            last_key,
            neighbours,
            skipped: 0,
        }
    }

    /// Whether records are waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.next < self.pending.records.len()
    }

    /// Whether nothing is waiting and nothing will come.
    pub(crate) fn is_done(&self) -> bool {
        self.ended && !self.is_ready()
    }

    /// Reads no more; what is waiting stays.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Drops what is waiting and reads no more.
    pub(crate) fn close(&mut self) {
        self.ended = true;
        self.pending.clear();
        self.next = 0;
    }

    /// The time by which the lane is merged: of the next record, or the bound of what is unread.
    pub(crate) fn key(&mut self) -> i64 {
        let time = match self.pending.records.get(self.next) {
            Some(record) => record.time,
            None => self.scanner.frontier(),
        };
        if let Some(time) = time {
            self.last_key = time;
        }
        self.last_key
    }

    /// Reads one block and filters what it gave. To be called when nothing is waiting.
    pub(crate) fn step(&mut self, stages: &mut [FilterStage]) {
        self.pending.clear();
        self.next = 0;
        if self.scanner.step(&mut self.pending) == Step::End {
            self.ended = true;
        }
        if let Some(first) = stages.first_mut()
            && first.prefilter_in_scan()
        {
            let skipped = self.scanner.stats().skipped_by_prefilter;
            first.skipped_in_scan(skipped - self.skipped);
            self.skipped = skipped;
        }
        for stage in stages.iter_mut() {
            stage.apply(self.source, &mut self.pending);
        }
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.apply(&mut self.pending);
        }
    }

    /// Takes the waiting records up to the first that comes after `bound` (all, without one); at least one.
    /// The records are `range` of the batch.
    pub(crate) fn take_until(
        &mut self,
        bound: Option<i64>,
        direction: Direction,
    ) -> (std::ops::Range<usize>, &mut RecordBatch) {
        let first = self.next;
        self.next += 1;
        if let Some(bound) = bound {
            while self.is_ready() {
                let key = self.key();
                let after = match direction {
                    Direction::Forward => key > bound,
                    Direction::Backward => key < bound,
                };
                if after {
                    break;
                }
                self.next += 1;
            }
        } else {
            self.next = self.pending.records.len();
        }
        (first..self.next, &mut self.pending)
    }
}
