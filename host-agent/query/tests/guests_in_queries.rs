//! Filters that fail, lie or stop, in whole queries: what the person who asked gets, and what the summary says.

#[path = "../../sandbox/tests/sandbox/bombs.rs"]
#[allow(dead_code, reason = "the compiling child's own tests use the rest")]
mod bombs;
#[path = "../../sandbox/tests/sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;

use std::io::Write;
use std::path::Path;

use guests::Puppet;
use weir_query::{
    Cancel, Compiler, Context, Engine, EngineConfig, Event, FilterLimits, FilterRef, FilterSpec,
    FilterStatus, Flags, Flow, Inputs, Limit, OnFailure, Output, PatternSpec, QueryError, QuerySpec, Summary,
};

const SELECT: u8 = 0;
const TRANSFORM: u8 = 1;
const REDACT: u8 = 2;

#[derive(Default)]
struct Answer {
    lines: Vec<String>,
    filters: Vec<FilterStatus>,
    summary: Summary,
}

/// A log of these messages in kubelet's layout, and an engine that searches it.
fn engine(dir: &Path, messages: &[&str]) -> Engine {
    engine_of(dir, &[("app", messages)])
}

/// The same, of several containers.
fn engine_of(dir: &Path, containers: &[(&str, &[&str])]) -> Engine {
    for (container, messages) in containers {
        let folder = dir.join("ns_pod_11112222-3333-4444-5555-666677778888").join(container);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut file = std::fs::File::create(folder.join("0.log")).expect("a file");
        for (second, message) in messages.iter().enumerate() {
            writeln!(file, "2026-11-24T10:{:02}:{:02}Z stdout F {message}", second / 60, second % 60)
                .expect("written");
        }
    }
    Engine::new(EngineConfig::new(Inputs::root(dir.to_owned()), Compiler::InProcess), &[]).expect("an engine")
}

fn filter(puppet: &Puppet) -> FilterSpec {
    FilterSpec::new(FilterRef::Component {
        label: "puppet.wasm".to_owned(),
        bytes: puppet.build(),
        signature: None,
    })
}

fn puppet(kind: u8, prefilter: Option<&'static str>) -> Puppet {
    Puppet { kind, prefilter, ..Puppet::default() }
}

fn run(engine: &Engine, spec: &QuerySpec) -> Answer {
    let mut answer = Answer::default();
    let plan = engine.plan(spec).expect("a good query");
    plan.run(&Cancel::default(), &mut |event| {
        match event {
            Event::Records { batch, .. } => {
                for record in &batch.records {
                    let mut line = String::from_utf8_lossy(batch.message(record)).into_owned();
                    if record.flags.has(Flags::CONTEXT) {
                        line.insert(0, '-');
                    }
                    if record.flags.has(Flags::UNFILTERED) {
                        line.push_str(" (unfiltered)");
                    }
                    if !batch.fields(record).is_empty() {
                        line.push(' ');
                        line.push_str(std::str::from_utf8(batch.fields(record)).expect("UTF-8"));
                    }
                    answer.lines.push(line);
                }
            }
            Event::Filter(status) => answer.filters.push(status),
            Event::Summary(summary) => answer.summary = summary,
            _ => {}
        }
        Flow::Continue
    });
    answer
}

fn with_filters(puppets: &[Puppet]) -> QuerySpec {
    QuerySpec { filters: puppets.iter().map(filter).collect(), ..QuerySpec::default() }
}

#[test]
fn verdicts_take_effect_in_order_of_the_filters() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["k1", "d2", "r3", "a4", "k5"]);
    let answer = run(&engine, &with_filters(&[puppet(TRANSFORM, None), puppet(SELECT, None)]));
    assert_eq!(answer.lines, ["k1", "R3", "a4 {\"a\":1}", "k5"]);
    assert!(answer.summary.is_complete(), "{:?}", answer.summary);
    let counts = |status: &FilterStatus| (status.records_in, status.kept, status.dropped, status.replaced);
    assert_eq!(counts(&answer.filters[0]), (5, 3, 1, 1));
    assert_eq!(counts(&answer.filters[1]), (4, 4, 0, 0));
}

