//! Guests that loop, grow, recurse and flood: each ends its own call, by the limit's name, and the host
//! goes on.

use std::time::Duration;

use weir_sandbox::{
    FailureReason, FilterLimits, GuestCall, LoadError, OpenError, Paused, Sandbox, SandboxConfig,
    SandboxLimits, SourceMeta, Verdict, Verdicts,
};

use crate::guests::{Puppet, WAYS_TO_FAIL};
use crate::{Records, bind, load, sandbox};

const LOOP: &str = "(loop $ever (br $ever))";

fn quick() -> FilterLimits {
    FilterLimits {
        batch_time: Duration::from_millis(30),
        setup_time: Duration::from_millis(30),
        ..FilterLimits::default()
    }
}

/// The one failure that a single message leads to.
fn failure(message: &str, limits: &FilterLimits) -> (FailureReason, String) {
    let mut session = bind(&Puppet::default(), limits).session();
    let mut out = Verdicts::new();
    session.process(0, &Records::new(&[message]).batch(), &mut out);
    assert_eq!(out.as_slice(), [Verdict::Failed]);
    session.process(0, &Records::new(&["k"]).batch(), &mut out);
    assert_eq!(out.as_slice(), [Verdict::Keep], "the next record goes through");
    let [failure] = &session.stats().failures[..] else { panic!("{:?}", session.stats()) };
    assert_eq!(failure.call, GuestCall::Process);
    (failure.reason, failure.detail.clone())
}

#[test]
fn each_way_to_fail_has_its_own_reason() {
    for (message, reason, words) in WAYS_TO_FAIL {
        let (found, detail) = failure(message, &quick());
        assert_eq!(found.as_str(), reason, "{message}: {detail}");
        assert!(detail.contains(words), "{message}: {detail}");
    }
}

#[test]
fn an_endless_loop_in_any_export_ends() {
    let limits = quick();
    let looping = |export| Puppet { prologue: vec![(export, LOOP)], ..Puppet::default() };

    match sandbox().load(&looping("describe").build()).expect_err("ends") {
        LoadError::Describe(failure) => {
            assert_eq!((failure.call, failure.reason), (GuestCall::Describe, FailureReason::Time));
            assert!(failure.to_string().contains("setup_ms"), "{failure}");
        }
        other => panic!("{other}"),
    }
    match load(&looping("open")).open("{}", &limits).expect_err("ends") {
        OpenError::Failed(failure) => assert_eq!(failure.reason, FailureReason::Time),
        other => panic!("{other}"),
    }
    let start = Puppet { extra: "(func $spin (loop $ever (br $ever))) (start $spin)", ..Puppet::default() };
    match sandbox().load(&start.build()).expect_err("ends") {
        LoadError::Describe(failure) => {
            assert_eq!((failure.call, failure.reason), (GuestCall::Instantiate, FailureReason::Time));
        }
        other => panic!("{other}"),
    }

    let mut session = bind(&looping("begin-source"), &limits).session();
    session.begin_source(0, &SourceMeta::default());
    assert_eq!(session.stats().failures[0].reason, FailureReason::Time);
    for export in ["process", "finish", "diagnostics"] {
        let mut session = bind(&looping(export), &limits).session();
        let mut out = Verdicts::new();
        session.process(0, &Records::new(&["k"]).batch(), &mut out);
        if export == "diagnostics" {
            assert!(session.diagnostics().is_empty());
        }
        assert!(session.finish().len() <= 1);
        let failure = &session.stats().failures[0];
        assert_eq!((failure.call.as_str(), failure.reason), (export, FailureReason::Time));
    }
}

#[test]
fn time_lost_in_failed_calls_is_bounded() {
    let limits = FilterLimits { failed_time: Duration::from_millis(50), failures: 1000, ..quick() };
    let mut session = bind(&Puppet::default(), &limits).session();
    let mut out = Verdicts::new();
    session.process(0, &Records::new(&vec!["l"; 500]).batch(), &mut out);
    assert!(out.as_slice().iter().all(|verdict| *verdict == Verdict::Failed));
    let stats = session.stats();
    assert_eq!((stats.pause, stats.failed), (Some(Paused::FailedTime), 500));
    assert!(stats.batches <= 4, "{}", stats.batches);
    assert_eq!(stats.failures[0].reason, FailureReason::Time, "why is told");
}

