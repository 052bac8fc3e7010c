//! Filters: those that ship with Weir, and one from a file.

use crate::program::{Weir, weir};
use crate::sample::{RECORDS, Tree};

#[test]
fn json_match_chooses() {
    let tree = Tree::sample();
    let args = [
        "logs",
        "--dir",
        tree.arg(),
        "--count",
        "--filter",
        "json-match:where=level == \"error\" && n >= 30",
    ];
    assert_eq!(weir(&args).exits(0).stdout(), "10\n");
    let params = ["--filter", "json-match", "--filter-params", r#"{"where": "n in [1, 2, 3]"}"#];
    let args = [&["logs", "--dir", tree.arg(), "--count"][..], &params].concat();
    assert_eq!(weir(&args).exits(0).stdout(), "3\n");
}

#[test]
fn redact_replaces() {
    let tree = Tree::sample();
    for params in ["redact", "redact:detectors=[email,ipv4]", "redact:detectors=email,ipv4"] {
        let outcome = weir(&["logs", "--dir", tree.arg(), "--filter", params, "--tail", "5"]).exits(0);
        assert_eq!(outcome.lines().len(), 5);
        assert!(!outcome.stdout().contains("@example.com"), "{params}: {}", outcome.stdout());
    }
}

#[test]
fn filters_run_in_order() {
    let tree = Tree::sample();
    let chosen = "json-match:where=user == \"u7@example.com\"";
    let first = weir(&["logs", "--dir", tree.arg(), "--filter", chosen, "--filter", "redact"]).exits(0);
    assert_eq!(first.lines().len(), 1);
    assert!(!first.stdout().contains("@example.com"));
    let last = weir(&["logs", "--dir", tree.arg(), "--filter", "redact", "--filter", chosen]).exits(0);
    assert_eq!(last.stdout(), "", "what was redacted can't be asked for");
}

#[test]
fn lines_are_counted_by_fields_and_by_time() {
    let tree = Tree::sample();
    let stats = |params: &str, more: &[&str]| {
        weir(&[&["logs", "--dir", tree.arg(), "--filter", params][..], more].concat()).exits(0)
    };
    let errors = RECORDS / 3;
    let table = stats("stats:by=level,distinct=user", &[]);
    let expected = format!(
        "level  lines  distinct user\ninfo      {0}             {0}\nerror     {1}             {1}\n",
        RECORDS - errors,
        errors
    );
    assert_eq!(table.stdout(), expected);
    assert_eq!(stats("stats", &["-e", "error"]).stdout(), format!("lines\n{errors:>5}\n"));
    // One record a minute, and every object has the columns' names.
    let hours = stats("stats:every=10m,by=level,top=1", &["-o", "jsonl"]).objects();
    assert_eq!(hours.len(), RECORDS / 10);
    for hour in &hours {
        assert_eq!((&hour["type"], &hour["filter"]), (&"aggregate".into(), &"stats".into()));
        let value = &hour["value"];
        assert_eq!(value["level"], "info");
        let lines = value["lines"].as_f64().expect("a number");
        assert!(
            (6.0..=7.0).contains(&lines) && value["per_second"].as_f64() == Some(lines / 600.0),
            "{value}"
        );
    }
    assert_eq!(hours[0]["value"]["time"], "2026-11-24T10:00:00Z");
    stats("stats:by=level", &["-o", "raw"]).says(&["filter stats: level  lines"]);
}

#[test]
fn stats_tell_what_a_filter_did() {
    let tree = Tree::sample();
    let args = [
        "logs",
        "--dir",
        tree.arg(),
        "--filter",
        "json-match:where=level == \"error\"",
        "-o",
        "jsonl",
        "--stats",
    ];
    let outcome = weir(&args).exits(0);
    let objects = outcome.objects();
    let status = objects.iter().find(|object| object["type"] == "filter").expect("a filter's status");
    assert_eq!(status["name"], "json-match");
    assert_eq!(status["records_in"], RECORDS);
    assert_eq!(status["kept"], RECORDS / 3);
    assert!(status["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
    weir(&["logs", "--dir", tree.arg(), "--filter", "redact", "--stats"])
        .exits(0)
        .says(&["filter redact", "in"]);
}

#[test]
fn wrong_parameters_are_named() {
    let tree = Tree::sample();
    for (filter, named) in [
        ("json-match", &["json-match", "where"][..]),
        ("json-match:where=level ==", &["where"]),
        ("json-match:wehre=x", &["wehre", "where"]),
        ("redact:detectors=[emial]", &["detectors.0", "emial", "did you mean email?"]),
        ("json-match:where=12", &["`where`", "12", "string", "\"12\""]),
        ("redact:mode='mask', key=1", &["`key`", "1", "string"]),
    ] {
        let outcome = weir(&["logs", "--dir", tree.arg(), "--filter", filter]).exits(2).says(named);
        assert_eq!(outcome.stdout(), "");
    }
}

#[test]
fn a_component_from_a_file() {
    let tree = Tree::sample();
    let redact =
        weir_filters::all().iter().find(|filter| filter.name == "redact").expect("it ships with Weir");
    tree.write("my filters/mine.wasm", redact.component());
    tree.write("broken.wasm", b"\0asm and then nothing");
    let run = |filter: &str| {
        Weir::new(["logs", "--dir", tree.arg(), "--tail", "3", "--filter", filter]).in_dir(tree.path()).run()
    };
    let outcome = run("./my filters/mine.wasm:detectors=[email]").exits(0);
    assert!(!outcome.stdout().contains("@example.com"));
    run("broken.wasm").exits(2).says(&["broken.wasm"]);
    run("my filters").exits(2).says(&["my filters"]);
}

#[test]
fn single_quotes_hold_a_value_together() {
    let tree = Tree::sample();
    for filter in
        ["json-match:where='level == \"error\" && n >= 30'", "json-match:where=level == 'error' && n >= 30"]
    {
        let args = ["logs", "--dir", tree.arg(), "--count", "--filter", filter];
        assert_eq!(weir(&args).exits(0).stdout(), "10\n", "{filter}");
    }
}

/// The last five of what filters leave, not what they leave of the last five.
#[test]
fn limits_count_what_filters_leave() {
    let tree = Tree::sample();
    let args =
        ["logs", "--dir", tree.arg(), "--filter", "json-match:where=level == \"error\"", "--tail", "5"];
    assert_eq!(weir(&args).exits(0).lines().len(), 5);
}
