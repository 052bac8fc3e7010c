//! Batches through a session: verdicts, columns, sources, summaries, and failures narrowed down.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use weir_sandbox::{
    FailureReason, FilterLimits, GuestCall, Paused, Session, SourceMeta, SourceVerdict, Verdict, Verdicts,
};

use crate::guests::Puppet;
use crate::{Records, bind};

fn session(puppet: &Puppet) -> Session {
    bind(puppet, &FilterLimits::default()).session()
}

fn process<M: AsRef<[u8]>>(session: &mut Session, messages: &[M]) -> Verdicts {
    let records = Records::new(messages);
    let mut out = Verdicts::new();
    session.process(7, &records.batch(), &mut out);
    assert_eq!(out.len(), messages.len());
    out
}

/// A word per record: what became of it.
fn words(verdicts: &Verdicts) -> Vec<String> {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Keep => "keep".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Replace(range) => {
            format!("={}", String::from_utf8_lossy(verdicts.bytes(range.clone())))
        }
        Verdict::Stop => "stop".to_owned(),
        Verdict::Failed => "failed".to_owned(),
    };
    verdicts.as_slice().iter().map(word).collect()
}

#[test]
fn verdicts_come_out_in_order() {
    let mut session = session(&Puppet::default());
    let out = process(&mut session, &["keep", "drop", "rab", "", "apple", "r2", "\u{1b}x"]);
    assert_eq!(words(&out), ["keep", "drop", "=Rab", "keep", "keep", "=R2", "keep"]);
    assert_eq!(out.fields(4), Some(&b"{\"a\":1}"[..]));
    assert_eq!((out.fields(3), out.fields(5), out.has_fields()), (None, None, true));
    let stats = session.stats();
    assert_eq!((stats.records_in, stats.kept, stats.dropped, stats.replaced, stats.failed), (7, 4, 1, 2, 0));
    assert_eq!((stats.batches, stats.restarts, stats.failure_count), (1, 0, 0));
    assert!(stats.peak_memory_bytes >= 128 << 10 && !stats.wall.is_zero());
    assert!(process::<&str>(&mut session, &[]).is_empty());
    assert_eq!(words(&process(&mut session, &["k"])), ["keep"], "the list is cleared");
}

#[test]
fn a_stop_drops_all_that_follows_without_a_call() {
    let mut session = session(&Puppet::default());
    assert_eq!(words(&process(&mut session, &["k", "s", "k", "r"])), ["keep", "stop", "stop", "stop"]);
    assert!(session.stopped());
    assert_eq!(words(&process(&mut session, &["k", "x"])), ["stop", "stop"]);
    assert_eq!((session.stats().batches, session.stats().dropped), (1, 5));
    assert_eq!(session.begin_source(8, &SourceMeta::default()), SourceVerdict::Skip);
}

#[test]
fn a_poisoned_record_is_found_and_the_others_lose_nothing() {
    for poison in ["x", "c", "n", "j", "w", "o"] {
        let mut session = session(&Puppet::default());
        let mut messages: Vec<String> = (0..100).map(|i| format!("r{i}")).collect();
        messages[61] = poison.to_owned();
        let out = words(&process(&mut session, &messages));
        for (i, word) in out.iter().enumerate() {
            let expected = if i == 61 { "failed".to_owned() } else { format!("=R{i}") };
            assert_eq!(*word, expected, "{poison}");
        }
        let stats = session.stats();
        assert_eq!((stats.replaced, stats.failed, stats.failure_count, stats.pause), (99, 1, 1, None));
        assert_eq!((stats.failures[0].record, stats.failures[0].source), (Some(61), Some(7)));
        assert!(stats.restarts >= 1, "{poison}");
        process(&mut session, &["k", poison]);
        assert_eq!(session.stats().failures[1].record, Some(101), "counted over batches");
    }
}