/// Each batch takes a fraction of what one may: only their sum is too much.
#[test]
fn a_slow_drip_under_the_limit_of_a_batch_ends_at_the_limit_of_the_query() {
    let drip = "(local.set $i (i32.const 3000000))
        (loop $drip (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $drip (local.get $i)))";
    let puppet = Puppet { prologue: vec![("process", drip)], ..Puppet::default() };
    let limits = FilterLimits { query_time: Duration::from_millis(100), ..FilterLimits::default() };
    let mut session = bind(&puppet, &limits).session();
    let mut out = Verdicts::new();
    let mut kept = 0;
    while session.stats().pause.is_none() {
        assert!(kept < 100_000, "{:?}", session.stats());
        session.process(0, &Records::new(&["k"]).batch(), &mut out);
        kept += u64::from(out.as_slice() == [Verdict::Keep]);
    }
    let stats = session.stats();
    assert_eq!((stats.pause, stats.kept, stats.failed), (Some(Paused::QueryTime), kept, stats.paused));
    assert!(kept > 1 && stats.failure_count == 0, "{stats:?}");
    assert!(stats.cpu < limits.query_time + limits.batch_time, "{stats:?}");
    assert!(session.finish().is_empty());
}

/// It leaks with each batch; when it has no more, a new instance goes on and no verdict is lost.
#[test]
fn a_leak_under_the_limit_of_memory_costs_instances_and_nothing_else() {
    let leak = "(if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))";
    let puppet = Puppet { prologue: vec![("process", leak)], ..Puppet::default() };
    let limits = FilterLimits { memory_bytes: 1 << 20, ..FilterLimits::default() };
    let mut session = bind(&puppet, &limits).session();
    let mut out = Verdicts::new();
    for _ in 0..100 {
        session.process(0, &Records::new(&["k", "d"]).batch(), &mut out);
        assert_eq!(out.as_slice(), [Verdict::Keep, Verdict::Drop]);
    }
    let stats = session.stats();
    assert!(stats.restarts >= 6 && stats.peak_memory_bytes <= 1 << 20, "{stats:?}");
    assert_eq!((stats.kept, stats.dropped, stats.failure_count), (100, 100, 0));
}

#[test]
fn one_record_that_grows_too_much_fails_alone() {
    let limits = FilterLimits { record_growth: 0, ..FilterLimits::default() };
    let mut session = bind(&Puppet::default(), &limits).session();
    let mut out = Verdicts::new();
    let large = format!("r{}", "y".repeat(100_000));
    session.process(0, &Records::new(&["r1", &large, "r2"]).batch(), &mut out);
    assert!(matches!(out.as_slice(), [Verdict::Replace(_), Verdict::Failed, Verdict::Replace(_)]), "{out:?}");
    let failure = &session.stats().failures[0];
    assert_eq!((failure.reason, failure.record), (FailureReason::Output, Some(1)));
    assert!(failure.detail.contains("record_growth is 0"), "{}", failure.detail);
}

#[test]
fn a_flood_of_diagnostics_or_summaries_is_named() {
    // A list of two million empty strings, and a string of 2 MiB.
    for (export, pages, list, limit) in [
        ("diagnostics", 600, "(i32.store (i32.const 904) (i32.const 2000000))", "output_bytes"),
        ("finish", 600, "(i32.store (i32.const 904) (i32.const 20000))", "summaries"),
        (
            "finish",
            600,
            "(i32.store (i32.const 904) (i32.const 1)) (i32.store (i32.const 131076) (i32.const 2097152))",
            "summary_bytes",
        ),
    ] {
        let text = format!("(i32.store (i32.const 900) (i32.const 131072)) {list} (return (i32.const 900))");
        let puppet = Puppet { pages, prologue: vec![(export, text.leak())], ..Puppet::default() };
        let mut session = bind(&puppet, &FilterLimits::default()).session();
        session.process(0, &Records::new(&["k"]).batch(), &mut Verdicts::new());
        let told = if export == "finish" { session.finish() } else { session.diagnostics() };
        assert!(told.is_empty());
        let failure = &session.stats().failures[0];
        assert_eq!((failure.call.as_str(), failure.reason), (export, FailureReason::Output), "{failure:?}");
        assert!(failure.detail.contains(limit), "{}", failure.detail);
    }
}

/// What a guest is made of is counted before any of it runs.
#[test]
fn too_many_tables_or_elements_are_refused_by_name() {
    for (extra, limits, limit) in [
        (
            "(table 1 funcref) (table 1 funcref) (table 1 funcref)",
            FilterLimits { tables: 2, ..FilterLimits::default() },
            "tables (2)",
        ),
        ("", FilterLimits { memories: 0, ..FilterLimits::default() }, "memories (0)"),
        ("", FilterLimits { core_instances: 0, ..FilterLimits::default() }, "core_instances (0)"),
    ] {
        let failure = match load(&Puppet { extra, ..Puppet::default() }).open("{}", &limits) {
            Err(OpenError::Failed(failure)) => failure,
            other => panic!("{limit}: {other:?}"),
        };
        assert_eq!(
            (failure.call, failure.reason),
            (GuestCall::Instantiate, FailureReason::Memory),
            "{failure}"
        );
        assert!(failure.detail.contains(limit), "{failure}");
    }
    // More than there are slots for isn't even loaded.
    for extra in ["(table 30000 funcref)", "(table 1 funcref)".repeat(9).leak()] {
        match sandbox().load(&Puppet { extra, ..Puppet::default() }.build()) {
            Err(error @ LoadError::TooMany { .. }) => {
                assert!(error.to_string().contains("exceeds"), "{error}")
            }
            other => panic!("{extra}: {other:?}"),
        }
    }
}

