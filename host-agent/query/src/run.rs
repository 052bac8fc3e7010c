//! The run of a plan: sources are merged by time, and read no further than that needs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_sandbox::Kind;
use weir_scan::{Context, Direction, GapReason, Interrupt, LogSet, Position, Scanner, Search, Source};

use crate::ahead::Waiting;
use crate::budget::{Budget, Spending};
use crate::collect::{Collector, CollectorConfig};
use crate::crew::Crew;
use crate::engine::set_bytes;
use crate::event::{Event, Flow, Gap, Progress, SourceStatus};
use crate::filter_stage::FilterStage;
use crate::follow::Follow;
use crate::job::Hand;
use crate::lane::Lane;
use crate::neighbours::Neighbours;
use crate::plan::Plan;
use crate::policing::{Covered, Policing, Rule};
use crate::resume::{self, ResumeKey, SourcePosition};
use crate::{Cancel, Limit, Output};

/// Least time between two progress events.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Reason of the gap that a source is of which nothing may be given.
const NO_POLICY: &str = "policy";

impl Plan {
    /// Runs the query, blocking, and hands what it tells to `sink`. The last event is the summary, unless
    /// the sink asked to stop or `cancel` was set: then nothing more comes. Of a query that follows and was told to
    /// wind up, the last event is where it stands.
    pub fn run(self, cancel: &Cancel, sink: &mut dyn FnMut(Event) -> Flow) {
        self.run_within(Budget::default(), cancel, sink);
    }

    /// Like [`Plan::run`], but ends early when it passes the budget.
    pub fn run_within(self, budget: Budget, cancel: &Cancel, sink: &mut dyn FnMut(Event) -> Flow) {
        let mut running = self.start(budget, cancel);
        // Whoever asks for a pause here has waited already.
        while running.go_on(sink) == Going::Paused {}
    }

    /// Begins a query that can be left and taken up again. Nothing is read yet.
    #[must_use]
    pub fn start(self, budget: Budget, cancel: &Cancel) -> Running {
        let mut run = Run::new(self, cancel);
        run.spending = Spending::new(budget, run.started);
        let interrupt = run.crew.bench().interrupt();
        run.lanes.iter_mut().for_each(|lane| lane.feed.interrupted_by(interrupt.clone()));
        Running { run, cancel: cancel.clone(), stage: Stage::Merging }
    }
}

/// A query that has begun. Between two calls of [`Running::go_on`] it has no thread, and goes on in whichever calls next.
pub struct Running {
    run: Run,
    cancel: Cancel,
    stage: Stage,
}

/// Whether a query has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// The sink has asked for a pause.
    Paused,
    /// It is over.
    Over,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The past is read.
    Merging,
    /// What was held back is given.
    Releasing,
    /// The rest is told.
    Ending,
}

impl Running {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.run.progress()
    }

    /// Names of the policies that its records have gone through so far.
    pub fn policies(&self) -> Vec<String> {
        self.run.policing.names()
    }

    /// Runs the query, blocking, as [`Plan::run_within`] does, until it is over or the sink asks for a pause.
    pub fn go_on(&mut self, sink: &mut dyn FnMut(Event) -> Flow) -> Going {
        let Running { run, cancel, stage } = self;
        if *stage == Stage::Merging {
            if run.merge(cancel, sink) == Going::Paused {
                return Going::Paused;
            }
            let goes_live = run.follow.is_some() && !run.is_spent && run.collector.goes_live();
            if goes_live && !run.was_ended() && !cancel.is_cancelled() {
                run.follow(cancel, sink);
            }
            run.begin_end();
            *stage = Stage::Releasing;
        }
        loop {
            if cancel.is_cancelled() {
                return Going::Over;
            }
            match run.hand_on(sink) {
                Flow::Pause => return Going::Paused,
                Flow::Stop => return Going::Over,
                Flow::Continue => {}
            }
            match stage {
                Stage::Releasing if run.collector.give_released() => {}
                Stage::Merging | Stage::Releasing => {
                    run.end_with_summary();
                    *stage = Stage::Ending;
                }
                Stage::Ending => return Going::Over,
            }
        }
    }
}

/// Lanes that aren't done, by when each is due.
pub(crate) type Due = BinaryHeap<Reverse<(i64, usize)>>;

