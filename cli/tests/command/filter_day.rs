//! The day of somebody who writes a filter, as somebody who has never seen Weir has it: without a network, and without
//! anything that cargo has fetched before.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::listings::offered_in;
use crate::program::{Weir, weir};
use crate::sample::Tree;

/// Where filters are made: one place for all kinds, whose crates are then compiled once.
struct Day {
    root: PathBuf,
    cargo_home: tempfile::TempDir,
}

impl Day {
    fn new() -> Day {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("filter-day");
        let day = Day { root, cargo_home: tempfile::tempdir().expect("a folder") };
        day.remove();
        fs::create_dir_all(&day.root).expect("a folder can be made");
        day
    }

    fn remove(&self) {
        if self.dir().exists() {
            fs::remove_dir_all(self.dir()).expect("a folder can be removed");
        }
    }

    /// The filter's folder.
    fn dir(&self) -> PathBuf {
        self.root.join("x")
    }

    fn weir(&self, dir: &Path, args: &[&str]) -> Weir {
        Weir::new(args)
            .in_dir(dir)
            .env("CARGO_HOME", self.cargo_home.path())
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", self.root.join("target"))
    }

    /// Makes a filter and builds it.
    fn make(&self, kind: &str) {
        let made = self.weir(&self.root, &["filter", "new", "x", "--kind", kind]).run().exits(0);
        assert!(
            made.stdout()
                .ends_with("cd x && weir filter build && weir filter test && weir filter run . sample.log\n")
        );
        let lock = || fs::read_to_string(self.dir().join("Cargo.lock")).expect("it is there");
        let before = lock();
        let built = self.weir(&self.dir(), &["filter", "build"]).run().exits(0);
        for told in ["built ./x.wasm", &format!("kind     {kind}"), "imports  none", "PARAMETER"] {
            assert!(built.stdout().contains(told), "{told}: {}", built.stdout());
        }
        assert_eq!(lock(), before, "cargo had nothing to resolve");
    }

    /// What comes out of the sample log.
    fn output(&self, args: &[&str]) -> String {
        let args = [&["filter", "run", ".", "sample.log"], args].concat();
        self.weir(&self.dir(), &args).run().exits(0).stdout().to_owned()
    }
}

#[test]
fn from_nothing_to_a_filter_of_each_kind() {
    let day = Day::new();
    for kind in ["transform", "redact", "aggregate", "select"] {
        day.remove();
        day.make(kind);
        fs::remove_file(day.dir().join("x.wasm")).expect("it was built");
        let tested = day.weir(&day.dir(), &["filter", "test"]).run().exits(0).says(&["building ", "x.wasm"]);
        assert_eq!(day.weir(&day.dir(), &["filter", "inspect"]).run().exits(0).stderr(), "");
        assert!(tested.stdout().contains("golden cases passed, 0 failed"), "{}", tested.stdout());
        assert!(tested.stdout().contains(": passed"), "{}", tested.stdout());
        let output = day.output(&[]);
        let lines = output.lines().count();
        match kind {
            "transform" => assert!(lines == 14 && output.contains("{\"bytes\":182}") && output.contains('…')),
            "redact" => assert!(lines == 14 && output.contains("token=***") && !output.contains("hunter2")),
            "aggregate" => {
                assert_eq!(
                    output,
                    "{\"lines\":14,\"levels\":{\"DEBUG\":2,\"ERROR\":2,\"INFO\":7,\"WARN\":1}}\n"
                );
            }
            _ => {
                assert!(lines == 3 && output.contains("panic: "), "{output}");
                assert_eq!(day.output(&["--params", "words=[heartbeat]"]).lines().count(), 1);
            }
        }
    }
    // The last one, in use.
    let dir = day.dir();
    let diff = day.output(&["--diff", "--params", "{\"words\":[\"WARN\"]}"]);
    let marked = |mark: &str| diff.lines().filter(|line| line.starts_with(mark)).count();
    assert_eq!((marked("- "), marked("  "), marked("+ ")), (13, 1, 0), "{diff}");
    let listed = fs::read_to_string(dir.join(".gitignore")).expect("it is there");
    assert!(listed.contains("/*.key\n"), "a private key is not committed: {listed}");
    assert_eq!(offered_in(&dir, "weir filter run .:wo"), ["words="]);
    let inspected = day.weir(&dir, &["filter", "inspect"]).run().exits(0);
    assert!(inspected.stdout().starts_with("x 0.1.0: Keeps lines"), "{}", inspected.stdout());
    let logs = day.weir(&dir, &["logs", "--file", "sample.log", "--filter", "./x.wasm", "--count"]).run();
    assert_eq!(logs.exits(0).stdout(), "3\n");
    fs::copy(dir.join("x.wasm"), dir.join("before.wasm")).expect("it is copied");
    let bench = ["filter", "bench", ".", "sample.log", "--compare", "./before.wasm", "--seconds", "0.1"];
    let bench = day.weir(&dir, &[&bench[..], &["-o", "jsonl"]].concat()).run().exits(0);
    let objects = bench.objects();
    assert_eq!(objects.len(), 3);
    assert_eq!((&objects[0]["records"], &objects[1]["failed"]), (&14.into(), &0.into()));
    assert_eq!(objects[1]["digest"], objects[2]["digest"]);
    let skipped = objects[1]["skipped_by_prefilter"].as_f64().expect("a share");
    assert!((skipped - 11.0 / 14.0).abs() < 1e-9, "{skipped}");
    assert!(objects[1]["batch_p50_ns"].as_u64() <= objects[1]["batch_p99_ns"].as_u64());
    assert!(objects[1]["peak_memory"].as_u64().is_some_and(|bytes| bytes > 0));

    it_is_built_again_with_each_change(&day);

    // What doesn't compile is the author's to mend, and says so.
    fs::write(dir.join("src/lib.rs"), "nonsense").expect("it is written");
    day.weir(&dir, &["filter", "test"]).run().exits(1).says(&["nonsense", "does not build"]);
}

