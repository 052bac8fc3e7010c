//! A filter of the cluster that is in a registry: pulled over TLS by a policy that needs it, refused while it isn't there or isn't
//! signed, and still there when the registry isn't.

use std::fs;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use weir_oci::{Access, Artifact, Contents, Reference};
use weir_query::{Event, Flow, QueryError, QuerySpec};
use weir_rpc::{Client, ClientError, Endpoint};
use weir_trust::{PublicKey, SignedPayload, simple_signing_payload};

use crate::api_server::ApiServer;
use crate::certs::Authority;
use crate::docker_registry::{Options, Registry};
use crate::guests::Puppet;
use crate::logs::write;
use crate::process::{Agent, folder, logs};

const POD: &str = "shop_web-1_11111111-1111-1111-1111-111111111111/app";
const OK: &str = "weir_pulls_total{result=\"ok\"}";
const FAILED: &str = "weir_pulls_total{result=\"failed\"}";

fn pusher(reference: &Reference) -> weir_oci::Registry {
    let access = Access { plain_http: Some(true), credentials: None };
    weir_oci::Registry::new(reference, access).expect("a client")
}

/// Pushes the puppet, as a filter that redacts.
async fn push(registry: &Registry) -> Artifact {
    let reference: Reference = registry.name("team/errors:1").parse().expect("a name");
    let contents = Contents {
        component: Puppet { kind: 2, ..Puppet::default() }.build(),
        created: "2026-11-24T10:00:00Z".to_owned(),
        exports: Vec::new(),
        imports: Vec::new(),
        name: "puppet".to_owned(),
        version: "1.0.0".to_owned(),
        summary: "redacts".to_owned(),
    };
    pusher(&reference).push(&reference, contents, None).await.expect("it is pushed")
}

/// A key, of which the public half is in a file.
fn key(dir: &Path) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let public = PublicKey::from_point("team", key.public_key().as_ref()).expect("a point");
    fs::write(dir.join("team.pub"), public.to_pem()).expect("a file");
    key
}

async fn ask(agent: &Agent) -> Result<Vec<String>, ClientError> {
    let url = format!("http://{}", agent.grpc);
    let endpoint = Endpoint { url, token: Some("janes".to_owned()), ..Endpoint::default() };
    let mut client = Client::connect(&endpoint).await.expect("the agent");
    let mut lines = Vec::new();
    let spec = QuerySpec { sources: vec!["shop:".to_owned()], ..QuerySpec::default() };
    let mut sink = |event: Event| {
        if let Event::Records { batch, .. } = event {
            let line = |record| String::from_utf8_lossy(batch.message(record)).into_owned();
            lines.extend(batch.records.iter().map(line));
        }
        Flow::Continue
    };
    client.query(&spec, &mut sink).await?;
    Ok(lines)
}

