//! The components that `Filter` objects take from registries, each pulled for as long as one names it. What can't be had is
//! tried again, ever more seldom up to [`SLOWEST`]; what was pulled once is on disk from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use weir_registry::{Artifact, Reference, Registry, Wanted};
use weir_trust::Trust;

use crate::metrics::Metrics;
use crate::pulled_folder::{PulledFolder, encoded};

/// Pulls at once.
const AT_ONCE: usize = 2;

/// Between two attempts, at first and at last.
const FASTEST: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(300);

/// A component that was pulled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) bytes: Vec<u8>,
    /// The content of a signature file with the artifact's signatures; `None` where it has none.
    pub(crate) signature: Option<Vec<u8>>,
}

/// What is known of an artifact: its component, or why that isn't there.
pub(crate) type Pulled = Result<Arc<Component>, String>;

/// From where is pulled, and within which bounds.
#[derive(Clone)]
pub(crate) struct PullConfig {
    /// No other is asked.
    pub(crate) registries: Vec<Registry>,
    pub(crate) wanted: Wanted,
    /// Most bytes of all components.
    pub(crate) most: u64,
    /// What decides whether a signature is still to come.
    pub(crate) trust: Trust,
    pub(crate) folder: Option<PulledFolder>,
}

/// Pulls components.
pub(crate) struct Pulls {
    shared: Arc<Shared>,
    /// End with this.
    tasks: JoinSet<()>,
    running: BTreeMap<Reference, AbortHandle>,
    /// What the folder was pruned to last.
    kept: Option<BTreeSet<weir_trust::Digest>>,
}

struct Shared {
    config: PullConfig,
    metrics: Arc<Metrics>,
    turns: Semaphore,
    all: Mutex<BTreeMap<Reference, Pulled>>,
    changed: Arc<Notify>,
}

impl Pulls {
    /// None yet. `changed` is told when something has come, or can't.
    pub(crate) fn new(config: PullConfig, metrics: Arc<Metrics>, changed: Arc<Notify>) -> Pulls {
        let (turns, all) = (Semaphore::new(AT_ONCE), Mutex::default());
        let shared = Arc::new(Shared { config, metrics, turns, all, changed });
        Pulls { shared, tasks: JoinSet::new(), running: BTreeMap::new(), kept: None }
    }

    /// Pulls these and no others. Gives what is known of them.
    pub(crate) fn watch(&mut self, wanted: BTreeSet<Reference>) -> BTreeMap<Reference, Pulled> {
        self.shared.lock().retain(|reference, _| wanted.contains(reference));
        self.running.retain(|reference, task| {
            if !wanted.contains(reference) {
                task.abort();
            }
            wanted.contains(reference)
        });
        while self.tasks.try_join_next().is_some() {}
        self.prune(wanted.iter().map(Reference::digest).collect());
        for reference in wanted {
            if self.running.contains_key(&reference) {
                continue;
            }
            let host = reference.host();
            let registry = self.shared.config.registries.iter().find(|registry| registry.host == host);
            let said = match registry {
                Some(_) => format!("it is being pulled from {host}"),
                None => format!(
                    "agents don't ask the registry {host}: list it under `registries` in their config (the chart's \
                     value `registries`)"
                ),
            };
            self.shared.lock().insert(reference.clone(), Err(said));
            if let Some(registry) = registry.cloned() {
                let (shared, pulled) = (Arc::clone(&self.shared), reference.clone());
                let task = self.tasks.spawn(async move { shared.have(&registry, &pulled).await });
                self.running.insert(reference, task);
            }
        }
        self.shared.lock().clone()
    }

    /// Deletes what nobody names any more from disk.
    fn prune(&mut self, wanted: BTreeSet<weir_trust::Digest>) {
        let Some(folder) = self.shared.config.folder.clone() else { return };
        if self.kept.as_ref() == Some(&wanted) {
            return;
        }
        self.kept = Some(wanted.clone());
        self.tasks.spawn_blocking(move || folder.prune(&wanted));
    }
}