/// `weir filter dev` on the filter that `day` has.
fn it_is_built_again_with_each_change(day: &Day) {
    let source = day.dir().join("src/lib.rs");
    let mut dev = day
        .weir(&day.dir(), &["filter", "dev"])
        .into_command()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("weir starts");
    let mut lines = BufReader::new(dev.stdout.take().expect("it is piped")).lines();
    let mut round = || -> Vec<String> {
        let lines = lines.by_ref().map(|line| line.expect("it is text"));
        let mut round = Vec::new();
        for line in lines {
            if line.contains("waiting for a change") {
                return round;
            }
            round.push(line);
        }
        panic!("it has ended: {round:?}");
    };
    let first = round();
    assert!(first.iter().any(|line| line.ends_with("golden cases passed, 0 failed")), "{first:?}");
    assert!(first.iter().any(|line| line.starts_with("  panic: ")), "{first:?}");
    let text = fs::read_to_string(&source).expect("it is read");
    fs::write(&source, text.replace("[\"ERROR\", \"panic\"]", "[\"WARN\", \"panic\"]"))
        .expect("it is written");
    let second = round();
    assert!(second.iter().any(|line| line.starts_with("FAILED")), "{second:?}");
    let changed: Vec<&str> = second.iter().map(|line| line.get(..2).unwrap_or_default()).collect();
    let count = |mark: &str| changed.iter().filter(|start| **start == mark).count();
    assert_eq!((count("- "), count("+ ")), (2, 1), "{second:?}");
    fs::write(&source, text).expect("it is written");
    assert!(round().iter().any(|line| line == "output: changed"));
    dev.kill().expect("it can be ended");
    dev.wait().expect("it ends");
}

#[test]
fn nothing_is_overwritten_and_wrong_words_are_refused() {
    let tree = Tree::new();
    tree.write("taken/mine.txt", "mine");
    let new = |args: &[&str]| Weir::new([&["filter", "new"], args].concat()).in_dir(tree.path()).run();
    new(&["taken"]).exits(2).says(&["taken", "already"]);
    assert_eq!(fs::read_to_string(tree.path().join("taken/mine.txt")).expect("it is there"), "mine");
    // The last one is a crate of the SDK, which cargo can't have twice.
    for name in ["Bad", "-x", "a/b", "../x", "", "memchr"] {
        assert_eq!(new(&[name]).exits(2).stdout(), "", "{name}");
    }
    new(&["x", "--lang", "cobol"]).exits(2).says(&["rust"]);
    new(&["x", "--kind", "sort"]).exits(2).says(&["aggregate"]);
    assert!(!tree.path().join("x").exists() && !tree.path().join("memchr").exists());
    let verb = |args: &[&str]| Weir::new([&["filter"], args].concat()).in_dir(tree.path()).run();
    verb(&["build", "taken"]).exits(2).says(&["Cargo.toml", "weir filter new"]);
    verb(&["test", "taken"]).exits(2).says(&["Cargo.toml"]);
    verb(&["test", "./none.wasm"]).exits(2).says(&["none.wasm"]);
    for artifact in ["127.0.0.1:5000/acme/x:1", "ghcr.io/acme/x:1", "ghcr.io/acme/x"] {
        verb(&["run", artifact, "a.log"]).exits(2).says(&[artifact, "weir filter pull"]);
        let logs = Weir::new(["logs", "--file", "a.log", "--filter", artifact]).in_dir(tree.path()).run();
        logs.exits(2).says(&[artifact, "weir filter pull"]);
    }
    let folder = Weir::new(["logs", "--file", "a.log", "--filter", "./taken"]).in_dir(tree.path()).run();
    folder.exits(2).says(&["./taken", "it is a folder", "weir filter build"]);
    verb(&["inspect", "none"]).exits(2).says(&["none", "json-match"]);
    verb(&["run", "redact", "a.log", "b.log", "--diff"]).exits(2).says(&["one file"]);
    verb(&["run", "redact", "a.log", "--params", "x"]).exits(2).says(&["--params", "key=value"]);
}

