//! `--shadow`: a filter beside another one, here and on an agent.

use serde_json::Value;

use crate::agent::Agent;
use crate::program::weir;
use crate::sample::{RECORDS, Tree};

const FILTERS: [&str; 4] = ["--filter", "redact:detectors=[email]", "--shadow", "redact:detectors=[ipv4]"];

fn shadow(objects: &[Value]) -> &Value {
    objects.iter().find(|object| object["type"] == "shadow").expect("what the shadow did")
}

#[test]
fn the_answer_is_the_same_and_differences_are_told() {
    let tree = Tree::sample();
    let agent = Agent::start(&tree, &[]);
    let url = format!("http://{}", agent.address);
    let alone = weir(&["logs", "--dir", tree.arg(), "--all", FILTERS[0], FILTERS[1]]).exits(0);
    for target in [["--dir", tree.arg()], ["--agent", &url]] {
        let ask = |more: &[&str]| weir(&[&["logs", "--all"], &target[..], &FILTERS, more].concat()).exits(0);
        let text = ask(&[]).says(&[
            "shadow redact",
            &format!("of {RECORDS} records compared"),
            "differ",
            "in the guest",
            "the message differs for the record at byte",
            "[REDACTED:email]",
        ]);
        assert_eq!(text.stdout(), alone.stdout());
        assert!(!text.stderr().contains("@example.com"), "what was taken out isn't told: {}", text.stderr());
        let objects = ask(&["-o", "jsonl"]).objects();
        let told = shadow(&objects);
        assert_eq!((&told["filter"], &told["compared"]), (&"redact".into(), &RECORDS.into()));
        assert_eq!(told["differing"], told["differing_messages"]);
        let sample = &told["samples"][0];
        assert_eq!(
            (&sample["difference"], &sample["filter"]["outcome"]),
            (&"message".into(), &"replaced".into())
        );
        assert!(sample["source"].is_string() && sample["offset"].is_u64(), "{sample}");
    }
}

/// Of an aggregate there is nothing to compare but its summaries.
#[test]
fn a_shadow_of_an_aggregate_tells_its_own_summary() {
    let tree = Tree::sample();
    let agent = Agent::start(&tree, &[]);
    let url = format!("http://{}", agent.address);
    for target in [["--dir", tree.arg()], ["--agent", &url]] {
        let ask = |shadow: &str, more: &[&str]| {
            let filters = ["--filter", "stats:by=level", "--shadow", shadow];
            weir(&[&["logs", "--all"], &target[..], &filters, more].concat()).exits(0)
        };
        let alone = weir(&[&["logs", "--all", "--filter", "stats:by=level"], &target[..]].concat()).exits(0);
        let text = ask("stats:by=user,top=30", &[]).says(&[
            "shadow stats",
            "1 summary record differs",
            "user",
            "more",
        ]);
        assert_eq!(text.stdout(), alone.stdout());
        let told = ask("stats:by=user", &["-o", "jsonl"]).objects();
        let told = shadow(&told);
        assert_eq!((&told["compared"], &told["differing"]), (&RECORDS.into(), &0.into()));
        assert_eq!(told["differing_summaries"], 1);
        assert_eq!(told["summaries"][0]["table"]["keys"][0], "user");
        let same = ask("stats:by=level", &["-o", "jsonl"]).objects();
        assert_eq!(shadow(&same)["differing_summaries"], 0);
        assert_eq!(shadow(&same)["summaries"], Value::Array(Vec::new()));
    }
}

#[test]
fn without_parameters_a_shadow_has_those_of_its_filter() {
    let tree = Tree::sample();
    let redact = weir_filters::get("redact").expect("it ships with Weir");
    let path = tree.write("next.wasm", redact.component());
    let path = path.to_str().expect("a plain path");
    let args = ["logs", "--dir", tree.arg(), "--all", "-o", "jsonl"];
    let objects = weir(&[&args[..], &["--filter", "redact:detectors=[email]", "--shadow", path]].concat())
        .exits(0)
        .objects();
    assert_eq!(shadow(&objects)["differing"], 0);
    weir(&[&args[..], &["--shadow", "redact"]].concat())
        .exits(2)
        .says(&["--shadow 'redact'", "before any --filter"]);
}
