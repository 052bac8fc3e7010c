//! Components that callers upload: sent once, each caller's own, within limits, and forgotten in time.

use tokio_stream::iter;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use weir_query::{Event, FilterRef, FilterSpec, FilterStatus, Flow, Kind, QuerySpec, digest};
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::filter_service_client::FilterServiceClient;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;
use weir_rpc::wire::v1::upload_filter_request::Part;
use weir_rpc::{Client, ClientError, Endpoint};

use crate::certs::Signed;
use crate::guests::Puppet;
use crate::process::Agent;
use crate::transport::{Tls, tls};

const TAKEN: &str = "weir_filter_uploads_total{result=\"ok\"}";
const REFUSED: &str = "weir_filter_uploads_total{result=\"refused\"}";

fn through(bytes: Vec<u8>) -> QuerySpec {
    let filter = FilterRef::Component { label: "mine.wasm".to_owned(), bytes, signature: None };
    QuerySpec { filters: vec![FilterSpec::new(filter)], ..QuerySpec::default() }
}

async fn run(client: &mut Client, spec: &QuerySpec) -> Result<FilterStatus, ClientError> {
    let mut status = None;
    let mut sink = |event: Event| {
        if let Event::Filter(filter) = event {
            status = Some(filter);
        }
        Flow::Continue
    };
    client.query(spec, &mut sink).await?;
    Ok(status.expect("a filter says what it did"))
}

/// A query that names a component by its digest, and doesn't bring it.
async fn by_digest(agent: &Agent, digest: &str) -> Result<(), Status> {
    let upload = v1::Upload { label: "mine.wasm".to_owned(), digest: digest.to_owned() };
    let filter =
        v1::FilterSpec { filter: Some(v1::filter_spec::Filter::Upload(upload)), ..v1::FilterSpec::default() };
    let request = v1::QueryRequest { filters: vec![filter], ..v1::QueryRequest::default() };
    let mut answer = QueryServiceClient::new(agent.channel().await).query(request).await?.into_inner();
    while answer.message().await?.is_some() {}
    Ok(())
}

async fn upload(agent: &Agent, parts: Vec<Part>) -> Result<(), Status> {
    let parts: Vec<_> = parts.into_iter().map(|part| v1::UploadFilterRequest { part: Some(part) }).collect();
    let mut client = FilterServiceClient::new(agent.channel().await);
    client.upload_filter(Request::new(iter(parts))).await.map(|_| ())
}

fn start(digest: &str, size: usize) -> Part {
    Part::Start(v1::UploadStart { digest: digest.to_owned(), size: size as u64, signature: Vec::new() })
}

fn chunk(bytes: &[u8]) -> Part {
    Part::Chunk(bytes.to_vec().into())
}

#[tokio::test]
async fn a_component_is_sent_once_and_is_its_callers_own() {
    let Tls { agent, trusted, client, other, .. } = tls(true, "allow_components: true");
    let with = |signed: &Signed| Endpoint {
        cert: Some(signed.cert.clone()),
        key: Some(signed.key.clone()),
        ..trusted.clone()
    };
    let mut one = Client::connect(&with(&client)).await.expect("a client of the right root");
    let mut two = Client::connect(&with(&other)).await.expect("a client of the right root");
    let spec = through(Puppet::default().build());
    let first = run(&mut one, &spec).await.expect("a whole answer");
    assert_eq!((first.name.as_str(), first.kind, first.kept), ("puppet", Kind::Transform, 4));
    assert!(!first.compile_cached);
    assert_eq!(agent.metric(TAKEN).await, 1);
    // From another connection too: it is the certificate that counts.
    let mut again = Client::connect(&with(&client)).await.expect("a client of the right root");
    run(&mut again, &spec).await.expect("a whole answer");
    assert_eq!(agent.metric(TAKEN).await, 1, "it was there");

    // The same bytes of somebody else are as unknown as any, before they are compiled and behind.
    let second = run(&mut two, &spec).await.expect("a whole answer");
    assert_eq!(agent.metric(TAKEN).await, 2, "another caller's isn't used");
    assert!(!second.compile_cached && second.compile_time > first.compile_time / 10, "{second:?}");
    assert_eq!(second.digest, first.digest);
}

