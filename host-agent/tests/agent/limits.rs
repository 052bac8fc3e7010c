//! The named limits of the server, each passed once, and what is still possible then.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use tokio::task::JoinHandle;
use tonic::{Code, Request, Status, Streaming};
use weir_query::{Event, Flow, Output, QueryError, QuerySpec, Summary};
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::query_response::Event as WireEvent;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;
use weir_rpc::{Client, ClientError, Endpoint};

use crate::flow::{RECORDS, busy, rest, stalled};
use crate::process::{Agent, folder, logs, until};
use crate::raw::Raw;
use crate::transport::{Tls, tls};

const QUEUED: &str = "weir_queries_queued";
const RUNNING: &str = "weir_queries_running";

/// Runs a query to its end.
async fn summary(client: &mut Client, spec: &QuerySpec) -> Result<Summary, ClientError> {
    let mut summary = None;
    let mut sink = |event: Event| {
        if let Event::Summary(end) = event {
            summary = Some(end);
        }
        Flow::Continue
    };
    client.query(spec, &mut sink).await?;
    Ok(summary.expect("a summary"))
}

fn count() -> QuerySpec {
    QuerySpec { output: Output::Count { per_source: false }, ..QuerySpec::default() }
}

/// Counts everything, in a task of its own.
async fn counting(agent: &Agent) -> JoinHandle<Result<u64, Status>> {
    let mut client = QueryServiceClient::new(agent.channel().await);
    tokio::spawn(async move {
        let output = Some(v1::query_request::Output::Count(v1::CountOutput { per_source: false }));
        let mut stream =
            client.query(v1::QueryRequest { output, ..v1::QueryRequest::default() }).await?.into_inner();
        let mut matched = None;
        while let Some(response) = stream.message().await? {
            if let Some(WireEvent::Summary(summary)) = response.event {
                matched = Some(summary.matched);
            }
        }
        Ok(matched.expect("a summary"))
    })
}

fn limit<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (String, String) {
    match result {
        Err(ClientError::Query(QueryError::LimitExceeded { limit, value, .. })) => (limit, value),
        other => panic!("{other:?}"),
    }
}

/// Begins to follow everything.
async fn follow(agent: &Agent) -> Result<Streaming<v1::QueryResponse>, Status> {
    let request = v1::QueryRequest { follow: true, ..v1::QueryRequest::default() };
    Ok(QueryServiceClient::new(agent.channel().await).query(request).await?.into_inner())
}

/// Reads records until there are so many, all gaps and notices aside.
async fn records(stream: &mut Streaming<v1::QueryResponse>, mut wanted: usize) {
    while wanted > 0 {
        let response = stream.message().await.expect("no error").expect("no end");
        if let Some(WireEvent::Records(batch)) = response.event {
            wanted -= batch.ends.len();
        }
    }
}

#[tokio::test]
async fn a_search_over_max_queries_waits_for_its_turn() {
    let agent = busy("limits: {max_queries: 1}");
    let stream = stalled(&agent).await;
    let waiting = counting(&agent).await;
    agent.metric_becomes(QUEUED, 1).await;
    assert_eq!(agent.metric(RUNNING).await, 1);
    assert_eq!(rest(stream).await, (RECORDS, true));
    let matched = waiting.await.expect("no panic").expect("its turn came");
    assert_eq!((matched, agent.metric(QUEUED).await), (RECORDS, 0));
}

#[tokio::test]
async fn a_turn_that_does_not_come_and_a_queue_that_is_full_are_told_by_name() {
    let agent = busy("limits: {max_queries: 1, queue_seconds: 1, max_queued: 1}");
    let stream = stalled(&agent).await;
    let mut second = agent.client().await;
    let waiting = counting(&agent).await;
    agent.metric_becomes(QUEUED, 1).await;
    let full = limit(summary(&mut second, &count()).await);
    assert_eq!(full, ("max_queued".to_owned(), "1".to_owned()));
    let status = waiting.await.expect("no panic").expect_err("no turn");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("limit queue_seconds is 1"), "{status:?}");
    // One that leaves while it waits leaves nothing behind.
    let waiting = counting(&agent).await;
    agent.metric_becomes(QUEUED, 1).await;
    waiting.abort();
    agent.metric_becomes(QUEUED, 0).await;
    for name in ["max_queued", "queue_seconds"] {
        agent.metric_becomes(&format!("weir_queries_over_limit_total{{limit=\"{name}\"}}"), 1).await;
    }
    drop(stream);
    summary(&mut second, &count()).await.expect("there is room again");
}

