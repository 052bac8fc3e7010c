//! What becomes of failures, of policies that can't be loaded, of lines that aren't whole, and of what queries ask for.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use weir_query::{
    Budget, Cancel, Context, Direction, Engine, Event, FilterRef, FilterSpec, Flow, Limit, Output,
    PatternSpec, PolicyFailure, PolicyScope, PolicySet, PolicySpec, QueryError, QuerySpec, Scope,
    UploadedComponent,
};

use crate::answer::{Answer, ask};
use crate::guests::WAYS_TO_FAIL;
use crate::{engine, filter, load, policy, puppet};

const SELECT: u8 = 0;
const TRANSFORM: u8 = 1;
const AGGREGATE: u8 = 3;

pub(crate) const CARD: &str = "4929420573595709";

/// Writes lines, each a CRI line without its time, as the log of a pod.
fn log(root: &Path, namespace: &str, file: &str, lines: &[&str]) {
    let dir = root.join(format!("{namespace}_web-1_1111/app"));
    fs::create_dir_all(&dir).expect("a folder");
    let line = |(second, line): (usize, &&str)| {
        format!("2026-11-24T10:{:02}:{:02}Z {line}\n", second / 60, second % 60)
    };
    fs::write(dir.join(file), lines.iter().enumerate().map(line).collect::<String>()).expect("written");
}

pub(crate) fn of_messages(messages: &[&str]) -> (tempfile::TempDir, Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let lines: Vec<String> = messages.iter().map(|message| format!("stdout F {message}")).collect();
    log(dir.path(), "shop", "0.log", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let engine = engine(dir.path());
    (dir, engine)
}

pub(crate) fn lines(answer: &Answer) -> Vec<String> {
    answer.records.iter().map(|record| String::from_utf8_lossy(&record.message).into_owned()).collect()
}

fn matching(pattern: &str) -> QuerySpec {
    let pattern = PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() };
    QuerySpec { pattern, ..QuerySpec::default() }
}

fn message(refused: Result<Answer, QueryError>) -> String {
    refused.expect_err("it is refused").to_string()
}

#[test]
fn the_pattern_is_asked_about_what_is_left_alone() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD} paid"), "card 1234 paid", "nothing"]);
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    for (pattern, found) in [
        ("4929", 0),
        (CARD, 0),
        ("REDACTED", 1),
        ("REDACTED|4929", 1),
        ("card", 2),
        (r"card \d{16}", 0),
        (r"card \d+", 1),
        ("^card \\[REDACTED:card\\] paid$", 1),
    ] {
        let answer = ask(&engine, &matching(pattern)).expect("a query");
        assert_eq!(answer.summary.matched, found, "{pattern}");
        let mut inverted = matching(pattern);
        (inverted.pattern.invert, inverted.output) = (true, Output::Count { per_source: false });
        assert_eq!(ask(&engine, &inverted).expect("a query").summary.matched, 3 - found, "-v {pattern}");
    }
    let answer = ask(&engine, &QuerySpec::default()).expect("a query");
    let [status] = answer.policies.as_slice() else { panic!("one policy: {:?}", answer.policies) };
    assert_eq!((status.name.as_str(), status.redacted, status.withheld), ("pci", 1, 0));
    assert_eq!((status.filters[0].name.as_str(), status.filters[0].replaced), ("redact", 1));
    assert_eq!((answer.summary.bytes_read, answer.summary.is_complete()), (0, true));
}

#[test]
fn a_record_that_a_policy_fails_on_is_withheld_and_told_without_its_words() {
    for (way, reason, words) in WAYS_TO_FAIL {
        let (_dir, engine) = of_messages(&["k one", &format!("{way} secret"), "r two"]);
        load(&engine, &[policy("strict", "shop", vec![puppet(TRANSFORM, None)])]);
        let spec = QuerySpec { output: Output::Records, ..QuerySpec::default() };
        let answer = ask(&engine, &spec).expect("a query");
        assert_eq!(lines(&answer), ["k one", "R two"], "{way}");
        assert_eq!((answer.policies[0].withheld, answer.policies[0].redacted), (1, 1), "{way}");
        let told = answer.summary.incomplete.join("\n");
        assert!(told.contains("policy 'strict'") && told.contains("withheld 1 records"), "{told}");
        assert!(told.contains(reason) && !told.contains(words) && !told.contains("secret"), "{told}");
    }
}

