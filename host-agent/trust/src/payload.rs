//! What a signature of an artifact is over: the simple signing payload, which names a manifest by its digest.

use serde::Deserialize;
use serde_json::json;

use crate::Digest;

/// The type of a payload. No other is taken: a key may sign other things as well.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// Bytes that are no simple signing payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// It isn't the JSON of one.
    #[error("what is signed is not the simple signing payload of an artifact: {0}")]
    Malformed(String),
    /// It is of another type.
    #[error("what is signed is of type '{0}', and not '{PAYLOAD_TYPE}'")]
    Kind(String),
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What is to be signed for the manifest of digest `manifest` in `repository`, such as `ghcr.io/team/errors`. The
/// repository is for people to read: the signature is as good in another.
pub fn simple_signing_payload(repository: &str, manifest: Digest) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": manifest.to_string() },
            "type": PAYLOAD_TYPE,
        },
        "optional": null,
    });
    payload.to_string().into_bytes()
}

/// The digest of the manifest that a payload is of.
///
/// # Errors
/// Bytes that are no payload, or one of another type.
pub fn payload_digest(payload: &[u8]) -> Result<Digest, PayloadError> {
    let malformed = |reason: String| PayloadError::Malformed(reason);
    let payload: Payload = serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))?;
    if payload.critical.kind != PAYLOAD_TYPE {
        return Err(PayloadError::Kind(payload.critical.kind));
    }
    payload.critical.image.digest.parse().map_err(|error: crate::DigestError| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_the_manifest_that_it_was_made_for() {
        let digest = Digest::of(b"manifest");
        let payload = simple_signing_payload("ghcr.io/team/errors", digest);
        assert_eq!(payload_digest(&payload), Ok(digest));
        let other = String::from_utf8(payload).expect("text").replace("container image", "blob");
        assert!(matches!(payload_digest(other.as_bytes()), Err(PayloadError::Kind(_))));
        for text in [
            "",
            "{}",
            r#"{"critical":{"image":{"docker-manifest-digest":"x"},"type":"cosign container image signature"}}"#,
        ] {
            assert!(matches!(payload_digest(text.as_bytes()), Err(PayloadError::Malformed(_))), "{text}");
        }
    }
}
