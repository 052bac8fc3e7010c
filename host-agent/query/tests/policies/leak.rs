//! Nothing that a query tells holds a part of a secret; and what it tells is what it would tell of logs in which the secrets
//! were taken out before.

use fastrand::Rng;
use weir_query::{
    Flags, Limit, Matcher, Output, PatternLimits, PatternSpec, PolicyFailure, PolicySpec, QuerySpec,
};

use crate::answer::{Answer, ask};
use crate::node::{COVERED, Node, append};
use crate::queries::{query, spy};
use crate::{each_seed, engine, filter, load, policy, puppet};

const TRANSFORM: u8 = 1;
const REDACT: u8 = 2;

/// Policies that take out every secret, and some that do more.
fn policies(rng: &mut Rng, plain: bool) -> Vec<PolicySpec> {
    let mut policies = match rng.u8(0..3) {
        0 => vec![policy("all", COVERED, vec![filter("redact", "")])],
        1 => vec![
            policy("a", "sh*", vec![filter("redact", r#"{"detectors":["card","email"]}"#)]),
            policy("b", COVERED, vec![filter("redact", r#"{"except":["card","email"]}"#)]),
        ],
        _ => vec![policy(
            "twice",
            COVERED,
            vec![filter("redact", ""), filter("redact", r#"{"detectors":["card"]}"#)],
        )],
    };
    if !plain && rng.bool() {
        let kind = if rng.bool() { TRANSFORM } else { REDACT };
        policies.push(policy(
            "puppet",
            COVERED,
            vec![puppet(kind, [None, Some("error|drain")][rng.usize(0..2)])],
        ));
    }
    if !plain && rng.u8(0..8) == 0 {
        policies.iter_mut().for_each(|policy| policy.on_failure = PolicyFailure::Refuse);
    }
    policies
}

/// Finds parts of secrets.
fn finder(node: &Node, secrets: &[String]) -> Option<Matcher> {
    let parts = node.kinds.iter().zip(secrets).flat_map(|(kind, secret)| kind.parts(secret));
    let spec = PatternSpec { patterns: parts.collect(), fixed: true, ..PatternSpec::default() };
    Matcher::new(&spec, &PatternLimits::default()).expect("texts are patterns")
}

fn assert_clean(finder: Option<&Matcher>, answer: &Answer, spec: &QuerySpec) {
    let Some(finder) = finder else { return };
    assert!(
        !finder.is_match(&answer.seen),
        "a secret is in the answer to {spec:?}: {}",
        String::from_utf8_lossy(&answer.seen)
    );
}

#[test]
fn no_part_of_a_secret_is_in_anything_that_a_query_tells() {
    each_seed(|seed| {
        let mut rng = Rng::with_seed(seed);
        let node = Node::new(&mut rng);
        let secrets = node.secrets(&mut rng, true);
        let dir = tempfile::tempdir().expect("a folder");
        node.write(dir.path(), &secrets, rng.u64(..));
        let engine = engine(dir.path());
        load(&engine, &policies(&mut rng, false));
        let finder = finder(&node, &secrets);
        for _ in 0..12 {
            let mut spec = query(&mut rng, &node, &secrets);
            if spec.output == Output::Records && spec.until.is_none() && rng.u8(0..4) == 0 {
                (spec.follow, spec.direction) = (true, weir_query::Direction::Forward);
            }
            if rng.u8(0..4) == 0 {
                spec.filters.insert(0, spy());
            }
            let answer = ask(&engine, &spec).expect("a query");
            assert_clean(finder.as_ref(), &answer, &spec);
            let of_covered = |namespace: &str| namespace == COVERED;
            for (record, place) in answer.records.iter().zip(&answer.places) {
                assert!(!of_covered(&record.namespace) || place.1 == 0, "an offset is told: {spec:?}");
                assert!(record.flags & !0x7f == 0);
            }
            if matches!(spec.limit, Limit::Head(_)) && spec.output == Output::Records && !spec.follow {
                let next = QuerySpec { resume: answer.token.clone(), ..spec };
                assert_clean(finder.as_ref(), &ask(&engine, &next).expect("the next page"), &next);
            }
        }
    });
}

/// The scan leaves out raw lines, and decides on those that no policy changes; both must come to what reading all
/// redacted text comes to.
#[test]
fn an_answer_is_that_of_logs_without_the_secrets() {
    each_seed(|seed| {
        let mut rng = Rng::with_seed(seed);
        let node = Node::new(&mut rng);
        let secrets = node.secrets(&mut rng, true);
        let (dir, redacted) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        node.write(dir.path(), &secrets, rng.u64(..));
        let engine_on = |dir: &tempfile::TempDir| engine(dir.path());
        let engine = engine_on(&dir);
        load(&engine, &policies(&mut rng, true));
        let all = ask(&engine, &QuerySpec::default()).expect("all of it");
        assert_clean(finder(&node, &secrets).as_ref(), &all, &QuerySpec::default());
        for record in &all.records {
            let whose = [record.namespace.as_str(), record.pod.as_str()];
            append(redacted.path(), whose, record.time, record.stderr, &record.message);
        }
        let plain = engine_on(&redacted);
        for _ in 0..12 {
            let spec = query(&mut rng, &node, &secrets);
            let (answer, expected) =
                (ask(&engine, &spec).expect("a query"), ask(&plain, &spec).expect("a query"));
            assert_eq!(answer.summary.matched, expected.summary.matched, "{spec:?}");
            let comparable = |answer: &Answer| {
                let mut records = answer.records.clone();
                // A policy's records may have lines between them that weren't given.
                records.iter_mut().for_each(|record| {
                    let mut flags = Flags::from_bits(record.flags);
                    flags.clear(Flags::BREAK);
                    record.flags = flags.bits();
                });
                records
            };
            match spec.context == weir_query::Context::default() {
                true => assert_eq!(comparable(&answer), comparable(&expected), "{spec:?}"),
                false => {
                    let matches = |answer: &Answer| {
                        answer.matches().map(|it| (it.time, it.message.clone())).collect::<Vec<_>>()
                    };
                    assert_eq!(matches(&answer), matches(&expected), "{spec:?}");
                }
            }
            let numbers = |answer: &Answer| -> Vec<String> {
                let is_number = |told: &&String| told.starts_with("Histogram") || told.starts_with("Counts");
                answer.told.iter().filter(is_number).cloned().collect()
            };
            assert_eq!(numbers(&answer), numbers(&expected), "{spec:?}");
        }
    });
}
