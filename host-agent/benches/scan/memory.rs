//! What a running query takes of an agent's memory.

use std::sync::mpsc::{Receiver, channel};
use std::thread::{scope, sleep};
use std::time::Duration;

use weir_query::{Event, Flow};

use crate::agent::{Agent, folder_of, query};
use crate::{Setup, table};

/// MiB of a query.
const GOAL: f64 = 2.0;

/// Queries at once.
const QUERIES: usize = 8;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Looks without work between them after which nothing more happens: the searches wait.
const STILL: usize = 100;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Memory of a running query",
        "Anonymous memory of the agent at its highest with 8 queries whose clients take nothing more, less that of the \
         idle agent, for one query.",
        &["what", "idle MiB", "with 8 queries MiB", "goal", "MiB for one query"],
    );
    let scratch = setup.tree.scratch.join("memory");
    let single = folder_of(&setup.tree.cri, &scratch.join("logs"));
    for (what, name, logs) in
        [("the large file", "large", &single), ("500 files, merged by time", "many", &setup.tree.many)]
    {
        let agent = Agent::start(&setup.agent, logs, &scratch.join(name));
        let idle = mebibytes(agent.anonymous_bytes());
        let most = mebibytes(most_held(&agent));
        table::row(&[
            what,
            &format!("{idle:.1}"),
            &format!("{most:.1}"),
            &format!("{GOAL:.2}"),
            &table::below((most - idle) / QUERIES as f64, GOAL),
        ]);
    }
}

/// The most memory that was seen until all queries are held up.
fn most_held(agent: &Agent) -> u64 {
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
                query(endpoint, "level=", &mut |event| {
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

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
