//! Who is let in, and what is recorded of it, where no API server answers. With a real one, `scripts/e2e-cluster` tests it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};
use weir_query::{Flow, PatternSpec, QuerySpec};
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::filter_service_client::FilterServiceClient;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;
use weir_rpc::wire::v1::source_service_client::SourceServiceClient;
use weir_rpc::{Client, Endpoint};

use crate::certs::Authority;
use crate::process::{Agent, folder, logs, until};

/// A call with these headers.
fn with<T>(message: T, headers: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    let metadata: &mut MetadataMap = request.metadata_mut();
    for (name, value) in headers {
        metadata.append(*name, value.parse().expect("a value"));
    }
    request
}

/// What each call of each service answers to a client with these headers.
async fn refusals(agent: &Agent, headers: &[(&'static str, &str)]) -> Vec<Status> {
    let channel = agent.channel().await;
    let mut sources = SourceServiceClient::new(channel.clone());
    let mut filters = FilterServiceClient::new(channel.clone());
    let mut queries = QueryServiceClient::new(channel);
    let upload = v1::upload_filter_request::Part::Start(v1::UploadStart::default());
    let upload = tokio_stream::iter([v1::UploadFilterRequest { part: Some(upload) }]);
    let answers = [
        queries.query(with(v1::QueryRequest::default(), headers)).await.map(drop),
        sources.list_sources(with(v1::ListSourcesRequest::default(), headers)).await.map(drop),
        sources.watch_sources(with(v1::WatchSourcesRequest::default(), headers)).await.map(drop),
        filters.list_filters(with(v1::ListFiltersRequest::default(), headers)).await.map(drop),
        filters.describe_filter(with(v1::DescribeFilterRequest::default(), headers)).await.map(drop),
        filters.upload_filter(with(upload, headers)).await.map(drop),
    ];
    answers.into_iter().map(|answer| answer.expect_err("refused")).collect()
}

/// The records of a file, once there are so many.
async fn records(path: &Path, count: usize) -> Vec<Value> {
    let lines = || fs::read_to_string(path).unwrap_or_default();
    until(|| lines().lines().count() >= count, || format!("{count} records in\n{}", lines())).await;
    lines().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// An agent that asks an API server, of which nobody answers.
fn guarded() -> Agent {
    let dir = folder();
    crate::logs::small(&logs(&dir));
    let ca = Authority::new().write(dir.path(), "api");
    let token = dir.path().join("token");
    fs::write(&token, "own").expect("a file");
    // Nobody listens on port 1.
    let config = format!(
        "access: {{mode: kubernetes, api_server: 'https://127.0.0.1:1', api_ca: {}, api_token: {}}}\n\
         audit: {{output: {}}}\nallow_components: true",
        ca.display(),
        token.display(),
        dir.path().join("audit.jsonl").display(),
    );
    Agent::start(dir, &[], &config)
}

#[tokio::test]
async fn who_is_not_known_is_refused_by_every_call() {
    let agent = guarded();
    for (headers, code, says) in [
        (&[][..], Code::Unauthenticated, "--token-file"),
        (&[("authorization", "Basic eDp5")], Code::Unauthenticated, "Bearer TOKEN"),
        (&[("authorization", "Bearer x")], Code::Unavailable, "Kubernetes API server"),
        (&[("x-remote-user", "admin")], Code::PermissionDenied, "access.relays"),
        (
            &[("x-remote-user", "admin"), ("authorization", "Bearer x")],
            Code::PermissionDenied,
            "access.relays",
        ),
        (&[("x-remote-group", "system:masters")], Code::PermissionDenied, "access.relays"),
    ] {
        for status in refusals(&agent, headers).await {
            assert_eq!(status.code(), code, "{headers:?}: {status:?}");
            assert!(status.message().contains(says), "{status:?}");
        }
    }
    for (reason, calls) in [("unauthenticated", 12), ("unavailable", 6), ("denied", 18)] {
        assert_eq!(
            agent.metric(&format!("weir_denials_total{{reason=\"{reason}\"}}")).await,
            calls,
            "{reason}"
        );
    }
    let failed = agent.metric("weir_access_reviews_total{review=\"token\",result=\"failed\"}").await;
    assert!(failed >= 1, "{failed}");
    agent.logs(&["the Kubernetes API server can't be reached"]).await;
    // Of each query a record; of other calls, none.
    let told = records(&agent.dir().join("audit.jsonl"), 6).await;
    let outcomes: Vec<&str> = told.iter().map(|record| record["outcome"].as_str().expect("a word")).collect();
    let expected = ["unauthenticated", "unauthenticated", "unavailable", "denied", "denied", "denied"];
    assert_eq!(outcomes, expected);
    assert!(told.iter().all(|record| record["user"].is_null() && record["query"].is_null()), "{told:?}");
}

#[tokio::test]
async fn in_the_open_an_identity_that_is_passed_on_is_refused_too() {
    let agent = Agent::small("");
    for status in refusals(&agent, &[("x-remote-user", "admin")]).await {
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    }
    // A token that nobody asks for harms nobody.
    let url = format!("http://{}", agent.grpc);
    let endpoint = Endpoint { url, token: Some("whatever".to_owned()), ..Endpoint::default() };
    let mut client = Client::connect(&endpoint).await.expect("the agent");
    assert_eq!(client.sources(&[]).await.expect("sources").len(), 2);
}

#[tokio::test]
async fn a_relay_is_known_by_its_certificate_and_each_user_counts_for_himself() {
    let dir = folder();
    crate::logs::small(&logs(&dir));
    let authority = Authority::new();
    let ca = authority.write(dir.path(), "ca");
    let server = authority.sign(dir.path(), "127.0.0.1");
    let relay = authority.sign(dir.path(), "relay.weir.svc");
    let other = authority.sign(dir.path(), "other.weir.svc");
    let audit = dir.path().join("audit.jsonl");
    let config = format!(
        "tls: {{cert: {}, key: {}, client_ca: {}}}\naccess: {{relays: [relay.weir.svc]}}\naudit: {{output: {}}}",
        server.cert.display(),
        server.key.display(),
        ca.display(),
        audit.display(),
    );
    let agent = Agent::start(dir, &[], &config);
    let ask = async |signed: &crate::certs::Signed, headers: &[(&'static str, &str)]| {
        let read = |path: &Path| fs::read(path).expect("a file");
        let tls = tonic::transport::ClientTlsConfig::new()
            .ca_certificate(tonic::transport::Certificate::from_pem(read(&ca)))
            .identity(tonic::transport::Identity::from_pem(read(&signed.cert), read(&signed.key)));
        let url = format!("https://{}", agent.grpc);
        let endpoint =
            tonic::transport::Endpoint::from_shared(url).expect("a URL").tls_config(tls).expect("TLS");
        let channel = endpoint.connect().await.expect("the agent");
        let mut queries = QueryServiceClient::new(channel);
        let mut answer = queries.query(with(v1::QueryRequest::default(), headers)).await?.into_inner();
        while let Some(response) = answer.next().await {
            response?;
        }
        Ok::<(), Status>(())
    };
    let passed = [
        ("x-remote-user", "jane"),
        ("x-remote-uid", "u-1"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "ops"),
    ];
    ask(&relay, &passed).await.expect("an answer");
    assert_eq!(ask(&other, &passed).await.expect_err("not a relay").code(), Code::PermissionDenied);
    ask(&other, &[]).await.expect("an answer: it is open to who has a certificate");
    let told = records(&audit, 3).await;
    let who = |record: &Value| (record["user"].clone(), record["relay"].clone(), record["way"].clone());
    let user = json!({"name": "jane", "uid": "u-1", "groups": ["dev", "ops"]});
    // A record may be written after its client has had the answer.
    let by = |way: &str| told.iter().find(|record| record["way"] == way).expect("one of that way");
    assert_eq!(who(by("relay")), (user, json!("relay.weir.svc"), json!("relay")));
    assert_eq!((who(by("")), &by("")["outcome"]), ((Value::Null, Value::Null, json!("")), &json!("denied")));
    assert_eq!(who(by("open")), (Value::Null, Value::Null, json!("open")));
}

#[tokio::test]
async fn every_query_leaves_a_record_however_it_ends() {
    let dir = folder();
    crate::logs::small(&logs(&dir));
    let audit = dir.path().join("audit.jsonl");
    let agent = Agent::start(dir, &[], &format!("audit: {{output: {}, pattern: hash}}", audit.display()));
    let mut client = agent.client().await;
    let pattern = |text: &str| PatternSpec { patterns: vec![text.to_owned()], ..PatternSpec::default() };
    let complete = QuerySpec { pattern: pattern("(?i)error"), ..QuerySpec::default() };
    client.query(&complete, &mut |_| Flow::Continue).await.expect("an answer");
    let refused = QuerySpec { pattern: pattern("(secret"), ..QuerySpec::default() };
    client.query(&refused, &mut |_| Flow::Continue).await.expect_err("no pattern");
    let follow = QuerySpec { follow: true, sources: vec!["prod:".to_owned()], ..QuerySpec::default() };
    client.query(&follow, &mut |_| Flow::Stop).await.expect("left by the client");

    let told = records(&audit, 3).await;
    // A record may be written after its client has had the answer.
    let by =
        |outcome: &str| told.iter().find(|record| record["outcome"] == outcome).expect("one that ended so");
    let told = ["complete", "refused", "cancelled"].map(by);
    assert_eq!((&told[0]["lines"], &told[0]["bytes"]), (&json!(2), &json!(50)), "{}", told[0]);
    assert_eq!(told[0]["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!(told[1]["refusal"], json!({"status": "InvalidArgument", "field": "pattern"}));
    assert_eq!(told[2]["query"]["selectors"], json!(["prod:"]));
    assert_eq!(told[2]["query"]["follow"], true);
    let text = fs::read_to_string(&audit).expect("the file");
    assert!(!text.contains("secret") && text.contains("hmac-sha256:"), "{text}");
    agent.metric_becomes("weir_audit_lost_total", 0).await;
}
