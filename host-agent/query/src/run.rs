//! The run of a plan: sources are merged by time, and read no further than that needs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_sandbox::Kind;
use weir_scan::{Direction, Scanner};

use crate::Cancel;
use crate::ahead::Waiting;
use crate::collect::{Collector, CollectorConfig};
use crate::crew::{Bench, Crew};
use crate::engine::set_bytes;
use crate::event::{Event, FilterStatus, Flow, Gap, Progress, SourceStatus};
use crate::feed::Forks;
use crate::filter_stage::FilterStage;
use crate::lane::Lane;
use crate::neighbours::Neighbours;
use crate::plan::Plan;

/// Least time between two progress events.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

impl Plan {
    /// Runs the query, blocking, and hands what it tells to `sink`. The last event is the summary, unless
    /// the sink asked to stop or `cancel` was set: then nothing more comes.
    pub fn run(self, cancel: &Cancel, sink: &mut dyn FnMut(Event) -> Flow) {
        let (bench, threads) = (Bench::default(), self.threads);
        std::thread::scope(|scope| {
            let crew = Crew::new(scope, &bench, threads);
            Run::new(self, sink, crew).run(cancel);
        });
    }
}

/// Lanes that aren't done, by when each is due.
pub(crate) type Due = BinaryHeap<Reverse<(i64, usize)>>;

pub(crate) struct Run<'a, 'scope, 'env> {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) crew: Crew<'scope, 'env>,
    pub(crate) forks: Forks,
    /// Over all lanes.
    pub(crate) waiting: Waiting,
    /// Bytes of blocks, the unit of what is read ahead.
    pub(crate) block_bytes: usize,
    stages: Vec<FilterStage>,
    direction: Direction,
    /// The order of the records shows in the answer.
    ordered: bool,
    collector: Collector<'a>,
    pub(crate) bytes_total: u64,
    /// Bytes that were read for what was accepted.
    pub(crate) bytes_accepted: u64,
    /// Whether a pattern or filter decides on what the lines hold.
    searches: bool,
    line_bytes: usize,
    started: Instant,
    progress_at: Instant,
}

