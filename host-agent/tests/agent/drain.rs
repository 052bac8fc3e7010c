//! How the agent ends.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::flow::{RECORDS, busy, rest, stalled};
use crate::process::Agent;

#[tokio::test]
async fn an_idle_agent_ends_at_once() {
    let mut agent = Agent::small("drain_seconds: 3600");
    // A connection that nothing happens on doesn't keep it.
    let client = agent.client().await;
    agent.terminate();
    assert!(agent.ended().await.success());
    drop(client);
}

#[tokio::test]
async fn running_queries_may_end_and_health_tells() {
    let mut agent = busy("drain_seconds: 3600");
    let mut health = HealthClient::new(agent.channel().await);
    let request = HealthCheckRequest { service: "weir.v1.QueryService".to_owned() };
    let mut watch = health.watch(request).await.expect("health").into_inner();
    let first = watch.message().await.expect("a status").expect("a status");
    assert_eq!(first.status().as_str_name(), "SERVING");
    let stream = stalled(&agent).await;

    agent.terminate();
    let then = watch.message().await.expect("a status").expect("a status");
    assert_eq!(then.status().as_str_name(), "NOT_SERVING");
    agent.page_becomes("/readyz", 503).await;
    assert_eq!(agent.page("/healthz").await.0, 200);
    drop((watch, health));

    assert_eq!(rest(stream).await, (RECORDS, true), "the query ends as if nothing had been");
    assert!(agent.ended().await.success());
}

#[tokio::test]
async fn a_stalled_client_does_not_keep_the_agent() {
    let mut agent = busy("drain_seconds: 1");
    let stream = stalled(&agent).await;
    agent.terminate();
    assert!(agent.ended().await.success());
    drop(stream);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut agent = busy("drain_seconds: 3600");
    let stream = stalled(&agent).await;
    agent.terminate();
    agent.page_becomes("/readyz", 503).await;
    agent.terminate();
    assert!(agent.ended().await.success());
    drop(stream);
}
