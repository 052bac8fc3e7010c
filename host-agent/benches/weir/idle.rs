//! What an agent takes that nobody asks anything.

use std::thread::sleep;
use std::time::Duration;

use crate::agent::Agent;
use crate::held::rest;
use crate::logs;
use crate::tree::log_of_pod;
use crate::{Setup, table};

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(30);

/// Containers on its node, as many as kubelet allows by default.
const LOGS: usize = 110;

/// Millions of bytes: all memory in use, and of that its own.
const GOALS: [f64; 2] = [8.0, 1.1];

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "An idle agent",
        "On a node with 110 containers, with TLS, before its first query; watched for 30 s.",
        &["threads", "wake-ups", "goal", "resident MB", "goal", "of it anonymous MB", "goal"],
    );
    let scratch = setup.scratch.join("idle");
    for pod in 0..LOGS {
        let path = log_of_pod(&scratch.join("logs"), pod).expect("a folder");
        logs::write_cri(&path, 64 << 10, pod as u64 * 1000, |_| Ok(())).expect("room for the logs");
    }
    let agent = Agent::start(&setup.agent, &scratch.join("logs"), &scratch.join("agent"));
    rest(&agent);
    // Its last steps after the ready line.
    sleep(Duration::from_secs(1));
    let before = agent.wake_ups();
    sleep(WATCHED);
    let woken = agent.wake_ups() - before;
    let holdings = agent.holdings();
    let [resident, anonymous] = [holdings.resident, holdings.anonymous].map(|bytes| bytes as f64 / 1e6);
    table::row(&[
        &holdings.threads.to_string(),
        &table::at_most(woken as f64, 0.0),
        "0.00",
        &table::at_most(resident, GOALS[0]),
        &format!("{:.2}", GOALS[0]),
        &table::at_most(anonymous, GOALS[1]),
        &format!("{:.2}", GOALS[1]),
    ]);
}
