//! A server over TLS that does what a test says, in front of a registry, behind it, or in its place.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::place::Certificate;

type Says = dyn Fn(&str, Option<&str>) -> Response<Full<Bytes>> + Send + Sync;

/// Path with query, and authorization, of a request.
type Asked = (String, Option<String>);

/// A running server.
pub(crate) struct Front {
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    /// Each request.
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
}

impl Front {
    /// A server that says this of a path with its query and the header `authorization`. It ends with the test's runtime.
    pub(crate) async fn start(
        certificate: &Certificate,
        says: impl Fn(&str, Option<&str>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Front {
        let key = PrivateKeyDer::try_from(certificate.key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate.der.clone())], key)
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, says): (_, Arc<Says>) = (Arc::clone(&asked), Arc::new(says));
        let tls = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("a client");
                let (tls, noted, says) = (tls.clone(), Arc::clone(&noted), Arc::clone(&says));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(socket).await else { return };
                    let respond = service_fn(move |request: Request<Incoming>| {
                        let path = request.uri().to_string();
                        let header = request.headers().get("authorization");
                        let header = header.map(|header| header.to_str().expect("text").to_owned());
                        let response = says(&path, header.as_deref());
                        noted.lock().expect("no panic").push((path, header));
                        async move { Ok::<_, Infallible>(response) }
                    });
                    // A client that has what it wants leaves.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await);
                });
            }
        });
        Front { address, asked }
    }

    /// Whether any request with a path that begins so said who asks.
    pub(crate) fn was_told_who(&self, path: &str) -> bool {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().any(|(asked, header)| asked.starts_with(path) && header.is_some())
    }
}

/// A response with a header and a body.
pub(crate) fn says(status: u16, header: (&str, &str), body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header(header.0, header.1);
    response.body(Full::new(body.into())).expect("a response")
}
