//! The cluster's `Filter` and `FilterPolicy` objects, watched while the agent runs: what they say is in force from then on, and
//! each tells whether it is loaded on this node. Until both kinds were listed, every query is refused.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use weir_cluster::{ApiClient, Change, Kind, NodeStatus, Object, RequestError};
use weir_query::{Cancel, CancelWhenDropped, Engine};

use crate::config_maps::{ConfigMaps, Id};
use crate::metrics::Metrics;
use crate::policies::{Origin, Policies};
use crate::pulls::{PullConfig, Pulled, Pulls};
use crate::resource_specs::{ConfigMap, artifact_of, config_map_of, installed, policy};
use crate::resource_status::to_write;

/// After how long it is tried again what hasn't succeeded: at first, and at last.
const AGAIN: Duration = Duration::from_secs(10);
const SELDOM: Duration = Duration::from_secs(120);

/// How long what was known holds while the API server answers otherwise than it should. While it doesn't answer, it holds.
const TRUSTED: Duration = Duration::from_secs(300);

/// How long an entry that somebody else changes is left as it is.
const FOREIGN: Duration = Duration::from_secs(60);

/// Objects of a kind, at the most: with more, nothing is given.
const OBJECTS: usize = 256;

/// Why no policies are known, for callers; the agent's log has it all.
const UNKNOWN: &str = "the agent's log says why";

/// Watches the objects.
pub(crate) struct Resources {
    client: ApiClient,
    /// Name of this node.
    node: String,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    policies: Arc<Policies>,
    pulls: PullConfig,
    known: Mutex<Known>,
    /// There is something new to act on.
    changed: Arc<Notify>,
    /// Both kinds were listed.
    synced: Arc<AtomicBool>,
}

type Objects = BTreeMap<String, Arc<Object>>;
type List = Vec<Arc<Object>>;

/// What the API server has said.
#[derive(Default)]
struct Known {
    /// By their names; `None` before they were listed.
    filters: Option<Objects>,
    policies: Option<Objects>,
    /// Why a kind can't be told.
    failures: BTreeMap<&'static str, Failure>,
}

struct Failure {
    /// As it was logged.
    why: String,
    /// Since when the API server answers otherwise than it should.
    since: Option<Instant>,
}

/// An object, and whether it is loaded: the digest of its component, which a policy has none of, or why not.
type Outcome = (Kind, Arc<Object>, Result<String, String>);

/// What was written of objects last, and when, by kind and uid.
type Written = BTreeMap<(Kind, String), (NodeStatus, Instant)>;

impl Resources {
    pub(crate) fn new(
        client: ApiClient,
        node: String,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        policies: Arc<Policies>,
        pulls: PullConfig,
    ) -> Resources {
        let (known, changed, synced) = Default::default();
        Resources { client, node, engine, metrics, policies, pulls, known, changed, synced }
    }

