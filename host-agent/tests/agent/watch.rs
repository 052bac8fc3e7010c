//! Watching sources: the first response has them all, and then comes what changes.

use std::fs::{self, OpenOptions};
use std::io::Write;

use tonic::Code;
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::source_service_client::SourceServiceClient;

use crate::logs;
use crate::process::Agent;

const NEW_POD: &str = "prod_web-2_55555555-5555-5555-5555-555555555555";

fn told(response: Option<v1::WatchSourcesResponse>) -> Vec<(String, String)> {
    let events = response.expect("a response").events.into_iter();
    events
        .map(|event| {
            let kind = event.r#type().as_str_name().to_owned();
            let source = event.source.and_then(|info| info.source).expect("an identity");
            (kind, source.pod)
        })
        .collect()
}

fn one(kind: &str, pod: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), pod.to_owned())]
}

#[tokio::test]
async fn changes_are_told_once_each() {
    let mut agent = Agent::small("limits: {watch_seconds: 1, max_watches: 1}\ndrain_seconds: 3600");
    let root = agent.dir().join("logs");
    let mut client = SourceServiceClient::new(agent.channel().await);
    let request = v1::WatchSourcesRequest { selectors: vec!["prod:".to_owned()], times: false };
    let mut watch = client.watch_sources(request.clone()).await.expect("a watch").into_inner();
    assert_eq!(told(watch.message().await.expect("a response")), one("TYPE_ADDED", "web-1"));

    let status = client.watch_sources(request).await.expect_err("one is allowed");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("max_watches is 1"), "{status:?}");

    logs::write(&root, &format!("{NEW_POD}/nginx"), &["2026-11-24T10:00:00Z stdout F hello"]);
    assert_eq!(told(watch.message().await.expect("a response")), one("TYPE_ADDED", "web-2"));
    let path = root.join(NEW_POD).join("nginx/0.log");
    let mut file = OpenOptions::new().append(true).open(path).expect("the log");
    writeln!(file, "2026-11-24T10:00:01Z stdout F again").expect("a line");
    assert_eq!(told(watch.message().await.expect("a response")), one("TYPE_MODIFIED", "web-2"));
    fs::remove_dir_all(root.join(NEW_POD)).expect("the pod");
    assert_eq!(told(watch.message().await.expect("a response")), one("TYPE_DELETED", "web-2"));

    // A watch has no end of its own, so that a drain ends it.
    agent.terminate();
    let status = watch.message().await.expect_err("the agent ends");
    assert_eq!(status.code(), Code::Unavailable);
    drop((watch, client));
    assert!(agent.ended().await.success());
}

#[tokio::test]
async fn a_selector_may_take_nothing_yet() {
    let agent = Agent::small("limits: {watch_seconds: 1}");
    let mut client = SourceServiceClient::new(agent.channel().await);
    let selectors = vec!["prod:web-2".to_owned(), "dev:".to_owned()];
    let request = v1::WatchSourcesRequest { selectors, times: true };
    let mut watch = client.watch_sources(request).await.expect("a watch").into_inner();
    assert_eq!(told(watch.message().await.expect("a response")), one("TYPE_ADDED", "db-1"));
    let root = agent.dir().join("logs");
    logs::write(&root, &format!("{NEW_POD}/nginx"), &["2026-11-24T10:00:00Z stdout F hello"]);
    assert_eq!(told(watch.message().await.expect("a response")), one("TYPE_ADDED", "web-2"));

    let bad = v1::WatchSourcesRequest { selectors: vec!["a:b:c".to_owned()], times: false };
    let mut watch = client.watch_sources(bad).await.expect("a stream").into_inner();
    let status = watch.message().await.expect_err("a selector that can't be read");
    assert_eq!(status.code(), Code::InvalidArgument);
}
