//! What becomes of merged records: limit, counts, and the events they are given in. The same for the sources of one
//! node, which [`Plan::run`](crate::Plan::run) merges, and for the answers of several agents, which `weir-relay` merges.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use weir_scan::{Flags, Record, RecordBatch};

use crate::event::{Bucket, Count, Event, Flow, Summary};
use crate::resume::SourcePosition;
use crate::{Limit, Output};

/// Bytes of messages after which a batch is given.
const BATCH_BYTES: usize = 64 << 10;
/// The same while there are few records for each source in it: with a batch comes a position of each.
const SHARED_BATCH_BYTES: usize = 128 << 10;
/// So many are few.
const FEW_RECORDS: usize = 16;
/// Records after which a batch is given.
const BATCH_RECORDS: usize = 4096;

/// How long records wait for others to make up a batch.
const LINGER: Duration = Duration::from_millis(5);

/// How a [`Collector`] works.
#[derive(Clone, Copy, Debug)]
pub struct CollectorConfig {
    /// What to give.
    pub output: Output,
    /// How many matches, in scan order whichever end they are counted from.
    pub limit: Limit,
    /// Neighbours after a match, in scan order.
    pub trail: usize,
    /// Neighbours before a match, in scan order.
    pub lead: usize,
    /// Records are given in the order opposite to the scan's.
    pub reverse: bool,
    /// See [`QueryLimits::held_bytes`](crate::QueryLimits::held_bytes).
    pub held_bytes: usize,
    /// See [`QueryLimits::histogram_buckets`](crate::QueryLimits::histogram_buckets).
    pub histogram_buckets: usize,
    /// A time range was asked for.
    pub timed: bool,
    /// Sources that are known from the beginning.
    pub sources: usize,
    /// There is one source at most.
    pub single: bool,
}

/// Neighbours that are wanted once records are given as they come.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Before a match.
    pub lead: usize,
    /// After a match.
    pub trail: usize,
}

/// Where a record stands to the matches of its source, in scan order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Match,
    /// A neighbour of a match that was given.
    Trailing,
    /// A neighbour of a match that is still to come.
    Leading,
}

/// Takes merged records and makes events of them.
pub struct Collector {
    config: CollectorConfig,
    /// What is to be handed on.
    events: VecDeque<Event>,
    /// Records that were held back until now, and how many of them were given.
    released: Option<(RecordBatch, usize)>,
    /// Matches that may still be given; `None` without a limit.
    left: Option<u64>,
    /// For each source: neighbours of its last match that are still to come.
    trail_left: Vec<usize>,
    /// For each source: records in `out` that are neighbours of a match still to come.
    leads: Vec<Vec<usize>>,
    /// Nothing is given before the end: records must be turned round, or a limit may yet cut off the match
    /// that neighbours of it, merged before records of other sources, are shown for.
    hold: bool,
    out: RecordBatch,
    /// Sources of the records in `out`.
    given_of: Vec<u32>,
    /// For each source: whether it is one of these.
    is_given: Vec<bool>,
    /// Bytes and records of the batch that was given last: the next one may be as large.
    last: (usize, usize),
    /// `out` is a whole block that was passed on.
    is_block: bool,
    /// For each source: the place of the first match that the limit cut off.
    cut: Vec<Option<(u32, u64)>>,
    /// For each source: the offsets of its records aren't told.
    hides_offsets: Vec<bool>,
    /// When the first record in `out` is due to be given.
    due: Option<Instant>,
    /// Matches of each source.
    counts: Vec<u64>,
    histogram: BTreeMap<(Option<u32>, Option<i64>), u64>,
    untimed: u64,
    held_full: bool,
    given_bytes: u64,
    pub(crate) stopped: bool,
    /// What is known of the answer so far.
    pub summary: Summary,
}

impl Collector {
    /// A collector that has taken nothing.
    #[must_use]
    pub fn new(config: CollectorConfig) -> Collector {
        let left = config.limit.records();
        let hold = config.reverse || (left.is_some() && config.lead > 0 && !config.single);
        let mut summary = Summary { sources: config.sources as u64, ..Summary::default() };
        summary.limited = left == Some(0);
        Collector {
            left,
            trail_left: vec![0; config.sources],
            leads: vec![Vec::new(); config.sources],
            hold,
            counts: vec![0; config.sources],
            out: RecordBatch::default(),
            given_of: Vec::new(),
            is_given: vec![false; config.sources],
            last: (0, 0),
            is_block: false,
            cut: vec![None; config.sources],
            hides_offsets: vec![false; config.sources],
            due: None,
            histogram: BTreeMap::new(),
            untimed: 0,
            held_full: false,
            given_bytes: 0,
            stopped: false,
            summary,
            config,
            events: VecDeque::new(),
            released: None,
        }
    }

