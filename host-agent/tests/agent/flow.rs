//! Who reads slowly or goes away decides how fast the agent reads, and whether it reads on.

use std::time::{Duration, Instant};

use tonic::Streaming;
use weir_query::{Event, Flow, QuerySpec};
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::query_response::Event as WireEvent;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;

use crate::process::{Agent, folder, logs};

const RUNNING: &str = "weir_queries_running";
const SENT: &str = "weir_records_sent_total";
const READ: &str = "weir_bytes_read_total";

/// Records of a busy log: 60 MB, far more than all buffers between disk and client.
pub(crate) const RECORDS: u64 = 60_000;

/// An agent over a busy log.
pub(crate) fn busy(config: &str) -> Agent {
    let dir = folder();
    crate::logs::busy(&logs(&dir), usize::try_from(RECORDS).expect("not that many"));
    Agent::start(dir, &[], config)
}

/// Asks for everything, and reads nothing but the first response.
pub(crate) async fn stalled(agent: &Agent) -> Streaming<v1::QueryResponse> {
    let mut client = QueryServiceClient::new(agent.channel().await);
    let mut stream = client.query(v1::QueryRequest::default()).await.expect("a query").into_inner();
    stream.message().await.expect("a response").expect("a response");
    stream
}

/// Reads to the end: records seen, and whether a summary was the last.
pub(crate) async fn rest(mut stream: Streaming<v1::QueryResponse>) -> (u64, bool) {
    let (mut records, mut summary) = (0, false);
    while let Some(response) = stream.message().await.expect("no error") {
        match response.event {
            Some(WireEvent::Records(batch)) => records += batch.ends.len() as u64,
            Some(WireEvent::Summary(end)) => summary = end.incomplete.is_empty(),
            _ => {}
        }
    }
    (records, summary)
}

#[tokio::test]
async fn a_client_that_stops_reading_stops_the_reading() {
    let agent = busy("");
    let stream = stalled(&agent).await;
    let sent = agent.metric_rests(SENT).await;
    assert!(sent < RECORDS / 2, "{sent} records were sent to a client that reads nothing");
    // What probes make it read is a few hundred bytes each time.
    let read = agent.read_bytes();
    assert!(read < RECORDS * 500, "{read} bytes were read for a client that reads nothing");
    assert_eq!(agent.metric_rests(SENT).await, sent);
    assert!(agent.read_bytes() - read < 64 << 10, "the file is read on");
    assert_eq!(agent.metric(RUNNING).await, 1);
    // Others aren't held up, and the one goes on where it was.
    let mut seen = 0;
    let mut sink = |event: Event| {
        seen += if let Event::Records { batch, .. } = event { batch.records.len() as u64 } else { 0 };
        Flow::Continue
    };
    agent.client().await.query(&QuerySpec::default(), &mut sink).await.expect("a whole answer");
    assert_eq!(seen, RECORDS);
    assert_eq!(rest(stream).await, (RECORDS, true));
    agent.metric_becomes(RUNNING, 0).await;
    agent.metric_becomes("weir_queries_total{outcome=\"complete\"}", 2).await;
    assert!(agent.metric(READ).await > 2 * RECORDS * 1000);
}

#[tokio::test]
async fn a_client_that_leaves_while_records_come_frees_its_query() {
    let agent = busy("");
    let stream = stalled(&agent).await;
    agent.metric_becomes(RUNNING, 1).await;
    drop(stream);
    agent.metric_becomes(RUNNING, 0).await;
    agent.metric_becomes("weir_queries_total{outcome=\"cancelled\"}", 1).await;

    // Our own client, told to stop.
    let mut client = agent.client().await;
    let mut sink =
        |event: Event| if matches!(event, Event::Records { .. }) { Flow::Stop } else { Flow::Continue };
    client.query(&QuerySpec::default(), &mut sink).await.expect("stopping is no error");
    agent.metric_becomes("weir_queries_total{outcome=\"cancelled\"}", 2).await;
    assert_eq!(agent.metric(RUNNING).await, 0);
}

