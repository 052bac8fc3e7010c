//! An agent: bound, then running, then drained.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use weir_config::PolicyLimits;
use weir_query::{
    Builtin, Compiler, Engine, EngineConfig, FolderConfig, Inputs, LogRoot, PolicySet, QueryError,
};
use weir_registry::Wanted;
use weir_rpc::{Certificates, Ending, ListenError, Listener, ServeError, Server};

use crate::Config;
use crate::audit::AuditLog;
use crate::filter_folder::FilterFolder;
use crate::labels::LabelWatch;
use crate::metrics::Metrics;
use crate::policies::{Origin, Policies, WAITING};
use crate::policy_folder::PolicyFolder;
use crate::probes::{Probes, State};
use crate::pulled_folder::PulledFolder;
use crate::pulls::PullConfig;
use crate::resources::Resources;

/// How long a blocking thread that has nothing to do is kept.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// By how much the threads of queries stand back behind the network's (as `nice` counts): with many searches at once,
/// health checks and other calls would wait behind all of them. No more than this, since the child that compiles a filter
/// has it too, and must get on beside other work.
const QUERY_NICE: i32 = 10;

/// Why an agent doesn't start, or doesn't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The gRPC port can't be served.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The port for probes and metrics can't be served.
    #[error("can't listen on {address} for probes and metrics: {source}")]
    Health {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The engine can't be made.
    #[error(transparent)]
    Engine(#[from] QueryError),
    /// Queries can't be recorded.
    #[error("audit: {0}")]
    Audit(#[source] io::Error),
    /// The API server can't be asked.
    #[error("access.api_server: {0}")]
    Access(#[from] weir_cluster::ApiServerError),
    /// The server ended by itself.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// An agent with both of its ports bound.
pub struct Agent {
    server: Server,
    listener: Listener,
    probes: Probes,
    certificates: Option<Certificates>,
    metrics: Arc<Metrics>,
    folder: FilterFolder,
    audit: Arc<AuditLog>,
    policies: PolicyFolder,
    /// What the cluster has to say, where the config asks for that.
    cluster: Option<(Resources, LabelWatch)>,
    drain: Duration,
}

impl Agent {
    /// Binds both ports and makes the engine, which reads no log yet, and compiles no filter but those of the folder of
    /// filters and of policies. `compiler` is how filters are compiled.
    ///
    /// # Errors
    /// A port that can't be bound, a cache folder that can't be used.
    pub async fn bind(config: Config, compiler: Compiler) -> Result<Agent, AgentError> {
        let filters: Vec<_> = weir_filters::all()
            .iter()
            .map(|filter| Builtin::new(filter.name, filter.digest, filter.size, weir_filters::component))
            .collect();
        let mut origins = Vec::new();
        origins.extend(config.policies_folder.as_ref().map(|_| Origin::Folder));
        origins.extend(config.resources.as_ref().map(|_| Origin::Cluster));
        let policies = match origins.as_slice() {
            [] => PolicySet::default(),
            [..] => PolicySet::not_synced(WAITING),
        };
        let pulls = PullConfig {
            registries: config.registries,
            wanted: Wanted {
                component_bytes: config.limits.sandbox.component_bytes as u64,
                signatures: config.trust.trust.asks_for_signatures(),
                patience: config.limits.pulls.time,
            },
            most: config.limits.pulls.bytes,
            trust: config.trust.trust.clone(),
            folder: config.cache_dir.as_deref().map(PulledFolder::of),
        };
        let filters_reload = config.filters_folder.is_some().then_some(config.filters_reload);
        let has_folder = filters_reload.is_some() || config.policies_folder.is_some();
        let policies_reload = has_folder.then_some(config.policies_reload);
        let engine = EngineConfig {
            cache_dir: config.cache_dir,
            resume_key: config.resume_key,
            limits: config.limits.query,
            sandbox_limits: config.limits.sandbox,
            filter_limits: config.limits.filter,
            filter_maxima: config.limits.filter_maxima,
            allow_components: config.allow_components,
            folder: config.filters_folder.map(|path| FolderConfig { path, limits: config.limits.folder }),
            trust: config.trust.trust,
            node: config.node.clone(),
            policies: Arc::new(policies),
            ..EngineConfig::new(
                Inputs::Root(LogRoot::beneath(config.logs_dir, config.logs_link_dirs)),
                compiler,
            )
        };
        let engine = Arc::new(Engine::new(engine, &filters)?);
        let metrics = Metrics::new(filters.iter().map(Builtin::name).collect());
        let folder = FilterFolder::new(Arc::clone(&engine), Arc::clone(&metrics), filters_reload);
        folder.look().await;
        let all = Arc::new(Policies::new(Arc::clone(&engine), Arc::clone(&metrics), &origins));
        let policies = PolicyFolder {
            path: config.policies_folder,
            every: policies_reload,
            limits: PolicyLimits { component_bytes: engine.component_bytes(), ..PolicyLimits::default() },
            filters_changed: folder.changed(),
            policies: Arc::clone(&all),
        };
        policies.look().await;
        let cluster = config.resources.map(|server| server.client()).transpose()?.map(|client| {
            let labels = LabelWatch::new(client.clone(), Arc::clone(&engine));
            let (engine, metrics) = (Arc::clone(&engine), Arc::clone(&metrics));
            (Resources::new(client, config.node, engine, metrics, all, pulls), labels)
        });
        let observer = Arc::clone(&metrics) as Arc<dyn weir_rpc::Observer>;
        let audit = AuditLog::start(&config.audit, Arc::clone(&metrics)).map_err(AgentError::Audit)?;
        let audit = Arc::new(audit);
        let reviews = Arc::clone(&metrics) as Arc<dyn weir_cluster::Observer>;
        let guard = config.access.guard(Arc::<AuditLog>::clone(&audit), reviews)?;
        let listener = Listener::bind(&config.listen, config.tls.as_ref()).await?;
        let certificates = listener.certificates(Arc::clone(&observer));
        let server = Server::new(engine, config.limits.server, guard, observer);
        let probes = Probes::bind(config.health_listen)
            .await
            .map_err(|source| AgentError::Health { address: config.health_listen, source })?;
        let drain = config.drain;
        Ok(Agent { server, listener, probes, certificates, metrics, folder, policies, cluster, audit, drain })
    }

    /// Where the agent listens, as one line for whoever started it: `listening grpc=… health=…`.
    pub fn ready_line(&self) -> String {
        format!("listening grpc={} health={}", self.listener.local(), self.probes.local())
    }

    /// Serves until `shutdown`; then isn't ready any more, and waits for running queries until they have
    /// ended, the drain time is over, or `hurry`.
    ///
    /// # Errors
    /// A server that ended by itself.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<Ending, AgentError> {
        let ready = Arc::new(AtomicBool::new(true));
        let synced = match &self.cluster {
            Some((resources, _)) => resources.synced(),
            None => Arc::new(AtomicBool::new(true)),
        };
        let state = State {
            ready: Arc::clone(&ready),
            synced,
            metrics: self.metrics,
            certificates: self.certificates,
        };
        let probes = self.probes.serve(state);
        let shutdown = async {
            shutdown.await;
            ready.store(false, Ordering::Relaxed);
        };
        let cut = async {
            tokio::select! {
                () = tokio::time::sleep(self.drain) => tracing::warn!("the drain time is over: cutting what still runs"),
                () = hurry => tracing::warn!("asked again: cutting what still runs"),
            }
        };
        let ending = tokio::select! {
            ending = self.server.serve(self.listener, shutdown, cut) => ending,
            never = probes => match never {},
            never = self.folder.watch() => match never {},
            never = self.policies.watch() => match never {},
            never = watch(self.cluster.as_ref()) => match never {},
        };
        self.audit.end();
        Ok(ending?)
    }
}

/// Watches what the cluster has to say, where anything is asked of it.
async fn watch(cluster: Option<&(Resources, LabelWatch)>) -> Infallible {
    let Some((resources, labels)) = cluster else { return std::future::pending().await };
    tokio::select! {
        never = resources.watch() => never,
        never = labels.watch() => never,
    }
}

/// A runtime for an agent: one thread for the network, and blocking threads, which come and go, for listings and for
/// starting the threads of queries.
///
/// # Errors
/// The system refuses.
pub fn runtime(config: &Config) -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        // And one for the folder of filters, one for that of policies, two for the cluster's objects and pods, one for filters
        // that were pulled, and two that look up the names of the API server and of registries, which lookups may wait for.
        .max_blocking_threads(config.limits.server.blocking_threads() + 7)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .thread_name("weir-blocking")
        .on_thread_start(stand_back)
        .build()
}

/// Lowers the priority of the thread that calls it, and so of those that it starts.
fn stand_back() {
    // For Linux a process that isn't named is the calling thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, QUERY_NICE) {
        tracing::warn!(%error, "a query's thread can't stand back behind the network's");
    }
}
