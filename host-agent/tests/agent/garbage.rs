//! Requests that no client of ours makes, up to bytes that aren't requests at all: each ends with a clean status or a
//! closed connection, and the agent is afterwards as it was before.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use weir_rpc::Client;
use weir_rpc::wire::v1;

use crate::process::Agent;
use crate::raw::{Raw, frame, header_block};
use crate::transport::{Tls, messages, tls};

/// Requests of each kind.
const CASES: usize = 300;

/// Connections of each kind.
const CONNECTIONS: usize = 100;

/// Growth that is no growth: what an allocator keeps of the largest request at a time.
const SLACK_KIB: u64 = 24 << 10;

/// How long an answer is listened to: a follow and a watch have no end.
const LISTEN: Duration = Duration::from_millis(50);

/// Sends bytes as they are, and takes whatever comes.
#[derive(Default)]
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Verbatim;
    type Decoder = Verbatim;

    fn encoder(&mut self) -> Verbatim {
        Verbatim
    }

    fn decoder(&mut self) -> Verbatim {
        Verbatim
    }
}

impl Encoder for Verbatim {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buf, &bytes);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        let bytes = bytes::Buf::remaining(buf);
        bytes::Buf::advance(buf, bytes);
        Ok(Some(()))
    }
}

/// Makes one call, and says how it ended; `None` while it still goes on.
async fn call(channel: &Channel, path: &'static str, request: Vec<u8>) -> Option<Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    let answer = async {
        client.ready().await.expect("the agent");
        let path = PathAndQuery::from_static(path);
        let mut stream = client.server_streaming(Request::new(request), path, Verbatim).await?.into_inner();
        while stream.message().await?.is_some() {}
        Ok(())
    };
    match tokio::time::timeout(LISTEN, answer).await {
        Ok(Ok(())) => Some(Status::ok("")),
        Ok(Err(status)) => Some(status),
        Err(_) => None,
    }
}

/// A request with something in every field, of most types more than one.
fn full_query() -> v1::QueryRequest {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let upload = v1::Upload { label: "mine".to_owned(), digest: weir_query::digest(b"") };
    let filter = |filter, params: &str| v1::FilterSpec {
        filter: Some(filter),
        params: params.to_owned(),
        ..v1::FilterSpec::default()
    };
    let source = v1::Source {
        namespace: "prod".to_owned(),
        pod: "web-1".to_owned(),
        container: "nginx".to_owned(),
        ..v1::Source::default()
    };
    v1::QueryRequest {
        sources: words(&["prod:web-*/nginx", "dev:"]),
        pattern: Some(v1::Pattern {
            patterns: words(&["GET", "(?i)error"]),
            require: words(&["."]),
            exclude: words(&["never", "[0-9]{3}x"]),
            case: v1::Case::Smart.into(),
            word: true,
            ..v1::Pattern::default()
        }),
        since: Some(1_763_978_400_000_000_000),
        until: Some(1_999_999_999_000_000_000),
        direction: v1::Direction::Backward.into(),
        limit: Some(v1::query_request::Limit::Tail(5)),
        context: Some(v1::Context { before: 1, after: 2 }),
        filters: vec![
            filter(v1::filter_spec::Filter::Name("redact".to_owned()), r#"{"patterns": ["x"]}"#),
            filter(v1::filter_spec::Filter::Upload(upload), "{}"),
        ],
        output: Some(v1::query_request::Output::Histogram(v1::HistogramOutput { step: 7, per_source: true })),
        line_bytes: Some(1000),
        follow: false,
        resume: vec![v1::ResumePosition { source: Some(source), position: vec![1; 40] }],
        resume_live: true,
        bypass_policies: words(&["cards"]),
    }
}

/// Every call, with requests to begin with.
fn calls() -> Vec<(&'static str, Vec<u8>)> {
    let follow = v1::QueryRequest { follow: true, ..v1::QueryRequest::default() };
    let selectors = || vec!["prod:web-*/nginx".to_owned(), "dev:".to_owned()];
    let list = v1::ListSourcesRequest { selectors: selectors(), times: true };
    let watch = v1::WatchSourcesRequest { selectors: selectors(), times: true };
    let start = v1::UploadStart { digest: weir_query::digest(b"x"), size: 1, signature: Vec::new() };
    let upload = v1::UploadFilterRequest { part: Some(v1::upload_filter_request::Part::Start(start)) };
    let describe = v1::DescribeFilterRequest { name: "redact".to_owned() };
    vec![
        ("/weir.v1.QueryService/Query", full_query().encode_to_vec()),
        ("/weir.v1.QueryService/Query", follow.encode_to_vec()),
        ("/weir.v1.SourceService/ListSources", list.encode_to_vec()),
        ("/weir.v1.SourceService/WatchSources", watch.encode_to_vec()),
        ("/weir.v1.FilterService/ListFilters", Vec::new()),
        ("/weir.v1.FilterService/DescribeFilter", describe.encode_to_vec()),
        ("/weir.v1.FilterService/UploadFilter", upload.encode_to_vec()),
        ("/weir.v1.NoService/Nothing", b"whatever".to_vec()),
    ]
}

/// One change to bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..12);
    let change = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (any::<Index>(), 1_usize..12).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (any::<Index>(), 1_usize..200).prop_map(|(at, count)| Change::Repeat(at, count)),
        1 => any::<Index>().prop_map(Change::Truncate),
    ];
    prop::collection::vec(change, 0..5)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |index: &Index| index.index(bytes.len() + 1);
        match change {
            Change::Set(index, byte) if !bytes.is_empty() => {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Set(_, byte) => bytes.push(*byte),
            Change::Insert(index, more) => drop(bytes.splice(at(index)..at(index), more.iter().copied())),
            Change::Remove(index, count) => {
                let from = at(index);
                let to = (from + count).min(bytes.len());
                bytes.drain(from..to);
            }
            Change::Repeat(index, count) => {
                let head = bytes[..at(index)].to_vec();
                (0..*count).for_each(|_| bytes.extend_from_slice(&head));
            }
            Change::Truncate(index) => bytes.truncate(at(index)),
        }
    }
    bytes
}

