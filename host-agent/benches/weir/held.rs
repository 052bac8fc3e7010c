//! What a running query takes of an agent's memory, and whether it is given back.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{scope, sleep};
use std::time::Duration;

use weir_query::{Event, FilterRef, FilterSpec, Flow, QuerySpec};

use crate::agent::{Agent, Connection, folder_of, matching};
use crate::{Setup, table};

/// Queries at once.
const QUERIES: usize = 8;

/// MiB that may be left of all of them together when they have ended.
const LEFT: f64 = 1.0;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Looks without work between them after which nothing more happens: the searches wait.
const STILL: usize = 100;

/// Queries of one kind.
struct Row<'a> {
    what: &'a str,
    name: &'a str,
    logs: &'a Path,
    filter: Option<&'a str>,
    /// MiB of a query.
    goal: f64,
}

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Memory of a running query",
        "Anonymous memory of the agent at its highest with 8 queries whose clients take nothing more, less that of the \
         idle agent, for one query; and what is left of all 8 when they have ended, of which at most 1 MiB is to be left.",
        &["what", "idle MiB", "with 8 queries MiB", "goal", "MiB for one query", "left of all MiB"],
    );
    let scratch = setup.scratch.join("held");
    let single = folder_of(&setup.tree.cri, &scratch.join("logs"));
    let (large, many) = ("the large file", "500 files, merged by time");
    let rows = [
        Row { what: large, name: "large", logs: &single, filter: None, goal: 2.0 },
        Row { what: many, name: "many", logs: &setup.tree.many, filter: None, goal: 2.0 },
        Row {
            what: "the large file, with `redact`",
            name: "redact",
            logs: &single,
            filter: Some("redact"),
            goal: 4.0,
        },
    ];
    for row in rows {
        let config = format!("limits: {{max_queries_per_caller: {QUERIES}}}\n");
        let agent = Agent::start_with(&setup.agent, row.logs, &scratch.join(row.name), &config);
        if row.filter.is_some() {
            // What the first query of a filter makes once for all: its machine code and what runs it.
            Connection::new(&agent.endpoint()).query(&row.spec(), &mut |_| Flow::Stop);
            rest(&agent);
        }
        let idle = mebibytes(agent.anonymous_bytes());
        let most = mebibytes(most_held(&agent, &row.spec()));
        rest(&agent);
        let left = mebibytes(agent.anonymous_bytes()) - idle;
        table::row(&[
            row.what,
            &format!("{idle:.1}"),
            &format!("{most:.1}"),
            &format!("{:.2}", row.goal),
            &table::below((most - idle) / QUERIES as f64, row.goal),
            &table::below(left, LEFT),
        ]);
    }
}

impl Row<'_> {
    fn spec(&self) -> QuerySpec {
        let filter = |name: &str| FilterSpec::new(FilterRef::Name(name.to_owned()));
        QuerySpec { filters: self.filter.map(filter).into_iter().collect(), ..matching("level=") }
    }
}

/// Waits until an agent has nothing to do any more and has let its idle threads go.
pub(crate) fn rest(agent: &Agent) {
    // Blocking threads are kept for 2 s, the clock of filters for 5.
    let mut looks = 0;
    while agent.threads() > 1 {
        assert!(looks < 30_000 / LOOK.as_millis(), "{} threads don't end", agent.threads());
        looks += 1;
        sleep(LOOK);
    }
}

/// The most memory that was seen until all queries are held up.
fn most_held(agent: &Agent, spec: &QuerySpec) -> u64 {
    let endpoint = agent.endpoint();
    let (held, all_held) = channel();
    let mut most = 0;
    scope(|scope| {
        let mut releases = Vec::with_capacity(QUERIES);
        for _ in 0..QUERIES {
            let (release, released) = channel::<()>();
            releases.push(release);
            let (held, endpoint) = (held.clone(), &endpoint);
            scope.spawn(move || {
                Connection::new(endpoint).query(spec, &mut |event| {
                    if !matches!(event, Event::Records { .. }) {
                        return Flow::Continue;
                    }
                    held.send(()).expect("somebody waits");
                    wait_for_end(&released);
                    Flow::Stop
                });
            });
        }
        for _ in 0..QUERIES {
            all_held.recv().expect("every query gives records");
        }
        let (mut cpu, mut still) = (agent.cpu_time(), 0);
        while still < STILL {
            most = most.max(agent.anonymous_bytes());
            sleep(LOOK);
            let now = agent.cpu_time();
            still = if now == cpu { still + 1 } else { 0 };
            cpu = now;
        }
    });
    most
}

/// Waits until the other end is dropped.
fn wait_for_end(released: &Receiver<()>) {
    released.recv().expect_err("nothing is ever sent");
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
