//! `weir demo`, whole: it fails when one of its own commands ends in another way than it should.

use std::fs;
use std::path::Path;

use crate::agent;
use crate::program::weir;
use crate::sample::Tree;

#[test]
fn the_demo_shows_the_main_job() {
    agent::program();
    let place = Tree::new();
    let dir = place.path().join("demo");
    let dir = dir.to_str().expect("a plain path");
    let outcome = weir(&["demo", "--dir", dir, "--lines", "6000"]).exits(0);
    let shown = outcome.stdout();
    for part in [
        "$ export WEIR_AGENT=http://127.0.0.1:",
        "$ weir logs 'shop:checkout-*' --filter 'json-match:where=level == \"error\" && status >= 500' --tail 3",
        "[REDACTED",
        "(exit code 0)",
        "(exit code 1)",
        "(exit code 2)",
        "weir-agent serve",
    ] {
        assert!(shown.contains(part), "no '{part}' in:\n{shown}");
    }
    let commands = fs::read_to_string(Path::new(dir).join("commands.txt")).expect("the commands are left");
    assert!(commands.contains("weir sources"));
    // The tree is left to play with, and can be shown again as it is.
    let logs = Path::new(dir).join("pods");
    weir(&["logs", "--dir", logs.to_str().expect("a plain path"), "-q", "-e", "OutOfMemoryError"]).exits(0);
    let again = weir(&["demo", "--dir", dir, "--keep"]).exits(0);
    assert!(!again.stdout().contains(" of log, below "));
}

#[test]
fn a_tree_for_benches() {
    let (a, b) = (Tree::new(), Tree::new());
    let write = |tree: &Tree| {
        let args = [
            "demo",
            "--tree-only",
            "--lines",
            "2000",
            "--seed",
            "7",
            "--end",
            "2026-11-24T12:00:00Z",
            "--dir",
        ];
        weir(&[&args[..], &[tree.arg()]].concat()).exits(0);
        let pods = tree.path().join("pods");
        weir(&["logs", "--dir", pods.to_str().expect("a plain path"), "--all", "-o", "jsonl"]).exits(0)
    };
    let (first, second) = (write(&a), write(&b));
    assert_eq!(first.bytes(), second.bytes());
    assert_eq!(first.lines().len(), 2000);
    assert!(first.lines()[1999].contains("\"time\":\"2026-11-24T12:00:00.000000000Z\""));
}

#[test]
fn only_what_a_demo_wrote_is_replaced() {
    let tree = Tree::new();
    let mine = tree.write("mine.txt", "precious");
    weir(&["demo", "--tree-only", "--dir", tree.arg()]).exits(2).says(&[tree.arg(), "not empty"]);
    weir(&["demo", "--keep", "--dir", tree.arg()]).exits(2).says(&[tree.arg()]);
    assert_eq!(fs::read_to_string(mine).expect("it is still there"), "precious");
    weir(&["demo", "--tree-only", "--end", "soon", "--dir", "/proc/none"]).exits(2);
}
