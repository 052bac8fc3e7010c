//! `--count` and `--histogram`.

use serde_json::json;

use crate::program::weir;
use crate::sample::Tree;

#[test]
fn counts() {
    let tree = Tree::sample();
    assert_eq!(weir(&["logs", "--dir", tree.arg(), "--count"]).exits(0).stdout(), "60\n");
    assert_eq!(weir(&["logs", "--dir", tree.arg(), "--count", "-e", "error"]).exits(0).stdout(), "20\n");
    assert_eq!(weir(&["logs", "--dir", tree.arg(), "--count", "-e", "none"]).exits(0).stdout(), "0\n");
    let outcome =
        weir(&["logs", "--dir", tree.arg(), "--count", "--per-source", "shop:", "-e", "info"]).exits(0);
    assert_eq!(outcome.stdout(), "20  shop:api-0/app (restart 2)\n20  shop:web-0/nginx\n");
    let outcome = weir(&["logs", "--dir", tree.arg(), "--count", "-o", "jsonl"]).exits(0);
    assert_eq!(outcome.objects(), [json!({"type": "count", "matched": 60})]);
    let outcome =
        weir(&["logs", "--dir", tree.arg(), "--count", "--per-source", "-o", "jsonl", "ops:"]).exits(0);
    let expected = json!({
        "type": "count", "namespace": "ops", "pod": "node-agent-x1", "container": "agent", "restart": 0, "matched": 20,
    });
    assert_eq!(outcome.objects(), [expected]);
}

#[test]
fn histograms() {
    let tree = Tree::sample();
    let outcome = weir(&["logs", "--dir", tree.arg(), "--histogram", "20m", "-e", "error"]).exits(0);
    let lines = outcome.lines();
    assert_eq!(lines.len(), 3);
    for (line, (time, count)) in lines.iter().zip([("10:00", 6), ("10:20", 7), ("10:40", 7)]) {
        assert!(line.starts_with(&format!("2026-11-24T{time}:00Z  {count}  █")), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }
    let outcome =
        weir(&["logs", "--dir", tree.arg(), "--histogram", "30m", "-o", "jsonl", "shop:api-*"]).exits(0);
    let bucket = |start: &str, end: &str| {
        json!({"type": "bucket", "start": format!("2026-11-24T{start}:00.000000000Z"),
            "end": format!("2026-11-24T{end}:00.000000000Z"), "matched": 10})
    };
    assert_eq!(outcome.objects(), [bucket("10:00", "10:30"), bucket("10:30", "11:00")]);
    let outcome = weir(&["logs", "--dir", tree.arg(), "--histogram", "1h", "--per-source"]).exits(0);
    assert_eq!(outcome.lines().iter().filter(|line| line.contains(':') && line.contains('/')).count(), 3);
}

/// Steps without a match are shown, but not by the thousand.
#[test]
fn empty_steps() {
    let tree = Tree::new();
    tree.write(
        "shop_web-0_u/app/0.log",
        "2026-11-24T10:00:00Z stdout F x\n2026-11-24T10:02:00Z stdout F x\n2026-11-24T12:00:00Z stdout F x\n",
    );
    let outcome = weir(&["logs", "--dir", tree.arg(), "--histogram", "1m"]).exits(0);
    let lines = outcome.lines();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[1], "2026-11-24T10:01:00Z  0");
    assert_eq!(lines[3], "  … 117 steps without a match");
}
