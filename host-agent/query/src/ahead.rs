//! Which pieces of which source are read next, and by whom: the query's own thread reads what is due; the
//! others read ahead of it, first what is due soonest.

use std::cmp::Reverse;

use crate::crew::Turn;
use crate::feed;
use crate::job::Done;
use crate::lane::Lane;
use crate::run::{Due, Run};

/// Blocks that are read before others than the query's own thread are at work, so that a short answer costs
/// none; and blocks that must be left then.
const ALONE_BLOCKS: u64 = 4;

/// Results of one source that wait for their turn: no more is read ahead of it then.
const WAITING_BYTES: usize = 256 << 10;

/// Results of sources that aren't due that wait for their turn.
const WAITING_RESULTS: usize = 64;

impl Run<'_, '_, '_> {
    /// Gets the result that lane `index` is to accept next.
    pub(crate) fn fetch(&mut self, index: usize, due: &mut Due) {
        let lane = &mut self.lanes[index];
        // What only this thread can get on with isn't handed out.
        let own = match lane.feed.outstanding() {
            0 => lane.feed.claim(index, (self.crew.size() > 0).then_some(&mut self.forks)),
            _ => None,
        };
        self.read_ahead(index, due);
        if let Some(job) = own {
            let done = job.run(self.crew.stop_flag());
            self.put(vec![done]);
        }
        while !self.lanes[index].feed.is_ready() {
            match self.crew.turn(index) {
                Turn::Results(results) => self.put(results),
                Turn::Job(job) => {
                    let done = job.run(self.crew.stop_flag());
                    self.put(vec![done]);
                }
            }
        }
    }

    /// Hands out jobs until every thread has one to do and one to go on with.
    fn read_ahead(&mut self, index: usize, due: &mut Due) {
        if self.crew.size() == 0 && !self.start() {
            return;
        }
        let results = self.crew.results();
        self.put(results);
        let mut room = (2 * self.crew.size()).saturating_sub(self.crew.busy());
        self.hand_out(index, &mut room);
        let mut looked_at = Vec::with_capacity(self.crew.size() + 1);
        while room > 0 && looked_at.len() <= self.crew.size() && self.may_hold_more() {
            let Some(Reverse(place)) = due.pop() else { break };
            looked_at.push(Reverse(place));
            self.hand_out(self.lane_of(place), &mut room);
        }
        due.extend(looked_at);
    }

    /// Starts the other threads if there is enough for them to do.
    fn start(&mut self) -> bool {
        let alone = ALONE_BLOCKS * self.block_bytes as u64;
        let left = self.bytes_total.saturating_sub(self.bytes_accepted);
        if self.bytes_accepted < alone || left < alone {
            return false;
        }
        self.crew.start();
        self.crew.size() > 0
    }

    fn hand_out(&mut self, index: usize, room: &mut usize) {
        let lane = &mut self.lanes[index];
        while *room > 0 && !lane.may_wait && lane.feed.waiting().bytes < WAITING_BYTES {
            if lane.feed.outstanding() > 2 * self.crew.size() + 1 {
                return;
            }
            let Some(job) = lane.feed.claim(index, Some(&mut self.forks)) else { return };
            self.crew.submit(job);
            *room -= 1;
        }
    }

    /// Whether the results that wait leave room for those of sources that aren't due.
    fn may_hold_more(&self) -> bool {
        self.waiting.0.results < WAITING_RESULTS && self.waiting.0.bytes < WAITING_BYTES
    }

    fn put(&mut self, results: Vec<Done>) {
        for done in results {
            self.waiting.change(&mut self.lanes[done.lane], |lane| lane.feed.put(done));
        }
    }

    /// Drops what is waiting in a lane and reads no more of it.
    pub(crate) fn close(&mut self, index: usize) {
        let direction = self.direction;
        self.waiting.change(&mut self.lanes[index], |lane| lane.close(direction));
        self.recall(index);
    }

    /// Reads no more of a lane; what is waiting stays.
    pub(crate) fn end(&mut self, index: usize) {
        self.waiting.change(&mut self.lanes[index], Lane::end);
        self.recall(index);
    }

    fn recall(&mut self, index: usize) {
        if self.crew.size() > 0 {
            for job in self.crew.recall(index) {
                self.lanes[index].feed.give_back(job);
            }
        }
    }

    /// Ends the other threads, and adds up what was read.
    pub(crate) fn stop_reading(&mut self) {
        if self.crew.size() == 0 {
            return;
        }
        for lane in &mut self.lanes {
            self.waiting.change(lane, |lane| lane.feed.forget());
        }
        let (jobs, results) = self.crew.stop();
        for job in jobs {
            self.lanes[job.lane].feed.give_back(job);
        }
        self.put(results);
    }
}

/// The results of all sources that wait for their turn.
#[derive(Default)]
pub(crate) struct Waiting(feed::Waiting);

impl Waiting {
    /// Changes a lane, and notes what waits there now.
    pub(crate) fn change<T>(&mut self, lane: &mut Lane, change: impl FnOnce(&mut Lane) -> T) -> T {
        let before = lane.feed.waiting();
        let result = change(lane);
        let after = lane.feed.waiting();
        self.0.results = self.0.results + after.results - before.results;
        self.0.bytes = self.0.bytes + after.bytes - before.bytes;
        result
    }
}
