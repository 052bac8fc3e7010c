//! Which pieces of which source are read next, and by whom: the query's own thread reads what is due; the
//! others read ahead of it, first what is due soonest.

use crate::crew::{Held, Turn};
use crate::job::{Done, Job, Steps};
use crate::lane::Lane;
use crate::run::Run;

/// Blocks that are read before others than the query's own thread are at work, so that a short answer costs
/// none; and blocks that must be left then.
const ALONE_BLOCKS: u64 = 4;

/// Jobs for each thread that nobody has begun: more are handed out when there are fewer than the first, up to the
/// second, so that no thread has to wait for the query's own.
const JOBS: (usize, usize) = (4, 16);

/// Bytes of results that wait for their turn: from so many on, the others begin nothing for the source that is due. Of
/// all other sources together it is as much.
const WAITING_BYTES: usize = 256 << 10;

/// Jobs of one source that are handed out and not accepted.
const OUTSTANDING: usize = 64;

/// Most bytes that a job of steps reads where the order of the records shows. The first ones read less: not more
/// than was read of the source before.
const STEPS_BYTES: u64 = 256 << 10;

/// The same where the order doesn't show, so that everything is read in any case.
const ANY_ORDER_BYTES: u64 = 4 << 20;

/// Bytes of records after which such a job ends.
const ANY_ORDER_BATCH: usize = 64 << 10;

impl Run {
    /// Gets the result that lane `index` is to accept next.
    pub(crate) fn fetch(&mut self, index: usize) {
        // What only this thread can get on with isn't handed out.
        if self.lanes[index].feed.outstanding() == 0
            && let Some(job) = self.claim(index)
        {
            self.read_ahead(index);
            self.work(job);
        }
        loop {
            self.read_ahead(index);
            if self.lanes[index].feed.is_ready() {
                return;
            }
            match self.crew.turn(index) {
                Turn::Results(results) => self.put(results),
                Turn::Job(job) => self.work(job),
            }
        }
    }

    /// Notes that the next piece of a lane can be claimed, if it is known by now.
    pub(crate) fn line_up(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if !lane.feed.has_ended() && !std::mem::replace(&mut lane.is_in_line, true) {
            self.line.push_back(index);
        }
    }

    fn work(&mut self, job: Job) {
        let done = job.run(&mut self.hand, self.crew.bench());
        self.put(vec![done]);
    }

    /// Takes the results that are there, and hands out jobs: of the lane that is due, then one of each of those
    /// that wait for it.
    fn read_ahead(&mut self, index: usize) {
        if self.crew.size() == 0 && !self.start() {
            return;
        }
        let (results, queued) = self.crew.exchange(Held {
            due: index,
            due_bytes: self.lanes[index].feed.waiting_bytes(),
            bytes: self.waiting.0,
            most_of_due: WAITING_BYTES,
            most_of_others: WAITING_BYTES,
        });
        self.put(results);
        let (least, most) = JOBS;
        if queued >= least * self.crew.size() {
            return;
        }
        let most = most * self.crew.size() - queued;
        let mut jobs = Vec::with_capacity(most);
        while jobs.len() < most && self.lanes[index].feed.outstanding() < OUTSTANDING {
            let Some(job) = self.claim_ahead(index) else { break };
            jobs.push(job);
        }
        // One by one, they would be handed out as slowly as threads fall asleep and wake up.
        let enough = self.line.len() >= (self.lanes.len() / 4).clamp(1, least);
        while enough
            && jobs.len() < most
            && let Some(next) = self.line.pop_front()
        {
            self.lanes[next].is_in_line = false;
            jobs.extend(self.claim_ahead(next));
        }
        self.crew.submit(jobs);
    }

    /// Claims the next piece of a lane that isn't due, or that has more to do than this thread can.
    fn claim_ahead(&mut self, index: usize) -> Option<Job> {
        if self.lanes[index].may_wait { None } else { self.claim(index) }
    }

    /// Bytes of records after which steps of one source end where many are merged.
    fn lane_bytes(&self) -> usize {
        self.batch_bytes / 2
    }

    fn claim(&mut self, index: usize) -> Option<Job> {
        let (stripes, lane_bytes) = (self.stripes && self.crew.size() > 0, self.lane_bytes());
        let lane = &mut self.lanes[index];
        let known = lane.feed.stats().bytes_read;
        let steps = if lane.may_wait {
            // The next step may be long in coming, and others wait to know how far this source is.
            Steps { bytes: 0, batch: 1 }
        } else if self.ordered {
            let batch = if self.ends_early { 1 } else { lane_bytes };
            Steps { bytes: known.min(STEPS_BYTES), batch }
        } else {
            Steps { bytes: self.bytes_accepted.max(known).min(ANY_ORDER_BYTES), batch: ANY_ORDER_BATCH }
        };
        lane.feed.claim(index, steps, stripes)
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
        if self.crew.was_started() {
            for job in self.crew.recall(index) {
                self.lanes[index].feed.give_back(job);
            }
        }
    }

    /// Ends the other threads, and adds up what was read.
    pub(crate) fn stop_reading(&mut self) {
        if !self.crew.was_started() {
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

/// Bytes of the results of all lanes that wait for their turn.
#[derive(Default)]
pub(crate) struct Waiting(usize);

impl Waiting {
    /// Changes a lane, and notes what waits there now.
    pub(crate) fn change<T>(&mut self, lane: &mut Lane, change: impl FnOnce(&mut Lane) -> T) -> T {
        let before = lane.feed.waiting_bytes();
        let result = change(lane);
        self.0 = self.0 + lane.feed.waiting_bytes() - before;
        result
    }
}
