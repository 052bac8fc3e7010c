//! Tests of admission: who runs, who waits, who is turned away, and that nothing is left behind.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tonic::Code;

use super::*;
use crate::observer::Unobserved;

fn caller(number: u8) -> Caller {
    Caller::Address(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)))
}

fn admission(limits: ServerLimits) -> Admission {
    Admission::new(limits, Arc::new(Unobserved))
}

fn two_each_one() -> ServerLimits {
    ServerLimits { max_queries: 2, max_queries_per_caller: 1, ..ServerLimits::default() }
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn waits(admission: &Admission, caller: Caller) -> tokio::task::JoinHandle<Result<Slot, Status>> {
    let admission = admission.clone();
    tokio::spawn(async move { admission.search(caller, 10).await })
}

fn is_empty(admission: &Admission) -> bool {
    let state = admission.lock();
    let none = state.searches + state.follows + state.queue.len() + state.queued_bytes == 0;
    none && state.callers.is_empty()
}

fn limit(result: Result<Slot, Status>) -> String {
    let status = result.err().expect("no room");
    assert_eq!(status.code(), Code::ResourceExhausted);
    status::limit_of(&status).expect("a limit")
}

#[tokio::test(start_paused = true)]
async fn a_search_waits_for_its_turn_and_others_pass_one_whose_caller_has_enough() {
    let admission = admission(two_each_one());
    let first = admission.search(caller(1), 10).await.expect("room");
    let greedy = waits(&admission, caller(1));
    settle().await;
    let modest = waits(&admission, caller(2));
    settle().await;
    assert!(modest.is_finished() && !greedy.is_finished());
    let third = waits(&admission, caller(3));
    settle().await;
    assert!(!third.is_finished());
    drop(first);
    settle().await;
    assert!(greedy.is_finished() && !third.is_finished(), "who came first is first");
    drop(modest.await.expect("no panic").expect("a slot"));
    settle().await;
    assert!(third.is_finished());
    drop((greedy.await, third.await));
    assert!(is_empty(&admission));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_in_time_is_refused_by_name() {
    let admission = admission(two_each_one());
    let first = admission.search(caller(1), 10).await.expect("room");
    assert_eq!(limit(admission.search(caller(1), 10).await), "queue_seconds");
    drop(first);
    assert!(is_empty(&admission));
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_in_all_by_caller_and_by_bytes() {
    let limits = ServerLimits {
        max_queries: 1,
        max_queued: 3,
        max_queued_per_caller: 2,
        max_queued_bytes: 35,
        ..ServerLimits::default()
    };
    let admission = admission(limits);
    let first = admission.search(caller(1), 10).await.expect("room");
    let waiting = [waits(&admission, caller(1)), waits(&admission, caller(1))];
    settle().await;
    assert_eq!(limit(admission.search(caller(1), 1).await), "max_queued_per_caller");
    assert_eq!(limit(admission.search(caller(2), 16).await), "max_queued_bytes");
    let third = waits(&admission, caller(2));
    settle().await;
    assert_eq!(limit(admission.search(caller(3), 1).await), "max_queued");
    // Who leaves makes room.
    third.abort();
    settle().await;
    assert!(!waits(&admission, caller(3)).is_finished());
    waiting.iter().for_each(|waiting| waiting.abort());
    drop(first);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(is_empty(&admission));
}

#[tokio::test(start_paused = true)]
async fn follows_are_refused_at_once_and_do_not_count_as_searches() {
    let limits =
        ServerLimits { max_queries: 1, max_follows: 2, max_follows_per_caller: 1, ..ServerLimits::default() };
    let admission = admission(limits);
    let search = admission.search(caller(1), 10).await.expect("room");
    let follow = admission.follow(caller(1)).expect("room");
    assert_eq!(limit(admission.follow(caller(1))), "max_follows_per_caller");
    let other = admission.follow(caller(2)).expect("room");
    assert_eq!(limit(admission.follow(caller(3))), "max_follows");
    drop(follow);
    drop(admission.follow(caller(3)).expect("room again"));
    drop((search, other));
    assert!(is_empty(&admission));
    admission.idle().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_when_the_queue_is_closed_is_told_so() {
    let admission = admission(two_each_one());
    let first = admission.search(caller(1), 10).await.expect("room");
    let waiting = waits(&admission, caller(1));
    settle().await;
    admission.close_queue();
    let status = waiting.await.expect("no panic").err().expect("no turn");
    assert_eq!(status.code(), Code::Unavailable);
    drop(first);
    assert!(is_empty(&admission));
}
