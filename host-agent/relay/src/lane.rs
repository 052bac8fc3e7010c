//! One agent's answer: numbered as in the whole, its records waiting to be merged.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use weir_query::{
    Direction, Event, Flags, Progress, Record, RecordBatch, Source, SourcePosition, SourceStatus, Summary,
    turn_round,
};
use weir_rpc::ClientError;

use crate::asking::Told;
use crate::resume::{Stand, instance};
use crate::seat::Seat;

/// Where an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has come.
    Opening,
    /// It gives what there was.
    Past,
    /// It gives what comes, or has come while the others gave the past.
    Live,
    /// The connection was lost, and is tried again; or there is nothing to ask yet.
    Away,
    /// Nothing comes any more.
    Ended,
}

/// An agent that tells what can't be.
pub(crate) struct Unknown;

/// One agent's answer.
pub(crate) struct Lane {
    pub(crate) seat: Seat,
    pub(crate) told: Receiver<Told>,
    pub(crate) phase: Phase,
    /// Sources that it told before they had numbers.
    pub(crate) unnumbered: Vec<(u32, Source)>,
    /// What came behind these.
    pub(crate) stash: Option<Event>,
    /// Numbers of its sources in the whole, by its own.
    numbers: HashMap<u32, u32>,
    /// The same by what they are: when it is asked anew, it numbers them anew.
    known: HashMap<Source, u32>,
    batch: RecordBatch,
    next: usize,
    /// Where the search stands behind the batch.
    positions: Vec<SourcePosition>,
    /// When the batch came.
    pub(crate) arrived: Instant,
    /// The past, where it is to be merged the other way round.
    held: RecordBatch,
    /// Time of the record taken last: what one without a time is taken to have.
    key: i64,
    /// Where the search stands behind what was taken, by number of the source.
    stands: BTreeMap<u32, Stand>,
    /// Sources of which a match was not taken: behind that, positions count for nothing.
    cut: Vec<u32>,
    /// Where sources stood when the query began that it hasn't told yet.
    begun: HashMap<Source, Stand>,
    /// Matches that were given before, and come again.
    skips: HashMap<u32, u64>,
    pub(crate) progress: Progress,
    pub(crate) ends: Vec<SourceStatus>,
    pub(crate) summary: Option<Summary>,
    /// Why there is no answer, or no more of it.
    pub(crate) failure: Option<ClientError>,
    /// Whether the agent took the query, or is to be asked later.
    pub(crate) was_opened: bool,
    /// Selectors that it was asked.
    pub(crate) asked: usize,
    /// Selectors that take nothing there.
    pub(crate) missing: Vec<(usize, ClientError)>,
}

impl Lane {
    pub(crate) fn new(seat: Seat, told: Receiver<Told>, begun: HashMap<Source, Stand>) -> Lane {
        Lane {
            seat,
            told,
            phase: Phase::Opening,
            unnumbered: Vec::new(),
            stash: None,
            numbers: HashMap::new(),
            known: HashMap::new(),
            batch: RecordBatch::default(),
            next: 0,
            positions: Vec::new(),
            arrived: Instant::now(),
            held: RecordBatch::default(),
            key: i64::MIN,
            stands: BTreeMap::new(),
            cut: Vec::new(),
            begun,
            skips: HashMap::new(),
            progress: Progress::default(),
            ends: Vec::new(),
            summary: None,
            failure: None,
            was_opened: false,
            asked: 0,
            missing: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.seat.name
    }

    /// The number of a source that was told before, in whichever connection.
    pub(crate) fn number_of(&self, source: &Source) -> Option<u32> {
        self.known.get(&instance(source)).copied()
    }

    /// Takes note of a source's number in the whole.
    pub(crate) fn number(&mut self, own: u32, number: u32, source: &Source) {
        self.numbers.insert(own, number);
        let instance = instance(source);
        if let Some(stand) = self.begun.remove(&instance) {
            self.skips.extend((stand.given > 0).then_some((number, stand.given)));
            self.stands.insert(number, stand);
        }
        self.known.insert(instance, number);
    }

    /// Changes the agent's own numbers of sources into those of the whole.
    pub(crate) fn renumber(&self, event: &mut Event) -> Result<(), Unknown> {
        let change = |number: &mut u32| match self.numbers.get(number) {
            Some(known) => {
                *number = *known;
                Ok(())
            }
            None => Err(Unknown),
        };
        match event {
            Event::Records { batch, positions } => {
                batch.records.iter_mut().try_for_each(|record| change(&mut record.source))?;
                positions.iter_mut().try_for_each(|position| change(&mut position.source))
            }
            Event::Positions(positions) => {
                positions.iter_mut().try_for_each(|position| change(&mut position.source))
            }
            Event::Gap(gap) => change(&mut gap.source),
            Event::SourceEnd(status) => change(&mut status.source),
            Event::Counts(counts) => {
                counts.iter_mut().filter_map(|count| count.source.as_mut()).try_for_each(change)
            }
            Event::Histogram(buckets) => {
                buckets.iter_mut().filter_map(|bucket| bucket.source.as_mut()).try_for_each(change)
            }
            Event::Filter(status) => {
                let mut own = status.failures.iter_mut().filter_map(|failure| failure.source.as_mut());
                own.try_for_each(change)?;
                let Some(shadow) = &mut status.shadow else { return Ok(()) };
                let beside = shadow.status.failures.iter_mut().filter_map(|failure| failure.source.as_mut());
                let samples = shadow.samples.iter_mut().map(|sample| &mut sample.source);
                beside.chain(samples).try_for_each(change)
            }
            Event::Source { .. } | Event::Notice(_) | Event::Progress(_) | Event::Summary(_) => Ok(()),
        }
    }

    /// Whether records are waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.next < self.batch.records.len()
    }

