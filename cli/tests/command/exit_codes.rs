//! 0 complete, 1 with `-q` and nothing found, 2 usage or refused, 3 incomplete.

use std::io::Read as _;
use std::process::Stdio;

use crate::program::{Weir, weir};
use crate::sample::{Tree, cri};

#[test]
fn complete_answers() {
    let tree = Tree::sample();
    weir(&["logs", "--dir", tree.arg(), "-e", "error"]).exits(0);
    let nothing = weir(&["logs", "--dir", tree.arg(), "-e", "no such text"]).exits(0);
    assert_eq!(nothing.stdout(), "");
    weir(&["logs", "--dir", tree.arg(), "--count", "-e", "no such text"]).exits(0);
    weir(&["--version"]).exits(0);
    weir(&["logs", "--help"]).exits(0);
}

#[test]
fn quiet_answers() {
    let tree = Tree::sample();
    let found = weir(&["logs", "--dir", tree.arg(), "-q", "-e", "error"]).exits(0);
    assert_eq!((found.stdout(), found.stderr().as_str()), ("", ""));
    let none = weir(&["logs", "--dir", tree.arg(), "-q", "-e", "no such text"]).exits(1);
    assert_eq!((none.stdout(), none.stderr().as_str()), ("", ""));
    weir(&["logs", "--dir", tree.arg(), "-q", "-e", "n", "--not", "n"]).exits(1);
    // With nothing to look for, -q asks whether there is a record at all.
    weir(&["logs", "--dir", tree.arg(), "-q"]).exits(0);
    weir(&["logs", "--dir", tree.arg(), "-q", "--since", "2027-01-01"]).exits(1);
}

/// Each mistake is named, with its value, before anything is printed.
#[test]
fn refused() {
    let tree = Tree::sample();
    let file = tree.write("plain.txt", "text\n");
    let file = file.to_str().expect("a plain path");
    let latin = tree.write("latin.txt", b"ok\ncaf\xe9\n");
    let latin = latin.to_str().expect("a plain path");
    for (args, named) in [
        (&["logs", "--no-such-flag"][..], &["--no-such-flag"][..]),
        (&["nonsense"], &["nonsense"]),
        (&["logs", "--dir", "DIR", "-e", "(unclosed"], &["(unclosed"]),
        (&["logs", "--dir", "DIR", "nowhere:"], &["nowhere:"]),
        (&["logs", "--dir", "DIR", "a:b/c/d"], &["a:b/c/d"]),
        (&["logs", "--dir", "/no/such/dir"], &["--dir", "/no/such/dir", "--file"]),
        (&["logs", "--dir", file], &["--dir", file, "--file"]),
        (&["logs", "--file", "/no/such/file"], &["/no/such/file"]),
        (&["logs", "--file", file, "other.txt"], &["other.txt", "--file"]),
        (&["logs", "--dir", "DIR", "--file", file], &["--dir", "--file"]),
        (&["logs", "--dir", "DIR", "--since", "soon"], &["--since", "soon"]),
        (&["logs", "--dir", "DIR", "--until", "2026-99-01"], &["--until", "2026-99-01"]),
        (&["logs", "--dir", "DIR", "--since", "1m", "--until", "5m"], &["--since 1m", "--until 5m"]),
        (&["logs", "--dir", "DIR", "--histogram", "often"], &["--histogram", "often"]),
        (&["logs", "--dir", "DIR", "--head", "x"], &["--head", "x"]),
        (&["logs", "--dir", "DIR", "--threads", "0"], &["--threads", "0"]),
        (&["logs", "--agent", "http://127.0.0.1:1", "-j", "2"], &["--threads", "limits.query.threads"]),
        (&["logs", "--dir", "DIR", "--head", "1", "--tail", "1"], &["--head", "--tail"]),
        (&["logs", "--dir", "DIR", "--count", "--histogram", "1m"], &["--count", "--histogram"]),
        (&["logs", "--dir", "DIR", "--per-source"], &["--per-source", "--count"]),
        (&["logs", "--dir", "DIR", "-v"], &["-v", "-e"]),
        (&["logs", "--dir", "DIR", "-w"], &["-w", "-e"]),
        (
            &["logs", "--dir", "DIR", "--pattern-file", "/no/such/patterns"],
            &["--pattern-file", "/no/such/patterns"],
        ),
        (&["logs", "--dir", "DIR", "--pattern-file", latin], &[latin, "line 2"]),
        (&["logs", "--dir", "DIR", "-o", "xml"], &["xml", "jsonl"]),
        (&["logs", "--dir", "DIR", "--columns", "tiem"], &["tiem", "time"]),
        (&["logs", "--dir", "DIR", "-o", "raw", "--columns", "time"], &["--columns"]),
        (&["logs", "--dir", "DIR", "--line-bytes", "0"], &["line_bytes", "0"]),
        (&["logs", "--dir", "DIR", "--line-bytes", "1G"], &["--line-bytes", "1G"]),
        (&["logs", "--dir", "DIR", "-e", "x", "-C", "1000000"], &["context", "1000000"]),
        (&["logs", "--dir", "DIR", "--filter", "no-such-filter"], &["no-such-filter", "redact"]),
        (&["logs", "--dir", "DIR", "--filter", "redact:oops"], &["redact:oops", "key=value"]),
        (&["logs", "--dir", "DIR", "--filter-params", "{}"], &["--filter-params", "--filter"]),
        (&["logs", "--dir", "DIR", "--filter", "./none.wasm"], &["./none.wasm"]),
        (&["logs", "--dir", "DIR", "--tls-ca", file], &["--tls-ca", "--agent"]),
        (&["logs", "--agent", "http://192.0.2.1:7411"], &["--agent", "192.0.2.1"]),
        (
            &["logs", "--agent", "http://127.0.0.1:1", "--token-file", "/no/such/token"],
            &["--token-file", "/no/such/token"],
        ),
        (&["logs", "--agent", "nonsense://x"], &["--agent", "nonsense"]),
        (&["sources", "--dir", "DIR", "nowhere:"], &["nowhere:"]),
        (&["filters", "no-such-filter"], &["no-such-filter"]),
    ] {
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "DIR" { tree.arg() } else { arg }).collect();
        let outcome = weir(&args).exits(2).says(named);
        assert_eq!(outcome.stdout(), "", "{args:?}");
    }
}

