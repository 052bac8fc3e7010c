//! The cluster's `Filter` and `FilterPolicy` objects, watched while the agent runs: what they say is in force from then on, and
//! each tells whether it is loaded on this node. Until both kinds were listed, every query is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use weir_cluster::{ApiClient, Change, Collection, ConfigMapKey, Kind, Object};
use weir_query::{Cancel, CancelWhenDropped, Engine, InstalledSpec, PolicySpec};

use crate::metrics::Metrics;
use crate::policies::{Origin, Policies};
use crate::resource_specs::{ConfigMap, config_map_of, installed, policy};
use crate::resource_status::to_write;

/// After how long it is tried again what hasn't succeeded.
const AGAIN: Duration = Duration::from_secs(10);

/// Watches the objects.
pub(crate) struct Resources {
    client: ApiClient,
    /// Name of this node.
    node: String,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    policies: Arc<Policies>,
    known: Arc<Known>,
}

/// What the API server has said.
#[derive(Default)]
struct Known {
    objects: Mutex<Objects>,
    /// There is something new in it.
    changed: Notify,
}

/// By their names; `None` before they were listed.
#[derive(Default)]
struct Objects {
    filters: Option<BTreeMap<String, Object>>,
    policies: Option<BTreeMap<String, Object>>,
    /// By namespace and name: the ConfigMaps that are watched.
    config_maps: BTreeMap<(String, String), ConfigMap>,
    /// What couldn't be asked last, as it was logged.
    failures: BTreeMap<&'static str, String>,
}

/// What was installed last, and what became of it.
#[derive(Default)]
struct Done {
    filters: Vec<InstalledSpec>,
    loaded: Vec<Result<String, String>>,
}

impl Resources {
    pub(crate) fn new(
        client: ApiClient,
        node: String,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        policies: Arc<Policies>,
    ) -> Resources {
        Resources { client, node, engine, metrics, policies, known: Arc::default() }
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
        let mut objects = self.known.lock();
        let of_kind = match kind {
            Kind::Filter => &mut objects.filters,
            Kind::FilterPolicy => &mut objects.policies,
        };
        if let (Change::Set(object), Some(known)) = (&change, &of_kind)
            && known.get(&object.metadata.name) == Some(object)
        {
            return;
        }
        let failure = change.apply(of_kind);
        objects.note(kind.name(), failure.map(|error| error.to_string()));
        drop(objects);
        self.known.changed.notify_one();
    }

    /// Acts on what is known whenever it has changed, and again where something hasn't succeeded.
    async fn act(&self) -> Infallible {
        let (mut done, mut watches) = (Done::default(), Watches::default());
        loop {
            let is_whole = self.round(&mut done, &mut watches).await;
            let again = async {
                match is_whole {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(AGAIN).await,
                }
            };
            tokio::select! {
                () = self.known.changed.notified() => {}
                () = again => {}
            }
        }
    }

    /// Has in force what is known, and reports it. Gives whether there is nothing that may succeed later.
    async fn round(&self, done: &mut Done, watches: &mut Watches) -> bool {
        let (filters, policies) = {
            let mut objects = self.known.lock();
            match (&objects.filters, &objects.policies) {
                (Some(filters), Some(policies)) => {
                    let both = (filters.clone(), policies.clone());
                    let wanted = both.0.values().filter_map(config_map_of).collect();
                    self.watch_config_maps(wanted, &mut objects, watches);
                    both
                }
                _ => {
                    let why = objects.failures.values().next();
                    let why =
                        why.map_or("the Kubernetes API server wasn't asked yet".to_owned(), String::clone);
                    drop(objects);
                    self.set_policies(Err(why), false).await;
                    return true;
                }
            }
        };
        let specs: Vec<InstalledSpec> = {
            let objects = self.known.lock();
            filters.values().map(|filter| installed(filter, objects.config_map(filter))).collect()
        };
        let is_same = specs == done.filters && done.loaded.iter().all(Result::is_ok);
        if !is_same {
            let Some(loaded) = self.install(specs.clone()).await else { return false };
            *done = Done { filters: specs, loaded };
            self.metrics.own_filters(self.engine.own_names());
        }
        self.set_policies(Ok(policies.values().map(policy).collect()), !is_same).await;
        let problems = self.policies.problems();
        let mut is_whole = true;
        for (filter, loaded) in filters.values().zip(&done.loaded) {
            is_whole &= loaded.is_ok() & self.report(Kind::Filter, filter, loaded.clone()).await;
        }
        for object in policies.values() {
            let problem = problems.get(&object.metadata.name).cloned().flatten();
            let loaded = problem.map_or(Ok(String::new()), Err);
            is_whole &= loaded.is_ok() & self.report(Kind::FilterPolicy, object, loaded).await;
        }
        is_whole
    }

