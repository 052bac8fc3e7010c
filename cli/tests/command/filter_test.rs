//! `weir filter test`: what it catches, and what it makes of guests that mean harm.

use std::fs;
use std::path::Path;

use crate::bombs;
use crate::guests::{Puppet, WAYS_TO_FAIL};
use crate::program::{Outcome, Weir};
use crate::sample::Tree;

/// Tests a puppet with cases and made-up lines.
fn tested(puppet: &Puppet, cases: &str, args: &[&str]) -> (Outcome, String) {
    let tree = Tree::new();
    tree.write("puppet.wasm", puppet.build());
    let file = tree.write("cases/a.yaml", cases);
    let all = [&["filter", "test", "./puppet.wasm", "--cases", "cases"], args].concat();
    let outcome = Weir::new(all).in_dir(tree.path()).run();
    let after = fs::read_to_string(file).expect("the cases are there");
    (outcome, after)
}

/// With golden cases alone.
fn with_cases(cases: &str) -> Outcome {
    tested(&Puppet::default(), cases, &["--fuzz", "0"]).0
}

#[test]
fn each_way_in_which_a_case_can_fail_is_told() {
    let passed = with_cases(
        "- lines: [k, d, r1, a]\n  expect: [keep, drop, {replace: R1}, {keep: {a: 1}}]\n  output: [k, R1, a]\n",
    );
    assert!(passed.exits(0).stdout().contains("1 golden case passed, 0 failed"));
    for (case, told) in [
        ("lines: [k]\n  expect: [drop]", "line 1: expected drop, found keep"),
        ("lines: [k, d]\n  expect: [keep, keep]", "line 2: expected keep, found drop"),
        ("lines: [r1]\n  expect: [{replace: r1}]", "expected {replace: \"r1\"}, found {replace: \"R1\"}"),
        ("lines: [a]\n  expect: [keep]", "expected keep, found {keep: {\"a\":1}}"),
        ("lines: [k, d]\n  output: [k, d]", "expected output line 2 to be \"d\", found no more lines"),
        ("lines: [k]\n  output: []", "expected output line 1 to be no more lines, found \"k\""),
        (
            "lines: [k]\n  expect: [keep]\n  finish: []",
            "expected the summary [], found [{\"seen\":10000001}]",
        ),
        ("params: {r: 1}\n  lines: [k]\n  expect: [keep]", "found `limit.max` refused: expected less"),
        ("params: {r: 1}\n  error: {field: other}", "expected `other` refused"),
        ("params: {k: 1}\n  error: {field: k}", "expected `k` refused, found the parameters accepted"),
        ("lines: [k, e]\n  output: [k, e]", "found no more lines; line 2 failed: reported: "),
        ("lines: [e]\n  expect: [{fail: stood up}]", "found {fail: \"reported: "),
    ] {
        let outcome = with_cases(&format!("- name: some case\n  {case}\n")).exits(1);
        let place = "FAILED cases/a.yaml, case 1 some case";
        assert!(outcome.stdout().contains(place) && outcome.stdout().contains(told), "{}", outcome.stdout());
        assert!(outcome.stdout().contains("0 golden cases passed, 1 failed"), "{}", outcome.stdout());
    }
    for (wrong, told) in [
        ("- lines: [k]\n  expect: [keep, drop]\n", "2 entries for 1 lines"),
        ("- lines: [k]\n", "nothing says what comes"),
        ("- lines: [k]\n  expected: [keep]\n", "expected"),
        ("- {lines: [k], expect: [keep], error: {field: a}}\n", "filter nothing"),
        ("- lines: [{message: k, time: noon}]\n  expect: [keep]\n", "noon"),
        ("- {lines: [k], expect: [kep]}\n", "\"kep\" is no verdict; give keep, drop, stop, {replace: text}"),
        ("- {lines: [k], expect: [{replace: 1}]}\n", "{\"replace\":1}: invalid type"),
        ("- {lines: [404], expect: [keep]}\n", "404 is no text; put it in quotes"),
        ("- {lines: [{mesage: k}], expect: [keep]}\n", "unknown field `mesage`"),
        ("- [", "cases/a.yaml"),
        ("[]\n", "no case"),
    ] {
        assert_eq!(with_cases(wrong).exits(2).says(&[told]).stdout(), "", "{wrong}");
    }
}

