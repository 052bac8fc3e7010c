//! What lies beside a component in `NAME.wasm.sig`: a signature of the file itself, as `cosign sign-blob` writes it, or
//! those of the artifact that it came in, as `weir filter pull` writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Most bytes of a signature file. It bounds what is read, not how many keys a signature is tried with.
pub const SIGNATURE_BYTES: usize = 128 << 10;

/// Most signatures of one artifact.
pub(crate) const SIGNATURES: usize = 16;

/// Media type of the signatures of an artifact, as its file says it.
const MEDIA_TYPE: &str = "application/vnd.weir.filter.signatures.v1+json";

/// What was read from a signature file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Over the component's bytes, in DER.
    File(Vec<u8>),
    /// Over the manifest of the artifact that the component is the layer of.
    Artifact {
        /// The manifest, as the registry has it.
        manifest: Vec<u8>,
        /// The signatures that the registry has of it, by any key.
        signatures: Vec<SignedPayload>,
    },
}

/// One signature of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPayload {
    /// What is signed: see [`simple_signing_payload`](crate::simple_signing_payload).
    pub payload: Vec<u8>,
    /// The signature, in DER.
    pub signature: Vec<u8>,
}

/// Bytes that are no signature file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It is larger than any signature.
    #[error("it has over {SIGNATURE_BYTES} bytes")]
    Size,
    /// It is neither of the two forms.
    #[error(
        "it is neither a signature in base64, as `weir filter sign` and cosign sign-blob write it, nor what \
         `weir filter pull` writes ({0})"
    )]
    Form(String),
    /// It has more signatures than are looked at.
    #[error("it has {0} signatures; the most are {SIGNATURES}")]
    Many(usize),
}

/// The file of an artifact's signatures. Each text is base64.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArtifactFile {
    media_type: String,
    manifest: String,
    signatures: Vec<ArtifactSignature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ArtifactSignature {
    payload: String,
    signature: String,
}

impl Signature {
    /// Reads a signature file.
    ///
    /// # Errors
    /// Bytes that are none, or are over [`SIGNATURE_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Signature, SignatureError> {
        if bytes.len() > SIGNATURE_BYTES {
            return Err(SignatureError::Size);
        }
        let bytes = bytes.trim_ascii();
        if !bytes.starts_with(b"{") {
            return Ok(Signature::File(decode(bytes)?));
        }
        let file: ArtifactFile =
            serde_json::from_slice(bytes).map_err(|error| SignatureError::Form(error.to_string()))?;
        if file.media_type != MEDIA_TYPE {
            return Err(SignatureError::Form(format!("its mediaType is '{}'", file.media_type)));
        }
        if file.signatures.len() > SIGNATURES {
            return Err(SignatureError::Many(file.signatures.len()));
        }
        let signatures = file.signatures.iter().map(|signature| {
            let payload = decode(signature.payload.as_bytes())?;
            Ok(SignedPayload { payload, signature: decode(signature.signature.as_bytes())? })
        });
        Ok(Signature::Artifact {
            manifest: decode(file.manifest.as_bytes())?,
            signatures: signatures.collect::<Result<_, SignatureError>>()?,
        })
    }

    /// It as the content of a signature file.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            // As cosign writes it: without a line's end.
            Signature::File(signature) => STANDARD.encode(signature).into_bytes(),
            Signature::Artifact { manifest, signatures } => {
                let signatures = signatures.iter().map(|one| ArtifactSignature {
                    payload: STANDARD.encode(&one.payload),
                    signature: STANDARD.encode(&one.signature),
                });
                let file = ArtifactFile {
                    media_type: MEDIA_TYPE.to_owned(),
                    manifest: STANDARD.encode(manifest),
                    signatures: signatures.collect(),
                };
                let mut text = serde_json::to_vec_pretty(&file).expect("a struct of texts is JSON");
                text.push(b'\n');
                text
            }
        }
    }
}

fn decode(base64: &[u8]) -> Result<Vec<u8>, SignatureError> {
    STANDARD.decode(base64).map_err(|error| SignatureError::Form(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn signatures() -> impl Strategy<Value = Signature> {
        let bytes = || vec(any::<u8>(), 0..200);
        let one = (bytes(), bytes()).prop_map(|(payload, signature)| SignedPayload { payload, signature });
        let artifact = (bytes(), vec(one, 0..4));
        prop_oneof![
            bytes().prop_map(Signature::File),
            artifact.prop_map(|(manifest, signatures)| Signature::Artifact { manifest, signatures }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(signature in signatures()) {
            prop_assert_eq!(Signature::parse(&signature.encode()), Ok(signature));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
            if let Ok(signature) = Signature::parse(&bytes) {
                prop_assert_eq!(Signature::parse(&signature.encode()), Ok(signature));
            }
        }
    }

    #[test]
    fn what_is_no_signature_file_says_so() {
        let other =
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","manifest":"","signatures":[]}"#;
        for (text, says) in
            [("not base64!", "base64"), ("{}", "weir filter pull"), (other, "sigstore.bundle")]
        {
            let error = Signature::parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(Signature::parse(&vec![b'A'; SIGNATURE_BYTES + 1]), Err(SignatureError::Size));
    }
}
