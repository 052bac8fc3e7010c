//! One source of a running query: its records are read, filtered, and wait to be merged.

use weir_scan::{Context, Direction, Flags, Gap, OpenRecord, Position, Record, RecordBatch, Scanner, Source};

use crate::feed::Feed;
use crate::filter_stage::FilterStage;
use crate::neighbours::Neighbours;
use crate::policing::{Policing, Rule};
use crate::resume::Sealer;
use crate::spares::Spares;

/// Most bytes of records that are taken at once, unless one alone is longer: with what has gathered before,
/// they are given as one batch.
const TAKEN_BYTES: usize = 256 << 10;

/// One source, and those of its records that were read and not yet merged.
pub(crate) struct Lane {
    pub(crate) feed: Feed,
    pub(crate) source: u32,
    /// What policies have to say about it.
    pub(crate) rule: Rule,
    /// Whose log it is.
    pub(crate) whose: Source,
    /// Seals where its search stands.
    pub(crate) sealer: Sealer,
    /// The same for messages.
    pub(crate) name: String,
    /// Whether its end was told.
    pub(crate) is_told: bool,
    /// Where the search stood when no more was wanted.
    stopped_at: Option<Position>,
    /// Reading can wait for a writer, so it is done when the records are due and no sooner.
    pub(crate) may_wait: bool,
    /// It is in the line of lanes of which a piece may be claimed.
    pub(crate) is_in_line: bool,
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
        sealer: Sealer,
        direction: Direction,
        neighbours: Option<Neighbours>,
        positions: bool,
    ) -> Lane {
        let last_key = match direction {
            Direction::Forward => i64::MIN,
            Direction::Backward => i64::MAX,
        };
        Lane {
            name: name(scanner.source()),
            whose: scanner.source().clone(),
            sealer,
            may_wait: scanner.may_wait(),
            feed: Feed::new(scanner, positions),
            is_told: false,
            stopped_at: None,
            is_in_line: false,
            source,
            rule: Rule::Open,
            gaps: 0,
            pending: RecordBatch::default(),
            next: 0,
            last_key,
            neighbours,
            skipped: 0,
        }
    }

    /// Whether a match has less context than was asked for.
    pub(crate) fn has_cut_context(&self) -> bool {
        self.feed.stats().cut_context || self.neighbours.as_ref().is_some_and(Neighbours::were_cut)
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

    /// Goes on with what is written from now on: no record is waiting. With neighbours anew where filters
    /// regroup them, of at most so many bytes.
    pub(crate) fn go_live(&mut self, live: Box<Scanner>, regroup: Option<(Context, usize)>) {
        self.feed.go_live(live);
        self.stopped_at = None;
        self.pending.clear();
        self.next = 0;
        self.last_key = i64::MIN;
        self.skipped = 0;
        self.neighbours =
            regroup.map(|(context, most_bytes)| Neighbours::new(context.before, context.after, most_bytes));
    }

    /// Drops what is waiting and reads no more.
    pub(crate) fn close(&mut self, direction: Direction) {
        self.stopped_at = self.position(direction);
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

    /// Where the search stands: behind every record that was handed to the merge, or where it was stopped.
    pub(crate) fn position(&self, direction: Direction) -> Option<Position> {
        match &self.stopped_at {
            Some(stopped_at) => Some(stopped_at.clone()),
            None => self.position_at(self.next, direction),
        }
    }

    /// Notes that nothing is wanted any more from the match at a place (number of a file, offset) on, which was
    /// handed to the merge in vain.
    pub(crate) fn stop_at(&mut self, place: (u32, u64), direction: Direction) {
        if self.stopped_at.is_none() {
            let first = self.pending.records.iter().position(|record| (record.file, record.offset) == place);
            self.stopped_at = first.and_then(|first| self.position_at(first, direction));
        }
    }

    /// Where the search stands before record number `first` of those that were accepted last.
    fn position_at(&self, first: usize, direction: Direction) -> Option<Position> {
        let stand = self.feed.stand()?;
        let behind = stand.behind.clone()?;
        let waiting = self.pending.records.get(first..).unwrap_or_default();
        if waiting.is_empty() {
            return Some(behind);
        }
        let id = |record: &Record| {
            let found = stand.files.iter().find(|(file, _)| *file == record.file)?;
            Some((found.1.clone(), record.offset))
        };
        if direction == Direction::Backward {
            let (file, offset) = id(&waiting[0])?;
            return Some(Position {
                file,
                offset: offset + 1,
                open: Vec::new(),
                time: waiting[0].time,
                ..behind
            });
        }
        // Records whose ends came only now stand before where the search stood, ahead of the others.
        let (late, rest) =
            waiting.split_at(waiting.iter().take_while(|record| record.flags.has(Flags::LATE)).count());
        let open_record = |record: &Record| {
            let (file, offset) = id(record)?;
            Some(OpenRecord { file, offset, time: record.time })
        };
        let mut open: Vec<OpenRecord> = late.iter().filter_map(open_record).collect();
        let Some(first) = rest.first() else {
            open.extend(behind.open.iter().cloned());
            return Some(Position { open, ..behind });
        };
        // Those that start behind it are met again.
        let is_before = |place: &(u32, u64)| *place < (first.file, first.offset);
        let before = behind.open.iter().zip(&stand.open).filter(|(_, place)| is_before(place));
        open.extend(before.map(|(open, _)| open.clone()));
        let (file, offset) = id(first)?;
        Some(Position { file, offset, open, time: first.time, ..behind })
    }

    /// Accepts the result that is next and filters its records, by policies first; returns the gaps that were met. To be
    /// called when no record is waiting.
    pub(crate) fn accept(
        &mut self,
        policing: &mut Policing,
        stages: &mut [FilterStage],
        spares: &Spares,
    ) -> Vec<Gap> {
        self.let_go(spares);
        let gaps = self.feed.accept(&mut self.pending);
        policing.apply(self.rule, self.source, &mut self.pending, self.neighbours.is_some());
        if let Some(first) = stages.first_mut()
            && first.prefilter_in_scan()
            && self.rule == Rule::Open
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

    /// Lets go of what no record is waiting in.
    pub(crate) fn let_go(&mut self, spares: &Spares) {
        if !self.is_ready() {
            spares.give(std::mem::take(&mut self.pending));
            self.next = 0;
        }
    }

    /// Takes the waiting records up to the first that comes after `bound`, and as many as are given at once; at
    /// least one. The records are `range` of the batch.
    pub(crate) fn take_until(
        &mut self,
        bound: Option<i64>,
        direction: Direction,
    ) -> (std::ops::Range<usize>, &mut RecordBatch) {
        let first = self.next;
        self.next += 1;
        let mut bytes = self.pending.records.get(first).map_or(0, Record::len);
        while let Some(record) = self.pending.records.get(self.next) {
            bytes += record.len();
            let key = record.time.unwrap_or(self.last_key);
            let is_after = bound.is_some_and(|bound| match direction {
                Direction::Forward => key > bound,
                Direction::Backward => key < bound,
            });
            if is_after || bytes > TAKEN_BYTES {
                break;
            }
            self.last_key = key;
            self.next += 1;
        }
        (first..self.next, &mut self.pending)
    }
}

/// The parts of an identity that are known.
fn name(source: &Source) -> String {
    let parts = [source.namespace.as_str(), source.pod.as_str(), source.container.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