pub(crate) struct Run {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) crew: Crew,
    pub(crate) hand: Hand,
    /// Over all lanes.
    pub(crate) waiting: Waiting,
    /// Bytes of blocks, and of records that steps give at once: the units of what is read ahead.
    pub(crate) block_bytes: usize,
    pub(crate) batch_bytes: usize,
    /// Lanes of which a piece may be claimed before they are due, in the order in which they came to it.
    pub(crate) line: VecDeque<usize>,
    /// Pieces of one file may be searched at once.
    pub(crate) stripes: bool,
    /// Steps end with their first records: any match may be the last that is wanted, or, while following, records
    /// that come late must stand first in what is accepted.
    pub(crate) ends_early: bool,
    pub(crate) follow: Option<Follow>,
    pub(crate) context: Context,
    /// Bytes of neighbours that are kept where filters drop matches; `None` when none are wanted.
    neighbour_bytes: Option<usize>,
    search: Arc<Search>,
    policing: Policing,
    /// Ends reads early.
    pub(crate) interrupt: Interrupt,
    key: ResumeKey,
    node: String,
    stages: Vec<FilterStage>,
    pub(crate) direction: Direction,
    /// Where the search stands is told.
    positions: bool,
    /// The order of the records shows in the answer.
    pub(crate) ordered: bool,
    pub(crate) collector: Collector,
    pub(crate) bytes_total: u64,
    /// Of sources that no policy covers.
    told_total: u64,
    /// Bytes that were read for what was accepted.
    pub(crate) bytes_accepted: u64,
    /// Whether a pattern or filter decides on what the lines hold.
    searches: bool,
    line_bytes: usize,
    started: Instant,
    spending: Spending,
    /// The budget was passed.
    is_spent: bool,
    progress_at: Instant,
}

impl Run {
    pub(crate) fn new(plan: Plan, cancel: &Cancel) -> Run {
        let started = Instant::now();
        let is_tail = plan.follow.as_ref().is_some_and(|follow| follow.tail);
        let direction = if is_tail { Direction::Backward } else { plan.search.direction };
        let context = plan.search.context;
        let wants_context = context.before + context.after > 0;
        let (lead, trail) = context.in_scan_order(direction);
        let config = CollectorConfig {
            output: plan.output,
            limit: plan.limit,
            lead,
            trail,
            reverse: direction != plan.direction,
            held_bytes: plan.held_bytes,
            histogram_buckets: plan.histogram_buckets,
            timed: plan.search.time.is_some(),
            sources: 0,
            single: plan.sets.len() < 2 && plan.follow.is_none(),
        };
        let mut collector = Collector::new(config);
        let stages: Vec<FilterStage> = (0..)
            .zip(plan.stages)
            .map(|(index, stage)| FilterStage::new(index, stage, wants_context, plan.batch_bytes))
            .collect();
        collector.summary.oldest = plan.sets.iter().filter_map(weir_scan::oldest).min();
        let mut run = Run {
            lanes: Vec::with_capacity(plan.sets.len()),
            crew: Crew::new(cancel, plan.threads, plan.seats),
            hand: Hand::default(),
            waiting: Waiting::default(),
            block_bytes: plan.search.limits.block_bytes,
            batch_bytes: plan.search.limits.batch_bytes,
            line: VecDeque::new(),
            stripes: plan.stripes,
            ends_early: plan.limit != Limit::All || plan.follow.is_some(),
            follow: plan.follow.map(Follow::new),
            context,
            neighbour_bytes: wants_context.then_some(plan.search.limits.context_bytes),
            searches: plan.search.matcher.is_some() || !stages.is_empty(),
            line_bytes: plan.search.limits.line_bytes,
            search: plan.search,
            policing: plan.policing,
            // From the beginning: of a compressed file that is read backward, the end is looked for with its lane.
            interrupt: cancel.interrupt(),
            key: plan.key,
            node: plan.node,
            stages,
            direction,
            positions: plan.output == Output::Records,
            ordered: plan.ordered,
            collector,
            bytes_total: plan.sets.iter().map(set_bytes).sum(),
            told_total: 0,
            bytes_accepted: 0,
            started,
            spending: Spending::new(Budget::default(), started),
            is_spent: false,
            progress_at: started + PROGRESS_EVERY,
        };
        for (set, resume) in plan.sets.into_iter().zip(plan.resume) {
            let bytes = set_bytes(&set);
            run.add_lane(set, resume.as_ref());
            if run.lanes.last().is_some_and(|lane| lane.rule == Rule::Open) {
                run.told_total += bytes;
            }
        }
        for (source, position) in plan.gone {
            run.tell_gone(source, &position);
        }
        run
    }

