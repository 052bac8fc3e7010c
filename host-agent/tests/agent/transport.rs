//! How the agent can be reached: TLS, client certificates, Unix sockets; and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use weir_query::{Event, Flow, QuerySpec};
use weir_rpc::{Client, ClientError, Endpoint};

use crate::certs::{Authority, Signed};
use crate::process::{Agent, command, folder, logs};

/// Every message of every source.
pub(crate) async fn messages(client: &mut Client) -> Vec<String> {
    let mut messages = Vec::new();
    let mut sink = |event: Event| {
        if let Event::Records { batch, .. } = event {
            let text = batch
                .records
                .iter()
                .map(|record| String::from_utf8_lossy(batch.message(record)).into_owned());
            messages.extend(text);
        }
        Flow::Continue
    };
    client.query(&QuerySpec::default(), &mut sink).await.expect("a whole answer");
    messages
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

pub(crate) struct Tls {
    pub(crate) agent: Agent,
    pub(crate) trusted: Endpoint,
    pub(crate) client: Signed,
    pub(crate) other: Signed,
    stranger: Signed,
}

/// An agent behind TLS, with `--tls-client-ca` or without, with `config` as its config file.
pub(crate) fn tls(client_certificates: bool, config: &str) -> Tls {
    let dir = folder();
    crate::logs::small(&logs(&dir));
    let (authority, unknown) = (Authority::new(), Authority::new());
    let ca = authority.write(dir.path(), "ca");
    let server = authority.sign(dir.path(), "127.0.0.1");
    let client = authority.sign(dir.path(), "client.example.org");
    let other = authority.sign(dir.path(), "other.example.org");
    let stranger = unknown.sign(dir.path(), "stranger.example.org");
    let mut args =
        vec!["--tls-cert", path(&server.cert), "--tls-key", path(&server.key), "--listen", "0.0.0.0:0"];
    let mut config = config.to_owned();
    match client_certificates {
        true => args.extend(["--tls-client-ca", path(&ca)]),
        false => config.push_str("\naccess: {mode: open}"),
    }
    let agent = Agent::start(dir, &args, &config);
    let port = agent.grpc.rsplit(':').next().expect("a port").to_owned();
    let trusted = Endpoint { url: format!("https://127.0.0.1:{port}"), ca: ca.into(), ..Endpoint::default() };
    Tls { agent, trusted, client, other, stranger }
}

#[tokio::test]
async fn queries_work_over_tls_on_any_address() {
    let Tls { agent, trusted, .. } = tls(false, "");
    let mut client = Client::connect(&trusted).await.expect("a trusted agent");
    assert_eq!(messages(&mut client).await.len(), 4);
    agent.metric_becomes("weir_queries_total{outcome=\"complete\"}", 1).await;

    // Another root doesn't vouch for it, and its certificate is for one name.
    let other = Authority::new().write(agent.dir(), "other");
    let wrong_root = Endpoint { ca: other.into(), ..trusted.clone() };
    let wrong_name = Endpoint { server_name: Some("agent.example.org".to_owned()), ..trusted.clone() };
    let right_name = Endpoint { server_name: Some("127.0.0.1".to_owned()), ..trusted.clone() };
    for untrusted in [wrong_root, wrong_name] {
        match Client::connect(&untrusted).await {
            Err(ClientError::Connect { message, .. }) => {
                assert!(message.contains("certificate"), "{message}")
            }
            other => panic!("{other:?}"),
        }
    }
    Client::connect(&right_name).await.expect("the name of its certificate");
    let plain = Endpoint { url: trusted.url.replace("https", "http"), ..Endpoint::default() };
    let refused = match Client::connect(&plain).await {
        Ok(mut client) => client.filters().await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "plain text is not answered");
}

#[tokio::test]
async fn with_client_roots_only_their_clients_are_answered() {
    let Tls { agent, trusted, client, stranger, .. } = tls(true, "");
    let with = |signed: &Signed| Endpoint {
        cert: Some(signed.cert.clone()),
        key: Some(signed.key.clone()),
        ..trusted.clone()
    };
    let mut known = Client::connect(&with(&client)).await.expect("a client of the right root");
    assert_eq!(messages(&mut known).await.len(), 4);
    // In TLS 1.3 the client learns with its first answer that it was turned away.
    for endpoint in [trusted.clone(), with(&stranger)] {
        let refused = match Client::connect(&endpoint).await {
            Ok(mut client) => client.sources(&[]).await.is_err(),
            Err(_) => true,
        };
        assert!(refused, "{endpoint:?}");
    }
    agent.metric_becomes("weir_queries_total{outcome=\"complete\"}", 1).await;
}

#[tokio::test]
async fn a_unix_socket_works_and_goes_with_the_agent() {
    let dir = folder();
    crate::logs::small(&logs(&dir));
    let socket = dir.path().join("agent.sock");
    let listen = format!("unix:{}", socket.display());
    let mut agent = Agent::start(dir, &["--listen", &listen], "");
    assert_eq!(agent.grpc, listen);
    assert_eq!(fs::metadata(&socket).expect("the socket").permissions().mode() & 0o777, 0o600);
    let endpoint = Endpoint { url: format!("unix://{}", socket.display()), ..Endpoint::default() };
    let mut client = Client::connect(&endpoint).await.expect("the agent");
    assert_eq!(messages(&mut client).await.len(), 4);
    drop(client);
    agent.terminate();
    assert!(agent.ended().await.success());
    assert!(!socket.exists());
}

#[test]
fn plain_text_off_loopback_is_refused_with_the_keys_to_set() {
    let dir = folder();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7411"] {
        let output =
            command(dir.path(), "serve", &["--listen", listen]).output().expect("the agent's binary");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(said.contains("listen: ") && said.contains("tls.cert and tls.key"), "{said}");
    }
}

