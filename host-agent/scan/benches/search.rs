//! The scanner alone against `rg` on the same files in the same run: processor time.
//!
//! `RG=/path/to/rg cargo bench -p weir-scan --bench search -- [ROW...]` runs every row, or those whose name
//! contains a given word. Files are in the page cache. Both sides run in turn and the best of each counts,
//! since noise only adds. A ratio over 1 means that the scanner takes less. `WEIR_BENCH_MIB` sets the size
//! of the logs in MiB (default 256), `WEIR_BENCH_RUNS` how often each side runs (default 5), `WEIR_BENCH_DIR`
//! a folder in which the logs are kept for the next run, whatever size is asked for then.
//!
//! `rg` maps a single file, which Weir doesn't do because logs are truncated under their readers: `rg read` is
//! `rg --no-mmap`. The floor is what reading the file in blocks takes when nobody looks at them.

#[path = "../../benches/logs/mod.rs"]
mod logs;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use weir_scan::{
    Case, LogSet, Matcher, PatternLimits, PatternSpec, RecordBatch, ScanLimits, Scanner, Search, Step,
    file_set,
};

const FILES: u64 = 500;

const NO_LITERAL: &str = r"\b[0-9a-f]{8}-[0-9a-f]{4}\b";

fn main() {
    // `cargo test --benches` runs this too; without the flag of `cargo bench` there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let rg = std::env::var_os("RG").map_or_else(|| PathBuf::from("rg"), PathBuf::from);
    let (megabytes, runs) = (number("WEIR_BENCH_MIB", 256), number("WEIR_BENCH_RUNS", 5));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let kept = std::env::var_os("WEIR_BENCH_DIR").map(PathBuf::from);
    let logs = Logs::within(kept.as_deref().unwrap_or(dir.path()), megabytes << 20);
    println!("{megabytes} MiB, best of {runs}.\n");
    println!("| what | records | scanner ms | rg ms | ratio | rg read ms | ratio | floor ms |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows() {
        if wanted.is_empty() || wanted.iter().any(|word| row.what.contains(word.as_str())) {
            row.measure(&logs, &rg, runs);
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text:?}: {error}")))
}

/// The files that are searched.
struct Logs {
    cri: PathBuf,
    json: PathBuf,
    many: PathBuf,
}

/// Which of them.
#[derive(Clone, Copy)]
enum Over {
    Cri,
    Json,
    Many,
}

impl Logs {
    fn within(dir: &Path, bytes: usize) -> Logs {
        let logs = Logs { cri: dir.join("cri.log"), json: dir.join("json.log"), many: dir.join("many") };
        if logs.many.exists() {
            return logs;
        }
        std::fs::create_dir_all(dir).expect("a folder");
        let mut json = BufWriter::new(File::create(&logs.json).expect("a file"));
        logs::write_cri(&logs.cri, bytes, 0, |line| json.write_all(logs::json_line(line).as_bytes()))
            .expect("written");
        json.flush().expect("written");
        std::fs::create_dir(&logs.many).expect("a folder");
        for file in 0..FILES {
            let path = logs.many.join(format!("{file:03}.log"));
            let size = bytes / FILES as usize;
            logs::write_cri(&path, size, file * 1_000_000, |_| Ok(())).expect("written");
        }
        logs
    }

    fn path(&self, over: Over) -> &Path {
        match over {
            Over::Cri => &self.cri,
            Over::Json => &self.json,
            Over::Many => &self.many,
        }
    }

    fn files(&self, over: Over) -> Vec<PathBuf> {
        match over {
            Over::Cri | Over::Json => vec![self.path(over).to_owned()],
            Over::Many => (0..FILES).map(|file| self.many.join(format!("{file:03}.log"))).collect(),
        }
    }
}

/// One row of the table.
struct Row {
    what: &'static str,
    pattern: &'static str,
    insensitive: bool,
    over: Over,
    /// What `rg` is to do: count, or give lines.
    counts: bool,
}

fn rows() -> Vec<Row> {
    let row = |what, pattern| Row { what, pattern, insensitive: false, over: Over::Cri, counts: true };
    let needle = "needle-in-the-log";
    vec![
        row("literal", needle),
        Row { insensitive: true, ..row("insensitive literal", needle) },
        row("alternation", "GET /(about|contact)"),
        Row { counts: false, ..row("5 % of lines", "level=error") },
        row("5 % counted", "level=error"),
        row("no literal", NO_LITERAL),
        Row { over: Over::Many, ..row("500 files", needle) },
        Row { over: Over::Json, ..row("json-file literal", needle) },
        Row { over: Over::Json, ..row("json-file 5 % counted", "level=error") },
        Row { over: Over::Json, ..row("json-file no literal", NO_LITERAL) },
    ]
}

impl Row {
    fn measure(&self, logs: &Logs, rg: &Path, runs: usize) {
        let files = logs.files(self.over);
        let mut best = [Duration::MAX; 4];
        let mut records = 0;
        for _ in 0..runs {
            let found;
            (found, best[0]) = timed(UsageWho::RUSAGE_SELF, best[0], || self.scan(&files));
            for (best, map) in best[1..3].iter_mut().zip(["--mmap", "--no-mmap"]) {
                let path = logs.path(self.over);
                ((), *best) = timed(UsageWho::RUSAGE_CHILDREN, *best, || self.rg(rg, map, path));
            }
            ((), best[3]) =
                timed(UsageWho::RUSAGE_SELF, best[3], || files.iter().for_each(|file| read(file)));
            records = found;
        }
        let [ours, mapped, read, floor] = best.map(|time| time.as_secs_f64() * 1000.0);
        println!(
            "| {} | {records} | {ours:.1} | {mapped:.1} | {:.2} | {read:.1} | {:.2} | {floor:.1} |",
            self.what,
            mapped / ours,
            read / ours
        );
    }

    /// Searches the files one after the other and returns how many records there are.
    fn scan(&self, files: &[PathBuf]) -> u64 {
        let case = if self.insensitive { Case::Insensitive } else { Case::Sensitive };
        let spec = PatternSpec { patterns: vec![self.pattern.to_owned()], case, ..PatternSpec::default() };
        let matcher = Matcher::new(&spec, &PatternLimits::default()).expect("a valid pattern").map(Arc::new);
        let search = Arc::new(Search { matcher, messages: !self.counts, ..Search::default() });
        let mut batch = RecordBatch::default();
        let mut records = 0;
        for (source, file) in (0..).zip(files) {
            let set: LogSet = file_set(file).expect("the file is there");
            let mut scanner = Scanner::new(set, source, Arc::clone(&search));
            while scanner.step(&mut batch) == Step::More {
                records += batch.records.len() as u64;
                batch.clear();
            }
            assert!(scanner.take_gaps().is_empty(), "{} can be read", file.display());
        }
        records
    }

    fn rg(&self, rg: &Path, map: &str, path: &Path) {
        let status = Command::new(rg)
            .args(["-j1", "--no-config", "--no-ignore", map])
            .args(self.counts.then_some("-c"))
            .args(self.insensitive.then_some("-i"))
            .args(["-e", self.pattern])
            .arg(path)
            .stdin(Stdio::null())
            // Not /dev/null, where rg would stop at the first match.
            .stdout(tempfile::tempfile().expect("a temporary file"))
            .status()
            .unwrap_or_else(|error| panic!("{}: {error}; set RG to a ripgrep", rg.display()));
        assert!(status.success(), "{}: {status}", rg.display());
    }
}

fn read(path: &Path) {
    let file = File::open(path).expect("the file is there");
    let mut block = vec![0; ScanLimits::default().block_bytes];
    let mut offset = 0;
    loop {
        match file.read_at(&mut block, offset).expect("readable") {
            0 => break,
            count => offset += count as u64,
        }
    }
}

/// Runs `f` and returns what it returned, and `best` or the time it took if that is less.
fn timed<T>(who: UsageWho, best: Duration, f: impl FnOnce() -> T) -> (T, Duration) {
    let before = cpu_time(who);
    let value = f();
    (value, best.min(cpu_time(who) - before))
}

fn cpu_time(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("usage of this process and its ended children");
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs())
            + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}
