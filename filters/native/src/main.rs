//! `weir-filters-native FILTER PARAMS LOG`: one of Weir's filters, or `levels`, the template of an aggregate, as native
//! code over a log of CRI lines in memory, in batches as the agent makes them. Prints in one line how many records
//! entered the filter (those that its prefilter lets through), what became of them, and the nanoseconds that one run
//! over them took, the best of several.
//!
//! It is the native side of `host-agent/benches` and `scripts/languages`, and no part of Weir: it has no limits and reads
//! no other format.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use weir_sdk::{Batch, Driver, Filter, SourceMeta};

mod levels {
    include!(concat!(env!("OUT_DIR"), "/levels.rs"));
}

/// Records of one batch, and its bytes: the agent's own.
const BATCH: (usize, usize) = (1024, 256 << 10);

/// Runs over the whole log; noise only adds.
const RUNS: usize = 7;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [filter, params, log] => measure(filter, params, log),
        _ => Err("usage: weir-filters-native FILTER PARAMS LOG".to_owned()),
    };
    match done {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("weir-filters-native: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(filter: &str, params: &str, log: &str) -> Result<String, String> {
    let log = std::fs::read(log).map_err(|error| format!("{log}: {error}"))?;
    match filter {
        "json-match" => run::<weir_json_match::JsonMatch>(params, &log),
        "levels" => run::<levels::Levels>(params, &log),
        "logfmt-match" => run::<weir_logfmt_match::LogfmtMatch>(params, &log),
        "project" => run::<weir_project::Project>(params, &log),
        "redact" => run::<weir_redact::Redact>(params, &log),
        "stats" => run::<weir_stats::Stats>(params, &log),
        "time-window" => run::<weir_time_window::TimeWindow>(params, &log),
        _ => Err(format!("'{filter}' is no filter of Weir's")),
    }
}

/// Records that lie in one block.
#[derive(Default)]
struct Records {
    block: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    attrs: Vec<u8>,
}

impl Records {
    fn push(&mut self, message: &[u8], time: i64) {
        // A batch ends before it is anywhere near 4 GiB.
        self.starts.push(self.block.len() as u32);
        self.block.extend_from_slice(message);
        self.ends.push(self.block.len() as u32);
        self.timestamps.push(time);
        self.attrs.push(0);
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            block: &self.block,
            starts: &self.starts,
            ends: &self.ends,
            timestamps: &self.timestamps,
            attrs: &self.attrs,
        }
    }
}

fn run<F: Filter>(params: &str, log: &[u8]) -> Result<String, String> {
    let refused = |error: weir_sdk::ParamError| error.to_string();
    let (_, plan) = Driver::<F>::open(params).map_err(refused)?;
    let prefilter = plan.prefilter.as_deref().map(regex::bytes::Regex::new).transpose();
    let prefilter = prefilter.map_err(|error| error.to_string())?;
    let batches = batches(log, |message| prefilter.as_ref().is_none_or(|p| p.is_match(message)))?;
    let entered: usize = batches.iter().map(|records| records.starts.len()).sum();
    let (mut best, mut codes) = (Duration::MAX, [0_u64; 4]);
    for _ in 0..RUNS {
        // As for a query: a filter that was just opened.
        let (mut driver, _) = Driver::<F>::open(params).map_err(refused)?;
        driver.begin_source(SourceMeta::default());
        codes = [0; 4];
        let start = Instant::now();
        for records in &batches {
            let verdicts = driver.process(0, records.batch()).map_err(|error| format!("{error:?}"))?;
            for code in verdicts.codes {
                codes[usize::from(code)] += 1;
            }
        }
        best = best.min(start.elapsed());
    }
    let [kept, dropped, replaced, _] = codes;
    let nanoseconds = best.as_nanos();
    Ok(format!(
        "entered={entered} kept={kept} dropped={dropped} replaced={replaced} nanoseconds={nanoseconds}"
    ))
}

/// The records of a log that `enters` takes.
fn batches(log: &[u8], enters: impl Fn(&[u8]) -> bool) -> Result<Vec<Records>, String> {
    let mut batches = vec![Records::default()];
    for line in log.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let text = weir_sdk::bytes::find(line, b" F ").ok_or("a line is no whole CRI line")?;
        let message = &line[text + 3..];
        if !enters(message) {
            continue;
        }
        let full = |records: &Records| {
            records.starts.len() >= BATCH.0 || records.block.len() + message.len() > BATCH.1
        };
        if batches.last().is_some_and(full) {
            batches.push(Records::default());
        }
        let time =
            std::str::from_utf8(&line[..text]).ok().and_then(|head| head.split(' ').next()?.parse().ok());
        let time: jiff::Timestamp = time.ok_or("a line has no time")?;
        let time = i64::try_from(time.as_nanosecond()).map_err(|error| error.to_string())?;
        batches.last_mut().expect("there is one from the start").push(message, time);
    }
    Ok(batches)
}
