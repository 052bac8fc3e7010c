//! Probes and metrics over plain HTTP/1: `/healthz`, `/readyz`, `/metrics`. Nothing here tells what is in a log.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use weir_rpc::Certificates;

use crate::metrics::Metrics;

/// Connections served at once; more wait to be accepted.
const CONNECTIONS: usize = 32;

/// How long a client may take to send its request, and how long it may take over all.
const TIMES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// How long nothing is accepted after the system refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The bound port.
pub(crate) struct Probes {
    listener: TcpListener,
    local: SocketAddr,
}

/// What the port tells.
#[derive(Clone)]
pub(crate) struct State {
    /// Whether queries are taken.
    pub(crate) ready: Arc<AtomicBool>,
    /// Whether it is known which policies the cluster has, or was.
    pub(crate) synced: Arc<AtomicBool>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Looked at when a probe comes: with probes, new ones are told of in time even where nobody else comes.
    pub(crate) certificates: Option<Certificates>,
}

impl Probes {
    /// Binds the port.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Probes> {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        Ok(Probes { listener, local })
    }

    /// The address, with the port that was taken.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Answers for as long as it is polled.
    pub(crate) async fn serve(self, state: State) -> Infallible {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a probe's connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            state.certificates.iter().for_each(Certificates::look);
            let state = state.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| std::future::ready(respond(&state, &request)));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(TIMES.0)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer);
                match tokio::time::timeout(TIMES.1, connection).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "a probe's connection failed"),
                    Err(_) => tracing::debug!("a probe's connection took too long"),
                }
                drop(slot);
            });
        }
    }
}

fn respond(state: &State, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = |status: StatusCode, kind: HeaderValue, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    };
    let plain = |status, text: &str| answer(status, PLAIN, format!("{text}\n"));
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here"));
    }
    Ok(match request.uri().path() {
        "/healthz" => plain(StatusCode::OK, "ok"),
        "/readyz" if !state.ready.load(Ordering::Relaxed) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down")
        }
        "/readyz" if !state.synced.load(Ordering::Relaxed) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the cluster's Filters and FilterPolicies aren't known yet; the log says why",
        ),
        "/readyz" => plain(StatusCode::OK, "ready"),
        "/metrics" => match state.metrics.text() {
            Ok(text) => answer(StatusCode::OK, OPEN_METRICS, text),
            Err(error) => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("metrics can't be written: {error}"))
            }
        },
        _ => plain(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics"),
    })
}
