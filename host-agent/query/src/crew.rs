//! The threads of a running query besides its own: they take jobs from one queue and put results into one
//! list, and end with the query.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use weir_scan::Interrupt;

use crate::Cancel;
use crate::job::{Done, Hand, Job};
use crate::seats::Seats;
use crate::spares::Spares;

/// What a query's threads share.
pub(crate) struct Bench {
    state: Mutex<State>,
    /// Told when there is a job, or none will come.
    work: Condvar,
    /// Told when there is a result.
    result: Condvar,
    /// Set when the results of jobs aren't wanted any more.
    interrupt: Interrupt,
    spares: Spares,
    seats: Arc<Seats>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    done: Vec<Done>,
    held: Held,
    /// Jobs that threads of the crew have taken and not finished.
    running: usize,
    /// Threads that wait for a job.
    idle: usize,
    /// Whether the query's own thread waits for a result.
    awaited: bool,
    closed: bool,
    /// A thread has panicked.
    broken: bool,
}

/// What waits for the query's own thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Held {
    /// Lane that is due.
    pub(crate) due: usize,
    /// Bytes of its results.
    pub(crate) due_bytes: usize,
    /// Bytes of all results.
    pub(crate) bytes: usize,
    /// From so many bytes on, the others begin nothing for the lane that is due.
    pub(crate) most_of_due: usize,
    /// From so many bytes on, they begin nothing for any other lane.
    pub(crate) most_of_others: usize,
}

impl Held {
    fn has_room(&self, lane: usize) -> bool {
        match lane == self.due {
            true => self.due_bytes < self.most_of_due,
            false => self.bytes - self.due_bytes < self.most_of_others,
        }
    }

    fn add(&mut self, done: &Done) {
        self.bytes += done.bytes();
        if done.lane == self.due {
            self.due_bytes += done.bytes();
        }
    }
}

/// The threads of one query. When it is dropped, they end within a block, and it waits for that.
pub(crate) struct Crew {
    bench: Arc<Bench>,
    /// How many there are to be.
    threads: usize,
    running: Vec<JoinHandle<()>>,
    was_started: bool,
}

/// What there is for the query's own thread.
pub(crate) enum Turn {
    /// Results.
    Results(Vec<Done>),
    /// A job that no other thread has taken.
    Job(Job),
}

impl Crew {
    /// A crew that makes up `threads` together with the query's own thread, for a query that ends with `cancel`. None
    /// of them runs yet. Each takes one of `seats` for each job.
    pub(crate) fn new(cancel: &Cancel, threads: usize, seats: Arc<Seats>) -> Crew {
        let bench = Arc::new(Bench::new(cancel, seats));
        Crew { bench, threads: threads.saturating_sub(1), running: Vec::new(), was_started: false }
    }

    /// Starts the threads that don't run yet. Where the system has no more, the query goes on with those that there
    /// are.
    pub(crate) fn start(&mut self) {
        self.was_started = true;
        while self.running.len() < self.threads {
            let bench = Arc::clone(&self.bench);
            let thread = Builder::new().name("weir-scan".to_owned());
            match thread.spawn(move || bench.work()) {
                Ok(thread) => self.running.push(thread),
                Err(error) => {
                    self.threads = self.running.len();
                    tracing::warn!(%error, started = self.threads, "no more threads for a query");
                }
            }
        }
    }

    /// How many threads run besides the query's own.
    pub(crate) fn size(&self) -> usize {
        self.running.len()
    }

    /// Whether jobs may have been handed out.
    pub(crate) fn was_started(&self) -> bool {
        self.was_started
    }

    /// Hands out jobs.
    pub(crate) fn submit(&self, jobs: Vec<Job>) {
        let mut state = self.bench.lock();
        for _ in 0..jobs.len().min(state.idle) {
            self.bench.work.notify_one();
        }
        state.queue.extend(jobs);
    }

    /// Tells what the query's own thread holds. Returns the results that are there, and how many jobs nobody has
    /// begun.
    pub(crate) fn exchange(&self, held: Held) -> (Vec<Done>, usize) {
        let mut state = self.bench.lock();
        let results = std::mem::take(&mut state.done);
        state.held = held;
        results.iter().for_each(|done| state.held.add(done));
        if state.idle > 0 && state.next().is_some() {
            self.bench.work.notify_one();
        }
        (results, state.queue.len())
    }