#[tokio::test]
async fn a_caller_is_its_certificate_and_leaves_room_for_others() {
    let config = "limits: {max_queries_per_caller: 1, max_queued_per_caller: 0, max_follows_per_caller: 1}";
    let Tls { agent, trusted, client, other, .. } = tls(true, config);
    let as_client = |signed: &crate::certs::Signed| Endpoint {
        cert: Some(signed.cert.clone()),
        key: Some(signed.key.clone()),
        ..trusted.clone()
    };
    let following = QuerySpec { follow: true, ..QuerySpec::default() };
    let mut one = Client::connect(&as_client(&client)).await.expect("the agent");
    let mut goes_on = |_| Flow::Continue;
    let running = one.query(&following, &mut goes_on);
    let others = async {
        agent.metric_becomes(RUNNING, 1).await;
        // The same caller by another connection.
        let mut same = Client::connect(&as_client(&client)).await.expect("the agent");
        assert_eq!(limit(same.query(&following, &mut |_| Flow::Continue).await).0, "max_follows_per_caller");
        summary(&mut same, &count()).await.expect("a search is another matter");
        let mut stranger = Client::connect(&as_client(&other)).await.expect("the agent");
        let begun = stranger.query(&following, &mut |_| Flow::Stop).await;
        begun.expect("another caller has room of its own");
    };
    tokio::select! {
        ended = running => panic!("{ended:?}"),
        () = others => {}
    }
}

#[tokio::test]
async fn follows_have_limits_of_their_own() {
    let agent = Agent::small("limits: {max_queries: 1, max_follows: 1}");
    let mut stream = follow(&agent).await.expect("a follow");
    records(&mut stream, 4).await;
    let status = follow(&agent).await.expect_err("one is allowed");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("limit max_follows is 1"), "{status:?}");
    summary(&mut agent.client().await, &count()).await.expect("a search has room");
    drop(stream);
    agent.metric_becomes(RUNNING, 0).await;
    follow(&agent).await.expect("there is room again");
}

#[tokio::test]
async fn a_search_over_its_budget_ends_with_what_it_has_and_says_why() {
    for (config, says) in [
        ("limits: {query: {read_bytes: 2097152}}", "limit read_bytes"),
        ("limits: {query: {sent_bytes: 2097152}}", "limit sent_bytes"),
    ] {
        let agent = busy(config);
        let found = summary(&mut agent.client().await, &QuerySpec::default()).await.expect("an end");
        assert!(found.incomplete.len() == 1 && found.incomplete[0].contains(says), "{:?}", found.incomplete);
        assert!((1000..RECORDS / 2).contains(&found.records), "{}: {} records", says, found.records);
    }
    let dir = folder();
    crate::logs::endless(&logs(&dir));
    let agent = Agent::start(dir, &[], "limits: {query: {run_seconds: 1}}");
    let found = summary(&mut agent.client().await, &count()).await.expect("an end");
    assert!(found.incomplete.iter().any(|reason| reason.contains("limit run_seconds")), "{found:?}");
    assert!(found.matched > 0);
}

#[tokio::test]
async fn what_a_follow_sees_live_counts_for_no_budget() {
    let agent = Agent::small("limits: {query: {read_bytes: 1048576, sent_bytes: 1048576}}");
    let mut stream = follow(&agent).await.expect("a follow");
    records(&mut stream, 4).await;
    let path = agent.dir().join("logs/dev_db-1_22222222-2222-2222-2222-222222222222/postgres/0.log");
    let mut log = OpenOptions::new().append(true).open(path).expect("the log");
    let line = format!("2026-11-24T10:00:03Z stdout F {}\n", "x".repeat(1000));
    for _ in 0..4 {
        log.write_all(line.repeat(1000).as_bytes()).expect("written");
        records(&mut stream, 1000).await;
    }
}

#[tokio::test]
async fn patterns_and_selectors_are_refused_by_the_names_of_their_limits() {
    let agent = Agent::small(
        "limits: {query: {patterns: 2, pattern_bytes: 20, pattern_compiled_bytes: 65536, selector_bytes: 16}}",
    );
    let mut client = agent.client().await;
    let spec = |patterns: &[&str]| {
        let patterns = patterns.iter().map(|&text| text.to_owned()).collect();
        let pattern = weir_query::PatternSpec { patterns, ..weir_query::PatternSpec::default() };
        QuerySpec { pattern, ..QuerySpec::default() }
    };
    let selector = QuerySpec { sources: vec!["a".repeat(17)], ..QuerySpec::default() };
    for (spec, name) in [
        (spec(&["a", "b", "c"]), "pattern_count"),
        (spec(&["123456789012345678901"]), "pattern_bytes"),
        (spec(&[r"\w{100}\w{100}"]), "pattern_compiled_bytes"),
        (selector, "selector_bytes"),
    ] {
        assert_eq!(limit(summary(&mut client, &spec).await).0, name);
    }
}

#[tokio::test]
async fn headers_over_their_limit_are_refused_and_others_are_not() {
    let agent = Agent::small("limits: {max_header_bytes: 2048}");
    let mut client = QueryServiceClient::new(agent.channel().await);
    let with_header = |bytes: usize| {
        let mut request = Request::new(v1::QueryRequest::default());
        request.metadata_mut().insert("x-long", "x".repeat(bytes).parse().expect("a header"));
        request
    };
    // The refusal is HTTP's own, which a client may learn of with the answer or behind it.
    if let Ok(response) = client.query(with_header(4096)).await {
        response.into_inner().message().await.expect_err("over the limit");
    }
    assert_eq!(rest(client.query(with_header(256)).await.expect("below").into_inner()).await, (4, true));
}

