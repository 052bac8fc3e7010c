//! The HTTP client that agents have: HTTP/1.1 over TLS, with roots from a PEM text, connections within limits, and bodies
//! that are read within bounds.
//!
//! It knows no protocol above HTTP: the Kubernetes API server and registries, which are asked through it, have crates of
//! their own.
#![forbid(unsafe_code)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
/// Certificates that others must come from.
pub use rustls::RootCertStore as Roots;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Silence after which the system asks whether the other end is still there, and again.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long a connection is kept that isn't used.
const IDLE: Duration = Duration::from_secs(90);

/// Connections that are kept unused.
const IDLE_CONNECTIONS: usize = 4;

/// Sends requests with whole URIs. Clones share connections.
pub type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Which URIs a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// `https` alone.
    Https,
    /// `http` too, which everybody on the way reads.
    HttpsAndHttp,
}

/// A PEM text that holds no roots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// It isn't PEM, or a certificate in it can't be a root.
    #[error("not a PEM file of certificates: {0}")]
    Malformed(String),
    /// There is no certificate in it that can be a root.
    #[error("holds no certificate in PEM form that can be a root")]
    Empty,
}

/// Why a body isn't read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is larger than it may be.
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
    /// It breaks off.
    #[error("{0}")]
    Broken(String),
}

/// The roots in a PEM text. A certificate that rustls takes for no root is left out, as bundles of systems have some.
///
/// # Errors
/// Text that isn't PEM, or has no root.
pub fn roots(pem: &[u8]) -> Result<Roots, RootsError> {
    let mut roots = Roots::empty();
    let mut refused = None;
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(|error| RootsError::Malformed(error.to_string()))?;
        if let Err(error) = roots.add(root) {
            refused = Some(RootsError::Malformed(error.to_string()));
        }
    }
    match roots.is_empty() {
        true => Err(refused.unwrap_or(RootsError::Empty)),
        false => Ok(roots),
    }
}

/// A client that trusts these roots, within a tokio runtime. A host that is a name is looked up on one of the runtime's
/// blocking threads.
pub fn client(roots: Roots, schemes: Schemes) -> Client {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    // An answer may be silent for minutes: the system finds out whether the other end is still there.
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    let builder = match schemes {
        Schemes::Https => builder.https_only(),
        Schemes::HttpsAndHttp => builder.https_or_http(),
    };
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build(builder.enable_http1().wrap_connector(tcp))
}

/// The whole of a body of no more than `most` bytes. How long that takes isn't bounded here.
///
/// # Errors
/// It is larger, or breaks off.
pub async fn whole(body: Incoming, most: usize) -> Result<Bytes, BodyError> {
    let body = Limited::new(body, most).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| match error.is::<LengthLimitError>() {
        true => BodyError::TooLarge(most),
        false => BodyError::Broken(causes(&*error)),
    })
}

/// An error and what caused it, in one line.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_roots_is_refused_with_why() {
        assert_eq!(roots(b"").expect_err("nothing"), RootsError::Empty);
        let broken = b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
        assert!(matches!(roots(broken), Err(RootsError::Malformed(_))));
        let no_root = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(roots(no_root), Err(RootsError::Malformed(_))));
    }
}
