//! Guests that loop, grow, recurse and flood: each ends its own call, by the limit's name, and the host
//! goes on.

use std::time::Duration;

use weir_sandbox::{
    FailureReason, FilterLimits, GaveUp, GuestCall, LoadError, OpenError, Sandbox, SandboxConfig,
    SandboxLimits, SourceMeta, Verdict, Verdicts,
};

use crate::guests::Puppet;
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
    for (message, reason, words) in [
        ("x", FailureReason::Trap, "unreachable"),
        ("l", FailureReason::BatchTime, "batch_time"),
        ("m", FailureReason::Memory, "memory_bytes"),
        ("o", FailureReason::Stack, "stack exhausted"),
        ("H", FailureReason::Output, "output_bytes"),
        ("g", FailureReason::Output, "output_growth"),
        ("w", FailureReason::Contract, "out of bounds"),
        ("c", FailureReason::Contract, "`codes[0]` is 9"),
        ("n", FailureReason::Contract, "2 entries for 1 records"),
        ("j", FailureReason::Contract, "not a JSON object"),
        ("e", FailureReason::Reported, "fell over"),
    ] {
        let (found, detail) = failure(message, &quick());
        assert_eq!(found, reason, "{message}: {detail}");
        assert!(detail.contains(words), "{message}: {detail}");
    }
}

#[test]
fn an_endless_loop_in_any_export_ends() {
    let limits = quick();
    let looping = |export| Puppet { prologue: vec![(export, LOOP)], ..Puppet::default() };

    match sandbox().load(&looping("describe").build()).expect_err("ends") {
        LoadError::Describe(failure) => {
            assert_eq!((failure.call, failure.reason), (GuestCall::Describe, FailureReason::BatchTime));
            assert!(failure.to_string().contains("setup_time"), "{failure}");
        }
        other => panic!("{other}"),
    }
    match load(&looping("open")).open("{}", &limits).expect_err("ends") {
        OpenError::Failed(failure) => assert_eq!(failure.reason, FailureReason::BatchTime),
        other => panic!("{other}"),
    }
    let start = Puppet { extra: "(func $spin (loop $ever (br $ever))) (start $spin)", ..Puppet::default() };
    match sandbox().load(&start.build()).expect_err("ends") {
        LoadError::Describe(failure) => {
            assert_eq!((failure.call, failure.reason), (GuestCall::Instantiate, FailureReason::BatchTime));
        }
        other => panic!("{other}"),
    }

    let mut session = bind(&looping("begin-source"), &limits).session();
    session.begin_source(0, &SourceMeta::default());
    assert_eq!(session.stats().failures[0].reason, FailureReason::BatchTime);
    for export in ["process", "finish", "diagnostics"] {
        let mut session = bind(&looping(export), &limits).session();
        let mut out = Verdicts::new();
        session.process(0, &Records::new(&["k"]).batch(), &mut out);
        if export == "diagnostics" {
            assert!(session.diagnostics().is_empty());
        }
        assert!(session.finish().len() <= 1);
        let failure = &session.stats().failures[0];
        assert_eq!((failure.call.as_str(), failure.reason), (export, FailureReason::BatchTime));
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
    assert_eq!((stats.gave_up, stats.failed), (Some(GaveUp::FailedTime), 500));
    assert!(stats.batches <= 4, "{}", stats.batches);
    assert_eq!(stats.failures[0].reason, FailureReason::BatchTime, "why is told");
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
