//! The server: which services there are, and how it starts and ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use weir_query::Engine;

use crate::access::Guard;
use crate::admission::Admission;
use crate::body::Arrivals;
use crate::caller::Peer;
use crate::connection::Serving;
use crate::filter_service::{Filters, MESSAGE_BYTES};
use crate::gate::Gate;
use crate::launcher::Launcher;
use crate::limits::ServerLimits;
use crate::listen::{Listener, Socket};
use crate::lookup::Lookups;
use crate::observer::Observer;
use crate::phase::{Phase, Phases, phases};
use crate::query_service::Queries;
use crate::source_service::Sources;
use crate::uploads::Uploads;
use crate::wire::{FILE_DESCRIPTOR_SET, v1};
use v1::filter_service_server::FilterServiceServer;
use v1::query_service_server::QueryServiceServer;
use v1::source_service_server::SourceServiceServer;

/// How long the server doesn't accept after the system refused to, for want of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long searches may take to notice that their connection was cut.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// Why the server ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The reflection service can't be built from its descriptors.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
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
    gate: Gate,
}

impl Server {
    /// A server that isn't listening yet.
    pub fn new(
        engine: Arc<Engine>,
        limits: ServerLimits,
        guard: Guard,
        observer: Arc<dyn Observer>,
    ) -> Server {
        let gate = Gate::new(guard, Arc::clone(&observer));
        Server { engine, observer, limits, gate }
    }

    /// Serves until `shutdown` is ready, then tells health checkers, takes nothing new, ends what follows and waits
    /// for other running calls until `cut` is ready, which is first looked at then. What is still there is cut.
    ///
    /// # Errors
    /// A reflection service that can't be built.
    pub async fn serve(
        self,
        listener: Listener,
        shutdown: impl Future<Output = ()>,
        cut: impl Future<Output = ()>,
    ) -> Result<Ending, ServeError> {
        let (phase, phases) = phases();
        let health = HealthReporter::new();
        let admission = Admission::new(self.limits.clone(), Arc::clone(&self.observer));
        let uploads = Uploads::new(&self.limits);
        let serving = Arc::new(Serving {
            routes: self.routes(&health, &admission, &uploads, &phases).await?,
            arrivals: Arrivals::new(self.limits.max_requests_bytes),
            certificates: listener.certificates(Arc::clone(&self.observer)),
            limits: self.limits,
            phases,
        });
        let mut connections = JoinSet::new();
        tokio::select! {
            () = shutdown => {}
            () = accept(&listener, &serving, &mut connections) => {}
            () = uploads.forget_in_time() => {}
        }
        // Nobody can connect any more.
        drop(listener);
        set_health(&health, ServingStatus::NotServing).await;
        phase.send_replace(Phase::Draining);
        admission.close_queue();
        let ending = tokio::select! {
            () = ended(&mut connections) => Ending::Drained,
            () = cut => {
                phase.send_replace(Phase::Cut);
                ended(&mut connections).await;
                Ending::Cut
            }
        };
        // A thread may still be about to see that its client is gone.
        if tokio::time::timeout(CUT_GRACE, admission.idle()).await.is_err() {
            tracing::warn!("a search didn't end with its connection");
        }
        Ok(ending)
    }

    async fn routes(
        &self,
        health: &HealthReporter,
        admission: &Admission,
        uploads: &Uploads,
        phases: &Phases,
    ) -> Result<Routes, ServeError> {
        let limits = &self.limits;
        let lookups = Lookups::new(Arc::clone(&self.engine), limits.max_lookups);
        let sources = Sources::new(
            lookups.clone(),
            limits.max_watches,
            limits.watch_interval,
            phases.clone(),
            self.gate.clone(),
        );
        let queries = Queries {
            engine: Arc::clone(&self.engine),
            observer: Arc::clone(&self.observer),
            admission: admission.clone(),
            limits: limits.clone(),
            phases: phases.clone(),
            launcher: Launcher::default(),
            uploads: uploads.clone(),
            gate: self.gate.clone(),
        };
        let filters = Filters::new(lookups, uploads.clone(), Arc::clone(&self.observer), self.gate.clone());
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        set_health(health, ServingStatus::Serving).await;
        let health = tonic_health::server::HealthService::from_health_reporter(health.clone());
        let bytes = limits.max_request_bytes;
        Ok(Routes::new(tonic_health::pb::health_server::HealthServer::new(health))
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .add_service(QueryServiceServer::new(queries).max_decoding_message_size(bytes))
            .add_service(SourceServiceServer::new(sources).max_decoding_message_size(bytes))
            .add_service(
                FilterServiceServer::new(filters).max_decoding_message_size(bytes.min(MESSAGE_BYTES)),
            )
            .prepare())
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

/// Accepts clients, at most so many at once as the limits say, and has each served by a task of its own.
async fn accept(listener: &Listener, serving: &Arc<Serving>, connections: &mut JoinSet<()>) {
    let slots = Arc::new(Semaphore::new(serving.limits.max_connections));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        match next(listener, serving, connections).await {
            Ok((socket, peer)) => {
                let served = Arc::clone(serving).serve(socket, peer);
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next client. Meanwhile what has ended is cleared away.
async fn next(
    listener: &Listener,
    serving: &Serving,
    connections: &mut JoinSet<()>,
) -> io::Result<(Socket, Peer)> {
    loop {
        tokio::select! {
            accepted = listener.accept(serving.limits.keepalive) => return accepted,
            Some(joined) = connections.join_next() => told(joined),
        }
    }
}

/// Waits until every connection has ended.
async fn ended(connections: &mut JoinSet<()>) {
    while let Some(joined) = connections.join_next().await {
        told(joined);
    }
}

fn told(joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        tracing::error!(%error, "a connection ended for a fault of the agent's own");
    }
}
