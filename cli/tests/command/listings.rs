//! `weir sources`, `weir filters`, completions and manual pages.

use serde_json::json;

use crate::program::weir;
use crate::sample::{Tree, sample_time};

#[test]
fn sources() {
    let tree = Tree::sample();
    let outcome = weir(&["sources", "--dir", tree.arg()]).exits(0);
    let rows: Vec<Vec<&str>> = outcome.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["SOURCE", "RESTART", "FILES", "SIZE", "OLDEST", "NEWEST"]);
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[1][..3], ["ops:node-agent-x1/agent", "0", "1"]);
    assert_eq!(rows[2][..3], ["shop:api-0/app", "2", "1"]);
    assert_eq!(rows[3][..3], ["shop:web-0/nginx", "0", "2"]);
    assert_eq!(rows[3][5..], ["2026-11-24T10:00:00.000Z", "2026-11-24T10:57:00.000Z"]);

    let outcome = weir(&["sources", "--dir", tree.arg(), "-o", "jsonl", "/nginx"]).exits(0);
    let object = &outcome.objects()[0];
    assert_eq!(object["pod"], "web-0");
    assert_eq!((&object["oldest"], &object["newest"]), (&json!(sample_time(0)), &json!(sample_time(57))));
    assert_eq!(object["files"][1]["name"], "0.log");
    let sizes: u64 =
        object["files"].as_array().expect("a list").iter().filter_map(|file| file["size"].as_u64()).sum();
    assert_eq!(object["bytes"], sizes);

    let empty = Tree::new();
    weir(&["sources", "--dir", empty.arg()]).exits(0).says(&["no logs"]);
}

#[test]
fn filters() {
    let outcome = weir(&["filters"]).exits(0);
    for filter in weir_filters::all() {
        assert!(outcome.lines().iter().any(|line| line.starts_with(filter.name)), "{}", filter.name);
    }
    let outcome = weir(&["filters", "json-match"]).exits(0);
    let row = outcome.lines().into_iter().find(|line| line.starts_with("where")).expect("its parameter");
    assert!(row.contains("string") && row.contains("required"), "{row}");
    let outcome = weir(&["filters", "redact", "-o", "jsonl"]).exits(0);
    let object = &outcome.objects()[0];
    assert_eq!((&object["name"], &object["kind"]), (&json!("redact"), &json!("redact")));
    assert!(object["params_schema"]["properties"].is_object());
}

#[test]
fn completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(weir(&["completions", shell]).exits(0).stdout().contains("filter-params"), "{shell}");
    }
    assert!(weir(&["man"]).exits(0).stdout().contains(".SH SYNOPSIS"));
    let dir = Tree::new();
    weir(&["man", "--dir", dir.arg()]).exits(0);
    let page = std::fs::read_to_string(dir.path().join("weir-logs.1")).expect("a page for weir logs");
    assert!(page.contains("json") && page.contains("histogram"));
}