    /// Whether the sink wants no more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Has an event handed on, behind the records that came before it.
    pub fn give(&mut self, event: Event) {
        if !self.stopped {
            self.events.push_back(event);
        }
    }

    /// Hands on what there is, until the sink wants no more.
    pub fn hand_on(&mut self, sink: &mut dyn FnMut(Event) -> Flow) -> Flow {
        while let Some(event) = self.events.pop_front() {
            match sink(event) {
                Flow::Continue => {}
                Flow::Pause => return Flow::Pause,
                Flow::Stop => {
                    self.stopped = true;
                    self.events.clear();
                }
            }
        }
        if self.stopped { Flow::Stop } else { Flow::Continue }
    }

    /// Hands on what there is, also to a sink that asks for a pause, unless it wants no more at all.
    pub fn hand_on_all(&mut self, sink: &mut dyn FnMut(Event) -> Flow) -> Flow {
        loop {
            match self.hand_on(sink) {
                Flow::Pause => {}
                flow => return flow,
            }
        }
    }

    /// Whether no record of `source` can be given any more.
    pub fn wants_none_of(&self, source: u32) -> bool {
        self.held_full || self.stopped || (self.left == Some(0) && self.trail_left[source as usize] == 0)
    }

    /// Whether no record of any source can be given any more.
    pub fn is_full(&self) -> bool {
        self.held_full
            || self.stopped
            || (self.left == Some(0) && self.trail_left.iter().all(|trail| *trail == 0))
    }

    /// Whether records that are still to be written can be given: a limit that counts from the newest is about
    /// the past.
    pub fn goes_live(&self) -> bool {
        match self.config.limit {
            Limit::Tail(_) => !self.stopped,
            Limit::All | Limit::Head(_) => !self.is_full(),
        }
    }

    /// Takes `range` of the records of `batch`, all of one source. A batch that is taken whole may be passed on as it is:
    /// then it is empty afterwards.
    pub fn take(&mut self, batch: &mut RecordBatch, range: std::ops::Range<usize>) {
        let whole = range.len() == batch.records.len();
        // A few records aren't worth a batch of their own, nor is a large buffer with little in it.
        let fills = batch.bytes.len() >= BATCH_BYTES / 2 && batch.bytes.len() <= 4 * BATCH_BYTES;
        let pass_on = whole
            && fills
            && !self.hold
            && self.out.records.is_empty()
            && self.config.output == Output::Records;
        let mut admitted = 0;
        for index in range {
            let mut record = batch.records[index];
            let Some(place) = self.admit(&record) else {
                continue;
            };
            if place != Place::Match {
                // Also a match that the limit cut off, when it stands near one that was given.
                record.flags.set(Flags::CONTEXT);
            }
            match self.config.output {
                Output::Records if pass_on => {
                    batch.records[admitted] = record;
                    admitted += 1;
                }
                Output::Records => self.push(batch, &record, place == Place::Trailing),
                Output::Count { .. } => {}
                Output::Histogram { step, per_source } => {
                    let width = i64::try_from(step.get()).unwrap_or(i64::MAX);
                    let start = record.time.map(|time| time - time.rem_euclid(width));
                    self.count_step((per_source.then_some(record.source), start));
                }
            }
        }
        if pass_on && admitted > 0 {
            // The block itself goes on, so that no message is copied.
            batch.records.truncate(admitted);
            self.note_given(batch.records[0].source);
            self.out = std::mem::take(batch);
            self.is_block = true;
        }
    }

    fn count_step(&mut self, step: (Option<u32>, Option<i64>)) {
        let most = self.config.histogram_buckets;
        if let Some(matched) = self.histogram.get_mut(&step) {
            *matched += 1;
        } else if self.histogram.len() < most {
            self.histogram.insert(step, 1);
        } else {
            self.incomplete(format!(
                "the histogram has more than {most} steps (limit histogram_buckets); matches of further steps were \
                 left out: ask for wider steps or a shorter time range"
            ));
        }
    }