#[test]
fn a_record_that_a_transform_fails_on_comes_out_marked() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["r1", "x2", "r3", "e4", "r5"]);
    let answer = run(&engine, &with_filters(&[puppet(TRANSFORM, None)]));
    assert_eq!(answer.lines, ["R1", "x2 (unfiltered)", "R3", "e4 (unfiltered)", "R5"]);
    assert_eq!(answer.filters[0].failed, 2);
    let reason = answer.summary.incomplete.join("\n");
    assert!(reason.contains("puppet") && reason.contains("2 records") && reason.contains("trap"), "{reason}");
}

#[test]
fn a_record_that_a_redaction_fails_on_is_withheld() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["r1", "x secret", "r3"]);
    let answer = run(&engine, &with_filters(&[puppet(REDACT, None)]));
    assert_eq!(answer.lines, ["R1", "R3"]);
    assert_eq!(answer.filters[0].withheld, 1);
    let reason = answer.summary.incomplete.join("\n");
    assert!(reason.contains("withheld 1 record") && !reason.contains("secret"), "{reason}");
}

#[test]
fn what_becomes_of_a_failed_record_is_the_callers_choice() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["r1", "x2", "r3", "x4", "r5"]);
    let with = |kind, on_failure| {
        let mut spec = with_filters(&[puppet(kind, None)]);
        spec.filters[0].on_failure = on_failure;
        spec
    };
    for (kind, on_failure, lines, words) in [
        (
            TRANSFORM,
            OnFailure::Kind,
            &["R1", "x2 (unfiltered)", "R3", "x4 (unfiltered)", "R5"][..],
            "passed 2 records",
        ),
        (
            TRANSFORM,
            OnFailure::Pass,
            &["R1", "x2 (unfiltered)", "R3", "x4 (unfiltered)", "R5"],
            "passed 2 records",
        ),
        (TRANSFORM, OnFailure::Drop, &["R1", "R3", "R5"], "dropped 2 records"),
        (TRANSFORM, OnFailure::End, &["R1"], "the query ended as asked"),
        (REDACT, OnFailure::Drop, &["R1", "R3", "R5"], "withheld 2 records"),
        (REDACT, OnFailure::End, &["R1"], "the query ended as asked"),
    ] {
        let answer = run(&engine, &with(kind, on_failure));
        assert_eq!(answer.lines, lines, "{on_failure:?}");
        let reason = answer.summary.incomplete.join("\n");
        assert!(reason.contains(words), "{on_failure:?}: {reason}");
    }
    let error = engine.plan(&with(REDACT, OnFailure::Pass)).err().expect("refused").to_string();
    assert!(error.contains("filters[0].on_failure") && error.contains("redacts"), "{error}");
}

/// All sources are in line to be read when the first of them makes the filter end the query.
#[test]
fn a_filter_ends_a_query_of_several_sources() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine_of(dir.path(), &[("a", &["r1", "x2"]), ("b", &["r3"]), ("c", &["r4"])]);
    for backward in [false, true] {
        let mut spec = with_filters(&[puppet(TRANSFORM, None)]);
        spec.filters[0].on_failure = OnFailure::End;
        if backward {
            spec.limit = Limit::Tail(10);
        }
        let answer = run(&engine, &spec);
        let reason = answer.summary.incomplete.join("\n");
        assert!(reason.contains("the query ended as asked"), "{backward}: {reason}");
        assert!(!answer.lines.contains(&"x2".to_owned()), "{backward}: {:?}", answer.lines);
    }
}

/// Also one that follows, whether what was or what comes makes the filter end it.
#[test]
fn a_filter_ends_a_query_that_follows() {
    for comes_later in [false, true] {
        let dir = tempfile::tempdir().expect("a folder");
        let engine =
            engine_of(dir.path(), &[("a", &["r1", if comes_later { "r2" } else { "x2" }]), ("b", &["r3"])]);
        let mut spec = with_filters(&[puppet(TRANSFORM, None)]);
        spec.filters[0].on_failure = OnFailure::End;
        spec.follow = true;
        let plan = engine.plan(&spec).expect("a good query");
        let (told, events) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            plan.run(&Cancel::default(), &mut |event| match told.send(event) {
                Ok(()) => Flow::Continue,
                Err(_) => Flow::Stop,
            })
        });
        let mut ended = false;
        let mut given = 0;
        while let Ok(event) = events.recv_timeout(std::time::Duration::from_secs(60)) {
            match event {
                Event::Summary(summary) => {
                    ended = true;
                    assert!(summary.incomplete.concat().contains("the query ended as asked"), "{summary:?}");
                }
                Event::Records { batch, .. } => given += batch.records.len(),
                _ => {}
            }
            if comes_later && given == 3 {
                given = 0;
                let log = "ns_pod_11112222-3333-4444-5555-666677778888/b/0.log";
                let mut log =
                    std::fs::File::options().append(true).open(dir.path().join(log)).expect("the log");
                log.write_all(b"2026-11-24T10:30:00Z stdout F x4\n").expect("written");
            }
        }
        assert!(ended, "{comes_later}");
    }
}