    /// Adds a source, to be read from a position or from its start in scan order.
    pub(crate) fn add_lane(&mut self, set: LogSet, resume: Option<&Position>) {
        let source = u32::try_from(self.lanes.len()).expect("a node has far fewer than 2^32 logs");
        self.collector.add_source();
        self.collector.give(Event::Source { id: source, source: set.source.clone(), agent: None });
        let (covered, refused) = match self.policing.cover(&set.source) {
            Ok(covered) => (covered, None),
            Err(why) => {
                (Covered { rule: Rule::Refused, search: Arc::clone(&self.search) }, Some(why.message))
            }
        };
        self.policing.begin_source(covered.rule, source, &set.source, &self.node);
        let is_covered = covered.rule != Rule::Open;
        let wanted =
            refused.is_none() && begin_source(&mut self.stages, source, &set.source, &self.node, is_covered);
        let mut scanner = Scanner::new(set.clone(), source, covered.search);
        scanner.interrupted_by(self.interrupt.clone());
        if let Some(follow) = &mut self.follow {
            scanner = follow.begin(set, scanner, resume.is_some());
        }
        if let Some(position) = resume {
            scanner.resume(position);
        }
        let (lead, trail) = self.context.in_scan_order(self.direction);
        let most_bytes = self.regroups(is_covered);
        let neighbours = most_bytes.map(|most_bytes| Neighbours::new(lead, trail, most_bytes));
        let sealer = self.key.sealer(scanner.source());
        let mut lane = Lane::new(scanner, source, sealer, self.direction, neighbours, self.positions);
        lane.feed.interrupted_by(self.interrupt.clone());
        lane.rule = covered.rule;
        if is_covered {
            self.collector.hide_offsets_of(source);
        }
        if !wanted {
            lane.close(self.direction);
        }
        self.lanes.push(lane);
        if let Some(why) = refused {
            self.tell_refused(source, why);
        }
    }

    /// Tells that nothing may be given of a source.
    fn tell_refused(&mut self, source: u32, why: String) {
        let lane = &mut self.lanes[source as usize];
        lane.gaps += 1;
        self.collector.incomplete(format!("{}: {why}", lane.name));
        let (reason, file) = (NO_POLICY.to_owned(), String::new());
        self.collector.give(Event::Gap(Gap { source, file, reason, detail: why, from: None, to: None }));
    }

    /// Bytes of neighbours that are kept of a source, which policies cover or don't; `None` when none are to be
    /// regrouped, since nothing drops a match behind the scan.
    pub(crate) fn regroups(&self, is_covered: bool) -> Option<usize> {
        self.neighbour_bytes.filter(|_| is_covered || !self.stages.is_empty())
    }

    /// Tells that a source in which an earlier search stood isn't there any more.
    fn tell_gone(&mut self, source: Source, position: &Position) {
        let id = u32::try_from(self.lanes.len()).expect("a node has far fewer than 2^32 logs");
        let set = LogSet { source, files: Vec::new(), dirs: Vec::new() };
        let scanner = Scanner::new(set, id, Arc::clone(&self.search));
        let sealer = self.key.sealer(scanner.source());
        let mut lane = Lane::new(scanner, id, sealer, self.direction, None, false);
        lane.end();
        self.collector.add_source();
        self.collector.give(Event::Source { id, source: lane.whose.clone(), agent: None });
        if let Some(follow) = &mut self.follow {
            follow.note_gone();
        }
        self.lanes.push(lane);
        let gap = weir_scan::Gap {
            source: id,
            file: String::new(),
            reason: GapReason::RotatedAway,
            detail: "all of it was deleted since the search was left; what was behind that is lost"
                .to_owned(),
            from: position.oldest().filter(|_| self.direction == Direction::Forward),
            to: position.time.filter(|_| self.direction == Direction::Backward),
        };
        self.tell_gaps(self.lanes.len() - 1, vec![gap]);
    }

    /// Hands the records to the collector, in order, until there are no more, or nobody wants more; or until a pause,
    /// to be called again.
    pub(crate) fn merge(&mut self, cancel: &Cancel, sink: &mut dyn FnMut(Event) -> Flow) -> Going {
        let mut heap = BinaryHeap::with_capacity(self.lanes.len());
        for index in 0..self.lanes.len() {
            self.queue(&mut heap, index);
            self.line_up(index);
        }
        while let Some(Reverse(place)) = heap.pop() {
            let index = self.lane_of(place);
            if !self.lanes[index].is_ready() {
                self.flush_due(index);
            }
            if self.hand_on(sink) == Flow::Pause {
                self.crew.pause();
                return Going::Paused;
            }
            if self.collector.is_full() || cancel.is_cancelled() || self.is_spent {
                break;
            }
            if self.collector.wants_none_of(self.lanes[index].source) {
                self.close(index);
            } else if self.lanes[index].is_ready() {
                let next = heap.peek().filter(|_| self.ordered);
                let bound = next.map(|Reverse(place)| self.bound(*place, index));
                let (range, batch) = self.lanes[index].take_until(bound, self.direction);
                self.collector.take(batch, range);
                self.flush_full(index);
                self.lanes[index].let_go(self.crew.bench().spares());
            } else {
                self.read(index);
                self.look_at_budget();
            }
            self.queue(&mut heap, index);
        }
        Going::Over
    }

