//! How many threads search at once, over all queries of an engine.
//!
//! With a thread for each of many searches, whoever else of the process needs a processor waits until each of them had
//! its time slice; and a lock of the process that one of them holds, such as the allocator's, is held for as long. So
//! a thread takes a seat for each piece that it searches, and the others wait in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Seats for each thread that the process can have at work at once: more than one, since some wait for a disk.
const PER_PROCESSOR: usize = 2;

/// How long a thread waits for a seat before it searches without one, so that pieces that take long, or a disk that hangs,
/// hold up no query but their own. It is also how long a query that is cancelled may wait before it notices.
const PATIENCE: Duration = Duration::from_millis(250);

/// What threads that search sit on.
#[derive(Debug)]
pub(crate) struct Seats {
    state: Mutex<State>,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

/// A thread that waits. It has been given a seat when it isn't in the queue any more.
#[derive(Debug, Default)]
struct Waiter(Condvar);

/// A seat that is taken, until it is dropped.
pub(crate) struct Seat<'a>(&'a Seats);

impl Seats {
    /// For a process that can have so many threads at work at once.
    pub(crate) fn new(processors: usize) -> Seats {
        Seats::with_patience(processors * PER_PROCESSOR, PATIENCE)
    }

    fn with_patience(free: usize, patience: Duration) -> Seats {
        Seats { state: Mutex::new(State { free, waiting: VecDeque::new() }), patience }
    }

    /// Waits for a seat, behind those who wait already; `None` if it took too long: the caller goes on all the same.
    pub(crate) fn take(&self) -> Option<Seat<'_>> {
        let mut state = self.lock();
        // Nobody waits while a seat is free.
        if state.free > 0 {
            state.free -= 1;
            return Some(Seat(self));
        }
        let waiter = Arc::new(Waiter::default());
        state.waiting.push_back(Arc::clone(&waiter));
        let until = Instant::now() + self.patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            state = waiter.0.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            let Some(at) = state.waiting.iter().position(|other| Arc::ptr_eq(other, &waiter)) else {
                return Some(Seat(self));
            };
            if left.is_zero() {
                state.waiting.remove(at);
                return None;
            }
        }
    }

    /// The state is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        match state.waiting.pop_front() {
            Some(next) => next.0.notify_one(),
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const FOREVER: Duration = Duration::from_secs(3600);

    /// Waits until so many threads wait for a seat.
    fn until_waiting(seats: &Seats, threads: usize) {
        while seats.lock().waiting.len() != threads {
            std::thread::yield_now();
        }
    }

    #[test]
    fn seats_are_given_in_the_order_in_which_they_were_asked_for() {
        let seats = Seats::with_patience(1, FOREVER);
        let (sender, order) = mpsc::channel();
        let first = seats.take().expect("a free one");
        std::thread::scope(|scope| {
            for number in 0..5 {
                let (seats, sender) = (&seats, sender.clone());
                scope.spawn(move || {
                    let _seat = seats.take().expect("one in the end");
                    sender.send(number).expect("a receiver");
                });
                until_waiting(seats, number + 1);
            }
            drop(first);
        });
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(seats.lock().free, 1);
    }

    #[test]
    fn no_more_threads_sit_than_there_are_seats_and_a_panic_gives_one_back() {
        let seats = Seats::with_patience(3, FOREVER);
        let sitting = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let (seats, sitting) = (&seats, &sitting);
                    scope.spawn(move || {
                        for turn in 0..500 {
                            let _seat = seats.take().expect("one in the end");
                            assert!(sitting.fetch_add(1, Ordering::SeqCst) < 3);
                            std::thread::yield_now();
                            sitting.fetch_sub(1, Ordering::SeqCst);
                            assert!(number != 0 || turn != 250, "on purpose");
                        }
                    })
                })
                .collect();
            let panics = threads.into_iter().filter_map(|thread| thread.join().err()).count();
            assert_eq!(panics, 1);
        });
        let state = seats.lock();
        assert_eq!((state.free, state.waiting.len()), (3, 0));
    }

    #[test]
    fn who_waited_too_long_goes_on_without_a_seat() {
        let seats = Seats::with_patience(1, Duration::from_millis(1));
        let seat = seats.take().expect("a free one");
        assert!(seats.take().is_none());
        assert!(seats.lock().waiting.is_empty());
        drop(seat);
        assert!(seats.take().is_some());
    }
}