/// How soon all must be free again. Mostly it takes a few milliseconds; the bound is for machines under load.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_client_that_leaves_frees_its_query_whatever_it_is_at() {
    let dir = folder();
    crate::logs::endless(&logs(&dir));
    let agent = Agent::start(dir, &[], "");
    let never = || {
        let pattern = v1::Pattern { patterns: vec!["never".to_owned()], ..v1::Pattern::default() };
        v1::QueryRequest { pattern: Some(pattern), ..v1::QueryRequest::default() }
    };
    // Every line enters the sandbox, and none is JSON.
    let filter = v1::FilterSpec {
        filter: Some(v1::filter_spec::Filter::Name("json-match".to_owned())),
        params: r#"{"where": "!(a exists)"}"#.to_owned(),
        ..v1::FilterSpec::default()
    };
    let filtered = v1::QueryRequest { filters: vec![filter], ..v1::QueryRequest::default() };
    let backward = v1::QueryRequest { direction: v1::Direction::Backward.into(), ..never() };
    let follow = v1::QueryRequest { follow: true, ..never() };
    for (number, request) in (1..).zip([never(), filtered, backward, follow]) {
        let mut client = QueryServiceClient::new(agent.channel().await);
        let stream = client.query(request).await.expect("a query").into_inner();
        // It is at work.
        let before = agent.read_bytes();
        agent.reads_more_than(before + (1 << 20)).await;
        let left = Instant::now();
        drop((stream, client));
        agent.metric_becomes(RUNNING, 0).await;
        assert!(left.elapsed() < SOON, "{:?} for query {number}", left.elapsed());
        agent.metric_becomes("weir_queries_total{outcome=\"cancelled\"}", number).await;
    }
}

/// Clients that read nothing hold no thread and little memory, and nothing at all once they were given up.
#[tokio::test]
async fn stalled_readers_cost_little_and_not_for_long() {
    const READERS: u64 = 24;
    let agent =
        busy("limits: {stall_seconds: 6, max_queries: 24, max_queries_per_caller: 24, query: {threads: 1}}");
    // What the first query leaves behind once and for all isn't counted.
    let client = agent.client().await.query(&QuerySpec::default(), &mut |_| Flow::Continue).await;
    client.expect("a whole answer");
    let (sockets, memory, threads) = (agent.sockets(), agent.figure("RssAnon"), agent.figure("Threads"));
    let mut streams = Vec::new();
    for _ in 0..READERS {
        streams.push(stalled(&agent).await);
    }
    // One more may be there to start others.
    agent.threads_become(threads + 1).await;
    assert_eq!(agent.metric(RUNNING).await, READERS);
    let all = agent.figure("RssAnon").saturating_sub(memory);
    println!("{READERS} stalled readers: {} KiB each, {} threads", all / READERS, agent.figure("Threads"));
    assert!(all / READERS < 1536, "a stalled reader costs {} KiB", all / READERS);
    agent.metric_becomes("weir_queries_total{outcome=\"stalled\"}", READERS).await;
    agent.metric_becomes(RUNNING, 0).await;
    // Then the connections of those who don't take even the word of that.
    agent.sockets_become(sockets).await;
    let left = agent.figure("RssAnon").saturating_sub(memory);
    println!("after they were given up: {left} KiB in all");
    drop(streams);
}

#[tokio::test]
async fn a_client_that_takes_nothing_for_too_long_is_given_up() {
    let agent = busy("limits: {stall_seconds: 1}");
    let mut stream = stalled(&agent).await;
    agent.metric_becomes("weir_queries_total{outcome=\"stalled\"}", 1).await;
    agent.metric_becomes(RUNNING, 0).await;
    // What was on its way still arrives, and then why there is no more.
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if it were whole"),
            Err(status) => break status,
        }
    };
    assert!(status.message().contains("limit stall_seconds is 1"), "{status:?}");
}
