//! An API server with objects that a test gives it: everybody is known and may do everything, and what an agent reports of
//! objects is kept. What a real one does is tested by `scripts/e2e-cluster`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certs::Authority;
use crate::process::until;

/// A running server. It ends with the test's runtime.
pub(crate) struct ApiServer {
    address: String,
    /// The condition `Loaded` of each object, by its name.
    loaded: Arc<Mutex<BTreeMap<String, Value>>>,
}

/// A watch in which nothing happens.
struct Quiet;

impl Body for Quiet {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

impl ApiServer {
    /// A server that has these objects, each as its name and its spec, with a certificate in `dir`.
    pub(crate) async fn start(
        dir: &Path,
        authority: &Authority,
        filter: (&str, Value),
        policy: (&str, Value),
    ) -> ApiServer {
        let signed = authority.sign(dir, "127.0.0.1");
        let certificate = CertificateDer::from_pem_file(&signed.cert).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&signed.key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
        fs::write(dir.join("token"), "own").expect("a file");
        authority.write(dir, "api");
        let list = |(name, spec): (&str, Value)| {
            let object = json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 1}, "spec": spec});
            json!({"metadata": {"resourceVersion": "1"}, "items": [object]})
        };
        let lists = Arc::new([("filters", list(filter)), ("filterpolicies", list(policy))]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let loaded = Arc::new(Mutex::new(BTreeMap::new()));
        let (noted, tls) = (Arc::clone(&loaded), TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("a client");
                let (tls, noted, lists) = (tls.clone(), Arc::clone(&noted), Arc::clone(&lists));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(socket).await else { return };
                    let respond =
                        service_fn(move |request| respond(request, Arc::clone(&lists), Arc::clone(&noted)));
                    // An agent that is ended leaves.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await);
                });
            }
        });
        ApiServer { address, loaded }
    }

    /// What an agent's config says of it: its certificate and token are in `dir`.
    pub(crate) fn config(&self, dir: &Path) -> String {
        let (ca, token) = (dir.join("api.pem"), dir.join("token"));
        format!(
            "access: {{mode: kubernetes, api_server: 'https://{}', api_ca: {}, api_token: {}}}\ncustom_resources: true\nnode: n1\n",
            self.address,
            ca.display(),
            token.display()
        )
    }

    /// Waits until an object is said to be loaded or not, for a reason with these words.
    pub(crate) async fn says(&self, object: &str, status: &str, words: &str) {
        let said = || self.loaded.lock().expect("no panic").get(object).cloned().unwrap_or_default();
        let is_so = |said: &Value| {
            said["status"] == status
                && said["message"].as_str().is_some_and(|message| message.contains(words))
        };
        until(|| is_so(&said()), || format!("{object}: {}, not {status} with '{words}'", said())).await;
    }

    /// Forgets what was said.
    pub(crate) fn forget(&self) {
        self.loaded.lock().expect("no panic").clear();
    }
}

async fn respond(
    request: Request<Incoming>,
    lists: Arc<[(&'static str, Value); 2]>,
    noted: Arc<Mutex<BTreeMap<String, Value>>>,
) -> Result<Response<Either<Full<Bytes>, Quiet>>, hyper::Error> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = request.into_body().collect().await?.to_bytes();
    let review = |group: &str, kind: &str, status: Value| json!({"apiVersion": format!("{group}.k8s.io/v1"), "kind": kind, "status": status});
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let answer = match last {
        "tokenreviews" => {
            let status = json!({"authenticated": true, "user": {"username": "jane"}, "audiences": ["weir"]});
            review("authentication", "TokenReview", status)
        }
        "subjectaccessreviews" => review("authorization", "SubjectAccessReview", json!({"allowed": true})),
        "status" if method == Method::PATCH => {
            let object: Value = serde_json::from_slice(&body).expect("an object");
            let condition = object["status"]["nodes"][0]["conditions"][0].clone();
            let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
            noted.lock().expect("no panic").insert(name, condition);
            json!({})
        }
        _ if uri.query().is_some_and(|query| query.contains("watch=true")) => {
            return Ok(Response::new(Either::Right(Quiet)));
        }
        kind => {
            let list = lists.iter().find(|(of, _)| *of == kind).map(|(_, list)| list.clone());
            list.unwrap_or_else(|| json!({"metadata": {"resourceVersion": "1"}, "items": []}))
        }
    };
    Ok(Response::new(Either::Left(Full::new(Bytes::from(answer.to_string())))))
}