impl Shared {
    /// Has a component in force, from disk or from its registry. Ends once it is there, and signed by whom it must be.
    async fn have(&self, registry: &Registry, reference: &Reference) {
        if let Some(artifact) = self.kept(reference).await
            && self.take(reference, artifact, true).await
        {
            tracing::info!(%reference, "a filter that was pulled before is used from disk");
            return;
        }
        let mut pause = FASTEST;
        loop {
            if self.pull(registry, reference).await {
                return;
            }
            tokio::time::sleep(pause.mul_f64(fastrand::f64() / 2.0 + 0.75)).await;
            pause = (pause * 2).min(SLOWEST);
        }
    }

    /// Pulls it once. Gives whether it needn't be pulled again.
    async fn pull(&self, registry: &Registry, reference: &Reference) -> bool {
        let turn = self.turns.acquire().await.expect("it is never closed");
        let start = Instant::now();
        let pulled = registry.pull(reference, self.config.wanted).await;
        drop(turn);
        let seconds = start.elapsed().as_secs_f64();
        self.metrics.pull(pulled.is_ok());
        match pulled {
            Ok(artifact) => {
                let (bytes, signatures) = (artifact.component.len(), artifact.signatures.len());
                tracing::info!(%reference, bytes, signatures, seconds, "a filter was pulled");
                self.take(reference, artifact, false).await
            }
            Err(error) => {
                tracing::warn!(%reference, seconds, %error, "a filter can't be pulled");
                self.set(reference, Err(error.to_string()));
                false
            }
        }
    }

    /// What is on disk.
    async fn kept(&self, reference: &Reference) -> Option<Artifact> {
        let (folder, digest) = (self.config.folder.clone()?, reference.digest());
        let most = self.config.wanted.component_bytes;
        spawn_blocking(move || folder.find(digest, most)).await.expect("a panic ends the process")
    }

    /// Has an artifact in force, and on disk. Gives whether it needn't be pulled again: there is room for it, and no
    /// signature that may still come is missing.
    async fn take(&self, reference: &Reference, artifact: Artifact, is_on_disk: bool) -> bool {
        let (trust, folder, digest) =
            (self.config.trust.clone(), self.config.folder.clone(), reference.digest());
        let signature = (!artifact.signatures.is_empty()).then(|| encoded(&artifact));
        let judged = spawn_blocking(move || {
            let is_admitted = trust.admits(&artifact.component, signature.as_deref()).is_ok();
            let is_final = is_admitted || !trust.asks_for_signatures();
            if let Some(folder) = folder.filter(|_| is_final && !is_on_disk)
                && let Err(error) = folder.keep(digest, &artifact)
            {
                tracing::warn!(%digest, %error, "a pulled filter can't be kept on disk");
            }
            (Component { bytes: artifact.component, signature }, is_final)
        });
        let (component, is_final) = judged.await.expect("a panic ends the process");
        let limit = self.config.most;
        if self.others(reference) + component.bytes.len() as u64 > limit {
            let why = format!(
                "with it, pulled filters would have more than {limit} bytes (limits.max_pulled_bytes)"
            );
            self.set(reference, Err(why));
            return false;
        }
        self.set(reference, Ok(Arc::new(component)));
        is_final
    }

    /// Bytes of all other components.
    fn others(&self, reference: &Reference) -> u64 {
        let all = self.lock();
        let others = all.iter().filter(|(other, _)| *other != reference);
        others
            .filter_map(|(_, pulled)| pulled.as_ref().ok())
            .map(|component| component.bytes.len() as u64)
            .sum()
    }

    /// Takes note of what became of one, if it is still wanted. What is there stays, whatever becomes of another attempt.
    fn set(&self, reference: &Reference, pulled: Pulled) {
        if let Some(known) = self.lock().get_mut(reference)
            && *known != pulled
            && (pulled.is_ok() || known.is_err())
        {
            *known = pulled;
            self.changed.notify_one();
        }
    }

    /// The map is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Reference, Pulled>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
