//! What many queries of every kind leave behind in an agent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use weir_query::{Direction, Event, FilterRef, FilterSpec, Flow, Limit, Output, QuerySpec};
use weir_rpc::Endpoint;

use crate::agent::{Agent, Connection, Holdings, matching};
use crate::guests::Puppet;
use crate::held::{mebibytes, rest};
use crate::tree::log_of_pod;
use crate::{Setup, logs, table};

/// Clients at once.
const CLIENTS: usize = 4;

/// Logs, and bytes of each.
const LOGS: (usize, usize) = (40, 2 << 20);

/// Rounds of every client before what the agent holds is held against later figures.
const WARM_UP: u64 = 10;

/// Queries of a round that are broken off after their first records.
const BROKEN_OFF: usize = 2;

/// Versions of the clients' own filter: each makes another component, to be compiled when it comes first.
const VERSIONS: [&str; 6] = ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.0.5"];

/// MiB of its own that an agent may hold more after the load than before.
const GROWN: f64 = 0.5;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    let text = format!(
        "{CLIENTS} clients at once for {} minutes: searches, counts, tails, windows, follows and listings, with filters that \
         ship and with components of their own, some broken off, each round over a new connection. The agent rests \
         before each look at it.",
        setup.minutes
    );
    let columns = ["when", "queries", "resident MiB", "anonymous MiB", "goal", "threads", "descriptors"];
    table::head("Mixed load", &text, &columns);
    let scratch = setup.scratch.join("soak");
    let folder = scratch.join("logs");
    for pod in 0..LOGS.0 {
        let path = log_of_pod(&folder, pod).expect("a folder");
        logs::write_cri(&path, LOGS.1, pod as u64 * 1_000_000, |_| Ok(())).expect("room for the logs");
    }
    let agent = Agent::start(&setup.agent, &folder, &scratch.join("agent"));
    let endpoint = agent.endpoint();
    let queries = AtomicU64::new(0);

    row("before the first query", 0, &look(&agent), None);
    load(&endpoint, &queries, |rounds| rounds < WARM_UP);
    let before = look(&agent);
    let warm = queries.load(Ordering::Relaxed);
    row("after ten rounds of each client", warm, &before, None);
    let end = Instant::now() + Duration::from_secs(60 * setup.minutes as u64);
    load(&endpoint, &queries, |_| Instant::now() < end);
    row("at the end", queries.load(Ordering::Relaxed) - warm, &look(&agent), Some(&before));
}

/// What an agent holds that rests.
fn look(agent: &Agent) -> Holdings {
    rest(agent);
    // The last connections end after their clients have.
    sleep(Duration::from_secs(1));
    agent.holdings()
}

fn row(when: &str, queries: u64, now: &Holdings, before: Option<&Holdings>) {
    let (anonymous, goal) = match before {
        None => (format!("{:.2}", mebibytes(now.anonymous)), String::new()),
        Some(before) => {
            let most = mebibytes(before.anonymous) + GROWN;
            (table::at_most(mebibytes(now.anonymous), most), format!("{most:.2}"))
        }
    };
    let same = |now: u64, before: Option<u64>| match before {
        Some(before) => table::at_most(now as f64, before as f64),
        None => format!("{now}.00"),
    };
    table::row(&[
        when,
        &queries.to_string(),
        &format!("{:.2}", mebibytes(now.resident)),
        &anonymous,
        &goal,
        &same(now.threads, before.map(|before| before.threads)),
        &same(now.descriptors as u64, before.map(|before| before.descriptors as u64)),
    ]);
}

/// Has every client ask its queries, round by round as long as `more` says of the number of those done.
fn load(endpoint: &Endpoint, queries: &AtomicU64, more: impl Fn(u64) -> bool + Sync) {
    scope(|scope| {
        for client in 0..CLIENTS as u64 {
            let more = &more;
            scope.spawn(move || {
                let mut rounds = 0;
                while more(rounds) {
                    let asked = ask_round(endpoint, client * 7 + rounds);
                    queries.fetch_add(asked, Ordering::Relaxed);
                    rounds += 1;
                }
            });
        }
    });
}

/// One round of a client; returns how many queries it asked.
fn ask_round(endpoint: &Endpoint, number: u64) -> u64 {
    let mut connection = Connection::new(endpoint);
    assert_eq!(connection.sources(), LOGS.0, "every log is listed");
    let specs = specs(number);
    for (index, spec) in specs.iter().enumerate() {
        let (mut batches, mut whole) = (0, false);
        connection.query(spec, &mut |event| {
            match event {
                Event::Records { .. } => batches += 1,
                Event::Summary(summary) => whole = summary.is_complete(),
                _ => {}
            }
            let enough = index < BROKEN_OFF && batches > 0;
            if enough { Flow::Stop } else { Flow::Continue }
        });
        assert!(whole || index < BROKEN_OFF, "{spec:?} ends as a whole");
    }
    specs.len() as u64
}

/// The queries of a round. The first [`BROKEN_OFF`] have no end that is waited for.
fn specs(number: u64) -> Vec<QuerySpec> {
    let named = |name: &str, params: &str| FilterSpec {
        params: params.to_owned(),
        ..FilterSpec::new(FilterRef::Name(name.to_owned()))
    };
    let with = |filter: FilterSpec, spec: QuerySpec| QuerySpec { filters: vec![filter], ..spec };
    let one = vec![format!("ns:pod-{}/", number % LOGS.0 as u64)];
    let count = Output::Count { per_source: number.is_multiple_of(2) };
    let window = (1_793_491_200 + number as i64 % 600) * 1_000_000_000;
    vec![
        QuerySpec { follow: true, limit: Limit::Tail(10), ..matching("level=error") },
        with(named("redact", "{}"), matching("level=")),
        QuerySpec { output: count, ..matching("needle-in-the-log") },
        QuerySpec { output: count, ..matching(r"\b[0-9a-f]{8}-[0-9a-f]{4}\b") },
        QuerySpec { limit: Limit::Tail(100), direction: Direction::Backward, ..matching("level=error") },
        QuerySpec { since: Some(window), until: Some(window + 60_000_000_000), ..QuerySpec::default() },
        with(named("redact", "{}"), QuerySpec { sources: one.clone(), ..matching("status=500") }),
        with(
            named("project", r#"{"keep": ["level", "status"]}"#),
            QuerySpec { sources: one, ..matching("level=error") },
        ),
        with(
            named("logfmt-match", r#"{"where": "status >= 500 && bytes > 60000"}"#),
            QuerySpec { limit: Limit::Head(500), ..QuerySpec::default() },
        ),
        with(own(number), QuerySpec { output: count, ..matching("status=404") }),
    ]
}

/// A component of a client's own, which keeps every record.
fn own(number: u64) -> FilterSpec {
    let version = VERSIONS[number as usize % VERSIONS.len()];
    let bytes = Puppet { kind: 0, columns: 1, version, ..Puppet::default() }.build();
    FilterSpec::new(FilterRef::Component { label: "own.wasm".to_owned(), bytes, signature: None })
}
