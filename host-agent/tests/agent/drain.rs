//! How the agent ends.

use std::collections::HashMap;
use std::io::Write;

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::query_response::Event as WireEvent;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;

use crate::flow::{RECORDS, busy, rest, stalled};
use crate::process::{Agent, folder, logs};

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

    assert_eq!(rest(stream).await, (RECORDS, true), "the query ends as if nothing had been");
    // Whoever watches the health is told and doesn't keep it.
    assert!(agent.ended().await.success());
    drop((watch, health));
}

#[tokio::test]
async fn a_stalled_client_does_not_keep_the_agent() {
    let mut agent = busy("drain_seconds: 1");
    let stream = stalled(&agent).await;
    let mut follow = QueryServiceClient::new(agent.channel().await);
    let request = v1::QueryRequest { follow: true, ..v1::QueryRequest::default() };
    let follow = follow.query(request).await.expect("a query").into_inner();
    agent.metric_becomes("weir_queries_running", 2).await;
    agent.terminate();
    assert!(agent.ended().await.success());
    drop((stream, follow));
    let log = agent.log();
    assert_eq!(log.matches("outcome=\"cut\"").count(), 2, "{log}");
    assert!(!log.contains("bytes_read=0"), "what they have read is told: {log}");
}

#[tokio::test]
async fn a_follow_is_told_to_come_back_and_goes_on_where_it_stood() {
    goes_on(false).await;
}

/// A pod that takes the place of another one has a cache of its own.
#[tokio::test]
async fn a_follow_goes_on_at_a_successor_that_has_the_secret_alone() {
    goes_on(true).await;
}

async fn goes_on(by_secret: bool) {
    let dir = folder();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "a secret of 24 bytes ...").expect("a file");
    let config = match by_secret {
        true => format!("drain_seconds: 3600\nresume_key_file: {}", secret.display()),
        false => "drain_seconds: 3600".to_owned(),
    };
    crate::logs::small(&logs(&dir));
    let mut agent = Agent::start(dir, &[], &config);
    let mut client = QueryServiceClient::new(agent.channel().await);
    let request = v1::QueryRequest { follow: true, ..v1::QueryRequest::default() };
    let mut stream = client.query(request.clone()).await.expect("a query").into_inner();
    let mut seen = Seen::default();
    while seen.messages.len() < 4 || seen.positions.len() < 2 {
        seen.note(stream.message().await.expect("no error").expect("no end"));
    }
    agent.terminate();
    let status = loop {
        match stream.message().await {
            Ok(response) => {
                let response = response.expect("the end is an error");
                let summary = matches!(response.event, Some(WireEvent::Summary(_)));
                assert!(!summary, "a summary would say that it is over");
                seen.last_is_positions = matches!(response.event, Some(WireEvent::Positions(_)));
                seen.note(response);
            }
            Err(status) => break status,
        }
    };
    assert!(seen.last_is_positions, "where it stands is told last");
    assert_eq!(status.code(), Code::Unavailable);
    let info = status.get_details_error_info().expect("details");
    assert_eq!((info.domain.as_str(), info.reason.as_str()), ("weir", "SHUTTING_DOWN"));
    drop((stream, client));
    assert!(agent.ended().await.success());
    assert!(agent.log().contains("outcome=\"drained\""), "{}", agent.log());

    // What is written meanwhile is all that comes after that.
    let path = agent.dir().join("logs/dev_db-1_22222222-2222-2222-2222-222222222222/postgres/0.log");
    let mut log = std::fs::OpenOptions::new().append(true).open(path).expect("the log");
    log.write_all(b"2026-11-24T10:00:09Z stdout F meanwhile\n").expect("written");
    if by_secret {
        std::fs::remove_dir_all(agent.dir().join("cache")).expect("a folder");
    }
    let agent = agent.start_again(&config);
    let resume = seen.resume();
    let mut client = QueryServiceClient::new(agent.channel().await);
    let request = v1::QueryRequest { resume, resume_live: true, ..request };
    let mut stream = client.query(request).await.expect("a query").into_inner();
    let mut rest = Seen::default();
    while rest.messages.is_empty() {
        rest.note(stream.message().await.expect("no error").expect("no end"));
    }
    assert_eq!(rest.messages, ["meanwhile"]);
}

/// What a client keeps of a follow.
#[derive(Default)]
struct Seen {
    messages: Vec<String>,
    sources: HashMap<u32, v1::Source>,
    positions: HashMap<u32, Vec<u8>>,
    last_is_positions: bool,
}

impl Seen {
    fn note(&mut self, response: v1::QueryResponse) {
        match response.event {
            Some(WireEvent::Source(entry)) => {
                self.sources.insert(entry.id, entry.source.expect("an identity"));
            }
            Some(WireEvent::Records(batch)) => {
                let mut start = 0;
                for end in batch.ends {
                    let message = &batch.messages[start..end as usize];
                    self.messages.push(String::from_utf8_lossy(message).into_owned());
                    start = end as usize;
                }
                self.keep(batch.positions);
            }
            Some(WireEvent::Positions(positions)) => self.keep(positions.positions),
            _ => {}
        }
    }

    fn keep(&mut self, positions: Vec<v1::SourcePosition>) {
        self.positions.extend(positions.into_iter().map(|position| (position.source, position.position)));
    }

    fn resume(self) -> Vec<v1::ResumePosition> {
        let Seen { sources, positions, .. } = self;
        let position = |(id, position)| v1::ResumePosition { source: sources.get(&id).cloned(), position };
        positions.into_iter().map(position).collect()
    }
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
