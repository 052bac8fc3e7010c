//! Where records come from, and which of them are chosen.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use crate::program::{Weir, weir};
use crate::sample::{RECORDS, Tree, cri};

/// The sample's records that these arguments choose, by number.
fn chosen(tree: &Tree, args: &[&str]) -> Vec<usize> {
    let outcome = weir(&[&["logs", "--dir", tree.arg(), "-o", "jsonl"], args].concat()).exits(0);
    let number = |object: &serde_json::Value| {
        let message: serde_json::Value =
            serde_json::from_str(object["message"].as_str().expect("a message")).expect("messages are JSON");
        usize::try_from(message["n"].as_u64().expect("a number")).expect("a small number")
    };
    outcome.objects().iter().map(number).collect()
}

#[test]
fn without_a_question_the_last_ten() {
    let tree = Tree::sample();
    let outcome = weir(&["logs", "--dir", tree.arg()]).exits(0).says(&["last 10 records", "--all"]);
    assert_eq!(outcome.lines().len(), 10);
    assert_eq!(chosen(&tree, &[]), (50..60).collect::<Vec<_>>());
    assert_eq!(chosen(&tree, &["--reverse"]), (50..60).rev().collect::<Vec<_>>());
    for question in
        [&["--all"][..], &["-e", "."], &["--since", "2026-11-24"], &["--not", "zzz"], &["--tail", "60"]]
    {
        let outcome = weir(&[&["logs", "--dir", tree.arg()], question].concat()).exits(0);
        assert_eq!((outcome.lines().len(), outcome.stderr().as_str()), (RECORDS, ""), "{question:?}");
    }
}

#[test]
fn limits_and_order() {
    let tree = Tree::sample();
    assert_eq!(chosen(&tree, &["--head", "3"]), [0, 1, 2]);
    assert_eq!(chosen(&tree, &["--head", "3", "--reverse"]), [2, 1, 0]);
    assert_eq!(chosen(&tree, &["--tail", "3"]), [57, 58, 59]);
    assert_eq!(chosen(&tree, &["--tail", "3", "--reverse"]), [59, 58, 57]);
    assert_eq!(chosen(&tree, &["--head", "2", "-e", "error"]), [2, 5]);
    assert!(chosen(&tree, &["--tail", "0", "-e", "error"]).is_empty());
    assert_eq!(chosen(&tree, &["--all"]), (0..RECORDS).collect::<Vec<_>>());
}

#[test]
fn time_ranges() {
    let tree = Tree::sample();
    assert_eq!(chosen(&tree, &["--since", "2026-11-24T10:57:00Z"]), [57, 58, 59]);
    assert_eq!(chosen(&tree, &["--until", "2026-11-24 10:02"]), [0, 1]);
    assert_eq!(
        chosen(&tree, &["--since", "2026-11-24T11:10:00+01:00", "--until", "2026-11-24T10:12"]),
        [10, 11]
    );
}

#[test]
fn patterns() {
    let tree = Tree::sample();
    assert_eq!(chosen(&tree, &["-e", "\"n\":7,", "-g", "\"n\":9,"]), [7, 9]);
    assert_eq!(chosen(&tree, &["-F", "--grep", "u1@", "-e", "u2@"]), [1, 2]);
    assert_eq!(chosen(&tree, &["-e", "u1", "--and", "error"]), [11, 14, 17]);
    assert_eq!(chosen(&tree, &["-e", "u1", "--and", "error", "--not", "4"]), [11, 17]);
    assert_eq!(chosen(&tree, &["-i", "-e", "U59@"]), [59]);
    assert!(chosen(&tree, &["-i", "-s", "-e", "U59@"]).is_empty());
    assert!(chosen(&tree, &["-S", "-e", "U59@"]).is_empty());
    assert_eq!(chosen(&tree, &["-w", "-e", "u5"]), [5]);
    assert_eq!(chosen(&tree, &["-x", "-e", ".*u5@example.com..", "--all"]), [5]);
    assert_eq!(chosen(&tree, &["-v", "-e", "info"]).len(), RECORDS / 3);
    let file = tree.write("patterns.txt", "u3@\r\nu4@\n");
    assert_eq!(chosen(&tree, &["--pattern-file", file.to_str().expect("a plain path")]), [3, 4]);
}

#[test]
fn sources_are_chosen() {
    let tree = Tree::sample();
    assert_eq!(chosen(&tree, &["shop:web-*", "--head", "2"]), [0, 3]);
    assert_eq!(chosen(&tree, &["ops:", "/app", "--head", "3"]), [1, 2, 4]);
}

