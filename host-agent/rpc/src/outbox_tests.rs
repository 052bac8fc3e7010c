//! Tests of the outbox: order, batching, back-pressure, and each way in which it ends.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_stream::StreamExt;
use weir_query::{Flags, Progress, Record, Summary};

use super::*;
use crate::observer::Unobserved;
use v1::query_response::Event as WireEvent;

const NEVER: Duration = Duration::from_secs(3600);

fn records(messages: &[&str]) -> Event {
    let mut batch = RecordBatch::default();
    for message in messages {
        let (start, end) = batch.append(message.as_bytes());
        batch.records.push(Record {
            start,
            end,
            fields_start: end,
            fields_end: end,
            time: None,
            source: 0,
            file: 0,
            offset: 0,
            stream: weir_query::Stream::Stdout,
            flags: Flags::default(),
        });
    }
    Event::Records { batch, positions: Vec::new() }
}

fn new(stall: Duration) -> (Producer, Responses, Cancel) {
    made(stall, false)
}

fn made(stall: Duration, pauses: bool) -> (Producer, Responses, Cancel) {
    let cancel = Cancel::default();
    let observer = Arc::new(Unobserved);
    let (producer, responses) =
        outbox(Outbox { cancel: cancel.clone(), stall, pauses, observer, draining: None });
    (producer, responses, cancel)
}

fn describe(response: &v1::QueryResponse) -> String {
    match response.event.as_ref().expect("an event") {
        WireEvent::Records(batch) => {
            format!("{} {}", batch.ends.len(), String::from_utf8_lossy(&batch.messages))
        }
        WireEvent::Progress(_) => "progress".to_owned(),
        WireEvent::Summary(_) => "summary".to_owned(),
        other => format!("{other:?}"),
    }
}

async fn rest(responses: &mut Responses) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(response) = responses.next().await {
        all.push(match response {
            Ok(response) => describe(&response),
            Err(status) => format!("error: {}", status.message()),
        });
    }
    all
}

#[tokio::test]
async fn small_batches_are_merged_and_order_is_kept() {
    let (producer, mut responses, _cancel) = new(NEVER);
    assert_eq!(producer.send(records(&["a", "b"])), Flow::Continue);
    assert_eq!(producer.send(records(&["c"])), Flow::Continue);
    assert_eq!(producer.send(Event::Progress(Progress::default())), Flow::Continue);
    assert_eq!(producer.send(records(&["d"])), Flow::Continue);
    assert_eq!(producer.send(Event::Summary(Summary::default())), Flow::Continue);
    assert_eq!(producer.finish(Ok(())), Ok(()));
    assert_eq!(rest(&mut responses).await, ["3 abc", "progress", "1 d", "summary"]);
    assert!(responses.next().await.is_none(), "the end stays the end");
}

#[tokio::test(start_paused = true)]
async fn a_lone_record_is_sent_after_its_linger() {
    let (producer, mut responses, _cancel) = new(NEVER);
    assert_eq!(producer.send(records(&["rare"])), Flow::Continue);
    let before = tokio::time::Instant::now();
    let response = responses.next().await.expect("a response").expect("no error");
    assert_eq!(describe(&response), "1 rare");
    // Tokio's clock counts whole milliseconds, rounded up.
    assert!(before.elapsed() <= LINGER + Duration::from_millis(1), "{:?}", before.elapsed());
    drop(producer);
}

#[tokio::test]
async fn a_full_queue_stops_the_search_until_the_client_reads() {
    let (producer, mut responses, _cancel) = new(NEVER);
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let search = std::thread::spawn(move || {
        let message = "x".repeat(BATCH_BYTES);
        for _ in 0..100 {
            assert_eq!(producer.send(records(&[&message])), Flow::Continue);
            counter.fetch_add(1, Ordering::SeqCst);
        }
        producer.finish(Ok(()))
    });
    let mut received = 0;
    while responses.next().await.is_some() {
        received += 1;
        // One may be on its way into the queue, counted late or not yet.
        assert!(sent.load(Ordering::SeqCst) <= received + QUEUE as u64 + 1);
    }
    assert_eq!(received, 100);
    assert_eq!(search.join().expect("the search ends"), Ok(()));
}

#[tokio::test]
async fn few_large_responses_fill_the_queue_too() {
    let (producer, mut responses, _cancel) = new(Duration::from_millis(1));
    let message = "x".repeat(QUEUE_BYTES);
    assert_eq!(producer.send(records(&[&message])), Flow::Continue);
    // The queue is empty when the first comes, and full with it.
    assert_eq!(producer.send(records(&[&message])), Flow::Stop);
    assert_eq!(producer.finish(Err(Status::internal("stalled"))), Err(Closed::Stalled));
    assert_eq!(rest(&mut responses).await, ["error: stalled"]);
}

#[tokio::test]
async fn room_is_there_again_when_large_responses_were_taken() {
    let (producer, mut responses, _cancel) = new(NEVER);
    let search = std::thread::spawn(move || {
        let message = "x".repeat(QUEUE_BYTES);
        for _ in 0..10 {
            assert_eq!(producer.send(records(&[&message])), Flow::Continue);
        }
        producer.finish(Ok(()))
    });
    assert_eq!(rest(&mut responses).await.len(), 10);
    assert_eq!(search.join().expect("the search ends"), Ok(()));
}