/// A test that has nothing to test is none: it was green with a folder that isn't there.
#[test]
fn nothing_to_test_is_no_success() {
    let tree = Tree::new();
    tree.write("puppet.wasm", Puppet::default().build());
    tree.write("cases/a.yml", "- {lines: [k], expect: [keep]}\n");
    tree.write("notes/readme.txt", "no cases");
    let test = |args: &[&str]| Weir::new([&["filter", "test"], args].concat()).in_dir(tree.path()).run();
    for folder in ["nowhere", "notes"] {
        let args = ["./puppet.wasm", "--cases", folder, "--fuzz", "0"];
        test(&args).exits(2).says(&[&format!("--cases {folder}: there is no file *.yaml")]);
    }
    let passed = test(&["./puppet.wasm", "--cases", "cases", "--fuzz", "0"]).exits(0);
    assert!(passed.stdout().contains("1 golden case passed"), "{}", passed.stdout());
    // Its only parameter has no default, and no case has one.
    assert!(test(&["json-match"]).exits(1).stdout().contains("`where` refused"));
}

#[test]
fn cases_are_updated_where_the_filter_is_sound() {
    let cases = "\
# Kept.
- name: one
  lines: [k, r1, a] # and this
  expect: [drop, drop, drop]
  output: []
- name: two
  lines: [k]
  expect:
    - keep
  finish: []
";
    let update = ["--fuzz", "0", "--update"];
    let (outcome, after) = tested(&Puppet::default(), cases, &update);
    assert!(outcome.exits(0).stdout().contains("updated 2 cases in cases/a.yaml"));
    let expected = cases
        .replace("[drop, drop, drop]", "[keep, {replace: \"R1\"}, {keep: {\"a\":1}}]")
        .replace("output: []", "output: [\"k\", \"R1\", \"a\"]")
        .replace("\n    - keep", " [keep]")
        .replace("finish: []", "finish: [{\"seen\":10000001}]");
    assert_eq!(after, expected);
    assert!(with_cases(&after).exits(0).stdout().contains("2 golden cases passed"));

    // A trap is no answer to write down, and a refusal is for a person to decide.
    let trap = "- lines: [x]\n  expect: [keep]\n";
    let (outcome, after) = tested(&Puppet::default(), trap, &update);
    assert!(outcome.exits(1).stdout().contains("trap"));
    assert_eq!(after, trap);
    let refused = "- params: {k: 1}\n  error: {field: k}\n";
    let (outcome, after) = tested(&Puppet::default(), refused, &update);
    outcome.exits(1).says(&["accepted", "by hand"]);
    assert_eq!(after, refused);
}

#[test]
fn a_broken_promise_shows_the_line() {
    let promises = Puppet { kind: 0, prefilter: Some("^d"), ..Puppet::default() };
    let (outcome, _) =
        tested(&promises, "- lines: [dropped, kept on]\n  expect: [drop, keep]\n", &["--fuzz", "0"]);
    let outcome = outcome.exits(1);
    for told in ["the prefilter's promise is broken", "`^d` is never kept", "line 2", "\"kept on\""] {
        assert!(outcome.stdout().contains(told), "{told}: {}", outcome.stdout());
    }
    // Of made-up lines the first is empty, and kept.
    let (outcome, _) = tested(&promises, "- lines: []\n  expect: []\n", &["--fuzz", "3", "--seed", "7"]);
    let outcome = outcome.exits(1);
    for told in ["promise is broken", "line of 0 bytes: ''", "comes out as keep", "--fuzz 3 --seed 7"] {
        assert!(outcome.stdout().contains(told), "{told}: {}", outcome.stdout());
    }
    let changes = Puppet { prefilter: Some("^k"), ..Puppet::default() };
    let (outcome, _) = tested(&changes, "- lines: [r1]\n  expect: [{replace: R1}]\n", &["--fuzz", "0"]);
    assert!(outcome.exits(1).stdout().contains("comes out unchanged"));
}

