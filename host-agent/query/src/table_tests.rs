//! Tables of several agents against one that has seen everything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn table(rows: &[(&str, u64)], limit: usize) -> String {
    let rows: Vec<Value> = rows.iter().map(|(key, lines)| json!([key, lines])).collect();
    json!({"table": {
        "keys": ["status"], "values": [{"name": "lines", "merge": "sum"}], "order": "lines", "limit": limit, "rows": rows,
    }})
    .to_string()
}

fn shown(summaries: Vec<String>) -> Vec<Vec<Value>> {
    let merged = merge_summaries(summaries);
    assert_eq!(merged.len(), 1, "{merged:?}");
    Table::read(&merged[0]).expect("a table").shown()
}

#[test]
fn what_is_frequent_on_all_agents_comes_first() {
    let first = table(&[("500", 5), ("404", 4), ("200", 3)], 2);
    let second = table(&[("200", 9), ("404", 2)], 2);
    assert_eq!(shown(vec![first, second]), [vec![json!("200"), json!(12)], vec![json!("404"), json!(6)]]);
}

#[test]
fn records_of_other_forms_are_left_as_they_are() {
    let like = |table: Value| json!({ "table": table }).to_string();
    let column = json!([{"name": "n", "merge": "sum"}]);
    for other in [
        r#"{"lines":3}"#.to_owned(),
        r#"{"table":3}"#.to_owned(),
        json!({"table": {"keys": [], "values": column, "rows": [[1]]}, "more": 1}).to_string(),
        like(json!({"keys": [], "values": column, "rows": [["1"]]})),
        like(json!({"keys": [], "values": column, "rows": [[1, 2]]})),
        like(json!({"keys": ["a"], "values": column, "rows": [[[1], 2]]})),
        like(json!({"keys": [], "values": column, "rows": [], "order": "m"})),
        like(json!({"keys": [], "values": column, "rows": [], "per": 1})),
        like(json!({"keys": [], "values": [{"name": "n", "merge": "mean"}], "rows": []})),
        like(json!({"keys": [], "values": [{"name": "n", "merge": "distinct"}], "rows": []})),
        like(
            json!({"keys": [], "values": [{"name": "n", "merge": "distinct", "size": 2}], "rows": [["xyz"]]}),
        ),
        like(json!({"keys": [], "values": [{"name": "n", "merge": "sum", "size": 2}], "rows": []})),
    ] {
        assert_eq!(Table::read(&other), None, "{other}");
        assert_eq!(merge_summaries([other.clone(), other.clone()]), [other.clone(), other]);
    }
}

#[test]
fn tables_with_other_columns_stay_apart() {
    let (two, three) = (table(&[("a", 1)], 2), table(&[("a", 1)], 3));
    assert_eq!(merge_summaries([two.clone(), three, two]).len(), 2);
}

#[test]
fn numbers_are_exact_where_they_can_be() {
    let sum_of = |a: Value, b: Value| sum(&a, &b);
    assert_eq!(sum_of(json!(u64::MAX - 1), json!(1)), json!(u64::MAX));
    assert_eq!(sum_of(json!(-3), json!(u64::MAX)), json!(u64::MAX - 3));
    assert_eq!(sum_of(json!(u64::MAX), json!(1)).as_f64(), Some(u64::MAX as f64 + 1.0));
    assert_eq!(sum_of(json!(0.5), json!(1)), json!(1.5));
}

#[test]
fn least_and_most_and_what_is_missing() {
    let table = |rows: Value| {
        let values = json!([{"name": "least", "merge": "min"}, {"name": "most", "merge": "max"}]);
        json!({"table": {"keys": ["k"], "values": values, "rows": rows}}).to_string()
    };
    let merged =
        shown(vec![table(json!([[null, 3, 3], ["b", 1, 1]])), table(json!([["a", 1, 1], [null, -2.5, 7]]))]);
    assert_eq!(json!(merged), json!([["a", 1, 1], ["b", 1, 1], [null, -2.5, 7]]));
}

#[test]
fn limits_count_within_the_first_keys() {
    let rows = json!([["t2", "a", 1], ["t1", "a", 1], ["t1", "b", 5], ["t1", "c", 3], ["t2", "b", 2]]);
    let table = json!({"table": {
        "keys": ["time", "k"], "values": [{"name": "n", "merge": "sum"}], "order": "n", "limit": 2, "per": 1, "rows": rows,
    }});
    let expected = json!([["t1", "b", 5], ["t1", "c", 3], ["t2", "b", 2], ["t2", "a", 1]]);
    assert_eq!(json!(shown(vec![table.to_string()])), expected);
}

#[test]
fn what_is_not_known_exactly_is_told() {
    let table = |left_out: u64, low_by: u64| {
        json!({"table": {
            "keys": [], "values": [{"name": "n", "merge": "sum"}], "order": "n", "limit": 1,
            "low_by": low_by, "left_out": left_out, "rows": [],
        }})
        .to_string()
    };
    let merged = merge_summaries([table(3, 10), table(5, 1)]);
    let merged = Table::read(&merged[0]).expect("a table");
    // 5 is the most that a row which only the first one shows can have lost.
    assert_eq!((merged.low_by, merged.left_out), (16, 8));
}

/// A sketch as the SDK writes it, by another hash.
fn sketch(values: &BTreeSet<u64>, size: usize) -> String {
    let spread = |value: &u64| value.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (value << 40);
    let hashes: BTreeSet<u64> = values.iter().map(spread).collect();
    hashes.into_iter().take(size).map(|hash| format!("{hash:016x}")).collect()
}

proptest! {
    /// However lines are spread over agents, the answer is that of one agent.
    #[test]
    fn parts_make_the_whole(lines in prop::collection::vec((0..4usize, 0..6u64, 0..40u64), 0..200)) {
        let of = |agents: &[usize]| {
            let mut rows: BTreeMap<u64, (u64, BTreeSet<u64>)> = BTreeMap::new();
            for (agent, key, value) in &lines {
                if agents.contains(agent) {
                    let row = rows.entry(*key).or_default();
                    row.0 += 1;
                    row.1.insert(*value);
                }
            }
            let rows: Vec<Value> =
                rows.iter().map(|(key, (lines, values))| json!([key, lines, sketch(values, 8)])).collect();
            let values = json!([{"name": "n", "merge": "sum"}, {"name": "d", "merge": "distinct", "size": 8}]);
            json!({"table": {"keys": ["k"], "values": values, "order": "n", "limit": 4, "rows": rows}}).to_string()
        };
        let whole = shown(vec![of(&[0, 1, 2, 3])]);
        prop_assert_eq!(shown(vec![of(&[0]), of(&[1]), of(&[2]), of(&[3])]), whole.clone());
        prop_assert_eq!(shown(vec![of(&[3, 1]), of(&[2, 0])]), whole);
    }

    /// Anything at all may be in a summary.
    #[test]
    fn nothing_makes_it_panic(text in r#"\{"table":\{"keys":\["a"\],"values":\[.{0,40}\],"rows":\[.{0,40}\]\}\}"#) {
        if let Some(table) = Table::read(&text) {
            prop_assert!(table.shown().iter().all(|row| row.len() == table.columns().count()));
        }
    }
}