#[test]
fn a_config_is_checked_without_serving() {
    let dir = folder();
    let output = command(dir.path(), "check-config", &[]).output().expect("the agent's binary");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("ok: gRPC on 127.0.0.1:7411 without TLS"));
    let config = dir.path().join("bad.yaml");
    fs::write(&config, "limits:\n  max_queries: 0\n").expect("a file");
    let args = ["--config", path(&config)];
    let output = command(dir.path(), "check-config", &args).output().expect("the agent's binary");
    let said = String::from_utf8_lossy(&output.stderr);
    let place = format!("{}:2: limits.max_queries: 0 is out of range", path(&config));
    assert!(!output.status.success() && said.contains(&place), "{said}");
    fs::write(&config, "limits:\n  max_querys: 1\n").expect("a file");
    let output = command(dir.path(), "check-config", &args).output().expect("the agent's binary");
    let said = String::from_utf8_lossy(&output.stderr);
    let place =
        format!("{}:2: limits.max_querys: there is no such key; did you mean 'max_queries'?", path(&config));
    assert!(!output.status.success() && said.contains(&place), "{said}");
    let args = ["--listen", "127.0.0.1:7000", "--health-listen", "127.0.0.1:7000"];
    let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_weir-agent"));
    let output = agent.arg("check-config").args(["--logs-dir", "/"]).args(args).output();
    let said = output.expect("the agent's binary").stderr;
    assert!(String::from_utf8_lossy(&said).contains("health_listen: 127.0.0.1:7000 is where gRPC"));
    // A certificate with another one's key.
    let authority = Authority::new();
    let (one, two) = (authority.sign(dir.path(), "one"), authority.sign(dir.path(), "two"));
    let args = ["--tls-cert", path(&one.cert), "--tls-key", path(&two.key)];
    let output = command(dir.path(), "check-config", &args).output().expect("the agent's binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not the key of the certificate"), "{said}");
}

#[test]
fn the_config_that_counts_can_be_printed_and_read_again() {
    let dir = folder();
    let config = dir.path().join("agent.yaml");
    fs::write(&config, "node: from-the-file\nlimits: {max_follows: 7, query: {run_seconds: 33}}\n")
        .expect("a file");
    let print = |command_name: &str, config: &Path, flags: &[&str]| {
        let args = [&["--config", path(config), "--print-config"], flags].concat();
        let output = command(dir.path(), command_name, &args).output().expect("the agent's binary");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let printed = print("serve", &config, &["--drain-seconds", "5"]);
    for line in [
        "node: from-the-file",
        "drain_seconds: 5",
        "  max_follows: 7",
        "    run_seconds: 33",
        "  max_queries: 8",
    ] {
        assert!(printed.lines().any(|found| found == line), "{line} in\n{printed}");
    }
    let again = dir.path().join("again.yaml");
    fs::write(&again, &printed).expect("a file");
    assert_eq!(print("check-config", &again, &[]), printed);
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let agent = Agent::small("");
    assert_eq!(agent.page("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(agent.page("/readyz").await.0, 200);
    assert_eq!(agent.page("/").await.0, 404);

    let channel = agent.channel().await;
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "weir.v1.QueryService", "weir.v1.SourceService", "weir.v1.FilterService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.expect("a service").into_inner().status();
        assert_eq!(status.as_str_name(), "SERVING", "{service}");
    }

    let ask = |message: MessageRequest| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let requests = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("weir.v1.RecordBatch".to_owned())),
    ]);
    let responses =
        ServerReflectionClient::new(channel).server_reflection_info(requests).await.expect("reflection");
    let responses: Vec<ServerReflectionResponse> =
        responses.into_inner().collect::<Result<_, _>>().await.expect("answers");
    match &responses[0].message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            let mut names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
            names.sort_unstable();
            for name in ["weir.v1.FilterService", "weir.v1.QueryService", "weir.v1.SourceService"] {
                assert!(names.contains(&name), "{names:?}");
            }
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(&responses[1].message_response, Some(MessageResponse::FileDescriptorResponse(_))));
}
