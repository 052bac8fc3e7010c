//! `weir filter bench`.

use std::time::{Duration, Instant};

use weir_query::{Cancel, Engine, Event, FilterLimits, FilterSpec, Flow, Inputs, QuerySpec};

use super::args::BenchArgs;
use super::figures::{self, CallFigures};
use super::subject::Subject;
use crate::args::ListFormat;
use crate::failure::{Exit, Failure};
use crate::json::Object;
use crate::output::{Out, report};
use crate::units;
use crate::visible;

/// Bytes of the log that are held to be handed over from memory; a longer log is cut there for that part.
const HELD_BYTES: usize = 64 << 20;
/// Rounds at the least.
const ROUNDS: usize = 5;
/// Records below which a search mostly begins and ends.
const FEW: u64 = 10_000;

/// What was found of one filter.
struct Measured {
    name: String,
    digest: String,
    /// The best time of the whole search with it.
    search: Duration,
    calls: CallFigures,
}

/// The whole of it.
struct Report {
    records: u64,
    bytes: u64,
    rounds: usize,
    /// The best time of the search without a filter.
    without: Duration,
    filters: Vec<Measured>,
}

/// Measures a filter on a file, and another beside it.
pub(super) fn run(args: &BenchArgs) -> Result<Exit, Failure> {
    if !(0.0..=3600.0).contains(&args.seconds) {
        return Err(Failure::refused(format!("--seconds {}: give 0 to 3600", args.seconds)));
    }
    if args.file.as_os_str() == "-" {
        return Err(Failure::refused(
            "the log is read many times, which standard input can't be; give a file",
        ));
    }
    let mut subjects = vec![Subject::choose(&args.filter, &args.params.given)?];
    if let Some(other) = &args.compare {
        subjects.push(Subject::choose(other, &args.params.given)?);
    }
    let largest = subjects.iter().max_by_key(|subject| subject.excess.size()).expect("there is at least one");
    let engine = largest.engine(Inputs::Files(vec![args.file.clone()]))?;
    let specs = subjects.iter().map(|subject| subject.spec(&engine)).collect::<Result<Vec<_>, _>>()?;
    let report = measure(&engine, &specs, Duration::from_secs_f64(args.seconds))?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    match args.output {
        ListFormat::Text => out.buffer.extend_from_slice(visible::message(&report.text()).as_bytes()),
        ListFormat::Jsonl => report.push_json(&mut out.buffer),
    }
    out.flush().map_err(Failure::Output)?;
    for filter in report.filters.iter().filter(|filter| filter.calls.failed > 0) {
        let failed = units::count(filter.calls.failed, "record");
        report::say(&format!("{} failed on {failed}: `weir filter run` with --stats says why", filter.name));
    }
    if report.records < FEW {
        report::say(&format!(
            "{} are few: most of the search's time is its beginning and end",
            units::count(report.records, "record")
        ));
    }
    Ok(Exit::Complete)
}

fn measure(engine: &Engine, specs: &[FilterSpec], time: Duration) -> Result<Report, Failure> {
    let query = |filters: &[FilterSpec]| QuerySpec { filters: filters.to_vec(), ..QuerySpec::default() };
    let queries: Vec<QuerySpec> = std::iter::once(query(&[]))
        .chain(specs.iter().map(|spec| query(std::slice::from_ref(spec))))
        .collect();
    let (mut batches, mut held, mut records, mut bytes) = (Vec::new(), 0, 0, 0);
    // The first pass also brings the file into the page cache.
    engine.plan(&queries[0])?.run(&Cancel::default(), &mut |event| {
        match event {
            Event::Records { batch, .. } => {
                records += batch.records.len() as u64;
                if held < HELD_BYTES {
                    held += batch.bytes.len();
                    batches.push(batch);
                }
            }
            Event::Summary(summary) => bytes = summary.bytes_read,
            _ => {}
        }
        Flow::Continue
    });
    if records == 0 {
        return Err(Failure::refused("there is no record in the file, so there is nothing to measure"));
    }
    // By turns, so that what else the machine does meets all alike.
    let end = Instant::now() + time / 2;
    let mut best = vec![Duration::MAX; queries.len()];
    let mut rounds = 0;
    while rounds < ROUNDS || Instant::now() < end {
        for (query, best) in queries.iter().zip(&mut best) {
            let plan = engine.plan(query)?;
            let started = Instant::now();
            plan.run(&Cancel::default(), &mut |_| Flow::Continue);
            *best = (*best).min(started.elapsed());
        }
        rounds += 1;
    }
    let calls = figures::measure(engine, specs, &batches, time / 2)?;
    let mut filters = Vec::new();
    for ((spec, search), calls) in specs.iter().zip(&best[1..]).zip(calls) {
        let loaded = engine.load(&spec.filter)?;
        filters.push(Measured {
            name: spec.filter.name().to_owned(),
            digest: loaded.digest().to_owned(),
            search: *search,
            calls,
        });
    }
    Ok(Report { records, bytes, rounds, without: best[0], filters })
}