#[test]
fn what_is_missing_to_build_is_told_with_how_to_get_it() {
    let tree = Tree::new();
    Weir::new(["filter", "new", "x"]).in_dir(tree.path()).run().exits(0);
    let build = |variable: &str, program: &str| {
        Weir::new(["filter", "build", "x"]).in_dir(tree.path()).env(variable, program).run().exits(3)
    };
    // `false` is a compiler that knows no target.
    build("RUSTC", "false").says(&["run: rustup target add wasm32-unknown-unknown"]);
    build("RUSTC", "/no/such/rustc").says(&["install Rust", "https://rustup.rs"]);
    build("CARGO", "/no/such/cargo").says(&["install Rust", "https://rustup.rs"]);
    assert!(!tree.path().join("x/x.wasm").exists());
    for (language, says, first) in [
        ("js", "npm install", "npm install && "),
        (
            "python",
            "pip install -r requirements.txt",
            ".venv && .venv/bin/pip install -r requirements.txt && ",
        ),
        ("go", "https://go.dev/doc/install", ""),
        ("c", "pip install ziglang", ""),
    ] {
        let new =
            Weir::new(["filter", "new", language, "--lang", language]).in_dir(tree.path()).run().exits(0);
        assert!(new.stdout().contains(&format!("{first}weir filter build")), "{}", new.stdout());
        let build =
            Weir::new(["filter", "build", language]).in_dir(tree.path()).env("PATH", "/nowhere").run();
        build.exits(3).says(&[says]);
    }
    // Nearly every machine has a python3; it is zig that it lacks.
    fs::create_dir(tree.path().join("bin")).expect("a folder can be made");
    symlink("/bin/false", tree.path().join("bin/python3")).expect("a link can be made");
    let build = Weir::new(["filter", "build", "c"]).in_dir(tree.path()).env("PATH", tree.path().join("bin"));
    build.run().exits(3).says(&["zig's C compiler is not installed", "pip install ziglang"]);
}

#[test]
fn a_shipped_filter_is_run_on_files_of_every_format() {
    let tree = Tree::new();
    let message = "password=hunter2 and more";
    tree.write("plain.log", format!("{message}\n"));
    tree.write("cri.log", format!("2026-11-24T10:00:00Z stdout F {message}\n"));
    tree.write(
        "json.log",
        format!("{{\"log\":\"{message}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-24T10:00:00Z\"}}\n"),
    );
    tree.gzip("plain.log.gz", format!("{message}\n").as_bytes());
    for file in ["plain.log", "cri.log", "json.log", "plain.log.gz"] {
        let run = |args: &[&str]| {
            let args = [&["filter", "run", "redact", file], args].concat();
            Weir::new(args).in_dir(tree.path()).run().exits(0)
        };
        assert_eq!(run(&["-o", "raw"]).stdout(), "password=[REDACTED:password] and more\n", "{file}");
        assert_eq!(
            run(&["--diff"]).stdout(),
            "- password=hunter2 and more\n+ password=[REDACTED:password] and more\n",
            "{file}"
        );
        let colors = run(&["--diff", "--color", "always"]);
        assert!(
            colors.stdout().contains("\u{1b}[7m"),
            "the word that differs stands out: {}",
            colors.stdout()
        );
        run(&["--stats"]).says(&["1 in", "1 replaced", "the answer is complete"]);
    }
    let paged = Weir::new(["filter", "run", "redact", "-", "-o", "raw"]).stdin(format!("{message}\n")).run();
    assert_eq!(paged.exits(0).stdout(), "password=[REDACTED:password] and more\n");
}

#[test]
fn a_component_is_described_by_its_path() {
    let tree = Tree::new();
    let redact = weir_filters::get("redact").expect("it ships with Weir");
    tree.write("mine.wasm", redact.component());
    let by_path = Weir::new(["filters", "./mine.wasm"]).in_dir(tree.path()).run().exits(0);
    assert_eq!(by_path.stdout(), weir(&["filters", "redact"]).exits(0).stdout());
    let inspected = Weir::new(["filter", "inspect", "./mine.wasm", "-o", "jsonl"]).in_dir(tree.path()).run();
    assert_eq!(inspected.exits(0).objects()[0]["kind"], "redact");
}