#[tokio::test]
async fn connections_without_a_call_are_closed() {
    let agent = Agent::small("limits: {handshake_seconds: 1, idle_seconds: 2}");
    // One that says nothing, one that says hello and nothing more, and one that has made its call.
    Raw::connect(&agent).await.ended().await;
    let mut hello = Raw::connect(&agent).await;
    hello.hello().await;
    hello.ended().await;
    let sockets = agent.sockets();
    let mut client = agent.client().await;
    summary(&mut client, &count()).await.expect("an answer");
    agent.sockets_become(sockets).await;
    // One with an open call is left alone, however quiet, and the other client connects anew.
    let mut stream = follow(&agent).await.expect("a follow");
    records(&mut stream, 4).await;
    tokio::time::timeout(Duration::from_secs(4), async {
        loop {
            stream.message().await.expect("the follow goes on").expect("the follow goes on");
        }
    })
    .await
    .expect_err("a quiet follow stays");
    summary(&mut client, &count()).await.expect("an answer");
}

#[tokio::test]
async fn connections_over_their_limit_wait_for_others_to_close() {
    let agent = Agent::small("limits: {max_connections: 2}");
    let (mut first, second) = (agent.client().await, agent.client().await);
    let mut third = std::pin::pin!(async { summary(&mut agent.client().await, &count()).await });
    // Those that are connected are served, again and again, and the third one isn't.
    let served = async {
        for _ in 0..50 {
            summary(&mut first, &count()).await.expect("a whole answer");
        }
    };
    tokio::select! {
        answer = &mut third => panic!("{answer:?}"),
        () = served => {}
    }
    drop(second);
    assert_eq!(third.await.expect("a whole answer").matched, 4);
}

/// Of a client that was cut off without a word: the system's part can't be had here, but that it was told to look.
#[tokio::test]
async fn silent_connections_are_asked_whether_they_are_there() {
    let agent = Agent::small("limits: {keepalive_seconds: 77}");
    let mut client = agent.client().await;
    // It is accepted by then.
    summary(&mut client, &count()).await.expect("a whole answer");
    // Until the client's system has acknowledged the answer, the timer is the one that would send it again.
    until(|| keepalive(&agent).is_some(), || format!("no keepalive timer runs: {:?}", timers(&agent))).await;
    let left = keepalive(&agent).expect("it runs until the connection closes");
    assert!((7000..=7700).contains(&left), "{left}");
}

/// What the timer of the agent's only connection has left, in hundredths of a second, where it is a keepalive timer.
fn keepalive(agent: &Agent) -> Option<u64> {
    let timers = timers(agent);
    let [timer] = timers.as_slice() else { panic!("one connection: {timers:?}") };
    let left = timer.strip_prefix("02:")?;
    Some(u64::from_str_radix(left, 16).expect("hundredths of a second"))
}

/// Kinds and times of the timers of an agent's connections.
fn timers(agent: &Agent) -> Vec<String> {
    let port: u16 = agent.grpc.rsplit_once(':').expect("a port").1.parse().expect("a port");
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells its sockets");
    // Columns: number, own address, the other's, state (01 is connected), queues, timer (02 is keepalive) and its time.
    let ours = format!(":{port:04X}");
    let timers = sockets.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        (columns.get(1)?.ends_with(&ours) && columns[3] == "01").then(|| columns[5].to_owned())
    });
    timers.collect()
}

#[tokio::test]
async fn a_request_that_does_not_arrive_is_not_waited_for() {
    let agent = Agent::small("limits: {request_seconds: 1}");
    let mut raw = Raw::connect(&agent).await;
    raw.hello().await;
    raw.call("/weir.v1.QueryService/Query").await;
    // Five bytes of a message that is to have a hundred.
    raw.data(&[0, 0, 0, 0, 100, 1, 2, 3, 4, 5]).await;
    raw.answered().await;
    assert_eq!(agent.metric("weir_queries_total{outcome=\"complete\"}").await, 0);
    summary(&mut agent.client().await, &count()).await.expect("an answer");
}

#[tokio::test]
async fn too_much_that_arrives_at_once_is_refused() {
    let agent = Agent::small("limits: {max_requests_bytes: 65536}");
    let mut client = agent.client().await;
    let large = QuerySpec { sources: vec!["x".repeat(70_000)], ..QuerySpec::default() };
    assert_eq!(limit(summary(&mut client, &large).await).0, "max_requests_bytes");
    for _ in 0..3 {
        // What has been received counts no more.
        let medium = QuerySpec { sources: vec!["x".repeat(40_000)], ..QuerySpec::default() };
        assert_eq!(limit(summary(&mut client, &medium).await).0, "selector_bytes");
    }
}