#[test]
fn a_policy_that_refuses_ends_the_query_where_it_fails() {
    let (_dir, engine) = of_messages(&["k one", "e two", "k three"]);
    let policy = PolicySpec {
        on_failure: PolicyFailure::Refuse,
        ..policy("strict", "shop", vec![puppet(TRANSFORM, None)])
    };
    load(&engine, &[policy]);
    let answer = ask(&engine, &QuerySpec::default()).expect("a query");
    assert_eq!(lines(&answer), ["k one"]);
    assert!(answer.summary.incomplete.join("\n").contains("where the query ended"), "{:?}", answer.summary);
}

#[test]
fn what_is_dropped_stopped_or_added_by_a_policy_is_so_for_all() {
    let (_dir, engine) = of_messages(&["k one", "d two", "k three", "s four", "k five"]);
    load(&engine, &[policy("some", "shop", vec![puppet(SELECT, None)])]);
    let mut spec = matching("one");
    spec.context.after = 4;
    assert_eq!(lines(&ask(&engine, &spec).expect("a query")), ["k one", "k three"]);
    let (_dir, engine) = of_messages(&["a one"]);
    load(&engine, &[policy("adds", "shop", vec![puppet(TRANSFORM, None)])]);
    assert_eq!(ask(&engine, &QuerySpec::default()).expect("a query").records[0].fields, b"");
}

