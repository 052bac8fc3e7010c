//! What the sandbox costs: each filter that ships in a real agent beside the same code as a native program, a filter
//! that does nothing, and one whose prefilter leaves it next to nothing to do.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use weir_query::{Event, FilterRef, FilterSpec, FilterStatus, Flow, Output, QuerySpec};

use crate::agent::{Agent, Connection, folder_of, matching};
use crate::guests::Puppet;
use crate::tree::text;
use crate::{RUNS, Setup, logs, table};

/// Bytes of the logs: of those that enter a filter, and of the one that hardly does, so that the start of a query counts
/// for little.
const BYTES: usize = 64 << 20;
const PREFILTERED_BYTES: usize = 256 << 20;

/// Nanoseconds a record of a filter that does nothing.
const PASS: f64 = 40.0;

/// What a search may take as a filter whose prefilter rejects 999 of 1000 lines, as a multiple of the plain search.
const PREFILTERED: f64 = 1.1;

/// The value of a field in one of 1000 lines. `json-match` promises it or one of its characters as an escape.
const RARE: &str = "ord-77777";

/// Instructions of a `process` that keeps every record.
const KEEP_ALL: &str = "
    (local.set $codes (call $alloc (local.get $n)))
    (memory.fill (local.get $codes) (i32.const 0) (local.get $n))
    (memory.fill (i32.const 1000) (i32.const 0) (i32.const 52))
    (i32.store (i32.const 1004) (local.get $codes))
    (i32.store (i32.const 1008) (local.get $n))
    (return (i32.const 1000))";

/// A filter over a log.
struct Row<'a> {
    what: &'a str,
    filter: &'a str,
    params: &'a str,
    logs: &'a Logs,
    /// Time in the sandbox as a multiple of native time.
    goal: Option<f64>,
}

/// A log, and a folder with nothing else in it.
pub(crate) struct Logs {
    file: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Logs {
    pub(crate) fn new(dir: &Path, bytes: usize, message: Option<fn(u64) -> String>) -> Logs {
        std::fs::create_dir_all(dir).expect("a folder");
        let file = dir.join("log");
        match message {
            None => logs::write_cri(&file, bytes, 0, |_| Ok(())),
            Some(message) => write(&file, bytes, message),
        }
        .expect("room for the logs");
        let folder = folder_of(&file, &dir.join("logs"));
        Logs { file, folder }
    }
}

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Filters in the sandbox against the same code as a native program",
        "Nanoseconds for each record that enters the filter: of 5 rounds, each one run of the native program and then one \
         query, the one whose ratio is the median. A query that counts, over 64 MiB; CPU time of the whole agent for each \
         record, with the filter and without any, the best of 5.",
        &["what", "records", "native ns", "sandbox ns", "goal", "ratio", "query ns", "query without it ns"],
    );
    let scratch = setup.scratch.join("filters");
    let json = Logs::new(&scratch.join("json"), BYTES, Some(json_message));
    let logfmt = Logs::new(&scratch.join("logfmt"), BYTES, None);
    for row in rows(&json, &logfmt) {
        row.measure(setup, &scratch);
    }
}

fn rows<'a>(json: &'a Logs, logfmt: &'a Logs) -> [Row<'a>; 7] {
    let row = |what, filter, params, logs, goal| Row { what, filter, params, logs, goal };
    let expression = r#"{"where": "status >= 500 && user.plan == \"pro\""}"#;
    let keep = r#"{"keep": ["level", "msg", "user.id"]}"#;
    let orders = r#"{"detectors": [], "patterns": ["trace\":\"[0-9a-f]{16}"]}"#;
    let hours = r#"{"hours": ["09:00-17:30"], "zone": "Europe/Berlin"}"#;
    [
        row(
            "`logfmt-match`: a field of each line (SIMD match)",
            "logfmt-match",
            r#"{"where": "status >= 500"}"#,
            logfmt,
            Some(1.6),
        ),
        row("`json-match`: two fields of each line", "json-match", expression, json, Some(1.7)),
        row("`redact`: every detector, an address in each line", "redact", "{}", json, Some(1.5)),
        row("`redact`: a regular expression, a hit in each line", "redact", orders, json, Some(1.5)),
        row("`project`: three fields of each line", "project", keep, json, Some(1.7)),
        row("`stats`: by a field of each line", "stats", r#"{"by": "level"}"#, json, None),
        row("`time-window`: hours of the day", "time-window", hours, json, None),
    ]
}

impl Row<'_> {
    fn measure(&self, setup: &Setup, scratch: &Path) {
        let agent = Agent::start(&setup.agent, &self.logs.folder, &scratch.join("agent"));
        let filter = FilterSpec {
            params: self.params.to_owned(),
            ..FilterSpec::new(FilterRef::Name(self.filter.to_owned()))
        };
        let spec = QuerySpec { filters: vec![filter], ..QuerySpec::default() };
        let (mut rounds, mut records, mut cpu) = (Vec::new(), 0.0, Duration::MAX);
        for _ in 0..RUNS {
            // Side by side: a machine may be twice as fast in one minute as in the next.
            let native = Native::run(&setup.native, self);
            let with = counted_in(&agent, spec.clone(), 1);
            let status = with.status.expect("a filter says what it did");
            assert_eq!(native.verdicts, verdicts(&status), "{}: both decide the same", self.what);
            let entered = native.verdicts[0] as f64;
            rounds.push((entered, native.nanoseconds / entered, nanoseconds(with.sandbox) / entered));
            records = status.records_in as f64;
            cpu = cpu.min(with.cpu);
        }
        rounds.sort_by(|a, b| (a.2 / a.1).total_cmp(&(b.2 / b.1)));
        let (entered, native, sandbox) = rounds[RUNS / 2];
        let ratio = sandbox / native;
        let without = counted(&agent, None);
        table::row(&[
            self.what,
            &format!("{entered}"),
            &format!("{native:.0}"),
            &format!("{sandbox:.0}"),
            &self.goal.map(|goal| format!("{goal:.2}")).unwrap_or_default(),
            &self.goal.map_or(format!("{ratio:.2}"), |goal| table::at_most(ratio, goal)),
            &format!("{:.0}", nanoseconds(cpu) / records),
            &format!("{:.0}", nanoseconds(without.cpu) / records),
        ]);
    }
}

