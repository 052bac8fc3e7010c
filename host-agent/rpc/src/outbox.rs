//! Between a search, which blocks, and its response stream, which must not: a bounded outbox.
//!
//! The search's [`Producer`] collects records into one open batch and queues full batches and other events
//! behind it; it waits while the queue is full, and so the reading of files waits for the client. A search that has
//! waited for a while is left ([`Flow::Pause`]) until there is [`Producer::room`]. The [`Responses`] side takes from the queue, or, when there is nothing in it and the open batch has had its
//! linger, the open batch: a busy client gets large batches, a rare hit isn't kept waiting. Dropping
//! `Responses`, as the server does when the call is cancelled or its connection lost, cancels the search.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::Status;
use weir_query::{Cancel, Event, Flow, Record, RecordBatch, SourcePosition};

use crate::batch::Columns;
use crate::observer::Observer;
use crate::phase::Phases;
use crate::wire::v1;
use crate::{convert, status};

/// Bytes of messages and fields at which a batch is full. The records of one event may pass it.
const BATCH_BYTES: usize = 64 << 10;

/// Records at which a batch is full, whatever their size: columns cost too.
const BATCH_RECORDS: usize = 8 << 10;

/// Responses that wait for the client at most; the open batch comes on top.
const QUEUE: usize = 4;

/// Bytes of messages and fields at which the queue is full, however few responses they are in. The records of one event
/// may pass it.
const QUEUE_BYTES: usize = 2 * BATCH_BYTES;

/// How long a search waits for a client before it gives up its thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an open batch waits for more.
const LINGER: Duration = Duration::from_millis(5);

/// How an outbox is made.
pub(crate) struct Outbox {
    /// Cancels the search.
    pub(crate) cancel: Cancel,
    /// How long a client may take nothing before it is given up.
    pub(crate) stall: Duration,
    /// Whether the search can be left and taken up again; else it waits with its thread.
    pub(crate) pauses: bool,
    pub(crate) observer: Arc<dyn Observer>,
    /// Where the search is to wind up when the server drains.
    pub(crate) draining: Option<Phases>,
}

/// Makes an outbox.
pub(crate) fn outbox(outbox: Outbox) -> (Producer, Responses) {
    let Outbox { cancel, stall, pauses, observer, draining } = outbox;
    let (room, left) = (Condvar::new(), Notify::new());
    let shared = Arc::new(Shared { state: Mutex::new(State::default()), room, left });
    let producer = Producer { shared: Arc::clone(&shared), stall, pauses };
    let draining = draining.map(|mut phases| -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { phases.draining().await })
    });
    (producer, Responses { shared, cancel, stall, observer, draining, linger: None, taken: None })
}

/// The search's end. Dropped without [`Producer::finish`], it ends the stream with an error.
pub(crate) struct Producer {
    shared: Arc<Shared>,
    stall: Duration,
    pauses: bool,
}

/// Why a search has nothing to send to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The client is gone.
    Gone,
    /// The client took nothing for as long as it may.
    Stalled,
}

impl Producer {
    /// Takes an event, in any case but that nobody listens any more. Waits while the queue is full.
    pub(crate) fn send(&self, event: Event) -> Flow {
        let sent = match event {
            Event::Records { batch, positions } => self.send_records(batch, positions),
            event => self.send_response(convert::response(event)),
        };
        match sent {
            Ok(flow) => flow,
            Err(_) => Flow::Stop,
        }
    }

    /// Waits until half of the queue is free, or nobody listens any more, or the client has taken nothing for too
    /// long. Takes no thread.
    pub(crate) async fn room(&self) {
        let rest = self.stall.saturating_sub(PATIENCE);
        while self.shared.lock().is_half_full() {
            if tokio::time::timeout(rest, self.shared.left.notified()).await.is_err() {
                self.shared.lock().give_up();
            }
        }
    }

    /// Whether nobody listens any more, or the client was given up.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.lock().closed.is_some()
    }

    /// Ends the stream, with an error if there is one, and tells whether somebody still listens.
    pub(crate) fn finish(self, end: Result<(), Status>) -> Result<(), Closed> {
        let mut state = self.shared.lock();
        state.end.get_or_insert(end);
        state.wake();
        match state.closed {
            Some(closed) => Err(closed),
            None => Ok(()),
        }
    }

    /// Records of one event go together, so that a client never has some of them without the positions behind
    /// them.
    fn send_records(&self, batch: RecordBatch, positions: Vec<SourcePosition>) -> Result<Flow, Closed> {
        let mut state = self.shared.lock();
        let mut flow = Flow::Continue;
        let bytes = batch.records.iter().map(Record::len).sum::<usize>();
        if state.open.bytes() + bytes > BATCH_BYTES {
            (state, flow) = self.wait(state)?;
            state.queue_open();
        }
        state.open.append(batch);
        state.open.note(positions);
        if flow == Flow::Continue && (state.open.bytes() >= BATCH_BYTES || state.open.len() >= BATCH_RECORDS)
        {
            (state, flow) = self.wait(state)?;
            state.queue_open();
        }
        state.wake();
        state.closed.map_or(Ok(flow), Err)
    }

    fn send_response(&self, response: v1::QueryResponse) -> Result<Flow, Closed> {
        let (mut state, flow) = self.wait(self.shared.lock())?;
        // Records found before this event are to be seen before it. The queue passes its bound by this one.
        state.queue_open();
        state.queue.push_back(response);
        state.wake();
        Ok(flow)
    }

    /// Waits until the queue has room. Where that takes too long for a search that can be left, the queue passes its
    /// bound by what is sent.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> Result<(MutexGuard<'a, State>, Flow), Closed> {
        state.wake();
        let full = |state: &mut State| state.closed.is_none() && state.is_full();
        let most = if self.pauses { self.stall.min(PATIENCE) } else { self.stall };
        let (mut state, timeout) =
            self.shared.room.wait_timeout_while(state, most, full).unwrap_or_else(PoisonError::into_inner);
        let is_late = timeout.timed_out() && state.closed.is_none();
        if is_late && most == self.stall {
            state.give_up();
        }
        match state.closed {
            Some(closed) => Err(closed),
            None => Ok((state, if is_late { Flow::Pause } else { Flow::Continue })),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.end.is_none() {
            state.end = Some(Err(status::no_summary()));
            state.wake();
        }
    }
}

