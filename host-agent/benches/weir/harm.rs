//! What queries wait longer for while guests that mean harm run beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Instant;

use weir_query::{FilterRef, FilterSpec, Flow, Limit, Output, QuerySpec};
use weir_rpc::Endpoint;

use crate::agent::{Agent, Connection, matching};
use crate::cost::milliseconds;
use crate::filters::own;
use crate::guests::Puppet;
use crate::tree::log_of_pod;
use crate::{Setup, logs, table};

/// Clients that ask all the time, and answers that each of them waits for.
const OTHERS: usize = 20;
const ANSWERS: usize = 20;

/// Bytes of the log that they ask about.
const BYTES: usize = 8 << 20;

/// How long an answer may take, as a multiple of the time without guests that mean harm.
const GOAL: f64 = 2.0;

/// By the first byte of a message, what the puppet does.
const DEEDS: [(&str, &str); 5] = [
    ("l", "loops for ever on each record"),
    ("m", "takes memory until it gets none, on each record"),
    ("o", "calls itself for ever, on each record"),
    ("H", "gives 32 MiB back for each record"),
    ("x", "traps on each record"),
];

/// Records of each deed: more than the breaker lets pass before it opens.
const RECORDS: usize = 2000;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Others' answers while guests mean harm",
        "Wall time in ms of the answers that 20 clients wait for at the same time, counts, tails and filters over 8 MiB, while \
         one more client runs a query with a hostile guest again and again. The goal is twice the quiet figure.",
        &["what the guest does", "harmful queries", "p50 ms", "goal", "p99 ms", "goal"],
    );
    let scratch = setup.scratch.join("harm");
    let folder = scratch.join("logs");
    let clean = log_of_pod(&folder, 0).expect("a folder");
    logs::write_cri(&clean, BYTES, 0, |_| Ok(())).expect("room for the logs");
    for (number, (deed, _)) in DEEDS.iter().enumerate() {
        let line = format!("2026-11-24T10:00:00Z stdout F {deed}\n");
        let path = log_of_pod(&folder, number + 1).expect("a folder");
        std::fs::write(path, line.repeat(RECORDS)).expect("room for the logs");
    }
    let config = "limits: {max_queries: 64, max_queries_per_caller: 64, max_connections: 256}\n";
    let agent = Agent::start_with(&setup.agent, &folder, &scratch.join("agent"), config);
    // What is compiled once and what the first queries make is no part of it.
    answers(&agent.endpoint(), None);
    let quiet = answers(&agent.endpoint(), None);
    row("nothing", &quiet, None);
    for (number, (_, what)) in DEEDS.iter().enumerate() {
        row(what, &answers(&agent.endpoint(), Some(&harm(number + 1))), Some(&quiet));
    }
    row("is compiled for seconds, each time another one", &compiling(&agent.endpoint()), Some(&quiet));
}

/// How long answers took in ms, ascending, and how many queries did harm meanwhile.
struct Answers {
    times: Vec<f64>,
    harmful: usize,
}

impl Answers {
    fn percentile(&self, percent: usize) -> f64 {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

fn row(what: &str, answers: &Answers, quiet: Option<&Answers>) {
    let cells = |percent| {
        let found = answers.percentile(percent);
        match quiet.map(|quiet| quiet.percentile(percent) * GOAL) {
            None => (format!("{found:.1}"), String::new()),
            Some(goal) => (table::at_most(found, goal), format!("{goal:.1}")),
        }
    };
    let ((median, median_goal), (last, last_goal)) = (cells(50), cells(99));
    table::row(&[what, &answers.harmful.to_string(), &median, &median_goal, &last, &last_goal]);
}

/// What a client waits for while another one asks `harm` over and over.
fn answers(endpoint: &Endpoint, harm: Option<&QuerySpec>) -> Answers {
    during(endpoint, |connection, _| match harm {
        None => false,
        Some(harm) => {
            connection.query(harm, &mut |_| Flow::Continue);
            true
        }
    })
}

/// What clients wait for while another one does `harm`, which tells whether it has done any; it is told how often it has.
fn during(endpoint: &Endpoint, harm: impl Fn(&mut Connection, usize) -> bool + Sync) -> Answers {
    let done = AtomicBool::new(false);
    scope(|scope| {
        let harming = scope.spawn(|| {
            let (mut connection, mut harmful) = (Connection::new(endpoint), 0);
            while !done.load(Ordering::Relaxed) && harm(&mut connection, harmful) {
                harmful += 1;
            }
            harmful
        });
        let clients: Vec<_> =
            (0..OTHERS).map(|number| scope.spawn(move || client(endpoint, number))).collect();
        let times = clients.into_iter().flat_map(|client| client.join().expect("no panic"));
        let mut times: Vec<f64> = times.collect();
        done.store(true, Ordering::Relaxed);
        times.sort_by(f64::total_cmp);
        Answers { times, harmful: harming.join().expect("no panic") }
    })
}

/// The times that one client waits for its answers.
fn client(endpoint: &Endpoint, number: usize) -> Vec<f64> {
    let mut connection = Connection::new(endpoint);
    let spec = asked(number);
    let answer = |_| {
        let started = Instant::now();
        connection.query(&spec, &mut |_| Flow::Continue);
        milliseconds(started.elapsed())
    };
    (0..ANSWERS).map(answer).collect()
}

/// What client number `number` asks.
fn asked(number: usize) -> QuerySpec {
    let sources = vec!["ns:pod-0".to_owned()];
    let named = |name: &str| FilterSpec::new(FilterRef::Name(name.to_owned()));
    let spec = match number % 3 {
        0 => QuerySpec { output: Output::Count { per_source: false }, ..matching("timeout") },
        1 => QuerySpec { limit: Limit::Tail(200), filters: vec![named("redact")], ..QuerySpec::default() },
        _ => QuerySpec { limit: Limit::Head(500), ..matching("level=") },
    };
    QuerySpec { sources, ..spec }
}

/// A query whose guest does what the records of pod number `pod` say.
fn harm(pod: usize) -> QuerySpec {
    through(&Puppet::default(), pod)
}

fn through(puppet: &Puppet, pod: usize) -> QuerySpec {
    QuerySpec { sources: vec![format!("ns:pod-{pod}/")], filters: vec![own(puppet)], ..QuerySpec::default() }
}

/// While components are compiled, one after the other, of 20,000 functions each.
fn compiling(endpoint: &Endpoint) -> Answers {
    let body =
        "(func (param i32) (result i32) (i32.mul (i32.add (local.get 0) (i32.const 7)) (i32.const 3)))\n";
    let functions: &'static str = body.repeat(20_000).leak();
    during(endpoint, |connection, number| {
        let version: &'static str = format!("1.0.{number}").leak();
        let puppet = Puppet { version, extra: functions, ..Puppet::default() };
        connection.query(&through(&puppet, DEEDS.len()), &mut |_| Flow::Continue);
        true
    })
}