#[test]
fn an_error_that_names_its_record_costs_no_instance_and_no_search() {
    let mut session = session(&Puppet { kind: 3, ..Puppet::default() });
    let out = words(&process(&mut session, &["k", "k", "e", "d", "e", "k"]));
    assert_eq!(out, ["keep", "keep", "failed", "drop", "failed", "keep"]);
    let stats = session.stats();
    assert_eq!((stats.restarts, stats.failure_count), (0, 2));
    let failure = &stats.failures[0];
    assert_eq!((failure.call, failure.reason), (GuestCall::Process, FailureReason::Reported));
    assert_eq!((failure.detail.as_str(), failure.record), ("fell over", Some(2)));
    assert_eq!(session.finish(), ["{\"seen\":10000004}"], "each good record was counted once");
}

#[test]
fn after_too_many_failures_the_filter_is_not_called_for_a_while() {
    let breaker_pause = Duration::from_secs(3600);
    let limits = FilterLimits { failures: 2, breaker_pause, ..FilterLimits::default() };
    let mut session = bind(&Puppet::default(), &limits).session();
    let out = words(&process(&mut session, &["x", "k", "x", "k", "x", "k", "k"]));
    assert_eq!(out, ["failed", "keep", "failed", "keep", "failed", "failed", "failed"]);
    let stats = session.stats();
    assert_eq!((stats.pause, stats.breaker_opened, stats.paused), (Some(Paused::Failures), 1, 2));
    let batches = session.stats().batches;
    assert_eq!(words(&process(&mut session, &["k"])), ["failed"]);
    assert_eq!(session.stats().batches, batches, "it isn't called");
    assert_eq!(session.begin_source(9, &SourceMeta::default()), SourceVerdict::Scan);
    assert!(session.finish().is_empty());
}

#[test]
fn the_breaker_is_one_for_all_sessions_of_a_binding() {
    let breaker_pause = Duration::from_secs(3600);
    let limits = FilterLimits { failures: 0, breaker_pause, ..FilterLimits::default() };
    let filter = crate::load(&Puppet::default());
    let binding = filter.open("{}", &limits).expect("opens");
    let (mut one, mut two) = (binding.session(), binding.session());
    assert_eq!(words(&process(&mut one, &["k"])), ["keep"]);
    assert_eq!(words(&process(&mut two, &["x"])), ["failed"]);
    assert_eq!(words(&process(&mut one, &["k"])), ["failed"]);
    assert_eq!((one.stats().paused, one.stats().failure_count), (1, 0), "no failure of its own");
    let mut other = filter.open("{}", &limits).expect("opens").session();
    assert_eq!(words(&process(&mut other, &["k"])), ["keep"], "another binding has a breaker of its own");
}

