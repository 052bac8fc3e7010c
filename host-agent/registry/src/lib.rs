//! Filters pulled from registries, by the digest of their manifest: as much of the OCI distribution protocol as an agent
//! needs, on the HTTP client that it has anyway. The command line, which also pushes and knows tags, has `weir-oci` for it;
//! how an artifact and its signatures look, both take from `weir-trust`.
//!
//! A [`Registry`] is asked only where somebody has configured it, and what it gives is checked against the digest that
//! was asked for before anybody sees it. Whether a signature is good isn't decided here. This crate knows nothing of Kubernetes or
//! of queries.
#![forbid(unsafe_code)]

mod challenge;
mod credentials;
mod error;
mod host;
mod pull;
mod reference;
mod session;

pub use challenge::Challenge;
pub use credentials::{Credentials, CredentialsError};
pub use error::PullError;
pub use host::is_host;
pub use pull::{Artifact, Registry, Wanted, system_roots};
pub use reference::{Reference, ReferenceError};