#[test]
fn a_failure_names_its_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["k1", "k2", "x3", "k4", "e5"]);
    // The pattern leaves records out, so that places in a call are not places in the file.
    let mut spec = with_filters(&[puppet(TRANSFORM, None)]);
    spec.pattern = PatternSpec { patterns: vec!["[2-5]".to_owned()], ..PatternSpec::default() };
    let answer = run(&engine, &spec);
    let line = "2026-11-24T10:00:00Z stdout F k1\n".len() as u64;
    let failures = &answer.filters[0].failures;
    let told: Vec<_> = failures.iter().map(|f| (f.reason.as_str(), f.source, f.place)).collect();
    assert_eq!(told, [("trap", Some(0), Some((0, 2 * line))), ("reported", Some(0), Some((0, 4 * line)))]);
    assert!(failures[0].to_string().contains(&format!("byte {} of file 0", 2 * line)), "{}", failures[0]);
}

#[test]
fn limits_are_the_querys_own_within_the_engines_maxima() {
    let dir = tempfile::tempdir().expect("a folder");
    engine(dir.path(), &["m1"]);
    let maxima = FilterLimits { memory_bytes: 8 << 20, ..FilterLimits::maxima() };
    let config = EngineConfig {
        filter_maxima: maxima,
        ..EngineConfig::new(Inputs::root(dir.path().to_owned()), Compiler::InProcess)
    };
    let engine = Engine::new(config, &[]).expect("an engine");
    let with = |name: &str, value: u64| {
        let mut spec = with_filters(&[puppet(TRANSFORM, None)]);
        spec.filters[0].limits.insert(name.to_owned(), value);
        spec
    };
    let answer = run(&engine, &with("memory_bytes", 1 << 20));
    assert!(answer.filters[0].peak_memory <= 1 << 20, "{:?}", answer.filters[0]);
    let detail = &answer.filters[0].failures[0].detail;
    assert!(detail.contains("memory_bytes (1048576)"), "{detail}");
    match engine.plan(&with("memory_bytes", 16 << 20)).err() {
        Some(QueryError::LimitExceeded { field, limit, value, .. }) => {
            assert_eq!(
                (field.as_str(), limit.as_str(), value.as_str()),
                ("filters[0].limits.memory_bytes", "memory_bytes", "8388608")
            );
        }
        other => panic!("{other:?}"),
    }
    for (name, value, words) in
        [("memory", 1, "memory_bytes, "), ("batch_ms", 0, "out of range; give 1 to 60000")]
    {
        let error = engine.plan(&with(name, value)).err().expect("refused").to_string();
        assert!(error.contains(&format!("filters[0].limits.{name}")) && error.contains(words), "{error}");
    }
}

#[test]
fn a_bomb_is_refused_before_anything_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["k"]);
    for bomb in bombs::quick() {
        let component =
            FilterRef::Component { label: "bomb.wasm".to_owned(), bytes: bomb.component, signature: None };
        let spec = QuerySpec { filters: vec![FilterSpec::new(component)], ..QuerySpec::default() };
        let error = engine.plan(&spec).err().expect(bomb.name).to_string();
        assert!(error.contains(bomb.told) && error.contains("bomb.wasm"), "{}: {error}", bomb.name);
        assert!(error.len() < 2000, "{}: {error}", bomb.name);
    }
}

#[test]
fn stop_ends_the_query() {
    let dir = tempfile::tempdir().expect("a folder");
    let messages: Vec<&str> = ["k1", "k2", "s3"].into_iter().chain(std::iter::repeat_n("k4", 5000)).collect();
    let engine = engine(dir.path(), &messages);
    let answer = run(&engine, &with_filters(&[puppet(SELECT, None)]));
    assert_eq!(answer.lines, ["k1", "k2"]);
    assert!(answer.summary.is_complete(), "{:?}", answer.summary);
}