#[test]
fn a_filter_that_recovered_is_called_again() {
    let limits =
        FilterLimits { failures: 0, breaker_pause: Duration::from_millis(1), ..FilterLimits::default() };
    let mut session = bind(&Puppet::default(), &limits).session();
    assert_eq!(words(&process(&mut session, &["x"])), ["failed"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while words(&process(&mut session, &["k"])) != ["keep"] {
        assert!(Instant::now() < deadline, "it is never called again");
        std::thread::yield_now();
    }
    assert_eq!(session.stats().failure_count, 1);
}

#[test]
fn a_kind_that_must_not_change_messages_can_not() {
    for kind in [0, 3] {
        let mut session = session(&Puppet { kind, ..Puppet::default() });
        assert_eq!(words(&process(&mut session, &["k", "r", "d"])), ["keep", "failed", "drop"]);
        let failure = &session.stats().failures[0];
        assert_eq!(failure.reason, FailureReason::Contract);
        assert!(failure.detail.contains("must not do"), "{}", failure.detail);
    }
}

#[test]
fn only_asked_columns_are_needed_and_sent() {
    let mut session = session(&Puppet { columns: 0b010, ..Puppet::default() });
    let records = Records::new(&["x", "x"]);
    let mut batch = records.batch();
    batch.attrs = &[];
    let mut out = Verdicts::new();
    session.process(0, &batch, &mut out);
    assert_eq!(words(&out), ["keep", "keep"], "it never saw the messages");
}

#[test]
#[should_panic(expected = "one timestamp per record")]
fn a_batch_without_a_column_that_was_asked_for_is_the_callers_mistake() {
    let mut session = session(&Puppet::default());
    let records = Records::new(&["k"]);
    let mut batch = records.batch();
    batch.timestamps = &[];
    session.process(0, &batch, &mut Verdicts::new());
}

fn pod(name: &str) -> SourceMeta {
    SourceMeta {
        namespace: "shop".to_owned(),
        pod: name.to_owned(),
        labels: vec![("app".to_owned(), "web".to_owned())],
        ..SourceMeta::default()
    }
}

#[test]
fn sources_are_announced_and_announced_again_to_a_new_instance() {
    // The guest traps on a batch of a source that this instance was not told of.
    let puppet = Puppet {
        extra: "(global $told (mut i32) (i32.const 0))",
        prologue: vec![
            (
                "begin-source",
                "(global.set $told (i32.or (global.get $told) (i32.shl (i32.const 1) (local.get 0))))",
            ),
            (
                "process",
                "(if (i32.eqz (i32.and (global.get $told) (i32.shl (i32.const 1) (local.get $source)))) (then unreachable))",
            ),
        ],
        ..Puppet::default()
    };
    let mut session = session(&puppet);
    assert_eq!(session.begin_source(1, &pod("web")), SourceVerdict::Scan);
    assert_eq!(session.begin_source(2, &pod("S")), SourceVerdict::Skip);
    assert_eq!(session.begin_source(3, &pod("db")), SourceVerdict::Scan);
    let mut out = Verdicts::new();
    session.process(1, &Records::new(&["k", "x", "k"]).batch(), &mut out);
    assert_eq!(words(&out), ["keep", "failed", "keep"]);
    session.process(3, &Records::new(&["k"]).batch(), &mut out);
    assert_eq!(words(&out), ["keep"]);
    assert_eq!(session.stats().failure_count, 1);
}

#[test]
fn a_source_that_the_filter_fails_on_fails_with_all_its_records() {
    let mut session = session(&Puppet::default());
    assert_eq!(session.begin_source(1, &pod("x")), SourceVerdict::Scan);
    assert_eq!(session.begin_source(2, &pod("ok")), SourceVerdict::Scan);
    let mut out = Verdicts::new();
    session.process(1, &Records::new(&["k", "d"]).batch(), &mut out);
    assert_eq!(words(&out), ["failed", "failed"]);
    session.process(2, &Records::new(&["k", "d"]).batch(), &mut out);
    assert_eq!(words(&out), ["keep", "drop"]);
    let failure = &session.stats().failures[0];
    assert_eq!((failure.call, failure.source, failure.record), (GuestCall::BeginSource, Some(1), None));
    assert_eq!((session.stats().failure_count, session.stats().failed), (1, 2));
}

#[test]
fn summaries_are_given_once_and_only_good_ones() {
    let mut session = session(&Puppet { kind: 3, ..Puppet::default() });
    process(&mut session, &["k", "k", "k"]);
    assert_eq!(session.finish(), ["{\"seen\":10000003}"]);
    assert!(session.finish().is_empty());

    let mut unused = self::session(&Puppet { kind: 3, ..Puppet::default() });
    assert_eq!(unused.finish(), ["{\"seen\":10000000}"], "nothing seen is an answer too");

    let broken = "(i32.store (i32.const 900) (i32.const 908)) (i32.store (i32.const 904) (i32.const 1))
        (i32.store (i32.const 908) (i32.const 807)) (i32.store (i32.const 912) (i32.const 7))
        (return (i32.const 900))";
    let mut session = self::session(&Puppet { prologue: vec![("finish", broken)], ..Puppet::default() });
    process(&mut session, &["k"]);
    assert!(session.finish().is_empty());
    assert_eq!(session.stats().failures[0].call, GuestCall::Finish);
}

#[test]
fn diagnostics_are_bounded() {
    let limits = FilterLimits { diagnostics: 3, diagnostic_bytes: 4, ..FilterLimits::default() };
    let mut session = bind(&Puppet::default(), &limits).session();
    assert!(session.diagnostics().is_empty(), "there is no instance yet");
    process(&mut session, &["k"]);
    assert_eq!(session.diagnostics(), ["pupp", "pupp", "pupp"]);
}

#[test]
fn sessions_of_one_binding_know_nothing_of_each_other() {
    let binding = bind(&Puppet { kind: 3, ..Puppet::default() }, &FilterLimits::default());
    let (mut one, mut two) = (binding.session(), binding.session());
    std::thread::scope(|scope| {
        scope.spawn(|| process(&mut one, &["k", "k"]));
        scope.spawn(|| process(&mut two, &["k"]));
    });
    assert_eq!(one.finish(), ["{\"seen\":10000002}"]);
    assert_eq!(two.finish(), ["{\"seen\":10000001}"]);
    let mut sum = one.stats().clone();
    sum.add(two.stats());
    assert_eq!((sum.records_in, sum.batches), (3, 2));
}

#[test]
fn a_filter_that_is_slow_for_its_batches_finds_its_pace() {
    // Endless for more than 12 records at once.
    let slow = "(if (i32.gt_u (local.get $n) (i32.const 12)) (then (loop $ever (br $ever))))";
    let puppet = Puppet { prologue: vec![("process", slow)], ..Puppet::default() };
    let limits = FilterLimits { batch_time: Duration::from_millis(5), ..FilterLimits::default() };
    let mut session = bind(&puppet, &limits).session();
    for _ in 0..5 {
        let out = process(&mut session, &["k"; 100]);
        assert!(out.as_slice().iter().all(|verdict| *verdict == Verdict::Keep));
    }
    let stats = session.stats();
    assert_eq!((stats.failure_count, stats.kept, stats.pause), (0, 500, None));
    // Four calls too many find the pace; then only one in sixteen tries for more.
    assert!(stats.restarts <= 8, "{stats:?}");
}

fn shared<T: Send + Sync + Clone>() {}
fn handed_over<T: Send>() {}

#[test]
fn what_threads_may_do() {
    shared::<weir_sandbox::Sandbox>();
    shared::<weir_sandbox::Filter>();
    shared::<weir_sandbox::Binding>();
    handed_over::<Session>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Any mix of good and bad records: each good one gets its own verdict, each bad one fails, once.
    #[test]
    fn every_record_gets_its_own_verdict(
        commands in prop::collection::vec(prop::sample::select(vec!["k", "d", "r", "a", "x", "c", "e"]), 0..60)
    ) {
        thread_local! {
            static BINDING: weir_sandbox::Binding = bind(
                &Puppet::default(),
                &FilterLimits { failures: usize::MAX, ..FilterLimits::default() },
            );
        }
        let mut session = BINDING.with(weir_sandbox::Binding::session);
        let messages: Vec<String> = commands.iter().enumerate().map(|(i, command)| format!("{command}{i}")).collect();
        let out = process(&mut session, &messages);
        let bad = commands.iter().filter(|command| matches!(**command, "x" | "c" | "e")).count();
        for (i, (command, word)) in commands.iter().zip(words(&out)).enumerate() {
            let expected = match *command {
                "k" | "a" => "keep".to_owned(),
                "d" => "drop".to_owned(),
                "r" => format!("=R{i}"),
                _ => "failed".to_owned(),
            };
            prop_assert_eq!(word, expected);
            prop_assert_eq!(out.fields(i).is_some(), *command == "a");
        }
        prop_assert_eq!(session.stats().failure_count, bad as u64);
        prop_assert_eq!(session.stats().records_in, commands.len() as u64);
    }
}
