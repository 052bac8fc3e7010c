//! One source of a running query: its records are read, filtered, and wait to be merged.

use weir_scan::{Direction, Gap, RecordBatch, Scanner, Source};

use crate::feed::{Feed, Forks};
use crate::filter_stage::FilterStage;
use crate::neighbours::Neighbours;

/// One source, and those of its records that were read and not yet merged.
pub(crate) struct Lane {
    pub(crate) feed: Feed,
    pub(crate) source: u32,
    /// Whose log it is, for messages.
    pub(crate) name: String,
    /// Reading can wait for a writer, so it is done when the records are due and no sooner.
    pub(crate) may_wait: bool,
    /// Gaps told so far.
    pub(crate) gaps: u64,
    pending: RecordBatch,
    next: usize,
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
            name: name(scanner.source()),
            may_wait: scanner.may_wait(),
            feed: Feed::new(scanner),
            source,
            gaps: 0,
            pending: RecordBatch::default(),
            next: 0,
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
        self.feed.has_ended() && !self.is_ready()
    }

    /// Reads no more; what is waiting stays.
    pub(crate) fn end(&mut self) {
        self.feed.end();
    }

    /// Drops what is waiting and reads no more.
    pub(crate) fn close(&mut self) {
        self.feed.end();
        self.pending.clear();
        self.next = 0;
    }

    /// The time by which the lane is merged: of the next record, or the bound of what is unread.
    pub(crate) fn key(&mut self) -> i64 {
        let time = match self.pending.records.get(self.next) {
            Some(record) => record.time,
            None => self.feed.frontier(),
        };
        if let Some(time) = time {
            self.last_key = time;
        }
        self.last_key
    }

    /// The place up to which every record was handed to the merge: index of a file, and where in it the rest
    /// starts (forward) or ends (backward). `None` behind the last file.
    #[cfg_attr(not(test), expect(dead_code, reason = "for whoever resumes a query"))]
    pub(crate) fn place(&self, direction: Direction) -> Option<(usize, u64)> {
        match self.pending.records.get(self.next) {
            Some(record) => {
                Some((record.file as usize, record.offset + u64::from(direction == Direction::Backward)))
            }
            None => self.feed.place(),
        }
    }

    /// Accepts the result that is next and filters its records; returns the gaps that were met. To be called when
    /// no record is waiting.
    pub(crate) fn accept(&mut self, stages: &mut [FilterStage], forks: &mut Forks) -> Vec<Gap> {
        self.pending.clear();
        self.next = 0;
        let gaps = self.feed.accept(&mut self.pending, forks);
        if let Some(first) = stages.first_mut()
            && first.prefilter_in_scan()
        {
            let skipped = self.feed.stats().skipped_by_prefilter;
            first.skipped_in_scan(skipped - self.skipped);
            self.skipped = skipped;
        }
        for stage in stages.iter_mut() {
            stage.apply(self.source, &mut self.pending);
        }
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.apply(&mut self.pending);
        }
        gaps
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

/// The parts of an identity that are known.
fn name(source: &Source) -> String {
    let parts = [source.namespace.as_str(), source.pod.as_str(), source.container.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
