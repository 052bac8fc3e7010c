//! Records through gRPC over TLS: how many the agent gives in a second of its own CPU time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use weir_query::{Event, Flow};

use crate::agent::{Agent, folder_of, query};
use crate::{Setup, table};

/// Million records a second of CPU time.
const GOAL: f64 = 1.0;

const RUNS: usize = 3;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Records through gRPC over TLS",
        "`weir-agent serve` with TLS and the client of `weir-rpc`; every record matches and is sent. CPU time is the \
         agent's, all its threads together.",
        &["what", "records", "CPU s", "wall s", "goal", "million records a CPU second"],
    );
    let scratch = &setup.scratch;
    let short = scratch.join("short.log");
    let bytes = std::fs::metadata(&setup.tree.cri).expect("a file").len() / 4;
    write_short(&short, bytes).expect("room for the logs");
    for (what, log, pattern) in
        [("short messages, 27 bytes", &short, "GET"), ("messages of 170 bytes", &setup.tree.cri, "level=")]
    {
        let name = log.file_stem().expect("a name");
        let logs = folder_of(log, &scratch.join("serve").join(name));
        let agent = Agent::start(&setup.agent, &logs, &scratch.join("serve-agent").join(name));
        let (mut cpu, mut wall, mut records) = (Duration::MAX, Duration::MAX, 0);
        for _ in 0..RUNS {
            let (before, started) = (agent.cpu_time(), Instant::now());
            records = count(&agent, pattern);
            cpu = cpu.min(agent.cpu_time() - before);
            wall = wall.min(started.elapsed());
        }
        table::row(&[
            what,
            &records.to_string(),
            &format!("{:.2}", cpu.as_secs_f64()),
            &format!("{:.2}", wall.as_secs_f64()),
            &format!("{GOAL:.2}"),
            &table::at_least(records as f64 / cpu.as_secs_f64() / 1e6, GOAL),
        ]);
    }
}

/// Takes every record, and checks that none is missing.
fn count(agent: &Agent, pattern: &str) -> u64 {
    let (mut received, mut sent) = (0, None);
    query(&agent.endpoint(), pattern, &mut |event| {
        match event {
            Event::Records { batch, .. } => received += batch.records.len() as u64,
            Event::Summary(summary) => sent = Some(summary.records),
            _ => {}
        }
        Flow::Continue
    });
    assert_eq!(Some(received), sent, "records that were given");
    received
}

fn write_short(path: &Path, bytes: u64) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut written = 0;
    for number in 0_u64.. {
        if written >= bytes {
            break;
        }
        let (minute, second) = (number / 60_000 % 60, number / 1000 % 60);
        let line = format!(
            "2026-11-24T10:{minute:02}:{second:02}.{:03}000000Z stdout F GET /about 200 {:05}us u{:05}\n",
            number % 1000,
            number % 99_991,
            number % 65_521,
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    out.flush()
}