#[test]
fn verdicts_that_depend_on_batches_are_caught() {
    // A record that comes alone is dropped: its first byte is overwritten.
    let alone = "(if (i32.eq (local.get $n) (i32.const 1)) (then (i32.store8
        (i32.add (local.get $block) (i32.load (local.get $starts))) (i32.const 100))))";
    let puppet = Puppet { prologue: vec![("process", alone)], ..Puppet::default() };
    let (outcome, _) = tested(&puppet, "- lines: []\n  expect: []\n", &["--fuzz", "3"]);
    let outcome = outcome.exits(1);
    for told in
        ["depends on how lines are batched", "in batches of 1 it comes out as drop", "as keep", "'\\x00'"]
    {
        assert!(outcome.stdout().contains(told), "{told}: {}", outcome.stdout());
    }
    let (outcome, _) = tested(&puppet, "- lines: [k, k]\n  expect: [keep, keep]\n", &["--fuzz", "0"]);
    assert!(outcome.exits(1).stdout().contains("in batches of one line, line 1: expected keep, found drop"));
}

#[test]
fn made_up_lines_are_the_same_for_the_same_seed() {
    let run = |seed: &str| {
        let args = ["--fuzz", "500", "--seed", seed];
        tested(&Puppet::default(), "- lines: []\n  expect: []\n", &args).0.exits(1).stdout().to_owned()
    };
    let first = run("1");
    assert!(first.contains("seed 1") && first.contains("it fails: process: "), "{first}");
    assert_eq!(run("1"), first);
}

#[test]
fn what_the_sandbox_ends_is_told_by_its_limit() {
    // In cases of their own, since a filter that fails too often isn't called for a while.
    let case = |(message, ..): &(&str, &str, &str)| format!("- lines: [\"{message}\"]\n  expect: [keep]\n");
    let cases: String = WAYS_TO_FAIL.iter().map(case).collect();
    let outcome = with_cases(&cases).exits(1);
    for (message, reason, words) in WAYS_TO_FAIL {
        let told =
            |line: &&str| line.contains(&format!("found {{fail: \"{reason}: ")) && line.contains(words);
        assert!(outcome.lines().iter().any(told), "{message}: {}", outcome.stdout());
    }
    for export in ["begin-source", "finish"] {
        let looping = Puppet { prologue: vec![(export, "(loop $ever (br $ever))")], ..Puppet::default() };
        let (outcome, _) = tested(&looping, "- lines: []\n  expect: []\n", &["--fuzz", "1"]);
        let outcome = outcome.exits(1);
        assert!(outcome.stdout().contains(&format!("it fails: {export}: time: ")), "{}", outcome.stdout());
    }
}

#[test]
fn a_bomb_fails_with_its_documented_error() {
    let tree = Tree::new();
    for bomb in bombs::quick() {
        tree.write("bomb.wasm", &bomb.component);
        let outcome = Weir::new(["filter", "test", "./bomb.wasm"]).in_dir(tree.path()).run().exits(1);
        let told = format!("{}{}", outcome.stdout(), outcome.stderr());
        assert!(told.contains(bomb.told), "{}: {told}", bomb.name);
    }
}

/// The golden cases of every filter that ships with Weir, as components, and made-up lines. The filters' own tests run
/// the same cases natively.
#[test]
fn shipped_filters_pass() {
    let filters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filters");
    let mut cases = 0;
    for filter in weir_filters::all() {
        let folder = filters.join(filter.name).join("tests");
        let folder = folder.to_str().expect("a path of ours");
        let outcome = Weir::new(["filter", "test", filter.name, "--cases", folder]).run().exits(0);
        let passed = outcome.lines()[0].split(' ').next().and_then(|number| number.parse::<u32>().ok());
        cases += passed.expect("a number of cases");
    }
    assert!(cases > 50, "only {cases} cases were found");
}
