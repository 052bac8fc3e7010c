//! Who asks: passwords and tokens of a real registry.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;
use weir_registry::{PullError, Registry};

use crate::docker_registry::Options;
use crate::front::{Front, says};
use crate::place::{Certificate, Place, WANTED};

/// `weir:swordfish`, and another password.
const GOOD: &str = "d2Vpcjpzd29yZGZpc2g=";
const WRONG: &str = "d2Vpcjp3cm9uZw==";

/// A file of credentials for a host.
fn credentials(place: &Place, host: &str, auth: &str) -> Registry {
    let file = json!({"auths": {host: {"auth": auth}}}).to_string();
    Registry { auth_file: Some(place.write("config.json", &file)), ..place.registry() }
}

async fn hint(place: &Place, registry: &Registry) -> String {
    match registry.pull(&place.reference(), WANTED).await {
        Err(PullError::Unauthorized { hint, .. }) => hint.to_owned(),
        other => panic!("{:?}", other.map(|artifact| artifact.component.len())),
    }
}

#[tokio::test]
async fn a_password_is_given_where_it_is_wanted() {
    let Some(mut place) = Place::new().await else { return };
    let options = Options { has_password: true, ..place.certificate.options() };
    place.restart(&options);
    assert!(hint(&place, &place.registry()).await.contains("no credentials"));
    let host = place.server.address.clone();
    assert!(hint(&place, &credentials(&place, "other.io", GOOD)).await.contains("no credentials"));
    assert!(hint(&place, &credentials(&place, &host, WRONG)).await.contains("wrong"));
    let registry = credentials(&place, &host, GOOD);
    assert_eq!(registry.pull(&place.reference(), WANTED).await.expect("let in").component, place.component);
    // The file is read for each pull.
    credentials(&place, &host, WRONG);
    assert!(hint(&place, &registry).await.contains("wrong"));
    place.write("config.json", "{");
    let error = registry.pull(&place.reference(), WANTED).await.expect_err("no JSON").to_string();
    assert!(error.contains("config.json") && error.contains("docker login"), "{error}");
}

/// A token as a registry wants it, which lets somebody pull.
fn token(certificate: &Certificate, scope: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let part = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let header = part(json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&certificate.der)]}));
    let name = scope.strip_prefix("repository:").and_then(|scope| scope.strip_suffix(":pull"));
    let access = json!([{"type": "repository", "name": name.expect("to pull"), "actions": ["pull"]}]);
    let claims =
        part(json!({"iss": "test", "sub": "weir", "aud": "registry", "exp": now + 300, "nbf": now - 60,
        "iat": now - 60, "jti": "1", "access": access}));
    let (random, key) = (SystemRandom::new(), certificate.key.serialize_der());
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random).expect("a key");
    let signed = format!("{header}.{claims}");
    let signature = key.sign(&random, signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn a_token_is_fetched_from_whom_the_registry_names() {
    let Some(mut place) = Place::new().await else { return };
    let tokens = Certificate::new();
    let signer = Certificate {
        pem: tokens.pem.clone(),
        der: tokens.der.clone(),
        key: rcgen::KeyPair::from_pem(&tokens.key.serialize_pem()).expect("a key"),
    };
    let giver = Front::start(&place.certificate, move |path, header| {
        let wanted = "/token?x=y&service=registry&scope=repository%3Ateam%2Ferrors%3Apull";
        assert_eq!(path, wanted);
        match header {
            // Anybody may have one that is good for nothing.
            None => says(200, ("content-type", "application/json"), r#"{"token": "none"}"#),
            Some(header) if header == format!("Basic {GOOD}") => {
                let token = token(&signer, "repository:team/errors:pull");
                says(200, ("content-type", "application/json"), json!({"access_token": token}).to_string())
            }
            Some(_) => says(401, ("x", "y"), "no"),
        }
    })
    .await;
    let realm = format!("https://{}/token?x=y", giver.address);
    let options = Options { token: Some((realm, tokens.pem.clone())), ..place.certificate.options() };
    place.restart(&options);
    assert!(hint(&place, &place.registry()).await.contains("no credentials"));
    let host = place.server.address.clone();
    assert!(hint(&place, &credentials(&place, &host, WRONG)).await.contains("wrong"));
    let registry = credentials(&place, &host, GOOD);
    assert_eq!(registry.pull(&place.reference(), WANTED).await.expect("let in").component, place.component);
    // Once for each of the three pulls.
    assert_eq!(giver.asked.lock().expect("no panic").len(), 3);

    // Without TLS nobody is told who asks.
    let realm = format!("http://{}/token", giver.address);
    let options = Options { token: Some((realm, tokens.pem)), ..place.certificate.options() };
    place.restart(&options);
    let error = registry.pull(&place.reference(), WANTED).await.expect_err("no token").to_string();
    assert!(error.contains("isn't asked over https"), "{error}");
}

#[tokio::test]
async fn an_answer_without_a_token_is_none() {
    let certificate = Certificate::new();
    let digest = weir_trust::Digest::of(b"");
    let dir = tempfile::tempdir().expect("a folder");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &certificate.pem).expect("a file");
    for (status, answer, why) in [
        (200, "{}".to_owned(), "holds none"),
        (200, "garbage".to_owned(), "holds none"),
        (200, format!("{{\"token\": \"{}\"}}", "x".repeat(64 << 10)), "too large"),
        (200, "{\"token\": \"a\\nb\"}".to_owned(), "none that a header can have"),
        (500, String::new(), "answers 500"),
    ] {
        let giver = Front::start(&certificate, move |_, _| says(status, ("x", "y"), answer.clone())).await;
        let challenge = format!("Bearer realm=\"https://{}/\"", giver.address);
        let front =
            Front::start(&certificate, move |_, _| says(401, ("www-authenticate", &challenge), "")).await;
        let registry = Registry { host: front.address.clone(), ca: Some(ca.clone()), ..Registry::default() };
        let reference = format!("{}/a@{digest}", front.address).parse().expect("a reference");
        let error = registry.pull(&reference, WANTED).await.expect_err("no token").to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(front.asked.lock().expect("no panic").len(), 1);
    }
}