#[tokio::test]
async fn a_component_that_is_not_here_is_named_by_its_digest() {
    let agent = Agent::small("allow_components: true");
    let component = Puppet::default().build();
    let digest = digest(&component);
    let needed = by_digest(&agent, &digest).await.expect_err("it is not here");
    assert_eq!(needed.code(), Code::FailedPrecondition);
    let info = needed.get_details_error_info().expect("a detail");
    assert_eq!((info.reason.as_str(), &info.metadata["digest"]), ("COMPONENT_NEEDED", &digest));
    let (head, tail) = component.split_at(100);
    upload(&agent, vec![start(&digest, component.len()), chunk(head), chunk(tail)]).await.expect("taken");
    by_digest(&agent, &digest).await.expect("now it is");
    // Of one that is there nothing more is read.
    upload(&agent, vec![start(&digest, component.len())]).await.expect("it is there");
}

#[tokio::test]
async fn what_is_not_used_is_forgotten_and_sent_again_when_it_is() {
    let agent = Agent::small("allow_components: true\nlimits: {upload_keep_seconds: 1}");
    let mut client = agent.client().await;
    let component = Puppet::default().build();
    let digest = digest(&component);
    let spec = through(component);
    run(&mut client, &spec).await.expect("a whole answer");
    agent.logs(&["was not used any more", &digest]).await;
    assert_eq!(by_digest(&agent, &digest).await.expect_err("it is gone").code(), Code::FailedPrecondition);
    let again = run(&mut client, &spec).await.expect("a whole answer");
    assert_eq!((agent.metric(TAKEN).await, again.kept), (2, 4));
}

#[tokio::test]
async fn each_wrong_upload_is_refused_by_name() {
    let agent = Agent::small(
        "allow_components: true\nlimits: {max_uploads_bytes_per_caller: 50000, sandbox: {component_bytes: 60000}}",
    );
    let component = Puppet::default().build();
    let (size, its) = (component.len(), digest(&component));
    let junk = b"GIF89a".to_vec();
    let text = "sha256:".to_owned() + &"0".repeat(63);
    let cases = [
        (Code::InvalidArgument, "start", vec![chunk(&component)]),
        (Code::InvalidArgument, "start.digest", vec![start(&text, size), chunk(&component)]),
        (Code::InvalidArgument, "chunk", vec![start(&its, size), start(&its, size)]),
        (Code::InvalidArgument, "start.size", vec![start(&its, size), chunk(&component), chunk(b"x")]),
        (Code::InvalidArgument, "start.size", vec![start(&its, size), chunk(&component[1..])]),
        (Code::InvalidArgument, &its, vec![start(&digest(b"x"), size), chunk(&component)]),
        (Code::InvalidArgument, "not WebAssembly", vec![start(&digest(&junk), junk.len()), chunk(&junk)]),
        (Code::ResourceExhausted, "limit component_bytes is 60000", vec![start(&its, 60_001)]),
        (Code::ResourceExhausted, "max_uploads_bytes_per_caller", vec![start(&its, 50_001)]),
        (Code::OutOfRange, "", vec![start(&its, size), chunk(&vec![0; 300 << 10])]),
    ];
    let refused = cases.len() as u64;
    for (code, says, parts) in cases {
        let status = upload(&agent, parts).await.expect_err(says);
        assert_eq!(status.code(), code, "{says}: {status:?}");
        assert!(status.message().contains(says), "{says}: {status:?}");
    }
    agent.metric_becomes(REFUSED, refused).await;
    assert_eq!(by_digest(&agent, &its).await.expect_err("none was taken").code(), Code::FailedPrecondition);
    upload(&agent, vec![start(&its, size), chunk(&component)]).await.expect("there is room");
}

#[tokio::test]
async fn without_the_key_in_the_config_nothing_is_taken() {
    let agent = Agent::small("");
    let component = Puppet::default().build();
    let its = digest(&component);
    for refused in [
        upload(&agent, vec![start(&its, component.len()), chunk(&component)]).await,
        by_digest(&agent, &its).await,
    ] {
        let status = refused.expect_err("it is off");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("allow_components: true"), "{status:?}");
    }
}
