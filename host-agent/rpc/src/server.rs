//! The server: which services there are, their limits, and how it starts and ends.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::Stream;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use weir_query::Engine;

use crate::connection::Connection;
use crate::filter_service::Filters;
use crate::listen::Listener;
use crate::lookup::Lookups;
use crate::observer::Observer;
use crate::phase::{Phase, Phases, phases};
use crate::query_service::Queries;
use crate::source_service::Sources;
use crate::wire::{FILE_DESCRIPTOR_SET, v1};
use v1::filter_service_server::FilterServiceServer;
use v1::query_service_server::QueryServiceServer;
use v1::source_service_server::SourceServiceServer;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the server doesn't accept after the system refused to, for want of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long searches may take to notice that their connection was cut.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// Named bounds of the server. Each has a default that [`ServerLimits::default`] gives.
///
/// Queries and lookups run on tokio's blocking threads: see [`ServerLimits::blocking_threads`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Queries that run at once (default 16); more are refused. Doesn't bound what one of them reads.
    pub max_queries: usize,
    /// Listings that run at once (default 4); more wait.
    pub max_lookups: usize,
    /// Watches that run at once (default 16); more are refused.
    pub max_watches: usize,
    /// Connections open at once (default 128); more wait to be accepted.
    pub max_connections: usize,
    /// Calls open at once on one connection (default 64).
    pub max_streams: u32,
    /// Largest request in bytes (default 8 MiB), filter components included. A connection may have as many
    /// in work as it has streams.
    pub max_request_bytes: usize,
    /// How long a client may take nothing of a query's answer before the query is given up (default 15
    /// minutes). Doesn't bound how slowly it may read.
    pub stall: Duration,
    /// How often a watch looks for changes (default 2 s).
    pub watch_interval: Duration,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            max_queries: 16,
            max_lookups: 4,
            max_watches: 16,
            max_connections: 128,
            max_streams: 64,
            max_request_bytes: 8 << 20,
            stall: Duration::from_secs(15 * 60),
            watch_interval: Duration::from_secs(2),
        }
    }
}

impl ServerLimits {
    /// Blocking threads that the runtime must allow, so that nothing waits for a thread that has its permit.
    pub fn blocking_threads(&self) -> usize {
        self.max_queries + self.max_lookups
    }
}

/// Why the server ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Certificate, key and roots can be read, but don't make a TLS server.
    #[error("certificate, key and client roots don't fit together: {0}")]
    Tls(#[source] tonic::transport::Error),
    /// The reflection service can't be built from its descriptors.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("serving failed: {0}")]
    Transport(#[source] tonic::transport::Error),
}

/// How a server that was told to end came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every call had come to its own end.
    Drained,
    /// Calls were cut.
    Cut,
}

/// The gRPC services over an engine, with health and reflection.
pub struct Server {
    engine: Arc<Engine>,
    observer: Arc<dyn Observer>,
    limits: ServerLimits,
}

impl Server {
    /// A server that isn't listening yet.
    pub fn new(engine: Arc<Engine>, limits: ServerLimits, observer: Arc<dyn Observer>) -> Server {
        Server { engine, observer, limits }
    }

    /// Serves until `shutdown` is ready, then tells health checkers, takes nothing new and waits for running
    /// calls until `cut` is ready, which is first looked at then. What is still there is cut.
    ///
    /// # Errors
    /// TLS files that don't fit together; a transport that fails.
    pub async fn serve(
        self,
        listener: Listener,
        shutdown: impl Future<Output = ()>,
        cut: impl Future<Output = ()>,
    ) -> Result<Ending, ServeError> {
        let (phase, phases) = phases();
        let health = HealthReporter::new();
        let slots = Arc::new(Semaphore::new(self.limits.max_queries));
        let router = self.router(&listener, &health, &slots, &phases).await?;
        let incoming = accept(listener, self.limits.max_connections, phases.clone());
        let mut draining = phases.clone();
        let serving =
            router.serve_with_incoming_shutdown::<_, Connection, io::Error, _, _>(incoming, async move {
                draining.draining().await;
            });

        // Phases are told to whoever follows them; that nobody does is no error.
        let end = async {
            shutdown.await;
            set_health(&health, ServingStatus::NotServing).await;
            phase.send_replace(Phase::Draining);
            cut.await;
            phase.send_replace(Phase::Cut);
            Ending::Cut
        };
        tokio::pin!(serving, end);
        let ending = tokio::select! {
            served = &mut serving => served.map(|()| Ending::Drained).map_err(ServeError::Transport)?,
            ending = &mut end => {
                serving.await.map_err(ServeError::Transport)?;
                ending
            }
        };
        // A thread may still be about to see that its client is gone.
        let all = u32::try_from(self.limits.max_queries).unwrap_or(u32::MAX);
        if tokio::time::timeout(CUT_GRACE, slots.acquire_many(all)).await.is_err() {
            tracing::warn!("a search didn't end with its connection");
        }
        Ok(ending)
    }

    async fn router(
        &self,
        listener: &Listener,
        health: &HealthReporter,
        slots: &Arc<Semaphore>,
        phases: &Phases,
    ) -> Result<Router, ServeError> {
        let limits = &self.limits;
        let lookups = Lookups::new(Arc::clone(&self.engine), limits.max_lookups);
        let sources =
            Sources::new(lookups.clone(), limits.max_watches, limits.watch_interval, phases.clone());
        let queries = Queries::new(
            Arc::clone(&self.engine),
            Arc::clone(&self.observer),
            Arc::clone(slots),
            limits.max_queries,
            limits.stall,
        );
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        set_health(health, ServingStatus::Serving).await;
        let health = tonic_health::server::HealthService::from_health_reporter(health.clone());

        let mut server = tonic::transport::Server::builder().max_concurrent_streams(limits.max_streams);
        if let Some(tls) = listener.tls() {
            server = server.tls_config(tls.clone().timeout(HANDSHAKE)).map_err(ServeError::Tls)?;
        }
        let bytes = limits.max_request_bytes;
        Ok(server
            .add_service(tonic_health::pb::health_server::HealthServer::new(health))
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .add_service(QueryServiceServer::new(queries).max_decoding_message_size(bytes))
            .add_service(SourceServiceServer::new(sources).max_decoding_message_size(bytes))
            .add_service(FilterServiceServer::new(Filters::new(lookups)).max_decoding_message_size(bytes)))
    }
}

/// Tells health checkers the status of the whole and of each service.
async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in [
        "",
        v1::query_service_server::SERVICE_NAME,
        v1::source_service_server::SERVICE_NAME,
        v1::filter_service_server::SERVICE_NAME,
    ] {
        health.set_service_status(service, status).await;
    }
}

/// The connections of `listener`, at most `max` open at once.
fn accept(listener: Listener, max: usize, phases: Phases) -> impl Stream<Item = io::Result<Connection>> {
    let slots = Arc::new(Semaphore::new(max));
    let (connections, stream) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = connections.closed() => return,
                accepted = next(&listener, &slots) => accepted,
            };
            match accepted {
                Ok((socket, peer, slot)) => {
                    let connection = Connection::new(socket, peer, phases.clone(), slot);
                    if connections.send(Ok(connection)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(stream)
}

async fn next(
    listener: &Listener,
    slots: &Arc<Semaphore>,
) -> io::Result<(crate::connection::Socket, crate::connection::Peer, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, slot))
}
