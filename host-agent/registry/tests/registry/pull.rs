//! What a registry has, and what it shouldn't have.

use std::fs;
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use weir_registry::{PullError, Reference, Registry, Wanted};
use weir_trust::{By, Digest, PublicKey, Signature, SignedPayload, Trust, Why, simple_signing_payload};

use crate::front::{Front, says};
use crate::place::{Certificate, Of as _, Place, WANTED, push, pusher};

async fn refused(registry: &Registry, reference: &Reference) -> PullError {
    registry.pull(reference, WANTED).await.expect_err("it can't be pulled")
}

fn new_key() -> (EcdsaKeyPair, PublicKey) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let public = PublicKey::from_point("team", key.public_key().as_ref()).expect("a point");
    (key, public)
}

#[tokio::test]
async fn an_artifact_is_pulled_with_the_signatures_that_admit_it() {
    let Some(mut place) = Place::new().await else { return };
    let (registry, reference) = (place.registry(), place.reference());
    registry.check().expect("its files can be used");
    let pulled = registry.pull(&reference, WANTED).await.expect("it is there");
    assert_eq!((&pulled.component, &pulled.manifest), (&place.component, &place.artifact.manifest));
    assert_eq!(pulled.signatures, []);
    let (key, public) = new_key();
    let trust = Trust::new(None, Some(vec![public]));
    assert_eq!(trust.admits(&pulled.component, None).expect_err("no signature").why, Why::Unsigned);

    // Signed where it lies, as `weir filter sign` does.
    place.restart(&crate::docker_registry::Options::default());
    let payload = simple_signing_payload("x/team/errors", reference.digest());
    let signature = key.sign(&SystemRandom::new(), &payload).expect("a signature").as_ref().to_vec();
    let signed = SignedPayload { payload, signature };
    let pusher = pusher(&place.artifact.reference);
    pusher.add_signature(&place.artifact, signed.clone()).await.expect("it is added");
    let options = place.certificate.options();
    place.restart(&options);
    let pulled = registry.pull(&reference, WANTED).await.expect("it is there");
    assert_eq!(pulled.signatures, [signed]);
    let file = Signature::Artifact { manifest: pulled.manifest, signatures: pulled.signatures }.encode();
    assert_eq!(trust.admits(&pulled.component, Some(&file)), Ok(By::Signer("team".to_owned())));
    let unasked = Wanted { signatures: false, ..WANTED };
    assert_eq!(registry.pull(&reference, unasked).await.expect("it is there").signatures, []);
}

#[tokio::test]
async fn what_was_tampered_with_is_refused() {
    let Some(place) = Place::new().await else { return };
    let (registry, reference) = (place.registry(), place.reference());
    let (component, manifest) = (place.artifact.component, place.artifact.digest);
    let mut flipped = place.component.clone();
    *flipped.last_mut().expect("some bytes") ^= 1;
    let shorter = &place.component[1..];
    let longer = [place.component.as_slice(), b"x"].concat();
    let text = String::from_utf8(place.artifact.manifest.clone()).expect("text");
    let manifests = [text.replace("1.0.0", "1.0.1"), text.replace("errors", "others")];
    let cases = [(component, flipped.as_slice()), (component, shorter), (component, &longer)];
    let others = manifests.iter().map(|other| (manifest, other.as_bytes()));
    for (digest, other) in cases.into_iter().chain(others) {
        let path = place.server.blob(&digest.to_string());
        let whole = fs::read(&path).expect("a blob");
        fs::write(&path, other).expect("it can be written");
        match refused(&registry, &reference).await {
            PullError::Digest { expected, .. } => assert_eq!(expected, digest.to_string()),
            other => panic!("{other}"),
        }
        fs::write(&path, whole).expect("it can be written");
    }
    registry.pull(&reference, WANTED).await.expect("it is whole again");
}

