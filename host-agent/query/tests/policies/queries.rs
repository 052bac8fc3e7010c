//! Random queries, many of which try to find out what was taken out.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use fastrand::Rng;
use weir_query::{
    Case, Context, Direction, FilterRef, FilterSpec, Limit, OnFailure, Output, PatternSpec, QuerySpec,
    ShadowSpec,
};

use crate::guests::Puppet;
use crate::node::{BEGIN, Node};

/// Instructions of a `process` that puts all of the buffer that it is handed in the place of the first message.
pub(crate) const SPY: &str = "
    (local.set $codes (call $alloc (local.get $n)))
    (memory.fill (local.get $codes) (i32.const 0) (local.get $n))
    (i32.store8 (local.get $codes) (i32.const 2))
    (local.set $rends (call $alloc (i32.const 4)))
    (i32.store (local.get $rends) (local.get $block_len))
    (memory.fill (i32.const 1000) (i32.const 0) (i32.const 52))
    (i32.store (i32.const 1004) (local.get $codes)) (i32.store (i32.const 1008) (local.get $n))
    (i32.store (i32.const 1012) (local.get $rends)) (i32.store (i32.const 1016) (i32.const 1))
    (i32.store (i32.const 1020) (local.get $block)) (i32.store (i32.const 1024) (local.get $block_len))
    (return (i32.const 1000))";

/// A filter that gives all that it is handed.
pub(crate) fn spy() -> FilterSpec {
    let bytes = Puppet { prologue: vec![("process", SPY)], ..Puppet::default() }.build();
    FilterSpec::new(FilterRef::Component { label: "spy.wasm".to_owned(), bytes, signature: None })
}

/// A random query; `secrets` are of the node that it wants to know something of.
pub(crate) fn query(rng: &mut Rng, node: &Node, secrets: &[String]) -> QuerySpec {
    let output = match rng.u8(0..6) {
        0 => Output::Count { per_source: rng.bool() },
        1 => Output::Histogram {
            step: NonZeroU64::new(1_000_000_000).expect("not zero"),
            per_source: rng.bool(),
        },
        _ => Output::Records,
    };
    let limit = match rng.u8(0..6) {
        0 => Limit::Head(rng.u64(1..6)),
        1 => Limit::Tail(rng.u64(1..6)),
        _ => Limit::All,
    };
    let context = match rng.u8(0..4) {
        0 => Context { before: rng.usize(0..4), after: rng.usize(0..4) },
        _ => Context::default(),
    };
    let time = |rng: &mut Rng| (rng.u8(0..4) == 0).then(|| BEGIN + rng.i64(0..=(node.end - BEGIN)));
    let (since, until) = match (time(rng), time(rng)) {
        (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b) + 1)),
        other => other,
    };
    QuerySpec {
        pattern: pattern(rng, secrets),
        since,
        until,
        direction: if rng.u8(0..3) == 0 { Direction::Backward } else { Direction::Forward },
        limit,
        context,
        filters: (0..rng.usize(0..5).saturating_sub(2)).map(|_| user_filter(rng)).collect(),
        output,
        line_bytes: (rng.u8(0..5) == 0).then(|| rng.u32(8..60)),
        ..QuerySpec::default()
    }
}

fn pattern(rng: &mut Rng, secrets: &[String]) -> PatternSpec {
    let expression = |rng: &mut Rng| -> String {
        let guess = secrets.get(rng.usize(0..secrets.len().max(1))).map_or("4111", String::as_str);
        let guess = regex_escaped(&guess[..rng.usize(1..=guess.len())]);
        match rng.u8(0..12) {
            0 => guess,
            1 => format!("REDACTED|{guess}"),
            2 => format!("{guess}|error"),
            3 => format!("password={guess}"),
            4 => "REDACTED".to_owned(),
            5 => r"\d{4}".to_owned(),
            6 => "[QXZJKVW]{3}".to_owned(),
            7 => "^.{0,40}$".to_owned(),
            8 => "password=\\[".to_owned(),
            9 => "error".to_owned(),
            10 => "of .* paid$".to_owned(),
            _ => String::new(),
        }
    };
    let some = |rng: &mut Rng, most: usize| (0..rng.usize(0..=most)).map(|_| expression(rng)).collect();
    PatternSpec {
        patterns: some(rng, 2),
        and: if rng.u8(0..4) == 0 { some(rng, 1) } else { Vec::new() },
        not: if rng.u8(0..4) == 0 { some(rng, 1) } else { Vec::new() },
        fixed: rng.u8(0..8) == 0,
        case: if rng.u8(0..4) == 0 { Case::Insensitive } else { Case::Sensitive },
        word: rng.u8(0..8) == 0,
        line: rng.u8(0..12) == 0,
        invert: rng.u8(0..4) == 0,
    }
}

fn regex_escaped(text: &str) -> String {
    text.replace('.', r"\.")
}

fn user_filter(rng: &mut Rng) -> FilterSpec {
    let named = |name: &str, params: &str| FilterSpec {
        params: params.to_owned(),
        ..FilterSpec::new(FilterRef::Name(name.to_owned()))
    };
    let puppet = |kind: u8, prefilter| {
        let bytes = Puppet { kind, prefilter, ..Puppet::default() }.build();
        let filter = FilterRef::Component { label: "puppet.wasm".to_owned(), bytes, signature: None };
        // Whether it is called must not depend on time.
        let limits = BTreeMap::from([("failures".to_owned(), 1_000_000)]);
        FilterSpec { limits, ..FilterSpec::new(filter) }
    };
    match rng.u8(0..7) {
        0 => named("redact", r#"{"detectors":["email"]}"#),
        1 => named("json-match", r#"{"where":"level == \"error\""}"#),
        2 => named("stats", r#"{"by":["user"]}"#),
        3 => puppet(0, Some("error|REDACTED")),
        4 => FilterSpec { on_failure: OnFailure::Drop, ..puppet(1, None) },
        5 => {
            let beside = ShadowSpec { filter: puppet(1, None).filter, params: String::new() };
            FilterSpec { shadow: Some(beside), ..puppet(1, Some("error|GET")) }
        }
        _ => puppet(1, Some("error")),
    }
}
