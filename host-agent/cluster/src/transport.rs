//! How requests reach the API server: over TLS with roots from a file, and with our token from another. Both files are
//! read for each request: what Kubernetes puts in their place is used from then on, without a watch or a restart.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::uri::Uri;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::api_server::ApiServer;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Silence after which the system asks whether the other end is still there, and again.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long a connection is kept that isn't used.
const IDLE: Duration = Duration::from_secs(90);

/// Connections that are kept unused.
const IDLE_CONNECTIONS: usize = 4;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

type BoxError = Box<dyn Error + Send + Sync>;

/// Sends requests whose URI is a path alone. Clones share connections.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Shared>);

struct Shared {
    base: Uri,
    ca: PathBuf,
    token: PathBuf,
    /// What connects, and the roots that it was made of.
    current: Mutex<Option<(Vec<u8>, Https)>>,
}

/// Why a request isn't sent.
#[derive(Debug, thiserror::Error)]
enum TransportError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
}

impl Transport {
    pub(crate) fn new(base: Uri, server: &ApiServer) -> Transport {
        let ApiServer { ca, token, .. } = server.clone();
        Transport(Arc::new(Shared { base, ca, token, current: Mutex::new(None) }))
    }

    /// Sends a request whose URI is a path alone.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, BoxError> {
        let https = self.prepare(&mut request)?;
        Ok(https.request(request).await?)
    }

    /// Makes a request ready to be sent, and what sends it.
    fn prepare(&self, request: &mut Request<Full<Bytes>>) -> Result<Https, BoxError> {
        let Shared { base, token, .. } = &*self.0;
        let mut parts = base.clone().into_parts();
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts)?;
        let content = read(token)?;
        let value = [b"Bearer ", content.trim_ascii()].concat();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| TransportError::Content {
            path: token.clone(),
            reason: "holds no token, but characters that a header can't have".to_owned(),
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(self.https()?)
    }

    /// What connects with the roots that are in the file now.
    fn https(&self) -> Result<Https, TransportError> {
        let ca = read(&self.0.ca)?;
        // It is replaced as a whole, so that a panic elsewhere can't have torn it.
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, https)) = current.as_ref().filter(|(known, _)| *known == ca) {
            return Ok(https.clone());
        }
        let refused = |reason| TransportError::Content { path: self.0.ca.clone(), reason };
        let https = https(&ca).map_err(refused)?;
        *current = Some((ca, https.clone()));
        Ok(https)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    fs::read(path).map_err(|source| TransportError::File { path: path.to_owned(), source })
}

/// A client of HTTP/1.1 over TLS that trusts the roots in a PEM text.
fn https(pem: &[u8]) -> Result<Https, String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(|error| format!("not a PEM file of certificates: {error}"))?;
        roots.add(root).map_err(|error| format!("not a root: {error}"))?;
    }
    if roots.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    // A watch may hear nothing for minutes: the system finds out whether the other end is still there.
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build(connector))
}
