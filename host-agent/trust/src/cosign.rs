//! Signatures where cosign keeps them: in an artifact of their own, whose tag is made of the digest that they are about
//! (`specs/SIGNATURE_SPEC.md` of cosign). Each is a layer: what is signed is its blob, the signature an annotation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::signature::SIGNATURES;
use crate::{Digest, ManifestError};

/// Media type of a layer that is signed.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The annotation with the signature, base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Most bytes of what is signed.
const PAYLOAD_BYTES: u64 = 4 << 10;

/// A layer with a signature: where what is signed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLayer {
    /// Digest of what is signed.
    pub digest: Digest,
    /// Its bytes, no more than 4 KiB.
    pub size: u64,
    /// The signature, in DER.
    pub signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Map<String, Value>,
}

/// The tag of the signatures of an artifact, by the digest of its manifest.
pub fn signature_tag(manifest: Digest) -> String {
    format!("sha256-{}.sig", manifest.hex())
}

/// The signatures that a manifest of signatures has, the newest 16, newest first. What isn't one is left out.
///
/// # Errors
/// Bytes that aren't JSON.
pub fn signature_layers(manifest: &[u8]) -> Result<Vec<SignatureLayer>, ManifestError> {
    let manifest: Value =
        serde_json::from_slice(manifest).map_err(|error| ManifestError::Malformed(error.to_string()))?;
    let layers = manifest["layers"].as_array().into_iter().flatten().rev();
    let layers = layers.filter_map(|layer| Layer::deserialize(layer).ok()).take(SIGNATURES);
    Ok(layers.filter_map(Layer::signature).collect())
}

impl Layer {
    fn signature(self) -> Option<SignatureLayer> {
        if self.media_type != SIMPLE_SIGNING || self.size > PAYLOAD_BYTES {
            return None;
        }
        let signature = STANDARD.decode(self.annotations.get(SIGNATURE_ANNOTATION)?.as_str()?).ok()?;
        Some(SignatureLayer { digest: self.digest.parse().ok()?, size: self.size, signature })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn signatures_are_read_newest_first_and_all_else_is_left_out() {
        let layer = |kind: &str, size: u64, signature: &str| {
            json!({"mediaType": kind, "digest": Digest::of(b"x").to_string(), "size": size,
                "annotations": {SIGNATURE_ANNOTATION: signature, "other": 3}})
        };
        let good = |text: &str| layer(SIMPLE_SIGNING, 4096, &STANDARD.encode(text));
        let others = [
            layer(SIMPLE_SIGNING, 4097, "AAAA"),
            layer("text/plain", 1, "AAAA"),
            json!({"size": 1}),
            layer(SIMPLE_SIGNING, 1, "?"),
        ];
        let mut layers = vec![good("old")];
        layers.extend(others);
        layers.push(good("new"));
        let read = signature_layers(json!({"layers": layers}).to_string().as_bytes()).expect("a manifest");
        let signatures: Vec<&[u8]> = read.iter().map(|layer| layer.signature.as_slice()).collect();
        assert_eq!(signatures, [b"new", b"old"]);
        let many = json!({"layers": vec![good("one"); 40]}).to_string();
        assert_eq!(signature_layers(many.as_bytes()).expect("a manifest").len(), SIGNATURES);
        assert_eq!(signature_layers(b"[]"), Ok(Vec::new()));
        assert!(matches!(signature_layers(b"x"), Err(ManifestError::Malformed(_))));
        assert!(signature_tag(Digest::of(b"")).starts_with("sha256-e3b0"));
    }
}