#[tokio::test]
async fn a_client_that_leaves_frees_a_waiting_search() {
    let (producer, responses, cancel) = new(NEVER);
    let search = std::thread::spawn(move || {
        let message = "x".repeat(BATCH_BYTES);
        while producer.send(records(&[&message])) == Flow::Continue {}
        producer.finish(Ok(()))
    });
    drop(responses);
    assert_eq!(search.join().expect("the search ends"), Err(Closed::Gone));
    assert!(cancel.is_cancelled());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let (producer, mut responses, _cancel) = new(Duration::from_millis(1));
    let search = std::thread::spawn(move || {
        let message = "x".repeat(BATCH_BYTES);
        while producer.send(records(&[&message])) == Flow::Continue {}
        producer.finish(Err(Status::internal("stalled")))
    });
    assert_eq!(search.join().expect("the search ends"), Err(Closed::Stalled));
    assert_eq!(responses.shared.lock().queued_bytes, 0);
    assert_eq!(rest(&mut responses).await, ["error: stalled"], "what was queued is not kept");
}

/// Sends until a pause; how many events that were.
fn send_until_pause(producer: &Producer) -> usize {
    let message = "x".repeat(BATCH_BYTES);
    let sent = (1..).find(|_| producer.send(records(&[&message])) == Flow::Pause);
    sent.expect("the queue is full at last")
}

#[tokio::test]
async fn a_search_that_can_be_left_is_left_and_loses_nothing() {
    let (producer, mut responses, _cancel) = made(NEVER, true);
    let sent = send_until_pause(&producer);
    let mut taken = 0;
    {
        let mut room = std::pin::pin!(producer.room());
        while !is_ready(&mut room).await {
            responses.next().await.expect("a response").expect("no error");
            taken += 1;
        }
    }
    assert!(0 < taken && taken < sent, "{taken} of {sent}");
    assert!(!producer.is_closed());
    assert_eq!(producer.finish(Ok(())), Ok(()));
    // What was sent with the pause is there too.
    assert_eq!(rest(&mut responses).await.len(), sent - taken);
}

/// Whether a future has come to its end.
async fn is_ready(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test]
async fn a_search_that_was_left_hears_of_a_client_that_leaves_or_takes_nothing() {
    let (producer, responses, cancel) = made(NEVER, true);
    send_until_pause(&producer);
    drop(responses);
    producer.room().await;
    assert!(producer.is_closed() && cancel.is_cancelled());
    assert_eq!(producer.finish(Ok(())), Err(Closed::Gone));

    let (producer, mut responses, _cancel) = made(PATIENCE + Duration::from_millis(1), true);
    send_until_pause(&producer);
    producer.room().await;
    assert_eq!(producer.finish(Err(Status::internal("stalled"))), Err(Closed::Stalled));
    assert_eq!(rest(&mut responses).await, ["error: stalled"]);
}

#[tokio::test]
async fn a_search_that_vanishes_is_an_error() {
    let (producer, mut responses, _cancel) = new(NEVER);
    assert_eq!(producer.send(records(&["a"])), Flow::Continue);
    drop(producer);
    assert_eq!(rest(&mut responses).await, ["1 a", "error: the search ended without a summary"]);
}

#[derive(Default)]
struct Sent(AtomicU64);

impl Observer for Sent {
    fn sent(&self, records: u64) {
        self.0.fetch_add(records, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_server_that_drains_has_a_search_that_follows_wind_up() {
    let (phase, phases) = crate::phase::phases();
    let cancel = Cancel::default();
    let (producer, mut responses) = outbox(Outbox {
        cancel: cancel.clone(),
        stall: NEVER,
        pauses: false,
        observer: Arc::new(Unobserved),
        draining: Some(phases),
    });
    let reader = tokio::spawn(async move { rest(&mut responses).await });
    tokio::task::yield_now().await;
    assert!(!cancel.is_winding_up());
    phase.send_replace(crate::phase::Phase::Draining);
    while !cancel.is_winding_up() {
        tokio::task::yield_now().await;
    }
    assert_eq!(producer.finish(Err(Status::unavailable("later"))), Ok(()));
    assert_eq!(reader.await.expect("no panic"), ["error: later"]);
}

#[tokio::test]
async fn records_count_as_sent_when_they_are_taken() {
    let sent = Arc::new(Sent::default());
    let (producer, mut responses) = outbox(Outbox {
        cancel: Cancel::default(),
        stall: NEVER,
        pauses: false,
        observer: Arc::clone(&sent) as Arc<dyn Observer>,
        draining: None,
    });
    assert_eq!(producer.send(records(&["a", "b"])), Flow::Continue);
    assert_eq!(producer.finish(Ok(())), Ok(()));
    assert_eq!(sent.0.load(Ordering::SeqCst), 0);
    assert_eq!(rest(&mut responses).await, ["2 ab"]);
    assert_eq!(sent.0.load(Ordering::SeqCst), 2);
}
