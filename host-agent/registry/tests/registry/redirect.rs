//! Registries that have their blobs elsewhere.

use std::fs;

use serde_json::json;
use weir_registry::{PullError, Registry};

use crate::front::{Front, says};
use crate::place::{Of as _, Place, WANTED};

/// A registry with a password, whose manifests are those of a real one, and which sends us to `location` for blobs.
async fn front(place: &Place, location: String) -> (Front, Registry) {
    let manifest = place.artifact.manifest.clone();
    let front = Front::start(&place.certificate, move |path, header| match header {
        None => says(401, ("www-authenticate", "Basic realm=\"test\""), ""),
        Some(_) if path.contains("/manifests/sha256:") => says(200, ("x", "y"), manifest.clone()),
        Some(_) if path.contains("/manifests/") => says(404, ("x", "y"), ""),
        Some(_) => says(307, ("location", &location), ""),
    })
    .await;
    let file = json!({"auths": {front.address.as_str(): {"auth": "d2Vpcjpzd29yZGZpc2g="}}}).to_string();
    let auth_file = Some(place.write(&format!("{}.json", front.address), &file));
    let registry = Registry { auth_file, ca: place.registry().ca, ..Registry::of(&front.address) };
    (front, registry)
}

#[tokio::test]
async fn a_blob_is_read_where_it_is_and_who_asks_is_told_to_nobody_else() {
    let Some(place) = Place::new().await else { return };
    let component = fs::read(place.server.blob(&place.artifact.component.to_string())).expect("a blob");
    let storage = Front::start(&place.certificate, move |path, _| {
        assert_eq!(path, "/blob?sig=x");
        says(200, ("x", "y"), component.clone())
    })
    .await;
    let (front, registry) = front(&place, format!("https://{}/blob?sig=x", storage.address)).await;
    let reference = place.at(&front.address, place.artifact.digest);
    let pulled = registry.pull(&reference, WANTED).await.expect("it is there");
    assert_eq!(pulled.component, place.component);
    assert!(front.was_told_who("/v2/") && !storage.was_told_who("/"));

    // To the real registry, which knows nothing of a password.
    let location =
        format!("https://{}/v2/team/errors/blobs/{}", place.server.address, place.artifact.component);
    let (front, registry) = self::front(&place, location).await;
    let reference = place.at(&front.address, place.artifact.digest);
    assert_eq!(registry.pull(&reference, WANTED).await.expect("it is there").component, place.component);
}

#[tokio::test]
async fn nobody_is_sent_anywhere() {
    let Some(place) = Place::new().await else { return };
    let asks =
        Front::start(&place.certificate, |_, _| says(401, ("www-authenticate", "Basic realm=\"x\""), ""))
            .await;
    let lies = Front::start(&place.certificate, |_, _| says(200, ("x", "y"), "other bytes")).await;
    for (location, why) in [
        ("http://127.0.0.1:1/".to_owned(), "it isn't https"),
        ("file:///etc/passwd".to_owned(), "it doesn't say where"),
        ("https://u:p@127.0.0.1:1/".to_owned(), "it isn't https"),
        ("//127.0.0.1:1/".to_owned(), "it doesn't say where"),
        ("/v2/team/errors/blobs/again".to_owned(), "again and again"),
        (format!("https://{}/", asks.address), "answers 401"),
        (format!("https://{}/", lies.address), "other bytes"),
        ("https://127.0.0.1:1/".to_owned(), "can't be reached"),
    ] {
        let (front, registry) = front(&place, location.clone()).await;
        let reference = place.at(&front.address, place.artifact.digest);
        let error = registry.pull(&reference, WANTED).await.expect_err("no blob");
        assert!(error.to_string().contains(why), "{location}: {error}");
        assert!(!matches!(error, PullError::Unauthorized { .. }), "the registry itself has let us in");
    }
    assert!(!asks.was_told_who("/") && !lies.was_told_who("/"));
}
