//! Weir against `rg` on the same logs in the same run: processor time and wall time of whole commands.
//!
//! `scripts/bench` builds what is needed and runs this. Files are in the page cache; each command runs a few
//! times in turn with its peer and the best of each counts, since noise only adds. A ratio over 1 means
//! that Weir is faster.

mod logs;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::resource::{UsageWho, getrusage};

const RUNS: usize = 5;

/// What one command took.
#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

/// One row of the table.
struct Row {
    what: &'static str,
    /// Threads of `weir`.
    threads: usize,
    weir: Vec<String>,
    rg: Vec<String>,
}

fn main() {
    // `cargo test --benches` runs this too; without the flag of `cargo bench` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let weir = std::env::var_os("WEIR").map_or_else(|| PathBuf::from("target/release/weir"), PathBuf::from);
    let megabytes: usize =
        std::env::var("WEIR_BENCH_MIB").map_or(256, |text| text.parse().expect("WEIR_BENCH_MIB is a number"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let logs = Logs::write(dir.path(), megabytes << 20);

    println!("Against {} on {megabytes} MiB, best of {RUNS}.\n", version("rg"));
    println!("| what | weir CPU ms | rg CPU ms | CPU ratio | weir wall ms | rg wall ms | wall ratio |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for row in logs.rows() {
        let (ours, theirs) = duel(&weir, &row);
        let ratio = |ours: Duration, theirs: Duration| theirs.as_secs_f64() / ours.as_secs_f64().max(1e-6);
        println!(
            "| {} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {:.2} |",
            row.what,
            milliseconds(ours.cpu),
            milliseconds(theirs.cpu),
            ratio(ours.cpu, theirs.cpu),
            milliseconds(ours.wall),
            milliseconds(theirs.wall),
            ratio(ours.wall, theirs.wall),
        );
    }
}

/// The files that are searched.
struct Logs {
    cri: PathBuf,
    json: PathBuf,
    gzip: PathBuf,
    many: PathBuf,
}

impl Logs {
    fn write(dir: &Path, bytes: usize) -> Logs {
        let logs = Logs {
            cri: dir.join("cri.log"),
            json: dir.join("json.log"),
            gzip: dir.join("cri.log.gz"),
            many: dir.join("pods"),
        };
        let mut json = BufWriter::new(File::create(&logs.json).expect("a file"));
        let gzip = File::create(&logs.gzip).expect("a file");
        let mut gzip = GzEncoder::new(BufWriter::new(gzip), Compression::default());
        let mut written = 0;
        let also = |line: &str| {
            if written < bytes / 8 {
                gzip.write_all(line.as_bytes())?;
            }
            written += line.len();
            json.write_all(logs::json_line(line).as_bytes())
        };
        logs::write_cri(&logs.cri, bytes, 0, also).expect("written");
        json.flush().expect("written");
        gzip.finish().expect("finished").flush().expect("written");
        for file in 0..500u64 {
            let folder = logs.many.join(format!("ns_pod-{file}_00000000-0000-0000-0000-{file:012}/app"));
            std::fs::create_dir_all(&folder).expect("a folder");
            let path = folder.join("0.log");
            logs::write_cri(&path, bytes / 500, file * 1_000_000, |_| Ok(())).expect("written");
        }
        logs
    }

    fn rows(&self) -> Vec<Row> {
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let (cri, json, gzip, many) = (path(&self.cri), path(&self.json), path(&self.gzip), path(&self.many));
        let count = |pattern: &[&str], file: &str| {
            let mut arguments: Vec<String> = ["logs", "--file", file, "--count"].map(str::to_owned).to_vec();
            arguments.extend(pattern.iter().map(|word| (*word).to_owned()));
            arguments
        };
        let rg = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let no_literal = r"\b[0-9a-f]{8}-[0-9a-f]{4}\b";
        vec![
            Row {
                what: "rare literal, counted",
                threads: 1,
                weir: count(&["-e", "needle-in-the-log"], &cri),
                rg: rg(&["-c", "needle-in-the-log", &cri]),
            },
            Row {
                what: "rare literal, `-i`, counted",
                threads: 1,
                weir: count(&["-i", "-e", "needle-in-the-log"], &cri),
                rg: rg(&["-ic", "needle-in-the-log", &cri]),
            },
            Row {
                what: "alternation, counted",
                threads: 1,
                weir: count(&["-e", "GET /(about|contact)"], &cri),
                rg: rg(&["-c", "GET /(about|contact)", &cri]),
            },
            Row {
                what: "5 % of lines out",
                threads: 1,
                weir: rg(&["logs", "--file", &cri, "-e", "level=error", "-o", "raw"]),
                rg: rg(&["level=error", &cri]),
            },
            Row {
                what: "no literal, counted",
                threads: 1,
                weir: count(&["-e", no_literal], &cri),
                rg: rg(&["-c", no_literal, &cri]),
            },
            Row {
                what: "gzip, an eighth of the log, counted",
                threads: 1,
                weir: count(&["-e", "needle-in-the-log"], &gzip),
                rg: rg(&["-z", "-c", "needle-in-the-log", &gzip]),
            },
            Row {
                what: "500 files, counted",
                threads: 1,
                weir: rg(&["logs", "--dir", &many, "--count", "-e", "needle-in-the-log"]),
                rg: rg(&["-j1", "--no-ignore", "-c", "needle-in-the-log", &many]),
            },
            Row {
                what: "rare literal, counted, 2 threads (`rg` has one for a file)",
                threads: 2,
                weir: count(&["-e", "needle-in-the-log"], &cri),
                rg: rg(&["-c", "needle-in-the-log", &cri]),
            },
            Row {
                what: "500 files, counted, 2 threads each",
                threads: 2,
                weir: rg(&["logs", "--dir", &many, "--count", "-e", "needle-in-the-log"]),
                rg: rg(&["-j2", "--no-ignore", "-c", "needle-in-the-log", &many]),
            },
            Row {
                what: "json-file, rare literal, counted",
                threads: 1,
                weir: count(&["-e", "needle-in-the-log"], &json),
                rg: rg(&["-c", "needle-in-the-log", &json]),
            },
            Row {
                what: "the last 100 of 5 %",
                threads: 1,
                weir: rg(&["logs", "--file", &cri, "-e", "level=error", "--tail", "100", "-o", "raw"]),
                rg: rg(&["level=error", &cri]),
            },
        ]
    }
}

/// Runs both commands in turn and keeps the best of each.
fn duel(weir: &Path, row: &Row) -> (Cost, Cost) {
    let mut best: Option<(Cost, Cost)> = None;
    for _ in 0..RUNS {
        let threads = ["--threads".to_owned(), row.threads.to_string()];
        let ours = run(weir, &[&row.weir[..], &threads[..]].concat());
        let theirs = run(Path::new("rg"), &row.rg);
        best = Some(match best {
            None => (ours, theirs),
            Some((a, b)) => (better(a, ours), better(b, theirs)),
        });
    }
    best.expect("at least one run")
}

fn better(a: Cost, b: Cost) -> Cost {
    Cost { cpu: a.cpu.min(b.cpu), wall: a.wall.min(b.wall) }
}

fn run(program: &Path, arguments: &[String]) -> Cost {
    let before = children_cpu();
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        // Not /dev/null, where rg would stop at the first match.
        .stdout(tempfile::tempfile().expect("a temporary file"))
        .stderr(Stdio::inherit())
        .status()
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/bench", program.display()));
    let wall = started.elapsed();
    assert!(status.success(), "{} {arguments:?}: {status}", program.display());
    Cost { cpu: children_cpu() - before, wall }
}

fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of ended children");
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs())
            + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output().expect("rg is installed");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
