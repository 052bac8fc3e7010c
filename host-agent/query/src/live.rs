//! The merge of a query that follows: what has grown is read, and handed on in the order of time as far as that is
//! known, or the time is up that records are held back for older ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::event::{Event, Flow};
use crate::run::{Due, Run};

/// Lanes that have something to read or to give now.
struct Pressing {
    lanes: Vec<bool>,
    count: usize,
}

impl Pressing {
    fn none_of(lanes: usize) -> Pressing {
        Pressing { lanes: vec![false; lanes], count: 0 }
    }

    fn note(&mut self, lane: usize, presses: bool) {
        match (std::mem::replace(&mut self.lanes[lane], presses), presses) {
            (false, true) => self.count += 1,
            (true, false) => self.count -= 1,
            (false, false) | (true, true) => {}
        }
    }
}

impl Run {
    /// Merges what can be read, but for what was read less than the bound ago.
    pub(crate) fn merge_live(&mut self, now: Instant, sink: &mut dyn FnMut(Event) -> Flow) {
        let mut heap = BinaryHeap::with_capacity(self.lanes.len());
        let mut pressing = Pressing::none_of(self.lanes.len());
        for index in 0..self.lanes.len() {
            self.go_on(&mut heap, &mut pressing, index, now);
        }
        while pressing.count > 0 && !self.collector.is_full() {
            let Some(Reverse(place)) = heap.pop() else { break };
            let index = self.lane_of(place);
            if self.collector.wants_none_of(self.lanes[index].source) {
                self.close(index);
            } else if self.lanes[index].is_ready() {
                let bound = heap.peek().map(|Reverse(place)| self.bound(*place, index));
                let (range, batch) = self.lanes[index].take_until(bound, self.direction);
                if let Some(follow) = &mut self.follow {
                    follow.lateness.mark(index, &mut batch.records[range.clone()]);
                }
                self.collector.take(batch, range);
                self.flush_full(index);
            } else {
                self.flush_due(index);
                self.read(index);
                if let Some(follow) = &mut self.follow {
                    follow.sources[index].arrived = self.lanes[index].feed.is_caught_up().then_some(now);
                }
            }
            self.collector.hand_on_all(sink);
            self.go_on(&mut heap, &mut pressing, index, now);
        }
    }

    /// Puts a lane where it belongs now, and notes whether it presses.
    fn go_on(&mut self, heap: &mut Due, pressing: &mut Pressing, index: usize, now: Instant) {
        self.look(index);
        self.queue(heap, index);
        pressing.note(index, self.presses(index, now));
    }

    /// Looks whether a lane has grown if it may have. While records wait in it, that can wait too: they are given
    /// first in any case.
    fn look(&mut self, index: usize) {
        let Some(follow) = &mut self.follow else { return };
        let (lane, source) = (&mut self.lanes[index], &mut follow.sources[index]);
        if lane.is_ready() || lane.is_done() || !std::mem::take(&mut source.may_have_grown) {
            return;
        }
        let grew = lane.feed.look();
        if source.is_polled {
            follow.polled.note(&source.set.dirs, grew);
        }
    }

    /// Whether a lane has something to read or to give now.
    fn presses(&self, index: usize, now: Instant) -> bool {
        let Some(follow) = &self.follow else { return false };
        let lane = &self.lanes[index];
        if !lane.is_ready() {
            return !lane.feed.is_idle() && !lane.is_done();
        }
        let arrived = follow.sources[index].arrived;
        let is_due = arrived.is_none_or(|arrived| arrived + follow.plan.hold <= now);
        is_due || self.lanes.iter().filter(|lane| !lane.is_done()).nth(1).is_none()
    }
}