/// The connection's end: the response stream of one query.
pub(crate) struct Responses {
    shared: Arc<Shared>,
    cancel: Cancel,
    stall: Duration,
    observer: Arc<dyn Observer>,
    draining: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    linger: Option<Pin<Box<Sleep>>>,
    /// Dropped with this.
    taken: Option<oneshot::Sender<()>>,
}

/// Tells when a response stream was taken to its end, or left.
pub(crate) struct Taken {
    stall: Duration,
    taken: oneshot::Receiver<()>,
}

impl Taken {
    /// Whether it is within the time that a client may take nothing for.
    pub(crate) async fn within_stall(self) -> bool {
        tokio::time::timeout(self.stall, self.taken).await.is_ok()
    }
}

impl Stream for Responses {
    type Item = Result<v1::QueryResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.draining.as_mut().is_some_and(|draining| draining.as_mut().poll(context).is_ready()) {
            self.draining = None;
            self.cancel.wind_up();
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if let Some(response) = state.pop() {
            shared.tell_room();
            return Poll::Ready(Some(Ok(self.give(response))));
        }
        if let Some(end) = &mut state.end {
            // The end is told once; the error, if there is one, once too.
            let end = std::mem::replace(end, Ok(()));
            state.queue_open();
            return match (state.pop(), end) {
                (Some(response), end) => {
                    state.end = Some(end);
                    Poll::Ready(Some(Ok(self.give(response))))
                }
                (None, Err(status)) => Poll::Ready(Some(Err(status))),
                (None, Ok(())) => Poll::Ready(None),
            };
        }
        state.waker = Some(context.waker().clone());
        if state.open.len() == 0 {
            self.linger = None;
            return Poll::Pending;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        state.queue_open();
        match state.pop() {
            Some(response) => Poll::Ready(Some(Ok(self.give(response)))),
            None => Poll::Pending,
        }
    }
}

impl Responses {
    /// Tells when this was taken to its end, or left.
    pub(crate) fn end(&mut self) -> Taken {
        let (sender, taken) = oneshot::channel();
        self.taken = Some(sender);
        Taken { stall: self.stall, taken }
    }

    fn give(&mut self, response: v1::QueryResponse) -> v1::QueryResponse {
        self.linger = None;
        if let Some(v1::query_response::Event::Records(batch)) = &response.event {
            self.observer.sent(batch.ends.len() as u64);
        }
        response
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.shared.lock().closed.get_or_insert(Closed::Gone);
        self.shared.tell_room();
    }
}

struct Shared {
    state: Mutex<State>,
    /// Told when the queue has room or nobody listens any more.
    room: Condvar,
    /// The same, for a search that was left.
    left: Notify,
}

impl Shared {
    fn tell_room(&self) {
        self.room.notify_one();
        self.left.notify_one();
    }

    /// The state is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<v1::QueryResponse>,
    /// Of messages and fields in the queue.
    queued_bytes: usize,
    open: Columns,
    waker: Option<Waker>,
    closed: Option<Closed>,
    /// How the stream ends once the queue is empty.
    end: Option<Result<(), Status>>,
}

impl State {
    fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE || self.queued_bytes >= QUEUE_BYTES
    }

    /// Whether a search that was left would soon have to wait again.
    fn is_half_full(&self) -> bool {
        self.closed.is_none() && (self.queue.len() > QUEUE / 2 || self.queued_bytes > QUEUE_BYTES / 2)
    }

    /// Gives up a client that takes nothing.
    fn give_up(&mut self) {
        self.closed.get_or_insert(Closed::Stalled);
        // Whoever doesn't take it doesn't make us keep it.
        self.clear();
    }

    fn pop(&mut self) -> Option<v1::QueryResponse> {
        let response = self.queue.pop_front()?;
        if let Some(v1::query_response::Event::Records(batch)) = &response.event {
            self.queued_bytes -= batch.messages.len() + batch.fields.len();
        }
        Some(response)
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.open = Columns::default();
        self.queued_bytes = 0;
    }

    fn queue_open(&mut self) {
        if self.open.len() > 0 {
            self.queued_bytes += self.open.bytes();
            let records = v1::query_response::Event::Records(self.open.take());
            self.queue.push_back(v1::QueryResponse { event: Some(records) });
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