    /// Installs filters on a blocking thread; `None` where that failed.
    async fn install(&self, specs: Vec<InstalledSpec>) -> Option<Vec<Result<String, String>>> {
        let (engine, cancel) = (Arc::clone(&self.engine), Cancel::default());
        let _ended = CancelWhenDropped::new(cancel.clone());
        let installed = tokio::task::spawn_blocking(move || engine.install(&specs, &cancel)).await;
        installed.inspect_err(|error| tracing::error!(%error, "filters could not be installed")).ok()
    }

    async fn set_policies(&self, specs: Result<Vec<PolicySpec>, String>, filters_changed: bool) {
        let (policies, cancel) = (Arc::clone(&self.policies), Cancel::default());
        let _ended = CancelWhenDropped::new(cancel.clone());
        let set = move || policies.set(Origin::Cluster, specs, filters_changed, &cancel);
        if let Err(error) = tokio::task::spawn_blocking(set).await {
            tracing::error!(%error, "policies could not be loaded");
        }
    }

    /// Writes what became of an object, if that is news; gives whether it is written.
    async fn report(&self, kind: Kind, object: &Object, loaded: Result<String, String>) -> bool {
        let Some(status) = to_write(&self.node, object, loaded) else { return true };
        let name = &object.metadata.name;
        match self.client.report(kind, name, &status).await {
            Ok(()) => true,
            Err(error) => {
                let kind = kind.name();
                tracing::warn!(kind, name, %error, "the status of an object can't be written");
                false
            }
        }
    }

    /// Watches these ConfigMaps and no others.
    fn watch_config_maps(
        &self,
        wanted: Vec<ConfigMapKey>,
        objects: &mut MutexGuard<'_, Objects>,
        watches: &mut Watches,
    ) {
        let id = |key: &ConfigMapKey| (key.namespace.clone(), key.name.clone());
        let ids: BTreeSet<_> = wanted.iter().map(id).collect();
        objects.config_maps.retain(|id, _| ids.contains(id));
        watches.running.retain(|id, watch| {
            ids.contains(id) || {
                watch.abort();
                false
            }
        });
        for key in wanted {
            let id = id(&key);
            if watches.running.contains_key(&id) {
                continue;
            }
            objects.config_maps.insert(id.clone(), None);
            let (client, known, told) = (self.client.clone(), Arc::clone(&self.known), id.clone());
            let watch = watches.tasks.spawn(async move {
                let mut all = None;
                let collection = Collection::config_map(&key);
                client.watch(&collection, |change| known.take_config_map(&told, &mut all, change)).await;
            });
            watches.running.insert(id, watch);
        }
    }
}

/// Watches of ConfigMaps, which end with this.
#[derive(Default)]
struct Watches {
    tasks: JoinSet<()>,
    running: BTreeMap<(String, String), AbortHandle>,
}

impl Known {
    /// The maps are whole between any two statements, so that a panic elsewhere can't have torn them.
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a change of the one ConfigMap of a collection.
    fn take_config_map(
        &self,
        id: &(String, String),
        all: &mut Option<BTreeMap<String, Object>>,
        change: Change,
    ) {
        let (namespace, name) = id;
        let failure = change.apply(all).map(|error| format!("the Kubernetes API server {error}"));
        let found = match (all.as_ref().map(|all| all.get(name)), failure) {
            // As it was read last.
            (Some(Some(object)), _) => Ok(object.clone()),
            (Some(None), _) => Err(format!("there is no ConfigMap {namespace}/{name}")),
            (None, Some(failure)) => Err(format!("ConfigMap {namespace}/{name} can't be read: {failure}")),
            (None, None) => return,
        };
        let mut objects = self.lock();
        // It may be wanted no more.
        if let Some(known) = objects.config_maps.get_mut(id)
            && known.as_ref() != Some(&found)
        {
            *known = Some(found);
            drop(objects);
            self.changed.notify_one();
        }
    }
}

impl Objects {
    /// What is known of the ConfigMap that a filter names.
    fn config_map(&self, filter: &Object) -> &ConfigMap {
        let key = config_map_of(filter).map(|key| (key.namespace, key.name));
        key.and_then(|key| self.config_maps.get(&key)).unwrap_or(&None)
    }

    /// Takes note of why a kind can't be asked for, and logs it once.
    fn note(&mut self, kind: &'static str, failure: Option<String>) {
        match failure {
            None => {
                if self.failures.remove(kind).is_some() {
                    tracing::info!(kind, "the Kubernetes API server tells objects again");
                }
            }
            Some(failure) => {
                let failure = format!("the Kubernetes API server {failure}");
                if self.failures.get(kind) != Some(&failure) {
                    tracing::error!(kind, failure, "objects can't be watched; what was known is used on");
                }
                self.failures.insert(kind, failure);
            }
        }
    }
}
