//! Filters that mean harm, on one's own machine: the command ends, and says why.

use std::fs;

use serde_json::Value;

use crate::bombs;
use crate::guests::Puppet;
use crate::program::{Weir, weir};

#[test]
fn a_bomb_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("a.log"), "2026-11-24T10:00:00Z stdout F k\n").expect("a log");
    for bomb in bombs::quick() {
        fs::write(dir.path().join("bomb.wasm"), &bomb.component).expect("a component");
        let args = ["logs", "--file", "a.log", "--filter", "./bomb.wasm"];
        let outcome = Weir::new(args).in_dir(dir.path()).run().exits(2);
        assert!(outcome.stderr().contains(bomb.told), "{}: {}", bomb.name, outcome.stderr());
        assert_eq!(outcome.stdout(), "", "{}", bomb.name);
    }
}

#[test]
fn a_record_that_a_filter_fails_on_is_told_with_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("a path of ours").to_owned();
    let line = |message: &str| format!("2026-11-24T10:00:00Z stdout F {message}\n");
    fs::write(path("a.log"), ["r1", "l2", "r3"].map(line).concat()).expect("a log");
    fs::write(path("puppet.wasm"), Puppet::default().build()).expect("a component");
    let (log, filter) = (path("a.log"), path("puppet.wasm"));
    let with = |more: &[&str]| {
        let args = ["logs", "--file", &log, "--filter", &filter, "--filter-limit", "batch_ms=20"];
        weir(&[&args, more].concat())
    };
    let outcome = with(&["-o", "raw", "--stats"]).exits(3);
    assert_eq!(outcome.stdout(), "R1\nl2\nR3\n");
    let place = format!("in {log}: process of the record at byte {} of file 0: time: ", line("r1").len());
    assert!(outcome.stderr().contains(&place), "{}", outcome.stderr());
    assert!(outcome.stderr().contains("batch_ms (20)"), "{}", outcome.stderr());

    assert_eq!(with(&["-o", "raw", "--on-failure", "drop"]).exits(3).stdout(), "R1\nR3\n");
    assert_eq!(with(&["-o", "raw", "--on-failure", "end"]).exits(3).stdout(), "R1\n");
    let told = with(&["-o", "jsonl", "--stats"]).exits(3);
    let filter = told.stdout().lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let filter = filter.into_iter().find(|value| value["type"] == "filter").expect("a filter");
    let failure = &filter["failures"][0];
    assert_eq!((&failure["call"], &failure["reason"]), (&Value::from("process"), &Value::from("time")));
    assert_eq!(
        (&failure["source"], &failure["offset"]),
        (&Value::from(log.clone()), &Value::from(line("r1").len()))
    );

    let wrong = with(&["--filter-limit", "memory=1"]).exits(2);
    assert!(wrong.stderr().contains("filters[0].limits.memory") && wrong.stderr().contains("memory_bytes"));
}
