//! An API server that does what a test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use weir_cluster::ApiServer;

/// A status and a body for a path and query.
type Says = dyn Fn(&str) -> (u16, Vec<u8>) + Send + Sync;

/// What the API server does with a request.
#[derive(Clone)]
pub(crate) enum Answer {
    Says(u16, Vec<u8>),
    /// Nothing, once it has told that the request is there.
    Waits(Arc<Semaphore>),
    /// Closes the connection.
    Breaks,
    /// What this says of its path and query.
    By(Arc<Says>),
}

/// A folder with a root, a token, and an API server of that root's certificate, which answers so.
pub(crate) async fn api_server(answer: Answer) -> (TempDir, ApiServer) {
    let dir = tempfile::tempdir().expect("a folder");
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(dir.path().join("ca.crt"), signed.cert.pem()).expect("a file");
    std::fs::write(dir.path().join("token"), "own\n").expect("a file");
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = at(dir.path(), listener.local_addr().expect("its address"));
    tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), answer));
    (dir, server)
}

pub(crate) fn at(dir: &Path, address: SocketAddr) -> ApiServer {
    ApiServer { url: format!("https://{address}"), ca: dir.join("ca.crt"), token: dir.join("token") }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, answer: Answer) {
    loop {
        let (socket, _) = listener.accept().await.expect("a client");
        let (tls, answer) = (tls.clone(), answer.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(socket).await else { return };
            let respond = service_fn(|request| respond(request, answer.clone()));
            // A connection that breaks is what one of the tests is about.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await);
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: Answer,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    assert_eq!(request.headers()["authorization"], "Bearer own");
    let asked = request.uri().to_string();
    request.into_body().collect().await?;
    let says = |status, body| Ok(Response::builder().status(status).body(Full::new(Bytes::from(body)))?);
    match answer {
        Answer::Says(status, body) => says(status, body),
        Answer::By(answer) => {
            let (status, body) = answer(&asked);
            says(status, body)
        }
        Answer::Waits(arrived) => {
            arrived.add_permits(1);
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Answer::Breaks => Err("on purpose".into()),
    }
}