impl Report {
    fn text(&self) -> String {
        let mut columns = vec![self.column("no filter", self.without, None)];
        for (index, filter) in self.filters.iter().enumerate() {
            let name = if index == 0 { "filter" } else { "compared" };
            columns.push(self.column(name, filter.search, Some(&filter.calls)));
        }
        let heading: Vec<&str> =
            std::iter::once("").chain(columns.iter().map(|column| column[0].as_str())).collect();
        let rows: Vec<Vec<String>> = ROWS
            .iter()
            .enumerate()
            .map(|(row, name)| {
                let cells = columns.iter().map(|column| column[row + 1].clone());
                std::iter::once((*name).to_owned()).chain(cells).collect()
            })
            .collect();
        let table = units::table(&heading, &rows, &heading[1..]);
        let mut text = format!(
            "{}, {}; the best of {} by turns\n\n{table}",
            units::count(self.records, "record"),
            units::bytes(self.bytes),
            units::count(self.rounds as u64, "round"),
        );
        for (index, filter) in self.filters.iter().enumerate() {
            let name = if index == 0 { "filter" } else { "compared" };
            let digest: String = filter.digest.chars().take("sha256:".len() + 12).collect();
            text.push_str(&format!("\n{name}: {} ({digest})", filter.name));
        }
        text.push('\n');
        text
    }

    fn column(&self, name: &str, search: Duration, calls: Option<&CallFigures>) -> Vec<String> {
        let limits = FilterLimits::default();
        let mut column = vec![
            name.to_owned(),
            format!("{:.1}", per_record(search, self.records)),
            format!("{:.0}", self.bytes as f64 / 1e6 / search.as_secs_f64()),
        ];
        let Some(calls) = calls else {
            column.resize(ROWS.len() + 1, "-".to_owned());
            return column;
        };
        let (p50, p99) = (calls.percentile(0.5), calls.percentile(0.99));
        column.extend([
            format!("{:.1}", per_record(calls.pass, calls.records)),
            format!("{:.1} %", 100.0 * calls.skipped as f64 / calls.records.max(1) as f64),
            units::duration(p50),
            units::duration(p99),
            format!("{:.2} %", 100.0 * p99.as_secs_f64() / limits.batch_time.as_secs_f64()),
            units::bytes(calls.peak_memory),
            format!("{:.1} %", 100.0 * calls.peak_memory as f64 / limits.memory_bytes as f64),
        ]);
        column
    }

    fn push_json(&self, out: &mut Vec<u8>) {
        let limits = FilterLimits::default();
        Object::new(out)
            .string("type", "search")
            .value("records", self.records)
            .value("bytes", self.bytes)
            .value("rounds", self.rounds)
            .value("ns", self.without.as_nanos())
            .value("ns_per_record", per_record(self.without, self.records))
            .end();
        for filter in &self.filters {
            let calls = &filter.calls;
            let (p50, p99) = (calls.percentile(0.5), calls.percentile(0.99));
            Object::new(out)
                .string("type", "filter")
                .string("filter", &filter.name)
                .string("digest", &filter.digest)
                .value("ns", filter.search.as_nanos())
                .value("ns_per_record", per_record(filter.search, self.records))
                .value("filter_ns_per_record", per_record(calls.pass, calls.records))
                .value("skipped_by_prefilter", calls.skipped as f64 / calls.records.max(1) as f64)
                .value("calls", calls.times.len())
                .value("batch_p50_ns", p50.as_nanos())
                .value("batch_p99_ns", p99.as_nanos())
                .value("share_of_batch_ms", p99.as_secs_f64() / limits.batch_time.as_secs_f64())
                .value("peak_memory", calls.peak_memory)
                .value("share_of_memory_bytes", calls.peak_memory as f64 / limits.memory_bytes as f64)
                .value("failed", calls.failed)
                .end();
        }
    }
}

/// Rows of the table, below its heading.
const ROWS: [&str; 9] = [
    "ns per record, the search",
    "MB/s",
    "ns per record, the filter",
    "skipped by prefilter",
    "a batch, p50",
    "a batch, p99",
    "  of the limit batch_ms",
    "memory",
    "  of the limit memory_bytes",
];

fn per_record(time: Duration, records: u64) -> f64 {
    time.as_nanos() as f64 / records.max(1) as f64
}
