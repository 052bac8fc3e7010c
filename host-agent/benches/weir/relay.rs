//! What asking an agent through the relay costs its client, as `weir` asks one agent or several: beside the plain client of
//! `weir-rpc`, and with the logs spread over two agents.

use std::path::Path;
use std::time::Instant;

use nix::sys::resource::UsageWho;
use tokio::runtime::{Builder, Runtime};
use weir_query::{Event, Flow, QueryLimits, QuerySpec};
use weir_relay::{Fleet, Member, Reach};
use weir_rpc::Client;

use crate::agent::{Agent, folder_of, matching};
use crate::cost::{Cost, cpu_time};
use crate::{Setup, table};

const RUNS: usize = 3;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Records through the relay",
        "The client's side of an answer: every record of the log, over TLS, taken and dropped. CPU time is that of the client's \
         process.",
        &["what", "records", "CPU s", "wall s", "million records a CPU second", "CPU, direct = 1"],
    );
    let scratch = setup.scratch.join("relay");
    let agent = |name: &str| start(setup, &scratch.join(name));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let one = [agent("first")];
    let (records, direct) = best(|| ask_directly(&runtime, &one[0]));
    row("one agent, directly", records, direct, direct);
    let (records, relayed) = best(|| ask_fleet(&runtime, &one));
    row("one agent, through the relay", records, relayed, direct);
    let [one] = one;
    let two = [one, agent("second")];
    let (records, merged) = best(|| ask_fleet(&runtime, &two));
    // Twice as many records: what one of them takes is compared.
    row(
        "two agents with the same log, merged by time",
        records,
        merged,
        Cost { cpu: direct.cpu * 2, ..direct },
    );
}

fn row(what: &str, records: u64, cost: Cost, direct: Cost) {
    let cpu = cost.cpu.as_secs_f64();
    table::row(&[
        what,
        &records.to_string(),
        &format!("{cpu:.2}"),
        &format!("{:.2}", cost.wall.as_secs_f64()),
        &format!("{:.2}", records as f64 / cpu / 1e6),
        &format!("{:.2}", cpu / direct.cpu.as_secs_f64()),
    ]);
}

fn start(setup: &Setup, scratch: &Path) -> Agent {
    std::fs::create_dir_all(scratch).expect("a folder");
    let logs = folder_of(&setup.tree.cri, &scratch.join("logs"));
    Agent::start(&setup.agent, &logs, &scratch.join("agent"))
}

/// The best of some runs.
fn best(mut run: impl FnMut() -> u64) -> (u64, Cost) {
    let (mut records, mut best) = (0, Cost::MAX);
    for _ in 0..RUNS {
        let (before, started) = (cpu_time(UsageWho::RUSAGE_SELF), Instant::now());
        records = run();
        let cost = Cost { cpu: cpu_time(UsageWho::RUSAGE_SELF) - before, wall: started.elapsed() };
        best = best.best(cost);
    }
    (records, best)
}

/// Takes every record, and checks that none is missing.
#[derive(Default)]
struct Count {
    received: u64,
    told: Option<u64>,
}

impl Count {
    fn event(&mut self, event: &Event) -> Flow {
        match event {
            Event::Records { batch, .. } => self.received += batch.records.len() as u64,
            Event::Summary(summary) => self.told = Some(summary.records),
            _ => {}
        }
        Flow::Continue
    }

    fn whole(&self) -> u64 {
        assert_eq!(Some(self.received), self.told, "records that were given");
        self.received
    }
}

fn everything() -> QuerySpec {
    matching("level=")
}

fn ask_directly(runtime: &Runtime, agent: &Agent) -> u64 {
    let mut count = Count::default();
    let mut client = runtime.block_on(Client::connect(&agent.endpoint())).expect("the agent");
    runtime.block_on(client.query(&everything(), &mut |event| count.event(&event))).expect("an answer");
    count.whole()
}

fn ask_fleet(runtime: &Runtime, agents: &[Agent]) -> u64 {
    let mut count = Count::default();
    let member = |agent: &Agent| Member {
        name: agent.endpoint().url,
        reach: Reach::Endpoint(agent.endpoint()),
        own: None,
    };
    let members = agents.iter().map(member).collect();
    let mut fleet = runtime.block_on(Fleet::connect(members, QueryLimits::default())).expect("the agents");
    runtime.block_on(fleet.query(&everything(), &mut |event| count.event(&event))).expect("an answer");
    count.whole()
}