/// An instance finds no trace of another in the memory that the pool hands on: it looks at every page, traps
/// when any word isn't zero, and leaves words of its own.
#[test]
fn no_instance_sees_what_another_left() {
    let look_and_leave = "(local.set $p (i32.const 131072))
        (if (i32.eq (memory.grow (i32.const 8)) (i32.const -1)) (then unreachable))
        (loop $page
          (if (i32.load (local.get $p)) (then unreachable))
          (i32.store (local.get $p) (i32.const 0x5ec4e7))
          (local.set $p (i32.add (local.get $p) (i32.const 4096)))
          (br_if $page (i32.lt_u (local.get $p) (i32.const 4718592))))";
    // More than the pool keeps resident, so that both of its ways to clean are taken; 64 pages, grown to 72.
    let puppet = Puppet { pages: 64, prologue: vec![("process", look_and_leave)], ..Puppet::default() };
    let sandbox = sandbox();
    let filter = sandbox.load(&puppet.build()).expect("loads");
    let process = |session: &mut weir_sandbox::Session| {
        let mut out = Verdicts::new();
        session.process(0, &Records::new(&["k"]).batch(), &mut out);
        out.as_slice().to_vec()
    };
    let mut session = filter.open("{}", &FilterLimits::default()).expect("opens").session();
    assert_eq!(process(&mut session), [Verdict::Keep]);
    let failures = session.stats().failure_count;
    // The same instance finds its own words and traps; the one that replaces it finds none.
    assert_eq!((process(&mut session), failures), (vec![Verdict::Keep], 0));
    assert_eq!(session.stats().restarts, 1, "the guest does look");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut session = filter.open("{}", &FilterLimits::default()).expect("opens").session();
                    assert_eq!(process(&mut session), [Verdict::Keep]);
                    assert_eq!(session.stats().restarts, 0, "it found what another left");
                }
            });
        }
    });
}

#[test]
fn memory_beyond_the_limit_is_refused_from_the_start() {
    let limits = FilterLimits { memory_bytes: 1 << 20, ..FilterLimits::default() };
    let puppet = Puppet { pages: 100, ..Puppet::default() };
    match load(&puppet).open("{}", &limits).expect_err("refused") {
        OpenError::Failed(failure) => {
            assert_eq!((failure.call, failure.reason), (GuestCall::Instantiate, FailureReason::Memory));
            assert!(failure.to_string().contains("memory_bytes (1048576)"), "{failure}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_batch_that_does_not_fit_is_halved_until_it_does() {
    let limits = FilterLimits { memory_bytes: 1 << 20, ..FilterLimits::default() };
    let mut session = bind(&Puppet::default(), &limits).session();
    let message = format!("r{}", "y".repeat(100_000));
    let mut out = Verdicts::new();
    session.process(0, &Records::new(&vec![message; 16]).batch(), &mut out);
    assert!(out.as_slice().iter().all(|verdict| matches!(verdict, Verdict::Replace(_))));
    assert_eq!((session.stats().replaced, session.stats().failure_count), (16, 0));
    assert!(session.stats().restarts > 0 && session.stats().peak_memory_bytes <= 1 << 20);
}

#[test]
fn instances_beyond_the_pool_are_told_as_capacity() {
    let sandbox = Sandbox::new(SandboxConfig {
        compiler: weir_sandbox::Compiler::InProcess,
        cache_dir: None,
        limits: SandboxLimits { instances: 4, ..SandboxLimits::default() },
    })
    .expect("no cache to fail on");
    let filter = sandbox.load(&Puppet::default().build()).expect("loads");
    let mut held = Vec::new();
    let error = loop {
        match filter.open("{}", &FilterLimits::default()) {
            Ok(binding) => held.push(binding),
            Err(error) => break error,
        }
        assert!(held.len() <= 4, "the pool has no more");
    };
    match error {
        OpenError::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::Capacity, "{failure}");
            assert!(failure.to_string().contains("raise `instances`"), "{failure}");
        }
        other => panic!("{other}"),
    }
    drop(held);
    filter.open("{}", &FilterLimits::default()).expect("there is room again");
}