    /// Where a record stands, if it is to be given.
    fn admit(&mut self, record: &Record) -> Option<Place> {
        let trail = &mut self.trail_left[record.source as usize];
        let over = self.left == Some(0);
        if over || record.flags.has(Flags::CONTEXT) {
            if !record.flags.has(Flags::CONTEXT) {
                self.cut[record.source as usize].get_or_insert((record.file, record.offset));
            }
            if record.flags.has(Flags::BREAK) {
                *trail = 0;
            }
            let trailing = *trail > 0;
            *trail = trail.saturating_sub(1);
            let wanted = (trailing || !over) && self.config.output == Output::Records;
            return wanted.then_some(if trailing { Place::Trailing } else { Place::Leading });
        }
        *trail = self.config.trail;
        if let Some(left) = &mut self.left {
            *left -= 1;
            self.summary.limited = *left == 0;
        }
        self.summary.matched += 1;
        self.counts[record.source as usize] += 1;
        self.summary.malformed += u64::from(record.flags.has(Flags::MALFORMED));
        self.summary.truncated += u64::from(record.flags.has(Flags::TRUNCATED));
        if self.config.timed && record.time.is_none() && !record.flags.has(Flags::MALFORMED) {
            self.untimed += 1;
        }
        Some(Place::Match)
    }

    fn push(&mut self, batch: &RecordBatch, record: &Record, trailing: bool) {
        if self.held_full {
            return;
        }
        let length =
            (record.end - record.start) as usize + (record.fields_end - record.fields_start) as usize;
        if self.hold {
            let record_bytes = std::mem::size_of::<Record>();
            let held = self.out.bytes.len() + self.out.records.len() * record_bytes;
            if held + length + record_bytes > self.config.held_bytes {
                self.held_full = true;
                self.incomplete(format!(
                    "the records to hold back until the end of the search passed {} bytes (limit held_bytes); \
                     ask for fewer",
                    self.config.held_bytes
                ));
                return;
            }
            let leads = &mut self.leads[record.source as usize];
            if !record.flags.has(Flags::CONTEXT) {
                leads.clear();
            } else if !trailing {
                leads.push(self.out.records.len());
            }
        }
        if self.out.records.is_empty() && !self.hold {
            self.out.bytes.reserve(self.last.0.min(SHARED_BATCH_BYTES));
            self.out.records.reserve(self.last.1);
        }
        self.out.push_from(batch, record);
        if !self.hold {
            self.note_given(record.source);
            self.due.get_or_insert_with(|| Instant::now() + LINGER);
        }
    }

    fn note_given(&mut self, source: u32) {
        if !std::mem::replace(&mut self.is_given[source as usize], true) {
            self.given_of.push(source);
        }
    }

    /// Takes away neighbours of matches that the limit cut off.
    fn drop_orphans(&mut self, held: &mut RecordBatch) {
        let mut orphans: Vec<usize> = self.leads.drain(..).flatten().collect();
        orphans.sort_unstable();
        let mut orphans = orphans.into_iter().peekable();
        let mut index = 0;
        held.records.retain(|_| {
            let orphan = orphans.next_if_eq(&index).is_some();
            index += 1;
            !orphan
        });
    }

    /// Whether as many records have gathered as are given at once.
    pub fn has_batch(&self) -> bool {
        let (bytes, records) = (self.out.bytes.len(), self.out.records.len());
        let is_shared = records < FEW_RECORDS * self.given_of.len();
        let most = if is_shared { SHARED_BATCH_BYTES } else { BATCH_BYTES };
        !self.hold && (bytes >= most || records >= BATCH_RECORDS || self.is_block)
    }

    /// Whether the records that have gathered have waited long enough, or may have to wait `long` for more.
    pub(crate) fn is_due(&self, long: bool) -> bool {
        self.due.is_some_and(|due| long || Instant::now() >= due)
    }

    /// The sources of the records that have gathered, which will be given next, by number.
    pub fn take_given_of(&mut self) -> Vec<u32> {
        let mut given_of = std::mem::take(&mut self.given_of);
        given_of.iter().for_each(|source| self.is_given[*source as usize] = false);
        given_of.sort_unstable();
        given_of
    }

    /// Where the first match of a source is that the limit cut off.
    pub fn cut(&self, source: u32) -> Option<(u32, u64)> {
        self.cut[source as usize]
    }