/// What an agent may answer to what makes no sense.
fn is_clean(code: Code) -> bool {
    use Code::{
        InvalidArgument, NotFound, Ok, OutOfRange, PermissionDenied, ResourceExhausted, Unimplemented,
    };
    matches!(
        code,
        Ok | InvalidArgument | NotFound | OutOfRange | PermissionDenied | ResourceExhausted | Unimplemented
    )
}

#[tokio::test]
async fn every_request_however_broken_has_a_clean_status() {
    // Filters are ready, so that compiling them isn't what is waited for.
    let agent = Agent::small("limits: {max_follows: 2, max_watches: 2}");
    agent.client().await.filters().await.expect("filters");
    let channel = agent.channel().await;
    let mut random = TestRunner::deterministic();
    let mut memory = None;
    let mut codes = std::collections::BTreeMap::new();
    for round in 0..2 {
        for (path, request) in calls() {
            for _ in 0..CASES {
                let changes = changes().new_tree(&mut random).expect("a value").current();
                let request = changed(request.clone(), &changes);
                let Some(status) = call(&channel, path, request.clone()).await else { continue };
                let told = format!("{path} {changes:?}: {status:?}");
                assert!(is_clean(status.code()), "{told}");
                *codes.entry(format!("{:?}", status.code())).or_insert(0) += 1;
            }
        }
        agent.metric_becomes("weir_queries_running", 0).await;
        match memory {
            None => memory = Some(agent.figure("RssAnon")),
            Some(before) => {
                let now = agent.figure("RssAnon");
                assert!(now < before + SLACK_KIB, "from {before} to {now} KiB in round {round}");
            }
        }
    }
    println!("{codes:?}");
    assert!(codes.len() >= 4, "requests of many kinds: {codes:?}");
    assert!(!agent.log().contains("fault of its own") && !agent.log().contains("panicked"));
    assert_eq!(messages(&mut agent.client().await).await.len(), 4);
}

/// Bytes by which a connection might begin.
fn openings() -> Vec<Vec<u8>> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut settings = PREFACE.to_vec();
    settings.extend(frame(4, 0, 0, &[]));
    let mut begun = settings.clone();
    begun.extend(frame(1, 4, 1, &header_block("/weir.v1.QueryService/Query")));
    let mut whole = begun.clone();
    whole.extend(frame(0, 1, 1, &[0, 0, 0, 0, 0]));
    // A client's hello of TLS 1.2, as far as anybody cares.
    let mut hello = vec![0x16, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3];
    hello.extend([7; 54]);
    let http1 =
        b"POST /weir.v1.QueryService/Query HTTP/1.1\r\nhost: agent\r\ncontent-length: 99\r\n\r\n".to_vec();
    vec![Vec::new(), PREFACE.to_vec(), settings, begun, whole, hello, http1]
}

/// A frame of any kind, mostly with the length that it says.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    (0_u8..12, any::<u8>(), 0_u32..5, payload, prop::option::weighted(0.2, any::<u8>())).prop_map(
        |(kind, flags, stream, payload, length)| {
            let mut frame = frame(kind, flags, stream, &payload);
            frame[2] = length.unwrap_or(frame[2]);
            frame
        },
    )
}

/// What comes after it.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any_frame(), 0..20).prop_map(|frames| frames.concat()),
    ]
}

/// Sends garbage by many connections, some of which are then left open and some closed.
async fn send_garbage(agent: &Agent) {
    let mut random = TestRunner::deterministic();
    let mut open = Vec::new();
    for opening in openings() {
        for number in 0..CONNECTIONS {
            let changes = changes().new_tree(&mut random).expect("a value").current();
            let garbage = garbage().new_tree(&mut random).expect("a value").current();
            let opening = if number % 3 == 0 { changed(opening.clone(), &changes) } else { opening.clone() };
            let mut raw = Raw::connect(agent).await;
            raw.send(&[opening, garbage].concat()).await;
            if number % 4 == 0 {
                open.push(raw);
            }
        }
    }
    // Nobody is waited for longer than they may take.
    for raw in &mut open {
        raw.ended().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_http_end_their_connection_and_nothing_else() {
    let agent = Agent::small("limits: {handshake_seconds: 1, idle_seconds: 1, request_seconds: 1}");
    let sockets = agent.sockets();
    assert_eq!(messages(&mut agent.client().await).await.len(), 4);
    agent.sockets_become(sockets).await;
    send_garbage(&agent).await;
    agent.sockets_become(sockets).await;
    let memory = agent.figure("RssAnon");
    send_garbage(&agent).await;
    agent.sockets_become(sockets).await;
    let now = agent.figure("RssAnon");
    assert!(now < memory + SLACK_KIB, "from {memory} to {now} KiB");
    agent.metric_becomes("weir_queries_running", 0).await;
    assert!(!agent.log().contains("fault of its own"));
    assert_eq!(messages(&mut agent.client().await).await.len(), 4);
}

#[tokio::test]
async fn bytes_that_are_no_tls_end_their_connection_and_nothing_else() {
    let Tls { agent, trusted, .. } = tls(true, "limits: {handshake_seconds: 1}");
    let sockets = agent.sockets();
    send_garbage(&agent).await;
    agent.sockets_become(sockets).await;
    assert!(!agent.log().contains("fault of its own"));
    drop(Client::connect(&trusted).await);
    agent.sockets_become(sockets).await;
}
