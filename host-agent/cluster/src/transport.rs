//! How requests reach the API server: over TLS with roots from a file, and with our token from another. Both files are
//! read for each request: what Kubernetes puts in their place is used from then on, without a watch or a restart.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{AUTHORIZATION, HeaderValue};
use http::uri::Uri;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use weir_https::{Client, Schemes};

use crate::api_server::ApiServer;

type BoxError = Box<dyn Error + Send + Sync>;

/// Sends requests whose URI is a path alone. Clones share connections.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Shared>);

struct Shared {
    base: Uri,
    ca: PathBuf,
    token: PathBuf,
    /// What connects, and the roots that it was made of.
    current: Mutex<Option<(Vec<u8>, Client)>>,
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
    fn prepare(&self, request: &mut Request<Full<Bytes>>) -> Result<Client, BoxError> {
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
    fn https(&self) -> Result<Client, TransportError> {
        let ca = read(&self.0.ca)?;
        // It is replaced as a whole, so that a panic elsewhere can't have torn it.
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, https)) = current.as_ref().filter(|(known, _)| *known == ca) {
            return Ok(https.clone());
        }
        let roots = weir_https::roots(&ca).map_err(|error| TransportError::Content {
            path: self.0.ca.clone(),
            reason: error.to_string(),
        })?;
        let https = weir_https::client(roots, Schemes::Https);
        *current = Some((ca, https.clone()));
        Ok(https)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    fs::read(path).map_err(|source| TransportError::File { path: path.to_owned(), source })
}
