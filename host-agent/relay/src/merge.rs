//! The merge: the answers of all agents, each taken no further than it is wanted, become one.
//!
//! The order is that of a single agent's sources (see `weir-query`'s `run.rs`): by time; of equal times, the source
//! that comes first; a record without a time stays behind the one that its agent gave before it. As each agent gives
//! its own records in that order, the first of the agents' next records is the first of all.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, timeout_at};
use weir_query::{
    Collector, Direction, Event, Flow, Lateness, Live, QueryLimits, RecordBatch, Source, SourcePosition,
};
use weir_rpc::ClientError;

use crate::asking::Told;
use crate::error::NoAnswer;
use crate::joined::Joined;
use crate::lane::{Lane, Phase, precedes};
use crate::resume;
use crate::rules::Rules;

/// The answers of all agents to one query.
pub(crate) struct Merge<'a> {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) rules: Rules,
    pub(crate) collector: Collector,
    sink: &'a mut dyn FnMut(Event) -> Flow,
    pub(crate) joined: Joined,
    lateness: Lateness,
    /// The lane of each source.
    owners: Vec<usize>,
    /// The past is over.
    is_live: bool,
    hold: Duration,
    held_bytes: usize,
    /// Of a single agent: why its answer has no end.
    pub(crate) failure: Option<ClientError>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(
        lanes: Vec<Lane>,
        rules: Rules,
        limits: &QueryLimits,
        sink: &'a mut dyn FnMut(Event) -> Flow,
    ) -> Merge<'a> {
        Merge {
            lanes,
            rules,
            collector: Collector::new(rules.collector(limits)),
            sink,
            joined: Joined::default(),
            lateness: Lateness::default(),
            owners: Vec::new(),
            is_live: false,
            hold: limits.follow_hold,
            held_bytes: limits.held_bytes,
            failure: None,
        }
    }

    /// Merges to the end, or until nobody wants more.
    pub(crate) async fn run(mut self) -> Result<(), NoAnswer> {
        let gathered = self.gather().await;
        self.hand_on();
        gathered?;
        loop {
            self.take_what_is_there();
            self.hand_on();
            if self.collector.is_stopped() {
                return Ok(());
            }
            if let Some(error) = self.failure.take() {
                return Err(NoAnswer(vec![(self.lanes[0].name().to_owned(), error)]));
            }
            if self.rules.several && self.collector.is_full() {
                self.lanes.iter_mut().for_each(Lane::drop_waiting);
            }
            if let Some(lane) = self.due() {
                self.take(lane);
            } else if !self.is_over() {
                self.flush();
                self.hand_on();
                self.wait().await;
            } else if self.goes_live() {
                self.go_live();
            } else {
                break;
            }
        }
        if self.rules.several {
            self.finish();
        }
        Ok(())
    }

    /// Hands on what there is.
    pub(crate) fn hand_on(&mut self) {
        self.collector.hand_on_all(&mut *self.sink);
    }

    /// Gives what was held back.
    pub(crate) fn release(&mut self) {
        self.collector.release();
        while self.collector.give_released() {
            self.hand_on();
        }
    }

    /// Takes what has come already of what is wanted.
    fn take_what_is_there(&mut self) {
        for index in 0..self.lanes.len() {
            while self.wants(&self.lanes[index]) {
                match self.lanes[index].told.try_recv() {
                    Ok(told) => self.on_told(index, Some(told)),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => self.on_told(index, None),
                }
                self.hand_on();
            }
        }
    }

    /// Whether what an agent tells next is wanted now.
    fn wants(&self, lane: &Lane) -> bool {
        match lane.phase {
            Phase::Ended => false,
            _ if lane.is_ready() || self.collector.is_stopped() => false,
            Phase::Past | Phase::Opening => true,
            Phase::Live | Phase::Away => self.is_live || !self.rules.several,
        }
    }

    /// Waits for what an agent tells that is wanted, or until records have been held back long enough.
    async fn wait(&mut self) {
        let wanted: Vec<bool> = self.lanes.iter().map(|lane| self.wants(lane)).collect();
        let held = self.lanes.iter().filter(|lane| self.is_live && lane.is_ready());
        let due = held.map(|lane| lane.arrived + self.hold).min();
        let next = next_of(&mut self.lanes, |index, _| wanted[index]);
        let told = match due {
            Some(due) => timeout_at(due, next).await.ok(),
            None => Some(next.await),
        };
        if let Some((index, told)) = told {
            self.on_told(index, told);
        }
    }

    pub(crate) async fn next_told(&mut self, wanted: impl Fn(&Lane) -> bool) -> (usize, Option<Told>) {
        next_of(&mut self.lanes, |_, lane| wanted(lane)).await
    }

    pub(crate) fn on_told(&mut self, index: usize, told: Option<Told>) {
        let several = self.rules.several;
        let lane = &mut self.lanes[index];
        match told {
            Some(Told::Opened { asked, missing }) => {
                lane.phase = match lane.phase {
                    Phase::Opening => Phase::Past,
                    // Held back, and asked anew.
                    Phase::Past => Phase::Past,
                    _ => Phase::Live,
                };
                lane.was_opened = true;
                lane.asked = asked;
                lane.missing.extend(missing);
                lane.seat.set_away(false);
            }
            Some(Told::Idle) => {
                lane.phase = Phase::Away;
                lane.was_opened = true;
            }
            Some(Told::Event(event)) => self.on_event(index, event),
            Some(Told::Away(error)) => {
                lane.phase = Phase::Away;
                lane.unnumbered.clear();
                lane.drop_held();
                lane.seat.set_away(true);
                let notice = format!("{}: {error}; going on from there as soon as it answers", lane.name());
                self.collector.give(Event::Notice(notice));
            }
            Some(Told::Failed(error)) => self.fail(index, error),
            None => {
                lane.phase = Phase::Ended;
                lane.seat.set_away(false);
                if several && lane.summary.is_none() && lane.failure.is_none() {
                    lane.failure = Some(ClientError::Incomplete);
                }
            }
        }
    }

    /// Takes note that no more comes of an agent, and why.
    fn fail(&mut self, index: usize, error: ClientError) {
        let lane = &mut self.lanes[index];
        lane.phase = Phase::Ended;
        lane.drop_held();
        lane.seat.set_away(false);
        lane.told.close();
        if !self.rules.several {
            self.failure = Some(error);
            return;
        }
        if self.rules.follow && lane.was_opened {
            let notice = format!("{}: {error}; going on without it", lane.name());
            lane.failure = Some(error);
            self.collector.give(Event::Notice(notice));
        } else {
            lane.failure = Some(error);
        }
    }

    pub(crate) fn on_event(&mut self, index: usize, mut event: Event) {
        if let Event::Source { id, source, .. } = event {
            return self.add_source(index, id, source);
        }
        if self.lanes[index].renumber(&mut event).is_err() {
            let message = "it speaks of a source that it hasn't told".to_owned();
            return self.fail(index, ClientError::Protocol { message });
        }
        if !self.rules.several {
            return self.collector.give(event);
        }
        let lane = &mut self.lanes[index];
        match event {
            Event::Source { .. } => {}
            Event::Records { batch, positions } => self.records(index, batch, positions),
            Event::Positions(positions) => self.positions(index, positions),
            Event::Notice(notice) => {
                let notice = format!("{}: {notice}", lane.name());
                self.collector.give(Event::Notice(notice));
            }
            Event::Gap(mut gap) => {
                gap.detail = format!("{} (agent {})", gap.detail, lane.name());
                self.flush();
                self.collector.give(Event::Gap(gap));
            }
            Event::Progress(progress) => {
                lane.progress = progress;
                if let Some(sum) = self.joined.progress(self.lanes.iter().map(|lane| lane.progress)) {
                    self.collector.give(Event::Progress(sum));
                }
            }
            Event::Counts(counts) => self.joined.counts(&counts),
            Event::Histogram(buckets) => self.joined.histogram(&buckets),
            Event::SourceEnd(status) if self.is_live => self.collector.give(Event::SourceEnd(status)),
            Event::SourceEnd(status) => lane.ends.push(status),
            Event::Filter(status) => self.joined.filter(status),
            Event::Policy(status) => self.joined.policy(status),
            Event::Summary(summary) => lane.summary = Some(summary),
        }
    }

    pub(crate) fn add_source(&mut self, index: usize, own: u32, source: Source) {
        let lane = &mut self.lanes[index];
        if let Some(number) = lane.number_of(&source) {
            return lane.number(own, number, &source);
        }
        let number = u32::try_from(self.owners.len()).expect("agents have far fewer than 2^32 logs");
        lane.number(own, number, &source);
        self.owners.push(index);
        self.collector.add_source();
        let agent = self.rules.several.then(|| self.lanes[index].name().to_owned());
        self.collector.give(Event::Source { id: number, source, agent });
    }

    fn records(&mut self, index: usize, batch: RecordBatch, positions: Vec<SourcePosition>) {
        let lane = &mut self.lanes[index];
        if !(self.rules.holds_past && lane.phase == Phase::Past) {
            return lane.accept(batch, positions);
        }
        lane.hold(&batch);
        let held: usize = self.lanes.iter().map(Lane::held_bytes).sum();
        if held > self.held_bytes {
            self.lanes[index].drop_held();
            self.collector.incomplete(format!(
                "the records to hold back until all agents have given the past passed {} bytes (limit held_bytes); \
                 ask for fewer",
                self.held_bytes
            ));
        }
    }

    fn positions(&mut self, index: usize, positions: Vec<SourcePosition>) {
        let lane = &mut self.lanes[index];
        if !self.rules.follow {
            return lane.note_positions(positions);
        }
        let sources: Vec<u32> = positions.iter().map(|position| position.source).collect();
        lane.note_positions(positions);
        if lane.phase == Phase::Past {
            lane.phase = Phase::Live;
            lane.release(self.owners.len());
        }
        if self.is_live {
            self.flush();
            let positions = sources.into_iter().filter_map(|source| self.position(source)).collect();
            self.collector.give(Event::Positions(positions));
        }
    }

    /// The lane whose record is next, if that is known, or the time is up that it waits for older ones.
    fn due(&self) -> Option<usize> {
        let is_missed = |lane: &Lane| lane.phase == Phase::Past && !lane.is_ready();
        if !self.is_live && self.lanes.iter().any(is_missed) {
            return None;
        }
        if self.is_live {
            let is_waited_for = |lane: &&Lane| !matches!(lane.phase, Phase::Ended | Phase::Away);
            let alone = self.lanes.iter().filter(|lane| is_waited_for(lane) || lane.is_ready()).count() == 1;
            let now = Instant::now();
            let presses = |lane: &Lane| lane.is_ready() && (alone || lane.arrived + self.hold <= now);
            if !self.lanes.iter().any(presses) {
                return None;
            }
        }
        self.first(None)
    }

    fn direction(&self) -> Direction {
        if self.is_live { Direction::Forward } else { self.rules.direction }
    }

    /// The lane with the first record, but for one.
    fn first(&self, but_for: Option<usize>) -> Option<usize> {
        let heads = self.lanes.iter().enumerate().filter(|(index, _)| Some(*index) != but_for);
        let heads = heads.filter_map(|(index, lane)| Some((index, lane.head()?)));
        let direction = self.direction();
        let first = heads.reduce(|a, b| if precedes(b.1, a.1, direction) { b } else { a });
        first.map(|(index, _)| index)
    }

    /// Takes records of a lane up to the first that comes behind one of another lane.
    fn take(&mut self, index: usize) {
        let direction = self.direction();
        let bound = self.first(Some(index)).and_then(|other| self.lanes[other].head());
        let lane = &mut self.lanes[index];
        let (range, batch) = lane.take_until(bound, direction);
        let source = batch.records[range.start].source;
        let was_last = range.end == batch.records.len();
        if self.collector.wants_none_of(source) {
            return lane.note_taken(source, 0, true, was_last);
        }
        if self.is_live {
            self.lateness.mark(index, &mut batch.records[range.clone()]);
        }
        let before = self.collector.matched(source);
        self.collector.take(batch, range);
        let matches = self.collector.matched(source) - before;
        lane.note_taken(source, matches, self.collector.cut(source).is_some(), was_last);
        if self.collector.has_batch() {
            self.flush();
        }
    }

    /// Gives the records that have gathered, with where the search of their sources stands behind them.
    pub(crate) fn flush(&mut self) {
        let given_of = self.collector.take_given_of();
        let positions = given_of.into_iter().filter_map(|source| self.position(source)).collect();
        self.collector.flush(positions);
    }

    fn position(&self, source: u32) -> Option<SourcePosition> {
        let lane = &self.lanes[self.owners[source as usize]];
        let stand = lane.stand(source)?;
        Some(SourcePosition { source, position: resume::wrap(lane.name(), stand) })
    }

    pub(crate) fn give_all_positions(&mut self) {
        let sources = 0..u32::try_from(self.owners.len()).expect("agents have far fewer than 2^32 logs");
        let positions = sources.filter_map(|source| self.position(source)).collect();
        self.collector.give(Event::Positions(positions));
    }

    /// Whether nothing more comes of what is asked for now: the past, or all.
    fn is_over(&self) -> bool {
        if self.lanes.iter().any(Lane::is_ready) {
            return false;
        }
        let is_full = self.rules.several && self.collector.is_full();
        let goes_live = !self.is_live && self.collector.goes_live();
        if self.rules.follow && is_full && !goes_live {
            // The agents still wait for more, which nobody wants.
            return true;
        }
        let is_over = |lane: &Lane| match lane.phase {
            Phase::Ended => true,
            Phase::Live | Phase::Away => !self.is_live && self.rules.several,
            Phase::Opening | Phase::Past => false,
        };
        self.lanes.iter().all(is_over)
    }

    fn goes_live(&self) -> bool {
        let any_goes_on = self.lanes.iter().any(|lane| lane.phase != Phase::Ended);
        self.rules.follow && !self.is_live && any_goes_on && self.collector.goes_live()
    }

    fn go_live(&mut self) {
        let context = self.rules.context;
        self.release();
        self.collector.go_live(Live { lead: context.before, trail: context.after });
        self.flush();
        self.is_live = true;
        self.lanes.iter_mut().for_each(|lane| lane.go_live(self.rules.holds_past));
        self.give_all_positions();
    }
}

/// What any of the wanted lanes tells first; `None` when nothing more comes of it. Ready never, where none is wanted.
async fn next_of(lanes: &mut [Lane], wanted: impl Fn(usize, &Lane) -> bool) -> (usize, Option<Told>) {
    poll_fn(|context| {
        for (index, lane) in lanes.iter_mut().enumerate() {
            if wanted(index, lane)
                && let Poll::Ready(told) = lane.told.poll_recv(context)
            {
                return Poll::Ready((index, told));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