/// Measures and prints what a filter takes that looks at nothing, with the messages handed over to it all the same.
pub(crate) fn print_pass_through(setup: &Setup) {
    table::head(
        "A filter that keeps every record and looks at none",
        "A query that counts, over 64 MiB, the best of 5: nanoseconds for each record in the filter's calls, and CPU time of \
         the whole agent for each record, with the filter and without it.",
        &["records", "goal", "sandbox ns", "query ns", "query without it ns"],
    );
    let scratch = setup.scratch.join("pass");
    let logs = Logs::new(&scratch, BYTES, Some(json_message));
    let agent = Agent::start(&setup.agent, &logs.folder, &scratch.join("agent"));
    let puppet = Puppet { kind: 0, columns: 1, prologue: vec![("process", KEEP_ALL)], ..Puppet::default() };
    let with = counted(&agent, Some(own(&puppet)));
    let without = counted(&agent, None);
    let status = with.status.expect("a filter says what it did");
    assert_eq!(status.kept, status.records_in, "it keeps every record");
    let records = status.records_in as f64;
    table::row(&[
        &format!("{records}"),
        &format!("{PASS:.0}"),
        &table::at_most(nanoseconds(with.sandbox) / records, PASS),
        &format!("{:.0}", nanoseconds(with.cpu) / records),
        &format!("{:.0}", nanoseconds(without.cpu) / records),
    ]);
}

/// A filter that comes with the query.
pub(crate) fn own(puppet: &Puppet) -> FilterSpec {
    let filter =
        FilterRef::Component { label: "own.wasm".to_owned(), bytes: puppet.build(), signature: None };
    FilterSpec::new(filter)
}

