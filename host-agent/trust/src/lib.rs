//! Which filters may run: components of certain digests, and components that certain keys have signed, in the formats
//! of cosign (<https://github.com/sigstore/cosign>, `specs/SIGNATURE_SPEC.md`). An agent and the command line ask the
//! same [`Trust`], so that `weir filter verify` answers as the agent would.
//!
//! Everything here works on bytes: it reads no file, knows no registry and asks nobody over a network. It makes no
//! signatures either, only what is signed. Filters that ship with Weir aren't its business: whoever asks lets them
//! pass.

#![forbid(unsafe_code)]

mod cosign;
mod digest;
mod key;
mod manifest;
mod payload;
mod signature;
mod trust;

pub use cosign::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, SignatureLayer, signature_layers, signature_tag};
pub use digest::{Digest, DigestError, Digester};
pub use key::{KeyError, PublicKey};
pub use manifest::{MANIFEST_BYTES, ManifestError, WASM_CONFIG, WASM_LAYER, component_layer, filter_layer};
pub use payload::{PayloadError, payload_digest, simple_signing_payload};
pub use signature::{SIGNATURE_BYTES, Signature, SignatureError, SignedPayload};
pub use trust::{By, Refused, Trust, Why};