    /// Gives the records that have gathered, if any, with where the search of their sources stands.
    pub fn flush(&mut self, positions: Vec<SourcePosition>) {
        if self.hold || self.out.records.is_empty() {
            return;
        }
        (self.due, self.is_block) = (None, false);
        let mut batch = std::mem::take(&mut self.out);
        for record in batch.records.iter_mut().filter(|it| self.hides_offsets[it.source as usize]) {
            record.offset = 0;
        }
        self.last = (batch.bytes.len(), batch.records.len());
        self.summary.records += batch.records.len() as u64;
        self.given_bytes += batch.records.iter().map(|record| record.len() as u64).sum::<u64>();
        self.give(Event::Records { batch, positions });
    }

    /// Makes room for one source more.
    pub fn add_source(&mut self) {
        self.trail_left.push(0);
        self.leads.push(Vec::new());
        self.counts.push(0);
        self.is_given.push(false);
        self.cut.push(None);
        self.hides_offsets.push(false);
        self.config.sources += 1;
        self.summary.sources += 1;
    }

    /// Has records of a source be given without their offsets, which tell how long those before them are.
    pub(crate) fn hide_offsets_of(&mut self, source: u32) {
        self.hides_offsets[source as usize] = true;
    }

    /// What is taken from now on is given as it comes. What was held back of the past is released before.
    pub fn go_live(&mut self, live: Live) {
        (self.config.lead, self.config.trail) = (live.lead, live.trail);
        self.config.reverse = false;
        self.trail_left.fill(0);
        self.leads.resize_with(self.config.sources, Vec::new);
        self.held_full = false;
        if matches!(self.config.limit, Limit::Tail(_)) {
            self.left = None;
            self.summary.limited = false;
            self.cut.fill(None);
        }
        self.hold = false;
    }

    /// Bytes of messages and fields that were given.
    pub(crate) fn given_bytes(&self) -> u64 {
        self.given_bytes
    }

    /// Matches of one source so far.
    pub fn matched(&self, source: u32) -> u64 {
        self.counts[source as usize]
    }

    /// Says that the answer isn't whole, and why.
    pub fn incomplete(&mut self, reason: String) {
        if !self.summary.incomplete.contains(&reason) {
            self.summary.incomplete.push(reason);
        }
    }

    /// Ends holding back; what was held back is given by [`Collector::give_released`].
    pub fn release(&mut self) {
        if !std::mem::take(&mut self.hold) {
            return;
        }
        let mut held = std::mem::take(&mut self.out);
        self.drop_orphans(&mut held);
        if self.config.reverse {
            turn_round(&mut held, self.config.sources);
        }
        self.held_full = false;
        self.released = Some((held, 0));
    }

    /// Gives a batch of what was held back. Whether there was one.
    pub fn give_released(&mut self) -> bool {
        let Some((held, given)) = self.released.take() else { return false };
        let mut next = given;
        while let Some(record) = held.records.get(next)
            && !self.has_batch()
        {
            self.push(&held, record, true);
            next += 1;
        }
        self.flush(Vec::new());
        self.take_given_of();
        self.released = (next < held.records.len()).then_some((held, next));
        true
    }

    /// Gives the counts.
    pub fn finish(&mut self) {
        match self.config.output {
            Output::Records => {}
            Output::Count { per_source: false } => {
                let matched = self.counts.iter().sum();
                self.give(Event::Counts(vec![Count { source: None, matched }]));
            }
            Output::Count { per_source: true } => {
                let counts =
                    (0..).zip(&self.counts).map(|(source, &matched)| Count { source: Some(source), matched });
                let counts = counts.collect();
                self.give(Event::Counts(counts));
            }
            Output::Histogram { .. } => {
                let buckets = std::mem::take(&mut self.histogram).into_iter();
                let buckets = buckets.map(|((source, start), matched)| Bucket { source, start, matched });
                let buckets = buckets.collect();
                self.give(Event::Histogram(buckets));
            }
        }
        if self.untimed > 0 {
            self.incomplete(format!(
                "{} records carry no time, so they were given without a check against the time range",
                self.untimed
            ));
        }
    }
}

/// Reverses the order of the records. A break stands on the later record of a pair that something was left
/// out between, so it moves to the other one. `sources` is one more than the highest number of a source.
pub fn turn_round(batch: &mut RecordBatch, sources: usize) {
    let mut last: Vec<Option<usize>> = vec![None; sources];
    for index in 0..batch.records.len() {
        let record = &mut batch.records[index];
        let broken = record.flags.has(Flags::BREAK);
        record.flags.clear(Flags::BREAK);
        let before = last[record.source as usize].replace(index);
        if let (true, Some(before)) = (broken, before) {
            batch.records[before].flags.set(Flags::BREAK);
        }
    }
    batch.records.reverse();
}