/// The prefilter promises that lines without `needle` don't matter, and the guest breaks it: it would rewrite
/// or drop them. They never reach it, so what it would do to them does not happen, and nothing else changes.
#[test]
fn a_broken_promise_hurts_nobody_but_the_filter() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["r needle", "r other", "d other", "x other", "k needle"]);
    for kind in [TRANSFORM, REDACT] {
        let answer = run(&engine, &with_filters(&[puppet(kind, Some("needle"))]));
        assert_eq!(answer.lines, ["R needle", "r other", "d other", "x other", "k needle"]);
        assert_eq!((answer.filters[0].records_in, answer.filters[0].skipped_by_prefilter), (5, 3));
        assert!(answer.summary.is_complete());
    }
    // A select that would have kept some of them: its own prefilter says that it doesn't.
    let answer = run(&engine, &with_filters(&[puppet(SELECT, Some("needle"))]));
    assert_eq!(answer.lines, ["r needle (unfiltered)", "k needle"]);
    let status = &answer.filters[0];
    assert_eq!((status.skipped_by_prefilter, status.failed), (3, 1), "a select must not replace: {status:?}");
}

#[test]
fn a_prefilter_is_pushed_into_the_scan_or_run_at_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let messages: Vec<String> = (0..1000)
        .map(|n| if n % 100 == 7 { format!("k needle {n}") } else { format!("k hay {n}") })
        .collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let engine = engine(dir.path(), &messages);
    let first = run(&engine, &with_filters(&[puppet(SELECT, Some("needle"))]));
    let second = run(&engine, &with_filters(&[puppet(TRANSFORM, None), puppet(SELECT, Some("needle"))]));
    assert_eq!(first.lines.len(), 10);
    assert_eq!(first.lines, second.lines);
    assert_eq!((first.filters[0].records_in, first.filters[0].skipped_by_prefilter), (1000, 990));
    assert_eq!((second.filters[1].records_in, second.filters[1].skipped_by_prefilter), (1000, 990));
    assert_eq!(second.filters[0].skipped_by_prefilter, 0);
}

#[test]
fn context_is_what_stands_around_what_the_filters_keep() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine =
        engine(dir.path(), &["k hit 0", "d hit 1", "k 2", "k 3", "k hit 4", "k 5", "d hit 6", "k 7", "k 8"]);
    let mut spec = with_filters(&[puppet(SELECT, None)]);
    spec.pattern = PatternSpec { patterns: vec!["hit".to_owned()], ..PatternSpec::default() };
    spec.context = Context { before: 1, after: 2 };
    let answer = run(&engine, &spec);
    assert_eq!(answer.lines, ["k hit 0", "-d hit 1", "-k 2", "-k 3", "k hit 4", "-k 5", "-d hit 6"]);
    spec.limit = Limit::Tail(1);
    assert_eq!(run(&engine, &spec).lines, ["-k 3", "k hit 4", "-k 5", "-d hit 6"]);
    spec.output = Output::Count { per_source: false };
    spec.limit = Limit::All;
    assert_eq!(run(&engine, &spec).summary.matched, 2);
}

#[test]
fn what_is_wrong_with_a_filter_is_said_before_anything_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = engine(dir.path(), &["k"]);
    let refused = |spec: &QuerySpec| engine.plan(spec).err().expect("refused").to_string();

    let mut spec = with_filters(&[puppet(SELECT, Some("nee(dle"))]);
    let message = refused(&spec);
    assert!(
        message.starts_with("filters[0]") && message.contains("prefilter") && message.contains("nee(dle"),
        "{message}"
    );

    spec.filters[0] = FilterSpec { params: "{\"r\":1}".to_owned(), ..filter(&puppet(SELECT, None)) };
    let message = refused(&spec);
    assert!(message.contains("limit.max") && message.contains("expected less"), "{message}");

    spec.filters[0].params = "[1]".to_owned();
    assert!(refused(&spec).contains("object"), "{}", refused(&spec));

    spec.filters[0].filter =
        FilterRef::Component { label: "x.wasm".to_owned(), bytes: b"no wasm".to_vec(), signature: None };
    assert!(refused(&spec).contains("x.wasm"), "{}", refused(&spec));

    spec.filters[0].filter = FilterRef::Name("nobody".to_owned());
    assert!(matches!(engine.plan(&spec), Err(QueryError::NotFound { .. })));

    spec.filters = vec![filter(&puppet(SELECT, None)); 9];
    assert!(refused(&spec).contains("limit filters is 8"), "{}", refused(&spec));
}
