//! Counts the records of a log file that match a pattern, and says how much CPU time that took beside
//! the floor, which is reading the file in blocks and looking at nothing.
//!
//! `cargo run --release -p weir-scan --example count -- FILE [PATTERN]`

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use weir_scan::{
    Matcher, PatternLimits, PatternSpec, RecordBatch, ScanLimits, ScanStats, Scanner, Search, Step, file_set,
};

/// Times are the best of this many runs.
const RUNS: usize = 5;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.as_slice() {
        [file] => run(Path::new(file), None),
        [file, pattern] => run(Path::new(file), Some(pattern)),
        _ => Err("usage: count FILE [PATTERN]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(file: &Path, pattern: Option<&String>) -> Result<(), Failure> {
    let spec = PatternSpec { patterns: pattern.cloned().into_iter().collect(), ..PatternSpec::default() };
    let matcher = Matcher::new(&spec, &[], &PatternLimits::default())?;
    let search = Arc::new(Search { matcher, ..Search::default() });
    let (floor, bytes) = best(|| floor(file))?;
    let (time, (count, stats)) = best(|| count(file, &search))?;
    println!(
        "{count} records, {} of {bytes} bytes read, {} lines looked at",
        stats.bytes_read, stats.candidates
    );
    println!("{:.1} ms of CPU time, floor {:.1} ms", millis(time), millis(floor));
    Ok(())
}

fn count(file: &Path, search: &Arc<Search>) -> Result<(u64, ScanStats), Failure> {
    let mut scanner = Scanner::new(file_set(file)?, 0, Arc::clone(search));
    let (mut batch, mut count) = (RecordBatch::default(), 0);
    while scanner.step(&mut batch) == Step::More {
        count += batch.records.len() as u64;
        batch.clear();
    }
    match scanner.take_gaps().first() {
        Some(gap) => Err(format!("{}: {}", gap.file, gap.detail).into()),
        None => Ok((count, scanner.stats())),
    }
}

fn floor(path: &Path) -> Result<u64, Failure> {
    let file = std::fs::File::open(path)?;
    let mut block = vec![0; ScanLimits::default().block_bytes];
    let mut offset = 0;
    loop {
        match file.read_at(&mut block, offset)? {
            0 => return Ok(offset),
            count => offset += count as u64,
        }
    }
}

fn best<T>(mut f: impl FnMut() -> Result<T, Failure>) -> Result<(Duration, T), Failure> {
    let mut timed = || {
        let start = cpu_time();
        f().map(|value| (cpu_time() - start, value))
    };
    let mut best = timed()?;
    for _ in 1..RUNS {
        let (time, value) = timed()?;
        best = (best.0.min(time), value);
    }
    Ok(best)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("the time since the thread's start is positive")
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