    /// What is set once both kinds were listed.
    pub(crate) fn synced(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.synced)
    }

    /// Watches, acts and reports for as long as it is polled.
    pub(crate) async fn watch(&self) -> Infallible {
        let filters = Kind::Filter.collection();
        let policies = Kind::FilterPolicy.collection();
        tokio::select! {
            never = self.client.watch(&filters, |change| self.take(Kind::Filter, change)) => never,
            never = self.client.watch(&policies, |change| self.take(Kind::FilterPolicy, change)) => never,
            never = self.act() => never,
        }
    }

    /// Takes note of a change. What other nodes have said of an object is none.
    fn take(&self, kind: Kind, mut change: Change) {
        let own = |object: &mut Object| object.status.nodes.retain(|status| status.node == self.node);
        match &mut change {
            Change::All(all) => all.iter_mut().for_each(own),
            Change::Set(object) => own(object),
            Change::Gone(_) | Change::Failed(_) => {}
        }
        let mut known = self.lock();
        let of_kind = match kind {
            Kind::Filter => &mut known.filters,
            Kind::FilterPolicy => &mut known.policies,
        };
        if let (Change::Set(object), Some(objects)) = (&change, &of_kind)
            && objects.get(&object.metadata.name).is_some_and(|same| **same == *object)
        {
            return;
        }
        let failure = change.apply(of_kind);
        known.note(kind.name(), failure);
        drop(known);
        self.changed.notify_one();
    }

    /// Acts on what is known whenever it has changed, and again where something hasn't succeeded. Nothing that is
    /// reported keeps a change waiting.
    async fn act(&self) -> Infallible {
        let mut config_maps = ConfigMaps::new(self.client.clone(), Arc::clone(&self.changed));
        let mut pulls = Pulls::new(self.pulls.clone(), Arc::clone(&self.metrics), Arc::clone(&self.changed));
        let mut written = Written::new();
        let mut pause = AGAIN;
        loop {
            let outcomes = self.enforce(&mut config_maps, &mut pulls).await;
            let rest = async {
                let is_whole = match &outcomes {
                    Some(outcomes) => self.report(outcomes, &mut written).await,
                    None => false,
                };
                if is_whole {
                    pause = AGAIN;
                    std::future::pending::<()>().await;
                }
                // Not all agents at once.
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(SELDOM);
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = self.policies.changed() => {}
                () = rest => {}
            }
        }
    }

    /// Has in force what is known. Gives what became of each object, where that can be told by now.
    async fn enforce(&self, config_maps: &mut ConfigMaps, pulls: &mut Pulls) -> Option<Vec<Outcome>> {
        let known = self.lock().both();
        let (filters, policies) = match known {
            Ok(both) => both,
            Err(why) => {
                self.blocking(move |policies, _, cancel| {
                    policies.set(Origin::Cluster, Err(why.to_owned()), false, cancel);
                })
                .await;
                return None;
            }
        };
        self.synced.store(true, Ordering::Relaxed);
        let config_maps = config_maps.watch(filters.iter().filter_map(|it| config_map_of(it)).collect());
        let pulled = pulls.watch(filters.iter().filter_map(|it| artifact_of(it)?.ok()).collect());
        let are_read = config_maps.values().all(Option::is_some);
        let outcomes = self.blocking(move |all, engine, cancel| {
            let spec = |filter: &Arc<Object>| {
                let artifact =
                    artifact_of(filter).and_then(|reference| pulled.get(&reference.ok()?).cloned());
                let pulled: Pulled = artifact.unwrap_or_else(|| Err("it isn't pulled".to_owned()));
                installed(filter, of(filter, &config_maps), &pulled)
            };
            let specs: Vec<_> = filters.iter().map(spec).collect();
            let installation = engine.install(&specs, cancel);
            let specs = policies.iter().map(|object| policy(object)).collect();
            all.set(Origin::Cluster, Ok(specs), installation.is_changed, cancel);
            let outcome = all.outcome();
            let loaded = filters.into_iter().zip(installation.filters);
            let loaded = loaded.map(|(it, loaded)| (Kind::Filter, it, loaded));
            let of_policy = |object: Arc<Object>| {
                let loaded = match &outcome {
                    Ok(problems) => match problems.get(&object.metadata.name) {
                        Some(None) => Ok(String::new()),
                        Some(Some(problem)) => Err(problem.clone()),
                        None => Err("it is being loaded".to_owned()),
                    },
                    Err(why) => Err(format!("all is refused: {why}")),
                };
                (Kind::FilterPolicy, object, loaded)
            };
            loaded.chain(policies.into_iter().map(of_policy)).collect::<Vec<Outcome>>()
        });
        let outcomes = outcomes.await?;
        self.metrics.own_filters(self.engine.own_names());
        // What isn't read yet is about to be.
        are_read.then_some(outcomes)
    }

    /// Does something on a blocking thread; `None` where that failed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Policies, &Engine, &Cancel) -> T + Send + 'static,
    ) -> Option<T> {
        let (policies, engine, cancel) =
            (Arc::clone(&self.policies), Arc::clone(&self.engine), Cancel::default());
        let _ended = CancelWhenDropped::new(cancel.clone());
        let done = tokio::task::spawn_blocking(move || work(&policies, &engine, &cancel)).await;
        done.inspect_err(|error| tracing::error!(%error, "objects could not be acted on")).ok()
    }

    /// Writes what became of objects, where that is news. Gives whether all is well and written.
    async fn report(&self, outcomes: &[Outcome], written: &mut Written) -> bool {
        let is_it = |(kind, uid): &(Kind, String)| {
            outcomes.iter().any(|(of, object, _)| of == kind && object.metadata.uid == *uid)
        };
        written.retain(|key, _| is_it(key));
        let mut is_whole = true;
        for (kind, object, loaded) in outcomes {
            is_whole &= loaded.is_ok();
            let Some(status) = to_write(&self.node, object, loaded.clone()) else { continue };
            let key = (*kind, object.metadata.uid.clone());
            // Another agent that takes itself for this node would answer at once.
            if written.get(&key).is_some_and(|(last, at)| *last == status && at.elapsed() < FOREIGN) {
                is_whole = false;
                continue;
            }
            // Not all agents at once.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..200))).await;
            match self.client.report(*kind, &object.metadata, &status).await {
                Ok(()) => drop(written.insert(key, (status, Instant::now()))),
                Err(error) => {
                    let (kind, name) = (kind.name(), &object.metadata.name);
                    tracing::warn!(kind, name, %error, "the status of an object can't be written");
                    is_whole = false;
                }
            }
        }
        is_whole
    }

    /// What is known is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the ConfigMap that a filter names.
fn of<'a>(filter: &Object, config_maps: &'a BTreeMap<Id, ConfigMap>) -> &'a ConfigMap {
    let key = config_map_of(filter).map(|key| (key.namespace, key.name));
    key.and_then(|key| config_maps.get(&key)).unwrap_or(&None)
}

impl Known {
    /// The objects of both kinds; or, for callers, why they aren't known.
    fn both(&self) -> Result<(List, List), &'static str> {
        let is_stale = |failure: &Failure| failure.since.is_some_and(|since| since.elapsed() >= TRUSTED);
        if self.failures.values().any(is_stale) {
            return Err(UNKNOWN);
        }
        let (Some(filters), Some(policies)) = (&self.filters, &self.policies) else {
            return Err(if self.failures.is_empty() { crate::policies::WAITING } else { UNKNOWN });
        };
        for objects in [filters, policies] {
            if objects.len() > OBJECTS {
                tracing::error!(
                    count = objects.len(),
                    limit = OBJECTS,
                    "there are too many objects of a kind"
                );
                return Err("there are too many");
            }
        }
        let all = |objects: &Objects| objects.values().map(Arc::clone).collect();
        Ok((all(filters), all(policies)))
    }

    /// Takes note of why a kind can't be told, or that it can, and logs it once.
    fn note(&mut self, kind: &'static str, failure: Option<RequestError>) {
        let Some(error) = failure else {
            if self.failures.remove(kind).is_some() {
                tracing::info!(kind, "the Kubernetes API server tells objects again");
            }
            return;
        };
        let why = error.to_string();
        let known = self.failures.get(kind);
        if known.is_none_or(|known| known.why != why) {
            tracing::error!(kind, "objects can't be watched: the Kubernetes API server {why}");
        }
        let is_answer = matches!(error, RequestError::Refused { .. } | RequestError::Unreadable(_));
        let since = is_answer.then(|| known.and_then(|known| known.since).unwrap_or_else(Instant::now));
        self.failures.insert(kind, Failure { why, since });
    }
}
