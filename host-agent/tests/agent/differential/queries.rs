//! Random queries.

use std::num::NonZeroU64;

use proptest::prelude::*;
use weir_query::{Case, Context, Direction, FilterRef, FilterSpec, Limit, Output, PatternSpec, QuerySpec};

use super::model::Condition;
use super::tree::START;

/// A query, and what its filter asks in `jq`'s words.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) spec: QuerySpec,
    pub(super) condition: Option<Condition>,
}

const PATTERNS: &[&str] = &[
    "error",
    "warn|GET",
    "^err",
    "a$",
    r"\bwarn\b",
    "(?i)ERR",
    "\u{e9}+",
    "[a-z0-9]",
    "^$",
    "x*",
    " F ",
    " P ",
    "stdout",
    "2026",
    "[0-9]{2}",
    "STRASSE|stra\u{df}e",
    r"id=[0-9a-f]{4}",
    "error.*warn",
    r"[^a]b",
    r#"""#,
    r"\\",
    r"\t",
    "ERROR",
    r"\S+",
    "<&>",
    r"^[^ \r]+$",
    r"\w=",
    "\u{2028}",
    r"42\b",
];

const CONDITIONS: &[Condition] = &[
    Condition { filter: r#"level == "error""#, jq: r#".level == "error""# },
    Condition { filter: "status >= 300", jq: r#"(.status | type) == "number" and .status >= 300"# },
    Condition {
        filter: r#"level in ["error", "warn"] && ok == true"#,
        jq: r#"(.level == "error" or .level == "warn") and .ok == true"#,
    },
    Condition { filter: "status exists && !(ok == true)", jq: r#"has("status") and .ok != true"# },
];

fn pattern() -> impl Strategy<Value = PatternSpec> {
    let one = prop::sample::select(PATTERNS).prop_map(str::to_owned);
    let word =
        prop::sample::select(vec!["error", "warn", "GET", "42", "a", "b", "ERROR"]).prop_map(str::to_owned);
    let flags = (
        prop::sample::select(vec![Case::Sensitive, Case::Insensitive, Case::Smart]),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    );
    let patterns = prop_oneof![
        1 => Just(Vec::new()),
        4 => prop::collection::vec(one.clone(), 1..3),
        // Words alone: what a word boundary means beside other characters has changed between versions of rg.
        1 => prop::collection::vec(word, 1..3),
    ];
    let narrowing = prop::collection::vec(one.clone(), 0..2);
    let excluding = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..2)];
    (patterns, narrowing, excluding, flags).prop_map(|(patterns, and, not, (case, fixed, invert, strict))| {
        let words = |patterns: &[String]| patterns.iter().all(|text| text.chars().all(char::is_alphanumeric));
        let all_words = words(&patterns) && words(&and) && words(&not);
        PatternSpec {
            word: strict && all_words,
            line: strict && !all_words,
            fixed: fixed && invert,
            patterns,
            and,
            not,
            case,
            invert,
        }
    })
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        2 => Just(Limit::All),
        1 => (0u64..12).prop_map(Limit::Head),
        1 => (0u64..12).prop_map(Limit::Tail),
    ]
}

fn range() -> impl Strategy<Value = (Option<i64>, Option<i64>)> {
    let edge = |milliseconds: i64| START + milliseconds * 1_000_000;
    prop_oneof![
        3 => Just((None, None)),
        1 => (0i64..4000, 1i64..6000).prop_map(move |(since, width)| (Some(edge(since)), Some(edge(since + width)))),
        1 => (0i64..6000).prop_map(move |since| (Some(edge(since)), None)),
    ]
}

fn output() -> impl Strategy<Value = Output> {
    prop_oneof![
        6 => Just(Output::Records),
        1 => any::<bool>().prop_map(|per_source| Output::Count { per_source }),
        1 => (1u64..3000, any::<bool>()).prop_map(|(step, per_source)| Output::Histogram {
            step: NonZeroU64::new(step * 1_000_000).expect("not zero"),
            per_source,
        }),
    ]
}

/// A random query over all sources.
pub(super) fn query() -> impl Strategy<Value = Query> {
    (
        pattern(),
        limit(),
        prop_oneof![2 => Just((0usize, 0usize)), 1 => (0usize..4, 0usize..4)],
        any::<bool>(),
        range(),
        output(),
        prop::option::weighted(0.3, prop::sample::select(CONDITIONS)),
        prop::option::weighted(0.1, 1u32..24),
    )
        .prop_map(
            |(pattern, limit, (before, after), backward, (since, until), output, condition, line_bytes)| {
                let filters = condition.map(|condition| FilterSpec {
                    params: serde_json::json!({ "where": condition.filter }).to_string(),
                    ..FilterSpec::new(FilterRef::Name("json-match".to_owned()))
                });
                let spec = QuerySpec {
                    pattern,
                    since,
                    until,
                    direction: if backward { Direction::Backward } else { Direction::Forward },
                    limit,
                    context: Context { before, after },
                    filters: filters.into_iter().collect(),
                    output,
                    line_bytes,
                    ..QuerySpec::default()
                };
                Query { spec, condition }
            },
        )
}
