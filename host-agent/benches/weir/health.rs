//! Health checks while searches run: how long they wait for an agent that is busy with others.

use std::time::{Duration, Instant};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use weir_query::Flow;
use weir_rpc::Roots;

use crate::agent::{Agent, Connection, folder_of, matching};
use crate::{Setup, table};

/// Milliseconds within which 99 of 100 checks are to be answered.
const GOAL: f64 = 50.0;

/// Searches at once.
const SEARCHES: usize = 64;

/// Checks, and the pause between two.
const CHECKS: (usize, Duration) = (300, Duration::from_millis(10));

/// Checks that aren't counted, while searches are just beginning.
const WARM_UP: usize = 20;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Health checks beside searches",
        "gRPC health checks over TLS by a connection of their own, one each 10 ms, while 64 other clients search the whole \
         log again and again, all at once (`max_queries: 64`).",
        &["what the others do", "checks", "p50 ms", "goal", "p99 ms"],
    );
    let scratch = &setup.scratch;
    let logs = folder_of(&setup.tree.cri, &scratch.join("health"));
    let config = "limits: {max_queries: 64, max_queries_per_caller: 64, max_connections: 256}\n";
    let agent = Agent::start_with(&setup.agent, &logs, &scratch.join("health-agent"), config);
    for (what, pattern, searches) in [
        ("nothing", "", 0),
        ("search for what isn't there", "not-in-any-line-of-the-log", SEARCHES),
        ("take every line", "level=", SEARCHES),
    ] {
        let (p50, p99) = under(&agent, pattern, searches);
        let (checks, goal) = (CHECKS.0.to_string(), format!("{GOAL:.0}"));
        table::row(&[what, &checks, &format!("{p50:.1}"), &goal, &table::below(p99, GOAL)]);
    }
}

/// Median and 99th percentile of the checks' times in milliseconds, while so many searches run.
fn under(agent: &Agent, pattern: &str, searches: usize) -> (f64, f64) {
    let done = std::sync::atomic::AtomicBool::new(false);
    let is_done = || done.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..searches {
            scope.spawn(|| {
                // They are on the same machine as what measures, which isn't to wait for them.
                rustix::process::setpriority_process(None, 19).expect("the lowest priority");
                let mut connection = Connection::new(&agent.endpoint());
                while !is_done() {
                    let more = || if is_done() { Flow::Stop } else { Flow::Continue };
                    connection.query(&matching(pattern), &mut |_| more());
                }
            });
        }
        let times = checks(agent);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        times
    })
}

fn checks(agent: &Agent) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let endpoint = agent.endpoint();
    let Roots::File(roots) = endpoint.ca else { panic!("roots from a file") };
    let roots = std::fs::read(roots).expect("a file");
    let name = endpoint.server_name.expect("a name");
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots)).domain_name(name);
    let mut times: Vec<f64> = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(endpoint.url).expect("a URL").tls_config(tls).expect("TLS");
        let mut health = HealthClient::new(endpoint.connect().await.expect("the agent"));
        let mut times = Vec::new();
        for number in 0..CHECKS.0 + WARM_UP {
            let started = Instant::now();
            health.check(HealthCheckRequest::default()).await.expect("an answer");
            if number >= WARM_UP {
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            tokio::time::sleep(CHECKS.1).await;
        }
        times
    });
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