    /// Results, or a job, one of `lane` before others; waits for one or the other. At least one job must be
    /// outstanding.
    pub(crate) fn turn(&self, lane: usize) -> Turn {
        let mut state = self.bench.lock();
        loop {
            assert!(!state.broken, "a thread of this query has panicked");
            if !state.done.is_empty() {
                return Turn::Results(std::mem::take(&mut state.done));
            }
            let of_lane = state.queue.iter().position(|job| job.lane == lane);
            if let Some(job) = of_lane.or_else(|| state.next()).and_then(|at| state.queue.remove(at)) {
                return Turn::Job(job);
            }
            assert!(state.running > 0, "a job that was handed out is queued, running or done");
            state.awaited = true;
            state = self.bench.result.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.awaited = false;
        }
    }

    /// Takes back the jobs of `lane` that nobody has begun.
    pub(crate) fn recall(&self, lane: usize) -> Vec<Job> {
        let mut state = self.bench.lock();
        let (recalled, queue) =
            std::mem::take(&mut state.queue).into_iter().partition(|job| job.lane == lane);
        state.queue = queue;
        Vec::from_iter::<VecDeque<Job>>(recalled)
    }

    /// Ends the threads for good, in the midst of their jobs. Returns the jobs that nobody has begun, and the results
    /// that are left.
    pub(crate) fn stop(&mut self) -> (Vec<Job>, Vec<Done>) {
        self.threads = 0;
        self.bench.interrupt.interrupt();
        self.join();
        let mut state = self.bench.lock();
        assert!(!state.broken, "a thread of this query has panicked");
        (std::mem::take(&mut state.queue).into(), std::mem::take(&mut state.done))
    }

    /// Ends the threads behind the jobs that they have, until [`Crew::start`] starts others. What is queued, and what
    /// was found, stays.
    pub(crate) fn pause(&mut self) {
        self.join();
        self.bench.lock().closed = false;
    }

    fn join(&mut self) {
        self.bench.close();
        for thread in self.running.drain(..) {
            if thread.join().is_err() {
                // Whoever waits for its result meets it; the panic itself has been told.
                tracing::error!("a thread of a query has panicked");
            }
        }
    }

    /// What a job of the query's own thread is done for.
    pub(crate) fn bench(&self) -> &Arc<Bench> {
        &self.bench
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.bench.interrupt.interrupt();
        self.join();
    }
}

impl Bench {
    /// For a query that ends with `cancel`.
    pub(crate) fn new(cancel: &Cancel, seats: Arc<Seats>) -> Bench {
        let (work, result) = (Condvar::new(), Condvar::new());
        Bench {
            state: Mutex::default(),
            work,
            result,
            interrupt: cancel.interrupt().part(),
            spares: Spares::default(),
            seats,
        }
    }

    /// What the scanners of jobs look at.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Batches that were used up, for the jobs to come.
    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    /// Taken for each job.
    pub(crate) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The state is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has threads end as soon as they have no job.
    fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// Does jobs until there are no more.
    fn work(&self) {
        let mut hand = Hand::default();
        while let Some(job) = self.take() {
            let mut running = Running { bench: self, done: None };
            running.done = Some(job.run(&mut hand, self));
        }
    }

    fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.next().and_then(|at| state.queue.remove(at)) {
                state.running += 1;
                return Some(job);
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

impl State {
    /// The first job that may be begun.
    fn next(&self) -> Option<usize> {
        self.queue.iter().position(|job| self.held.has_room(job.lane))
    }
}

/// A job that a thread has taken: when it is dropped, also by a panic, its end is told.
struct Running<'a> {
    bench: &'a Bench,
    done: Option<Done>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.bench.lock();
        state.running -= 1;
        match self.done.take() {
            Some(done) => {
                state.held.add(&done);
                state.done.push(done);
            }
            None => state.broken = true,
        }
        if state.awaited {
            self.bench.result.notify_one();
        }
    }
}
