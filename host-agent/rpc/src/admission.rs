//! Who may run a query now, who waits for a turn, and who is turned away.
//!
//! Searches end by themselves, so that it is worth to wait for one: they queue, in the order in which they came, but
//! past those whose caller has as many running as it may. Follows may last for ever: they are taken or refused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tonic::Status;

use crate::caller::Caller;
use crate::limits::ServerLimits;
use crate::observer::Observer;
use crate::status;

/// What to say to whom there is no room for.
const LATER: &str = "as many as allowed are running; try again when one has ended";

/// Admits queries. Clones share one count.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Shared>);

struct Shared {
    limits: ServerLimits,
    observer: Arc<dyn Observer>,
    state: Mutex<State>,
    /// Told when a slot is given back.
    freed: Notify,
}

#[derive(Default)]
struct State {
    searches: usize,
    follows: usize,
    callers: HashMap<Caller, Share>,
    queue: VecDeque<Waiting>,
    queued_bytes: usize,
    /// Number of the next in the queue.
    next: u64,
}

/// What one caller has.
#[derive(Default)]
struct Share {
    searches: usize,
    follows: usize,
    queued: usize,
}

/// A search that waits for its turn.
struct Waiting {
    number: u64,
    caller: Caller,
    bytes: usize,
    turn: oneshot::Sender<Slot>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Search,
    Follow,
}

/// The right to run one query, until it is dropped.
pub(crate) struct Slot {
    admission: Admission,
    kind: Kind,
    caller: Caller,
}

impl Admission {
    pub(crate) fn new(limits: ServerLimits, observer: Arc<dyn Observer>) -> Admission {
        let state = Mutex::default();
        Admission(Arc::new(Shared { limits, observer, state, freed: Notify::new() }))
    }

    /// Takes a query that follows.
    ///
    /// # Errors
    /// As many as allowed are running, in all or of this caller.
    pub(crate) fn follow(&self, caller: Caller) -> Result<Slot, Status> {
        let limits = &self.0.limits;
        let mut state = self.lock();
        let full = |limit, value| Err(status::limit("query", limit, value, LATER));
        if state.follows >= limits.max_follows {
            return full("max_follows", limits.max_follows);
        }
        if state.share(caller).follows >= limits.max_follows_per_caller {
            return full("max_follows_per_caller", limits.max_follows_per_caller);
        }
        state.share(caller).follows += 1;
        state.follows += 1;
        Ok(self.slot(Kind::Follow, caller))
    }

    /// Takes a search, whose request has so many bytes, when its turn comes.
    ///
    /// # Errors
    /// The queue is full, or the turn doesn't come in time.
    pub(crate) async fn search(&self, caller: Caller, bytes: usize) -> Result<Slot, Status> {
        let (number, turn) = {
            let mut state = self.lock();
            if state.has_room(caller, &self.0.limits) {
                state.begin(caller);
                return Ok(self.slot(Kind::Search, caller));
            }
            self.check_queue(&mut state, caller, bytes)?;
            let (sender, turn) = oneshot::channel();
            let number = state.next;
            state.next += 1;
            state.queued_bytes += bytes;
            state.share(caller).queued += 1;
            state.queue.push_back(Waiting { number, caller, bytes, turn: sender });
            (number, turn)
        };
        self.0.observer.queued(true);
        // Also when the client leaves meanwhile: then this future is dropped.
        let place = Place { admission: self, number };
        let waited = tokio::time::timeout(self.0.limits.queue, turn).await;
        drop(place);
        match waited {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(status::shutting_down()),
            Err(_) => {
                let seconds = self.0.limits.queue.as_secs_f64();
                Err(status::limit(
                    "query",
                    "queue_seconds",
                    seconds,
                    "its turn didn't come in time; try again later",
                ))
            }
        }
    }

    /// Waits until nothing runs.
    pub(crate) async fn idle(&self) {
        loop {
            let freed = self.0.freed.notified();
            if matches!(*self.lock(), State { searches: 0, follows: 0, .. }) {
                return;
            }
            freed.await;
        }
    }

    /// Turns away all who wait.
    pub(crate) fn close_queue(&self) {
        // Their places are given back when they learn of it.
        self.lock().queue.iter_mut().for_each(|waiting| waiting.turn = oneshot::channel().0);
    }

    fn check_queue(&self, state: &mut State, caller: Caller, bytes: usize) -> Result<(), Status> {
        let limits = &self.0.limits;
        let (limit, value) = if state.queue.len() >= limits.max_queued {
            ("max_queued", limits.max_queued)
        } else if state.share(caller).queued >= limits.max_queued_per_caller {
            ("max_queued_per_caller", limits.max_queued_per_caller)
        } else if state.queued_bytes.saturating_add(bytes) > limits.max_queued_bytes {
            ("max_queued_bytes", limits.max_queued_bytes)
        } else {
            return Ok(());
        };
        state.forget(caller);
        Err(status::limit("query", limit, value, LATER))
    }

    fn slot(&self, kind: Kind, caller: Caller) -> Slot {
        Slot { admission: self.clone(), kind, caller }
    }

    /// Has those begin that there is room for.
    fn call_next(&self) {
        loop {
            let waiting = {
                let mut state = self.lock();
                let State { queue, .. } = &*state;
                let Some(at) =
                    queue.iter().position(|waiting| state.has_room(waiting.caller, &self.0.limits))
                else {
                    return;
                };
                let waiting = state.take(at);
                state.begin(waiting.caller);
                waiting
            };
            // One that has left gives its slot back by dropping it, which calls the next.
            drop(waiting.turn.send(self.slot(Kind::Search, waiting.caller)));
        }
    }

    /// The state is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn share(&mut self, caller: Caller) -> &mut Share {
        self.callers.entry(caller).or_default()
    }

    fn has_room(&self, caller: Caller, limits: &ServerLimits) -> bool {
        let own = self.callers.get(&caller).map_or(0, |share| share.searches);
        self.searches < limits.max_queries && own < limits.max_queries_per_caller
    }

    fn begin(&mut self, caller: Caller) {
        self.searches += 1;
        self.share(caller).searches += 1;
    }

    /// Takes the search at this place out of the queue.
    fn take(&mut self, at: usize) -> Waiting {
        let waiting = self.queue.remove(at).expect("callers have just found it there");
        self.queued_bytes -= waiting.bytes;
        self.share(waiting.caller).queued -= 1;
        self.forget(waiting.caller);
        waiting
    }

    /// Keeps nothing of a caller that has nothing here.
    fn forget(&mut self, caller: Caller) {
        if matches!(self.callers.get(&caller), Some(Share { searches: 0, follows: 0, queued: 0 })) {
            self.callers.remove(&caller);
        }
    }
}

/// A place in the queue, given up when it is dropped.
struct Place<'a> {
    admission: &'a Admission,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        if let Some(at) = state.queue.iter().position(|waiting| waiting.number == self.number) {
            state.take(at);
        }
        drop(state);
        self.admission.0.observer.queued(false);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        match self.kind {
            Kind::Search => {
                state.searches -= 1;
                state.share(self.caller).searches -= 1;
            }
            Kind::Follow => {
                state.follows -= 1;
                state.share(self.caller).follows -= 1;
            }
        }
        state.forget(self.caller);
        drop(state);
        if self.kind == Kind::Search {
            self.admission.call_next();
        }
        self.admission.0.freed.notify_waiters();
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