impl<'a, 'scope, 'env> Run<'a, 'scope, 'env> {
    fn new(
        plan: Plan,
        sink: &'a mut dyn FnMut(Event) -> Flow,
        crew: Crew<'scope, 'env>,
    ) -> Run<'a, 'scope, 'env> {
        let started = Instant::now();
        let direction = plan.search.direction;
        let context = plan.search.context;
        let wants_context = context.before + context.after > 0;
        let (lead, trail) = match direction {
            Direction::Forward => (context.before, context.after),
            Direction::Backward => (context.after, context.before),
        };
        let config = CollectorConfig {
            output: plan.output,
            limit: plan.limit,
            lead,
            trail,
            reverse: direction != plan.direction,
            held_bytes: plan.held_bytes,
            histogram_buckets: plan.histogram_buckets,
            timed: plan.search.time.is_some(),
            sources: plan.sets.len(),
        };
        let mut collector = Collector::new(config, sink);
        let mut stages: Vec<FilterStage> = (0..)
            .zip(plan.stages)
            .map(|(index, stage)| FilterStage::new(index, stage, wants_context, plan.batch_bytes))
            .collect();
        let searches = plan.search.matcher.is_some() || !stages.is_empty();
        let line_bytes = plan.search.limits.line_bytes;
        let regroup = wants_context && !stages.is_empty();
        let bytes_total = plan.sets.iter().map(set_bytes).sum();
        collector.summary.oldest = plan.sets.iter().filter_map(weir_scan::oldest).min();
        let mut lanes = Vec::with_capacity(plan.sets.len());
        for (source, set) in (0..).zip(plan.sets) {
            collector.give(Event::Source { id: source, source: set.source.clone() });
            let wanted = begin_source(&mut stages, source, &set.source, &plan.node);
            let neighbours = regroup.then(|| Neighbours::new(lead, trail, plan.search.limits.context_bytes));
            let scanner = Scanner::new(set, source, Arc::clone(&plan.search));
            let mut lane = Lane::new(scanner, source, direction, neighbours);
            if !wanted {
                lane.close();
            }
            lanes.push(lane);
        }
        Run {
            lanes,
            crew,
            forks: Forks::default(),
            waiting: Waiting::default(),
            block_bytes: plan.search.limits.block_bytes,
            stages,
            direction,
            ordered: plan.ordered,
            collector,
            bytes_total,
            bytes_accepted: 0,
            searches,
            line_bytes,
            started,
            progress_at: started + PROGRESS_EVERY,
        }
    }

    fn run(mut self, cancel: &Cancel) {
        for lane in &mut self.lanes {
            lane.feed.interrupted_by(cancel.interrupt());
        }
        self.merge(cancel);
        if !self.collector.stopped && !cancel.is_cancelled() {
            self.finish();
        }
    }

    /// Hands the records to the collector, in order, until there are no more, or nobody wants more.
    fn merge(&mut self, cancel: &Cancel) {
        let mut heap = BinaryHeap::with_capacity(self.lanes.len());
        for index in 0..self.lanes.len() {
            self.queue(&mut heap, index);
        }
        while let Some(Reverse(place)) = heap.pop() {
            let index = self.lane_of(place);
            if self.collector.is_full() {
                break;
            }
            if cancel.is_cancelled() {
                return;
            }
            if self.collector.wants_none_of(self.lanes[index].source) {
                self.close(index);
            } else if self.lanes[index].is_ready() {
                let next = heap.peek().filter(|_| self.ordered);
                let bound = next.map(|Reverse(place)| self.bound(*place, index));
                let (range, batch) = self.lanes[index].take_until(bound, self.direction);
                self.collector.take(batch, range);
            } else {
                self.read(index, &mut heap);
            }
            self.queue(&mut heap, index);
        }
    }

    /// Puts a lane where its next record, or what is known of it, belongs in the order.
    fn queue(&mut self, heap: &mut Due, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.is_done() {
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
    fn bound(&self, place: (i64, usize), index: usize) -> i64 {
        let other = self.lane_of(place);
        match self.direction {
            Direction::Forward if index < other => place.0,
            Direction::Forward => place.0.saturating_sub(1),
            Direction::Backward if index > other => !place.0,
            Direction::Backward => (!place.0).saturating_add(1),
        }
    }

    fn read(&mut self, index: usize, due: &mut Due) {
        let before = self.lanes[index].feed.stats().bytes_read;
        self.collector.flush_when(self.lanes[index].may_wait);
        self.fetch(index, due);
        let lane = &mut self.lanes[index];
        let gaps = self.waiting.change(lane, |lane| lane.accept(&mut self.stages, &mut self.forks));
        self.bytes_accepted += lane.feed.stats().bytes_read - before;
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
            self.collector.flush();
            self.lanes[index].gaps += 1;
            self.collector.give(Event::Gap(gap));
        }
        if self.stages.iter().any(FilterStage::stopped) {
            (0..self.lanes.len()).for_each(|index| self.end(index));
        }
        if Instant::now() >= self.progress_at {
            self.collector.flush();
            let progress = Progress {
                bytes_read: self.bytes_read(),
                bytes_total: self.bytes_total,
                matched: self.collector.summary.matched,
            };
            self.collector.give(Event::Progress(progress));
            self.progress_at = Instant::now() + PROGRESS_EVERY;
        }
    }

    fn bytes_read(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.feed.bytes_read()).sum()
    }

    fn finish(mut self) {
        self.stop_reading();
        self.collector.finish();
        for lane in &self.lanes {
            let status = SourceStatus {
                source: lane.source,
                matched: self.collector.matched(lane.source),
                bytes_read: lane.feed.bytes_read(),
                gaps: lane.gaps,
            };
            self.collector.give(Event::SourceEnd(status));
        }
        for stage in std::mem::take(&mut self.stages) {
            let status = stage.finish();
            if status.failed > 0 || !status.failures.is_empty() {
                self.collector.incomplete(failure_sentence(&status));
            }
            self.collector.give(Event::Filter(status));
        }
        if self.searches && self.lanes.iter().any(|lane| lane.feed.stats().met_long_line) {
            self.collector.incomplete(format!(
                "some lines are longer than {} bytes (limit line_bytes), and what stands behind that was not \
                 searched; ask with a larger limit",
                self.line_bytes
            ));
        }
        self.collector.summary.bytes_read = self.bytes_read();
        self.collector.summary.elapsed = self.started.elapsed();
        let summary = std::mem::take(&mut self.collector.summary);
        self.collector.give(Event::Summary(summary));
    }
}

/// Announces a source to every filter. A filter that wants none of it ends its part for all, unless an
/// aggregate before that filter must see its records.
fn begin_source(stages: &mut [FilterStage], id: u32, source: &weir_scan::Source, node: &str) -> bool {
    let mut wanted = true;
    let mut aggregates = false;
    for stage in stages {
        aggregates |= stage.kind() == Kind::Aggregate;
        let scan = stage.begin_source(id, source, node);
        wanted &= scan || aggregates;
    }
    wanted
}

fn failure_sentence(status: &FilterStatus) -> String {
    let what = match status.kind {
        Kind::Redact => format!("withheld {} records that it failed on", status.withheld),
        Kind::Aggregate => format!("left out {} records that it failed on", status.failed),
        Kind::Select | Kind::Transform => {
            format!("passed {} records on unfiltered, since it failed on them", status.failed)
        }
    };
    let first = status.failures.first().map(|failure| format!("; first: {failure}")).unwrap_or_default();
    format!("filter '{}' {what}{first}", status.name)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