    /// Takes records in, when none is waiting, but for matches that were given before.
    pub(crate) fn accept(&mut self, mut batch: RecordBatch, positions: Vec<SourcePosition>) {
        self.skip(&mut batch);
        (self.batch, self.next, self.positions) = (batch, 0, positions);
        self.arrived = Instant::now();
        if !self.is_ready() {
            self.end_batch();
        }
    }

    fn skip(&mut self, batch: &mut RecordBatch) {
        if self.skips.is_empty() {
            return;
        }
        batch.records.retain(|record| match self.skips.get_mut(&record.source) {
            Some(left) => {
                *left -= u64::from(!record.flags.has(Flags::CONTEXT));
                if *left == 0 {
                    self.skips.remove(&record.source);
                }
                false
            }
            None => true,
        });
    }

    /// Holds records of the past. Bytes that it takes.
    pub(crate) fn hold(&mut self, batch: &RecordBatch) -> usize {
        batch.records.iter().for_each(|record| self.held.push_from(batch, record));
        self.held.used_bytes()
    }

    /// Bytes of the past that is held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.used_bytes()
    }

    /// Lets go of the past that is held.
    pub(crate) fn drop_held(&mut self) {
        self.held = RecordBatch::default();
    }

    /// Has the past that was held wait to be merged, newest first. `sources` are there in all.
    pub(crate) fn release(&mut self, sources: usize) {
        let mut held = std::mem::take(&mut self.held);
        turn_round(&mut held, sources);
        self.accept(held, Vec::new());
    }

    /// Begins anew with what comes from now on. Where the past was merged the other way round, its end is where the
    /// agent says that it stands.
    pub(crate) fn go_live(&mut self, held_past: bool) {
        self.key = i64::MIN;
        if held_past {
            self.drop_waiting();
            self.cut.clear();
            self.stands.values_mut().for_each(|stand| stand.given = 0);
        }
    }

    /// Time and source of the record that is next.
    pub(crate) fn head(&self) -> Option<(i64, u32)> {
        self.batch.records.get(self.next).map(|record| self.place(record))
    }

    fn place(&self, record: &Record) -> (i64, u32) {
        (record.time.unwrap_or(self.key), record.source)
    }

    /// The records that are next, all of one source: at least one, then those before `bound`.
    pub(crate) fn take_until(
        &mut self,
        bound: Option<(i64, u32)>,
        direction: Direction,
    ) -> (Range<usize>, &mut RecordBatch) {
        let first = self.next;
        let source = self.batch.records[first].source;
        while let Some(record) = self.batch.records.get(self.next) {
            let place = self.place(record);
            let is_due = self.next == first || bound.is_none_or(|bound| precedes(place, bound, direction));
            if place.1 != source || !is_due {
                break;
            }
            self.key = place.0;
            self.next += 1;
        }
        (first..self.next, &mut self.batch)
    }

    /// Notes that `matches` were given of a source, and no more of it is wanted if it was `cut`. `was_last` says that
    /// no record waits any more.
    pub(crate) fn note_taken(&mut self, source: u32, matches: u64, cut: bool, was_last: bool) {
        self.stands.entry(source).or_default().given += matches;
        if cut && !self.cut.contains(&source) {
            self.cut.push(source);
        }
        if was_last {
            self.end_batch();
        }
    }

    /// Drops what is waiting, as nobody wants more.
    pub(crate) fn drop_waiting(&mut self) {
        for record in &self.batch.records[self.next..] {
            if !self.cut.contains(&record.source) {
                self.cut.push(record.source);
            }
        }
        self.end_batch();
    }

    fn end_batch(&mut self) {
        (self.batch, self.next) = (RecordBatch::default(), 0);
        let positions = std::mem::take(&mut self.positions);
        self.note_positions(positions);
    }

    /// Takes note of where the search stands behind all that was taken.
    pub(crate) fn note_positions(&mut self, positions: Vec<SourcePosition>) {
        for SourcePosition { source, position } in positions {
            if !self.cut.contains(&source) {
                let given = self.skips.get(&source).copied().unwrap_or_default();
                self.stands.insert(source, Stand { behind: Some(position), given });
            }
        }
    }

    /// Where the search of a source stands, if it has come anywhere.
    pub(crate) fn stand(&self, source: u32) -> Option<&Stand> {
        self.stands.get(&source).filter(|stand| stand.behind.is_some() || stand.given > 0)
    }
}

/// Whether a record comes before another in the order of a merge.
pub(crate) fn precedes(a: (i64, u32), b: (i64, u32), direction: Direction) -> bool {
    match direction {
        Direction::Forward => a < b,
        Direction::Backward => a > b,
    }
}
