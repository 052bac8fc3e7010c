//! Certificates that change while the agent runs.

use std::fs;
use std::time::{Duration, Instant};

use weir_rpc::{Client, Endpoint};

use crate::certs::Authority;
use crate::transport::{Tls, messages, tls};

const OK: &str = "weir_tls_reloads_total{result=\"ok\"}";
const REFUSED: &str = "weir_tls_reloads_total{result=\"refused\"}";

/// Waits until an endpoint can be connected to.
async fn connected(endpoint: &Endpoint) -> Client {
    let start = Instant::now();
    loop {
        match Client::connect(endpoint).await {
            Ok(client) => return client,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn new_certificates_are_used_without_a_restart_and_bad_ones_are_not() {
    let Tls { agent, trusted, .. } = tls(false, "tls: {reload_seconds: 1}");
    let mut before = Client::connect(&trusted).await.expect("a trusted agent");
    assert_eq!(messages(&mut before).await.len(), 4);

    // The same files, of another authority.
    let next = Authority::new();
    let ca = next.write(agent.dir(), "next");
    let signed = next.sign(agent.dir(), "127.0.0.1");
    let now = Endpoint { ca: ca.into(), ..trusted.clone() };
    assert_eq!(messages(&mut connected(&now).await).await.len(), 4);
    Client::connect(&trusted).await.expect_err("the old certificate isn't used any more");
    assert!(agent.metric(OK).await >= 1);
    assert_eq!(messages(&mut before).await.len(), 4, "connections from before go on");

    let good = fs::read(&signed.cert).expect("the certificate");
    for bad in ["", "no certificate"] {
        let refused = agent.metric(REFUSED).await;
        fs::write(&signed.cert, bad).expect("written");
        agent.metric_becomes(REFUSED, refused + 1).await;
        assert_eq!(messages(&mut connected(&now).await).await.len(), 4, "the last good one is used on");
    }
    assert!(agent.log().contains("new certificates can't be used"));
    assert!(agent.log().contains("127.0.0.1.pem"), "which file it is");

    let reloads = agent.metric(OK).await;
    fs::write(&signed.cert, good).expect("written");
    agent.metric_becomes(OK, reloads + 1).await;
    assert_eq!(messages(&mut connected(&now).await).await.len(), 4);
}

#[tokio::test]
async fn clients_of_a_root_that_was_taken_away_are_turned_away() {
    let Tls { agent, trusted, client, .. } = tls(true, "tls: {reload_seconds: 1}");
    let known = Endpoint { cert: Some(client.cert), key: Some(client.key), ..trusted };
    assert_eq!(messages(&mut connected(&known).await).await.len(), 4);
    // The server's own certificate stays, and so does what the client trusts: a copy of the root's file.
    let root = fs::read(agent.dir().join("ca.pem")).expect("the root");
    let trusted = agent.dir().join("trusted.pem");
    fs::write(&trusted, root).expect("written");
    Authority::new().write(agent.dir(), "ca");
    agent.metric_becomes(OK, 1).await;
    let known = Endpoint { ca: trusted.into(), ..known };
    // With TLS 1.3 the client learns of it with its first answer.
    if let Ok(mut client) = Client::connect(&known).await {
        client.sources(&[]).await.expect_err("its root is gone");
    }
}