    /// Takes note, for the summary too, when the budget is passed.
    fn look_at_budget(&mut self) {
        let excused = self.stages.iter().map(FilterStage::shadow_time).sum();
        if let Some(reason) = self.spending.passed(self.bytes_accepted, self.collector.given_bytes(), excused)
        {
            self.collector.incomplete(reason);
            self.is_spent = true;
        }
    }

    /// Puts a lane where its next record, or what is known of it, belongs in the order.
    pub(crate) fn queue(&mut self, heap: &mut Due, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.is_done() || (lane.feed.is_idle() && !lane.is_ready()) {
            return;
        }
        let key = if self.ordered { lane.key() } else { 0 };
        // `!` turns an order round without overflow.
        heap.push(Reverse(match self.direction {
            Direction::Forward => (key, index),
            Direction::Backward => (!key, !index),
        }));
    }

    pub(crate) fn lane_of(&self, (_, index): (i64, usize)) -> usize {
        match self.direction {
            Direction::Forward => index,
            Direction::Backward => !index,
        }
    }

    /// The time up to which lane `index` may go on before the lane at `place` is due. Of equal times, the
    /// lane that comes first in the order of sources is due first.
    pub(crate) fn bound(&self, place: (i64, usize), index: usize) -> i64 {
        let other = self.lane_of(place);
        match self.direction {
            Direction::Forward if index < other => place.0,
            Direction::Forward => place.0.saturating_sub(1),
            Direction::Backward if index > other => !place.0,
            Direction::Backward => (!place.0).saturating_add(1),
        }
    }

    /// Reads on in a lane whose records were all given, unless it has ended since it was queued: a filter may have ended
    /// all of them.
    pub(crate) fn read(&mut self, index: usize) {
        if self.lanes[index].feed.has_ended() {
            return;
        }
        let before = self.lanes[index].feed.stats().bytes_read;
        self.fetch(index);
        let lane = &mut self.lanes[index];
        let spares = self.crew.bench().spares();
        let gaps =
            self.waiting.change(lane, |lane| lane.accept(&mut self.policing, &mut self.stages, spares));
        self.bytes_accepted += lane.feed.stats().bytes_read - before;
        self.line_up(index);
        self.tell_gaps(index, gaps);
        if self.was_ended() {
            (0..self.lanes.len()).for_each(|index| self.end(index));
        }
        if Instant::now() >= self.progress_at {
            self.flush();
            let progress = self.progress();
            self.collector.give(Event::Progress(progress));
            self.progress_at = Instant::now() + PROGRESS_EVERY;
        }
    }

    /// Whether a policy or filter has had the query end.
    pub(crate) fn was_ended(&self) -> bool {
        self.policing.has_ended() || self.stages.iter().any(FilterStage::stopped)
    }

    fn tell_gaps(&mut self, index: usize, gaps: Vec<weir_scan::Gap>) {
        for gap in gaps {
            let gap = Gap {
                source: gap.source,
                reason: gap.reason.name().to_owned(),
                file: gap.file,
                detail: gap.detail,
                from: gap.from,
                to: gap.to,
            };
            let name = &self.lanes[index].name;
            self.collector.incomplete(format!("{name}: {} of {}: {}", gap.reason, gap.file, gap.detail));
            self.flush();
            self.lanes[index].gaps += 1;
            self.collector.give(Event::Gap(gap));
        }
    }

    /// Gives the records that have gathered if they make up a batch. Lane `index` gave the last of them.
    pub(crate) fn flush_full(&mut self, index: usize) {
        if let Some(cut) = self.collector.cut(self.lanes[index].source) {
            self.lanes[index].stop_at(cut, self.direction);
        }
        if self.collector.has_batch() {
            self.flush();
        }
    }