#[test]
fn what_a_policy_that_cannot_be_loaded_may_cover_is_refused_and_nothing_else() {
    let (dir, engine) = of_messages(&["one"]);
    log(dir.path(), "open", "0.log", &["stdout F two"]);
    let uploaded =
        Arc::new(UploadedComponent { digest: String::new(), bytes: Vec::new(), owner: String::new() });
    let mut of_upload = filter("", "");
    of_upload.filter = FilterRef::Uploaded { label: "mine".to_owned(), component: uploaded };
    let double = || policy("x", "shop", vec![filter("redact", "")]);
    let broken = [
        (vec![policy("x", "shop", vec![filter("redakt", "")])], "no filter is named 'redakt'"),
        (vec![policy("x", "shop", vec![filter("redact", r#"{"mode":"lable"}"#)])], "lable"),
        (vec![policy("x", "shop", vec![])], "at least one"),
        (vec![policy("x", "shop", vec![puppet(AGGREGATE, None)])], "kind aggregate"),
        (vec![policy("x", "shop", vec![of_upload])], "uploaded"),
        (vec![policy("x", "shop", vec![puppet(TRANSFORM, Some("("))])], "prefilter"),
        (vec![policy("X y", "shop", vec![filter("redact", "")])], "its name"),
        (vec![double(), double()], "the same name"),
        (vec![PolicySpec { filters: Err("x.yaml:3: bad".to_owned()), ..double() }], "x.yaml:3: bad"),
    ];
    for (policies, why) in broken {
        load(&engine, &policies);
        let in_shop = QuerySpec { sources: vec!["shop:".to_owned()], ..QuerySpec::default() };
        let told = message(ask(&engine, &in_shop));
        assert!(told.contains(why) && told.contains(&format!("policy '{}'", policies[0].name)), "{told}");
        let answer = ask(&engine, &QuerySpec::default()).expect("the rest is given");
        assert_eq!(lines(&answer), ["two"], "{why}");
        assert!(answer.summary.incomplete.join("\n").contains(why), "{:?}", answer.summary);
        assert!(
            answer.told.iter().any(|told| told.contains("Gap") && told.contains(why)),
            "{:?}",
            answer.told
        );
    }
    let bad_glob = PolicyScope { namespaces: vec!["sh[".to_owned()], ..PolicyScope::default() };
    load(&engine, &[PolicySpec { scope: bad_glob, ..double() }]);
    assert!(message(ask(&engine, &QuerySpec::default())).contains("'sh['"), "what it covers isn't known");
}

#[test]
fn before_the_policies_are_known_nothing_is_given() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD}")]);
    engine.set_policies(Arc::new(PolicySet::not_synced("the API server was not asked yet")));
    for spec in [QuerySpec::default(), QuerySpec { follow: true, ..QuerySpec::default() }] {
        let refused = ask(&engine, &spec).expect_err("refused");
        assert!(
            matches!(&refused, QueryError::NotReady { message } if message.contains("API server")),
            "{refused}"
        );
    }
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    assert_eq!(lines(&ask(&engine, &QuerySpec::default()).expect("a query")), ["card [REDACTED:card]"]);
}

#[test]
fn a_query_keeps_the_policies_that_it_began_with() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD}")]);
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    let mut running =
        engine.plan(&QuerySpec::default()).expect("a query").start(Budget::default(), &Cancel::default());
    load(&engine, &[]);
    let mut seen = Vec::new();
    running.go_on(&mut |event| {
        if let Event::Records { batch, .. } = event {
            seen.extend_from_slice(&batch.bytes);
        }
        Flow::Continue
    });
    assert_eq!(seen, b"card [REDACTED:card]");
    let given = ask(&engine, &QuerySpec::default()).expect("a query");
    assert_eq!(lines(&given), [format!("card {CARD}")]);
}

#[test]
fn lines_that_are_not_whole_are_withheld_whatever_is_asked() {
    let half = &CARD[..9];
    let dir = tempfile::tempdir().expect("a folder");
    log(dir.path(), "shop", "0.log", &["stdout F one", &format!("stdout P card {half}")]);
    let path = dir.path().join("shop_web-1_1111/app/0.log");
    let engine = engine(dir.path());
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    let without_end = |engine: &Engine| {
        for pattern in ["", half, "nowhere"] {
            let answer = ask(engine, &matching(pattern)).expect("a query");
            assert_eq!(lines(&answer), if pattern.is_empty() { vec!["one"] } else { vec![] });
            assert_eq!(answer.policies[0].withheld, 1, "{pattern}");
            assert!(answer.summary.incomplete.join("\n").contains("no end yet"), "{:?}", answer.summary);
        }
    };
    without_end(&engine);
    // The line is being written.
    fs::write(&path, format!("2026-11-24T10:00:00Z stdout F one\n2026-11-24T10:00:01Z stdout F card {half}"))
        .expect("written");
    without_end(&engine);
    // It is cut.
    let long = format!("{} card {CARD}", "x".repeat((1 << 20) - 13));
    fs::write(&path, format!("2026-11-24T10:00:00Z stdout F one\n2026-11-24T10:00:01Z stdout F {long}\n"))
        .expect("written");
    without_end(&engine);
    // Whatever the query's own limit is: else it would tell how long the line is.
    let longer =
        ask(&engine, &QuerySpec { line_bytes: Some(2 << 20), ..QuerySpec::default() }).expect("a query");
    assert_eq!((lines(&longer), longer.policies[0].withheld), (vec!["one".to_owned()], 1));
}

#[test]
fn parts_of_a_line_are_withheld_however_far_apart_they_are() {
    let (half, rest) = CARD.split_at(9);
    let between = format!("stderr F {}", "x".repeat(200));
    let dir = tempfile::tempdir().expect("a folder");
    let first = format!("stdout P card {half}");
    let (second, third) = (format!("stdout P {}", &rest[..3]), format!("stdout F {} paid", &rest[3..]));
    let mut text = vec!["stdout F one", &first];
    text.extend(std::iter::repeat_n(between.as_str(), 2000));
    text.extend([second.as_str(), "stderr F y", &third, "stdout F two"]);
    log(dir.path(), "shop", "0.log", &text);
    let engine = engine(dir.path());
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    for (limit, direction) in [
        (Limit::All, Direction::Forward),
        (Limit::All, Direction::Backward),
        (Limit::Tail(3000), Direction::Forward),
    ] {
        for pattern in ["", "paid", "two", &rest[3..], "nowhere"] {
            let context = Context { before: 5, after: 5 };
            let answer =
                ask(&engine, &QuerySpec { limit, direction, context, ..matching(pattern) }).expect("a query");
            let seen = String::from_utf8_lossy(&answer.seen);
            assert!(!seen.contains(&rest[3..]) && !seen.contains(half), "{limit:?} {direction:?} {pattern}");
            let is_given = lines(&answer).contains(&"two".to_owned());
            assert!(is_given == ["", "two"].contains(&pattern), "{limit:?} {direction:?} {pattern}");
            // The first part. Of the others nothing is counted, or a pattern would tell what is in them.
            assert_eq!(answer.policies[0].withheld, 1, "{limit:?} {direction:?} {pattern}");
        }
    }
}

/// Its escapes and parts are those of Docker also where the first line alone is longer than where a format is looked for.
#[test]
fn a_log_of_dockers_is_one_whatever_its_first_line_is() {
    let (half, rest) = CARD.split_at(9);
    let dir = tempfile::tempdir().expect("a folder");
    let line = |text: &str| format!(r#"{{"log":"{text}","stream":"stdout","time":"2026-11-24T10:00:00Z"}}"#);
    let lines_of_log =
        [line(&r"\u0001".repeat(16 << 10)), line(&format!("card {half}")), line(&format!(r"{rest}\n"))];
    fs::create_dir(dir.path().join("abc")).expect("a folder");
    fs::write(dir.path().join("abc/abc-json.log"), lines_of_log.join("\n") + "\n").expect("written");
    let engine = engine(dir.path());
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    let answer = ask(&engine, &QuerySpec::default()).expect("a query");
    assert_eq!(lines(&answer), ["\u{1}".repeat(16 << 10) + "card [REDACTED:card]"]);
}

#[test]
fn a_follow_begins_as_a_query_does() {
    let rest = &CARD[9..];
    let dir = tempfile::tempdir().expect("a folder");
    log(dir.path(), "shop", "0.log.20261124-100000", &[&format!("stdout F {rest}"), "stdout F two"]);
    log(dir.path(), "shop", "0.log", &[]);
    let engine = engine(dir.path());
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    for limit in [Limit::All, Limit::Tail(10)] {
        let answer =
            ask(&engine, &QuerySpec { follow: true, limit, ..QuerySpec::default() }).expect("a query");
        assert_eq!(lines(&answer), ["two"], "{limit:?}");
    }
}

#[test]
fn the_rest_of_a_line_whose_beginning_is_gone_is_not_given() {
    let rest = &CARD[9..];
    let dir = tempfile::tempdir().expect("a folder");
    log(
        dir.path(),
        "shop",
        "0.log.20261124-100000",
        &[&format!("stdout F {rest}"), "stderr F its own", "stdout F two", "stderr F three"],
    );
    log(dir.path(), "shop", "0.log", &["stdout F four"]);
    let engine = engine(dir.path());
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    for direction in [weir_query::Direction::Forward, weir_query::Direction::Backward] {
        let mut spec = matching("two");
        (spec.context.before, spec.direction) = (5, direction);
        let mut given = lines(&ask(&engine, &spec).expect("a query"));
        given.sort_unstable();
        assert_eq!(given, ["two"]);
        let mut all =
            lines(&ask(&engine, &QuerySpec { direction, ..QuerySpec::default() }).expect("a query"));
        all.sort_unstable();
        assert_eq!(all, ["four", "three", "two"]);
    }
}

#[test]
fn no_limit_of_a_query_cuts_what_a_policy_sees() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD} paid"), &format!("d {CARD}")]);
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    for line_bytes in [1, 8, 12, 20, 30] {
        let spec = QuerySpec { line_bytes: Some(line_bytes), ..QuerySpec::default() };
        let expected: Vec<String> = ["card [REDACTED:card] paid", "d [REDACTED:card]"]
            .map(|line| line[..line.len().min(line_bytes as usize)].to_owned())
            .to_vec();
        assert_eq!(lines(&ask(&engine, &spec).expect("a query")), expected);
    }
    // Nor does a filter of the query see more, whatever it is allowed.
    let mut own = FilterSpec::new(puppet(TRANSFORM, None).filter);
    own.limits.insert("batch_ms".to_owned(), 1);
    let spec = QuerySpec { filters: vec![own], limit: Limit::Tail(1), ..QuerySpec::default() };
    let answer = ask(&engine, &spec).expect("a query");
    assert!(!String::from_utf8_lossy(&answer.seen).contains(&CARD[..9]));
}

#[test]
fn sizes_of_what_is_covered_are_not_told() {
    let (_dir, engine) = of_messages(&["one"]);
    let exact = engine.sources(&[], false, &Scope::everything()).expect("a listing")[0].bytes;
    assert!((1..1000).contains(&exact));
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    let listed = &engine.sources(&[], false, &Scope::everything()).expect("a listing")[0];
    assert_eq!((listed.bytes, listed.files[0].size), (0, 0));
}