#[test]
fn standard_input() {
    let text = "one\ntwo\nthree";
    let from_pipe = |args: &[&str]| {
        let outcome = Weir::new([&["logs", "--file", "-"], args].concat()).stdin(text).run().exits(0);
        outcome.stdout().to_owned()
    };
    assert_eq!(from_pipe(&["-e", "t"]), "two\nthree\n");
    assert_eq!(from_pipe(&["-e", "t", "--reverse"]), "three\ntwo\n");
    assert_eq!(from_pipe(&["--tail", "1"]), "three\n");
    assert_eq!(from_pipe(&["-e", "two", "-B1"]), "one\ntwo\n");
    assert_eq!(from_pipe(&["--count"]), "3\n");
    let outcome = Weir::new(["logs", "--file", "-"]).stdin("line\n".repeat(12)).run().exits(0);
    assert_eq!(outcome.says(&["last 10"]).lines().len(), 10);
    // What runtimes write is recognised on a pipe too.
    let outcome =
        Weir::new(["logs", "--file", "-", "-o", "raw", "--all"]).stdin(cri(&[b"a", b"b"])).run().exits(0);
    assert_eq!(outcome.stdout(), "a\nb\n");
    let empty = Weir::new(["logs", "--file", "-", "--all"]).run().exits(0);
    assert_eq!(empty.stdout(), "");

    let tree = Tree::new();
    let file = File::open(tree.write("in.txt", text)).expect("the file is there");
    let outcome = Weir::new(["logs", "--file", "-", "--tail", "1"]).run_with_stdin_file(file).exits(0);
    assert_eq!(outcome.stdout(), "three\n");

    let patterns = Weir::new(["logs", "--dir", Tree::sample().arg(), "--pattern-file", "-", "--count"])
        .stdin("u1@\nu2@\n")
        .run();
    assert_eq!(patterns.exits(0).stdout(), "2\n");
    Weir::new(["logs", "--file", "-", "--pattern-file", "-"])
        .run()
        .exits(2)
        .says(&["--pattern-file", "--file"]);
}

#[test]
fn several_files_and_gzip() {
    let tree = Tree::new();
    let first = tree.write("a.log", cri(&[b"a"]));
    let second = tree.gzip("b", b"plain b\n");
    let args = [
        "logs",
        "--file",
        first.to_str().expect("a path"),
        "--file",
        second.to_str().expect("a path"),
        "--all",
    ];
    let outcome = weir(&args).exits(0);
    let lines = outcome.lines();
    assert!(lines.iter().any(|line| line.ends_with("a.log a")), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("/b plain b")), "{lines:?}");
}

/// `tail -f x | weir logs --file -`: what has come is shown before the pipe ends.
#[test]
fn a_live_pipe_is_shown_as_it_comes() {
    let mut child = Weir::new(["logs", "--file", "-", "-e", "hit"])
        .into_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("weir starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
    let mut line = String::new();
    for number in 0..3 {
        write!(stdin, "other\nhit {number}\n").expect("weir reads");
        line.clear();
        stdout.read_line(&mut line).expect("weir writes");
        assert_eq!(line, format!("hit {number}\n"));
    }
    drop(stdin);
    assert!(child.wait().expect("weir ends").success());
}

/// What is asked for page by page is what is asked for at once, in both directions, split lines included.
#[test]
fn pages_add_up_to_the_whole() {
    let tree = Tree::sample();
    let mut split = Vec::new();
    for number in 0..20 {
        let time = format!("2026-11-24T10:00:{number:02}.5Z");
        let tag = if number % 5 == 4 { 'F' } else { 'P' };
        split.extend_from_slice(format!("{time} stdout {tag} part {number},\n").as_bytes());
        split.extend_from_slice(format!("{time} stderr F between {number}\n").as_bytes());
    }
    tree.write("shop_split-0_uid-split/app/0.log", split);
    for (order, pattern) in [("--head", "."), ("--tail", "."), ("--tail", "7"), ("--tail", "part")] {
        let direction: &[&str] = if order == "--tail" { &["--reverse"] } else { &[] };
        let ask = |limit: &[&str], token: &[&str]| {
            let question = ["logs", "--dir", tree.arg(), "-o", "raw", "--show-token", "-e", pattern];
            weir(&[&question[..], direction, limit, token].concat()).exits(0)
        };
        let whole = ask(&["--all"], &[]);
        for size in ["3", "8"] {
            let (mut pages, mut token) = (String::new(), None::<String>);
            loop {
                let resume = token.as_deref().map(|token| ["--resume", token]);
                let page = ask(&[order, size], resume.as_ref().map_or(&[], |resume| &resume[..]));
                if page.stdout().is_empty() {
                    break;
                }
                pages.push_str(page.stdout());
                let told = page.stderr().split("--resume ").nth(1).expect("a token").to_owned();
                token = told.split_whitespace().next().map(str::to_owned);
            }
            assert_eq!(pages, whole.stdout(), "{order} {size} of {pattern}");
        }
    }
}