/// The policy isn't loaded, so what it covers isn't given.
async fn is_refused(agent: &Agent) {
    match ask(agent).await {
        Err(ClientError::Query(QueryError::Refused { message, .. })) => {
            assert!(message.contains("policy 'pins'"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_policy_s_filter_is_pulled_once_it_is_there_and_signed_and_is_kept() {
    let Some(mut registry) = Registry::start() else { return };
    let artifact = push(&registry).await;
    registry.stop();
    let (dir, authority) = (folder(), Authority::new());
    write(&logs(&dir), POD, &["2026-11-24T10:00:00Z stdout F retro pin 1234"]);
    let reference = artifact.reference.to_string();
    let api = ApiServer::start(
        dir.path(),
        &authority,
        ("errors", json!({"oci": {"reference": reference}})),
        ("pins", json!({"filters": [{"name": "errors"}], "namespaces": {"names": ["shop"]}})),
    )
    .await;
    let (key, path) = (key(dir.path()), dir.path().to_owned());
    let config = format!(
        "{}filters: {{allowed_signers: [{}]}}\nregistries: [{{host: '{}', ca: {}}}]\n",
        api.config(&path),
        path.join("team.pub").display(),
        registry.address,
        path.join("api.pem").display()
    );
    let signed = authority.sign(dir.path(), "127.0.0.1");
    let read = |path: &Path| fs::read_to_string(path).expect("a file");
    let options = Options { tls: Some((read(&signed.cert), read(&signed.key))), ..Options::default() };

    // The registry is away.
    let agent = Agent::start(dir, &[], &config);
    api.says("errors", "False", "can't be reached").await;
    api.says("pins", "False", "errors").await;
    is_refused(&agent).await;
    agent.logs(&["WARN", "a filter can't be pulled", &reference]).await;
    assert!(agent.metric(FAILED).await >= 1);

    // It is there, and nobody has signed what is in it.
    registry.start_again(&options);
    api.says("errors", "False", "it has no signature").await;
    is_refused(&agent).await;
    assert!(!path.join("cache/pulled").exists(), "nothing is kept that may not run");

    registry.stop();
    registry.start_again(&Options::default());
    let payload = simple_signing_payload("team/errors", artifact.digest);
    let signature = key.sign(&SystemRandom::new(), &payload).expect("a signature").as_ref().to_vec();
    let added =
        pusher(&artifact.reference).add_signature(&artifact, SignedPayload { payload, signature }).await;
    added.expect("it is signed");
    registry.stop();
    registry.start_again(&options);
    api.says("errors", "True", "").await;
    api.says("pins", "True", "").await;
    assert_eq!(ask(&agent).await.expect("an answer"), ["Retro pin 1234"]);
    agent.logs(&["INFO", "a filter was pulled", &reference, "signatures=1"]).await;
    assert!(agent.metric(OK).await >= 2);

    // An agent that starts anew has it without the registry.
    registry.stop();
    api.forget();
    agent.terminate();
    let mut agent = agent;
    assert!(agent.ended().await.success());
    let agent = agent.start_again(&config);
    api.says("pins", "True", "").await;
    assert_eq!(ask(&agent).await.expect("an answer"), ["Retro pin 1234"]);
    assert_eq!((agent.metric(OK).await, agent.metric(FAILED).await), (0, 0));
    agent.logs(&["is used from disk", &reference]).await;

    // One whose config doesn't name the registry asks nobody, whatever there is on disk.
    agent.terminate();
    let mut agent = agent;
    assert!(agent.ended().await.success());
    let (without, _) = config.split_once("registries").expect("it has them");
    let agent = agent.start_again(without);
    api.says("errors", "False", "list it under `registries`").await;
    is_refused(&agent).await;
    assert_eq!((agent.metric(OK).await, agent.metric(FAILED).await), (0, 0));
}

#[tokio::test]
async fn more_than_may_be_kept_is_refused() {
    let Some(registry) = Registry::start() else { return };
    let artifact = push(&registry).await;
    let (dir, authority) = (folder(), Authority::new());
    write(&logs(&dir), POD, &["2026-11-24T10:00:00Z stdout F retro pin 1234"]);
    let api = ApiServer::start(
        dir.path(),
        &authority,
        ("errors", json!({"oci": {"reference": artifact.reference.to_string()}})),
        ("pins", json!({"filters": [{"name": "errors"}], "namespaces": {"names": ["shop"]}})),
    )
    .await;
    let config = |limits: &str| {
        let registries = format!("registries: [{{host: '{}', plain_http: true}}]", registry.address);
        format!("{}{registries}\nlimits: {limits}\n", api.config(dir.path()))
    };
    let configs =
        [config("{max_pulled_bytes: 10}"), config("{sandbox: {component_bytes: 1024}}"), config("{}")];
    let mut agent = Agent::start(dir, &[], &configs[0]);
    api.says("errors", "False", "limits.max_pulled_bytes").await;
    is_refused(&agent).await;
    for (config, status, words) in [(&configs[1], "False", "more than 1024 bytes"), (&configs[2], "True", "")]
    {
        agent.terminate();
        assert!(agent.ended().await.success());
        agent = agent.start_again(config);
        api.says("errors", status, words).await;
    }
    assert_eq!(ask(&agent).await.expect("an answer"), ["Retro pin 1234"]);
}