    /// Hands on what there is. A query that follows makes no pauses.
    fn hand_on(&mut self, sink: &mut dyn FnMut(Event) -> Flow) -> Flow {
        match self.follow {
            Some(_) => self.collector.hand_on_all(sink),
            None => self.collector.hand_on(sink),
        }
    }

    /// Gives the records that have gathered if they have waited long enough, or lane `index`, which is read next, may
    /// have to wait for more.
    pub(crate) fn flush_due(&mut self, index: usize) {
        if self.collector.is_due(self.lanes[index].may_wait) {
            self.flush();
        }
    }

    /// Gives the records that have gathered, with where the search of their sources stands behind them.
    pub(crate) fn flush(&mut self) {
        let given_of = self.collector.take_given_of();
        let positions = given_of.into_iter().filter_map(|source| self.position(source as usize)).collect();
        self.collector.flush(positions);
    }

    /// Tells where the search stands in the lanes from number `first` on.
    pub(crate) fn give_positions_from(&mut self, first: usize) {
        let positions = (first..self.lanes.len()).filter_map(|index| self.position(index)).collect();
        self.collector.give(Event::Positions(positions));
    }

    fn position(&self, index: usize) -> Option<SourcePosition> {
        let lane = &self.lanes[index];
        let position = lane.position(self.direction)?;
        let position = resume::seal(&lane.sealer, self.direction, position);
        Some(SourcePosition { source: lane.source, position })
    }

    /// Tells how the search of a source ended.
    pub(crate) fn tell_end(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if std::mem::replace(&mut lane.is_told, true) {
            return;
        }
        let status = SourceStatus {
            source: lane.source,
            matched: self.collector.matched(lane.source),
            bytes_read: if lane.rule == Rule::Open { lane.feed.bytes_read() } else { 0 },
            gaps: lane.gaps,
        };
        self.collector.give(Event::SourceEnd(status));
    }

    /// How far the query has come.
    fn progress(&self) -> Progress {
        Progress {
            bytes_read: self.bytes_read(),
            bytes_total: self.told_total,
            matched: self.collector.summary.matched,
        }
    }

    /// Bytes read of the sources that no policy covers: how long lines are may tell what was taken out of them.
    fn bytes_read(&self) -> u64 {
        let lanes = self.lanes.iter().filter(|lane| lane.rule == Rule::Open);
        lanes.map(|lane| lane.feed.bytes_read()).sum()
    }

    /// Ends the reading; what was held back is given next.
    fn begin_end(&mut self) {
        self.stop_reading();
        self.collector.release();
    }

    /// Gives the last records, and tells how the query ended.
    fn end_with_summary(&mut self) {
        self.flush();
        if self.positions {
            self.give_positions_from(0);
        }
        self.collector.finish();
        (0..self.lanes.len()).for_each(|index| self.tell_end(index));
        for stage in std::mem::take(&mut self.stages) {
            let (status, incomplete) = stage.finish();
            incomplete.into_iter().for_each(|why| self.collector.incomplete(why));
            self.collector.give(Event::Filter(status));
        }
        let (statuses, incomplete) = self.policing.finish();
        incomplete.into_iter().for_each(|why| self.collector.incomplete(why));
        statuses.into_iter().for_each(|status| self.collector.give(Event::Policy(status)));
        let met_long_line =
            self.policing.met_long_line() || self.lanes.iter().any(|lane| lane.feed.stats().met_long_line);
        if self.searches && met_long_line {
            self.collector.incomplete(format!(
                "some lines are longer than {} bytes (limit line_bytes), and what stands behind that was not \
                 searched; ask with a larger limit",
                self.line_bytes
            ));
        }
        if self.lanes.iter().any(Lane::has_cut_context) {
            let reason = "some matches have less context than was asked for, since the lines before them are too long; \
                          ask for fewer lines of context";
            self.collector.incomplete(reason.to_owned());
        }
        self.collector.summary.bytes_read = self.bytes_read();
        self.collector.summary.elapsed = self.started.elapsed();
        let summary = std::mem::take(&mut self.collector.summary);
        self.collector.give(Event::Summary(summary));
    }
}

/// Announces a source to every filter. A filter that wants none of it ends its part for all, unless an
/// aggregate before that filter must see its records.
fn begin_source(stages: &mut [FilterStage], id: u32, source: &Source, node: &str, covered: bool) -> bool {
    let mut wanted = true;
    let mut aggregates = false;
    for stage in stages {
        aggregates |= stage.kind() == Kind::Aggregate;
        let scan = stage.begin_source(id, source, node, covered);
        wanted &= scan || aggregates;
    }
    wanted
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