#[tokio::test]
async fn what_is_not_there_too_large_or_no_filter_says_so() {
    let Some(mut place) = Place::new().await else { return };
    let registry = place.registry();
    let absent = place.at(&place.server.address, Digest::of(b"other"));
    assert_eq!(refused(&registry, &absent).await, PullError::NotFound { name: absent.to_string() });
    let small = Wanted { component_bytes: (1 << 20) - 1, ..WANTED };
    let error = registry.pull(&place.reference(), small).await.expect_err("too large").to_string();
    assert!(error.contains("the component has more than 1048575 bytes"), "{error}");
    let at_most = Wanted { component_bytes: 1 << 20, ..WANTED };
    registry.pull(&place.reference(), at_most).await.expect("it is as large as it may be");

    place.restart(&crate::docker_registry::Options::default());
    let other = push(&place.server, "team/errors:2", b"x".to_vec()).await;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = String::from_utf8(other.manifest).expect("text");
    let options = place.certificate.options();
    let mut strangers = Vec::new();
    for (from, to, why) in [
        (
            "application/vnd.wasm.config.v0+json",
            "application/vnd.oci.image.config.v1+json",
            "its config is of type",
        ),
        ("\"application/wasm\"", "\"application/vnd.oci.image.layer.v1.tar\"", "it should have one layer"),
    ] {
        let manifest = manifest.replace(from, to);
        place.server.put_manifest("team/errors", "other", media_type, &manifest);
        strangers.push((place.at(&place.server.address, Digest::of(manifest.as_bytes())), why));
    }
    place.restart(&options);
    for (reference, why) in strangers {
        let error = refused(&registry, &reference).await.to_string();
        assert!(error.contains("is no filter") && error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn only_a_certificate_of_a_known_root_will_do_and_plain_http_only_where_it_is_said() {
    let Some(mut place) = Place::new().await else { return };
    let reference = place.reference();
    let other = place.write("other.pem", &Certificate::new().pem);
    let registry = Registry { ca: Some(other), ..place.registry() };
    let error = refused(&registry, &reference).await.to_string();
    assert!(error.contains("can't be reached") && error.contains("certificate"), "{error}");
    let plain = Registry { plain_http: true, ..Registry::of(&place.server.address) };
    assert!(matches!(refused(&plain, &reference).await, PullError::Refused { status: 400, .. }));

    place.restart(&crate::docker_registry::Options::default());
    plain.pull(&reference, WANTED).await.expect("it is asked as it is to be");
    assert!(matches!(refused(&place.registry(), &reference).await, PullError::Unreachable { .. }));
    place.server.stop();
    assert!(matches!(refused(&plain, &reference).await, PullError::Unreachable { .. }));
    for (ca, says) in [("nowhere.pem", "nowhere.pem"), ("empty.pem", "no certificate")] {
        if ca == "empty.pem" {
            place.write(ca, "");
        }
        let ca = place.registry().ca.expect("one").with_file_name(ca);
        let error = Registry { ca: Some(ca), ..place.registry() }.check().expect_err("no roots").to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_registry_without_end_is_left() {
    let certificate = Certificate::new();
    let digest = Digest::of(b"");
    let large = Front::start(&certificate, |_, _| says(200, ("x", "y"), vec![b' '; (64 << 10) + 1])).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &certificate.pem).expect("a file");
    let registry = Registry { ca: Some(ca), ..Registry::of(&large.address) };
    let reference: Reference = format!("{}/a@{digest}", large.address).parse().expect("a reference");
    assert!(matches!(refused(&registry, &reference).await, PullError::TooLarge { what: "the manifest", .. }));

    // Somebody who takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = silent.local_addr().expect("its address").to_string();
    let reference: Reference = format!("{host}/a@{digest}").parse().expect("a reference");
    let wanted = Wanted { patience: Duration::from_millis(50), ..WANTED };
    let error = Registry { host, ..registry }.pull(&reference, wanted).await.expect_err("nobody answers");
    assert!(matches!(error, PullError::Late { .. }), "{error}");
}
