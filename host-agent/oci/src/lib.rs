//! Filters in registries: pushed and pulled as artifacts in the Wasm OCI format of the CNCF, with the signatures that
//! cosign keeps beside them.
//!
//! Whether a signature is good isn't decided here but in `weir-trust`; where credentials come from is the caller's
//! business. Everything that is pulled is checked against the digest that names it.

#![forbid(unsafe_code)]

mod artifact;
mod cosign;
mod error;
mod reference;
mod registry;

pub use artifact::{Artifact, Contents};
pub use error::RegistryError;
pub use reference::{Reference, ReferenceError};
pub use registry::{Access, Credentials, Progress, Registry};