#[test]
fn incomplete() {
    let tree = Tree::new();
    let whole = cri(&[b"one", b"two", b"three"]).repeat(200);
    let path = tree.gzip("shop_web-0_u/app/0.log.20261124-100000.gz", &whole);
    let bytes = std::fs::read(&path).expect("the file is there");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("the file can be cut");
    tree.write("shop_web-0_u/app/0.log", cri(&[b"four"]));

    let outcome = weir(&["logs", "--dir", tree.arg(), "--all"]).exits(3);
    assert!(outcome.stdout().ends_with("four\n"), "what is readable is given");
    let outcome = outcome.says(&["0.log.20261124-100000.gz", "shop:web-0/app", "incomplete"]);
    assert_eq!(outcome.stderr().matches("incomplete").count(), 1, "one line says why");

    let outcome = weir(&["logs", "--dir", tree.arg(), "--all", "-o", "jsonl", "--stats"]).exits(3);
    let objects = outcome.objects();
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["type"].as_str()).collect();
    assert_eq!(kinds, ["gap", "summary"]);
    assert_eq!(objects.last().expect("a summary")["complete"], false);
    // A match is a match, whatever else is missing; no match can't be told.
    weir(&["logs", "--dir", tree.arg(), "-q", "-e", "four"]).exits(0);
    weir(&["logs", "--dir", tree.arg(), "-q", "-e", "no such text"]).exits(3).says(&["incomplete"]);
}

#[test]
fn an_agent_that_does_not_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("http://{address}");
    weir(&["logs", "--agent", &url]).exits(3).says(&[&url]);
    Weir::new(["sources"]).env("WEIR_AGENT", &url).run().exits(3).says(&[&url]);
}

/// `weir logs | head -1`: whoever reads has enough, and that is no failure.
#[test]
fn a_closed_pipe_ends_quietly() {
    let tree = Tree::new();
    tree.write("shop_web-0_u/app/0.log", cri(&[&[b'x'; 1000][..]; 50]).repeat(100));
    for format in ["text", "raw", "jsonl"] {
        let mut child = Weir::new(["logs", "--dir", tree.arg(), "--all", "-o", format])
            .into_command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("weir starts");
        let mut stdout = child.stdout.take().expect("standard output is piped");
        stdout.read_exact(&mut [0; 10]).expect("there is output");
        drop(stdout);
        let output = child.wait_with_output().expect("weir ends");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