/// Measures and prints what a prefilter leaves of the cost of a filter.
pub(crate) fn print_prefilter(setup: &Setup) {
    table::head(
        "A filter whose prefilter rejects 999 of 1000 lines",
        "CPU time of the agent in ms for a query that counts, over 256 MiB, the best of 5: a search for a literal, and a \
         filter for what has it.",
        &["what", "plain search", "as a filter", "goal", "ratio"],
    );
    let scratch = setup.scratch.join("prefilter");
    let logs = Logs::new(&scratch, PREFILTERED_BYTES, Some(rare_message));
    let agent = Agent::start(&setup.agent, &logs.folder, &scratch.join("agent"));
    let params = format!(r#"{{"where": "order == \"{RARE}\""}}"#);
    let json_match = FilterSpec { params, ..FilterSpec::new(FilterRef::Name("json-match".to_owned())) };
    let puppet = Puppet { kind: 0, columns: 1, prefilter: Some(RARE), ..Puppet::default() };
    for (what, filter, goal) in [
        ("a filter that promises the literal, and keeps what has it", own(&puppet), Some(PREFILTERED)),
        ("`json-match`, which promises it or an escape in its place", json_match, None),
    ] {
        let plain = counted_of(&agent, matching(RARE));
        let filtered = counted(&agent, Some(filter));
        assert!(plain.matched > 0 && plain.matched == filtered.matched, "both find the same");
        let [plain, filtered] = [plain.cpu, filtered.cpu].map(|cpu| nanoseconds(cpu) / 1e6);
        table::row(&[
            what,
            &format!("{plain:.1}"),
            &format!("{filtered:.1}"),
            &goal.map(|goal| format!("{goal:.2}")).unwrap_or_default(),
            &goal.map_or(format!("{:.2}", filtered / plain), |goal| table::at_most(filtered / plain, goal)),
        ]);
    }
}

/// What a query took, the best of some runs of each.
pub(crate) struct Counted {
    pub(crate) matched: u64,
    pub(crate) cpu: Duration,
    sandbox: Duration,
    status: Option<FilterStatus>,
    /// Records that policies rewrote.
    pub(crate) redacted: u64,
}

/// Counts what a filter leaves of the logs, or all of them.
fn counted(agent: &Agent, filter: Option<FilterSpec>) -> Counted {
    counted_of(agent, QuerySpec { filters: filter.into_iter().collect(), ..QuerySpec::default() })
}

/// Counts what a query finds.
pub(crate) fn counted_of(agent: &Agent, spec: QuerySpec) -> Counted {
    counted_in(agent, spec, RUNS)
}

/// The same, of so many runs.
fn counted_in(agent: &Agent, spec: QuerySpec, runs: usize) -> Counted {
    let spec = QuerySpec { output: Output::Count { per_source: false }, ..spec };
    let mut connection = Connection::new(&agent.endpoint());
    let (cpu, sandbox) = (Duration::MAX, Duration::MAX);
    let mut best = Counted { matched: 0, cpu, sandbox, status: None, redacted: 0 };
    for _ in 0..runs {
        let before = agent.cpu_time();
        connection.query(&spec, &mut |event| {
            match event {
                Event::Filter(status) => {
                    best.sandbox = best.sandbox.min(status.time);
                    best.status = Some(status);
                }
                Event::Policy(status) => best.redacted = status.redacted,
                Event::Summary(summary) => {
                    assert!(summary.is_complete(), "{:?}", summary.incomplete);
                    best.matched = summary.matched;
                }
                _ => {}
            }
            Flow::Continue
        });
        best.cpu = best.cpu.min(agent.cpu_time() - before);
    }
    best
}

/// Records that entered a filter, and those that it kept, dropped and replaced.
fn verdicts(status: &FilterStatus) -> [u64; 4] {
    let entered = status.records_in - status.skipped_by_prefilter;
    [entered, status.kept, status.dropped, status.replaced]
}

/// A filter as native code.
struct Native {
    /// As [`verdicts`].
    verdicts: [u64; 4],
    /// For all records.
    nanoseconds: f64,
}

impl Native {
    fn run(program: &Path, row: &Row<'_>) -> Native {
        let output = Command::new(program)
            .args([row.filter, row.params, text(&row.logs.file)])
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; run scripts/bench", program.display()));
        let line = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let figure = |name: &str| -> u64 {
            let figure = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            figure.unwrap_or_else(|| panic!("no {name} in '{line}'")).parse().expect("a number")
        };
        let verdicts = ["entered", "kept", "dropped", "replaced"].map(figure);
        Native { verdicts, nanoseconds: figure("nanoseconds") as f64 }
    }
}

pub(crate) fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn write(path: &Path, bytes: usize, message: fn(u64) -> String) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut written = 0;
    for number in 0.. {
        if written >= bytes {
            break;
        }
        let (hour, minute, second) = (number / 36_000 % 24, number / 600 % 60, number / 10 % 60);
        let tenth = number % 10;
        let message = message(number);
        let line =
            format!("2026-11-24T{hour:02}:{minute:02}:{second:02}.{tenth}00000000Z stdout F {message}\n");
        out.write_all(line.as_bytes())?;
        written += line.len();
    }
    out.flush()
}

/// A message as an HTTP server writes it with a JSON logger, about 240 bytes.
fn json_message(number: u64) -> String {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let random = (random ^ (random >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let pick = |shift: u32, of: u64| (random >> shift) % of;
    let level = if pick(3, 20) == 0 { "error" } else { "info" };
    let path = ["/", "/cart", "/login", "/api/items", "/about"][pick(7, 5) as usize];
    let plan = ["free", "pro", "team"][pick(11, 3) as usize];
    format!(
        r#"{{"level":"{level}","logger":"http","msg":"request served","method":"GET","path":"{path}","status":{},"duration_us":{},"bytes":{},"user":{{"id":"u{:05}","plan":"{plan}"}},"trace":"{random:016x}","remote":"10.{}.{}.{}"}}"#,
        [200, 200, 200, 304, 404, 500][pick(13, 6) as usize],
        pick(17, 1_000_000),
        pick(19, 65_536),
        pick(23, 100_000),
        pick(29, 256),
        pick(31, 256),
        pick(37, 256),
    )
}

/// The same, with a field that has one value in one line of a thousand.
pub(crate) fn rare_message(number: u64) -> String {
    let order = if number.is_multiple_of(1000) { 77_777 } else { number % 70_000 };
    json_message(number).replacen('{', &format!(r#"{{"order":"ord-{order:05}","#), 1)
}
