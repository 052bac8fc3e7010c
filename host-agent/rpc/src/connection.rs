//! One connection from its handshake to its end, and the bounds on what a client may do with it.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;

use crate::body::{Arrivals, Arriving, Counted};
use crate::caller::Peer;
use crate::identity::CertificateNames;
use crate::limits::ServerLimits;
use crate::listen::Socket;
use crate::phase::Phases;
use crate::tls::Certificates;

/// Bytes of answers that a connection holds for each call, ready for the network.
const SEND_BYTES: usize = 128 << 10;

/// How long a client may take to close a connection that it was told is ending, and that has no calls.
const CLOSE: Duration = Duration::from_secs(1);

/// The call that watches the server's health, and stays open for as long as its client likes.
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// What every connection is served with.
pub(crate) struct Serving {
    pub(crate) routes: Routes,
    pub(crate) limits: ServerLimits,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) arrivals: Arrivals,
    pub(crate) phases: Phases,
}

/// The calls of one connection.
#[derive(Clone)]
pub(crate) struct Calls {
    open: watch::Sender<Open>,
    stuck: Arc<Notify>,
}

/// How many calls are open, how many of them watch the server's health, and whether there has been one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Open {
    now: usize,
    watches: usize,
    any: bool,
}

/// One open call, until it is dropped.
pub(crate) struct Call {
    calls: Calls,
    /// It has no end of its own, and has told what it is for when the server drains.
    is_watch: bool,
}

impl Calls {
    fn new() -> Calls {
        Calls { open: watch::Sender::new(Open::default()), stuck: Arc::new(Notify::new()) }
    }

    fn begin(&self, path: &str) -> Call {
        let is_watch = path == HEALTH_WATCH;
        self.open.send_modify(|open| {
            let (now, watches) = (open.now + 1, open.watches + usize::from(is_watch));
            *open = Open { now, watches, any: true };
        });
        Call { calls: self.clone(), is_watch }
    }

    /// Has the connection closed: its client takes nothing any more.
    pub(crate) fn close(&self) {
        self.stuck.notify_one();
    }

    /// Waits until there has been no call for as long as there may be none.
    async fn idle(&self, limits: &ServerLimits) {
        let mut open = self.open.subscribe();
        loop {
            let Open { now, any, .. } = *open.borrow_and_update();
            let patience = if any { limits.idle } else { limits.handshake };
            let changed = async {
                // The sender is in `self`.
                if open.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if now > 0 {
                changed.await;
            } else if tokio::time::timeout(patience, changed).await.is_err() {
                return;
            }
        }
    }

    /// Waits until there has been no call for a moment but those that watch the server's health.
    async fn over(&self) {
        let mut open = self.open.subscribe();
        loop {
            let none = async {
                if open.wait_for(|open| open.now == open.watches).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            none.await;
            let again = open.wait_for(|open| open.now > open.watches);
            if tokio::time::timeout(CLOSE, again).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.open.send_modify(|open| {
            open.now -= 1;
            open.watches -= usize::from(self.is_watch);
        });
    }
}

impl Serving {
    /// Serves a client until it leaves, is told to, or is cut.
    pub(crate) async fn serve(self: Arc<Self>, socket: Socket, peer: Peer) {
        let cut = self.phases.clone().cut();
        let served = async {
            match (socket, &self.certificates) {
                (Socket::Tcp(socket), None) => self.speak(socket, peer, CertificateNames::default()).await,
                (Socket::Unix(socket), _) => self.speak(socket, peer, CertificateNames::default()).await,
                (Socket::Tcp(socket), Some(certificates)) => {
                    let handshake = TlsAcceptor::from(certificates.config()).accept(socket);
                    match tokio::time::timeout(self.limits.handshake, handshake).await {
                        Ok(Ok(stream)) => {
                            let certificates = stream.get_ref().1.peer_certificates();
                            let own = certificates.and_then(<[_]>::first);
                            let known = own.map_or(peer, |own| peer.with_certificate(own));
                            let names = own.map(CertificateNames::of).unwrap_or_default();
                            self.speak(stream, known, names).await;
                        }
                        Ok(Err(error)) => tracing::info!(%peer, %error, "a TLS handshake failed"),
                        Err(_) => tracing::info!(%peer, "a TLS handshake took longer than handshake_seconds"),
                    }
                }
            }
        };
        tokio::select! {
            () = served => {}
            () = cut => tracing::debug!(%peer, "a connection was cut"),
        }
    }

    async fn speak(&self, io: impl AsyncRead + AsyncWrite + Unpin, peer: Peer, names: CertificateNames) {
        let limits = &self.limits;
        let calls = Calls::new();
        let answer = service_fn(|request: Request<Incoming>| self.answer(request, peer, &names, &calls));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .max_header_list_size(limits.max_header_bytes)
            .max_send_buf_size(SEND_BYTES)
            .serve_connection(TokioIo::new(io), answer);
        let mut connection = pin!(connection);
        let mut draining = self.phases.clone();
        tokio::select! {
            ended = &mut connection => return told(&peer, ended),
            () = draining.draining() => {}
            () = calls.idle(limits) => tracing::debug!(%peer, "a connection without a call is closed"),
            () = calls.stuck.notified() => return stuck(&peer),
        }
        // Calls that are open come to their end; new ones are refused.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => told(&peer, ended),
            () = calls.over() => {}
            () = calls.stuck.notified() => stuck(&peer),
        }
    }

    /// One call.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        names: &CertificateNames,
        calls: &Calls,
    ) -> impl Future<Output = Result<Response<Counted>, Infallible>> + Send + 'static {
        let call = calls.begin(request.uri().path());
        let arriving = |body| Body::new(Arriving::new(body, self.arrivals.clone(), self.limits.request));
        let mut request = request.map(arriving);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(names.clone());
        request.extensions_mut().insert(calls.clone());
        let mut routes = self.routes.clone();
        async move {
            let response = routes.call(request).await?;
            Ok(response.map(|body| Counted::new(body, call)))
        }
    }
}

/// Logs that a connection is closed since its client takes nothing.
fn stuck(peer: &Peer) {
    tracing::warn!(%peer, "a client takes nothing any more: its connection is closed");
}

/// Logs how a connection ended that did so by itself.
fn told(peer: &Peer, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::debug!(%peer, %error, cause, "a connection failed");
    }
}
