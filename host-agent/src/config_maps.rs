//! The ConfigMaps that `Filter` objects take components from, each watched by itself for as long as one names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use weir_cluster::{ApiClient, Change, Collection, ConfigMapKey, Object};

use crate::resource_specs::ConfigMap;

/// A ConfigMap's namespace and name.
pub(crate) type Id = (String, String);

/// Watches ConfigMaps.
pub(crate) struct ConfigMaps {
    client: ApiClient,
    known: Arc<Known>,
    /// End with this.
    tasks: JoinSet<()>,
    running: BTreeMap<Id, AbortHandle>,
}

/// What is known of those that are watched.
struct Known {
    all: Mutex<BTreeMap<Id, ConfigMap>>,
    changed: Arc<Notify>,
}

impl ConfigMaps {
    /// None yet. `changed` is told when one has changed.
    pub(crate) fn new(client: ApiClient, changed: Arc<Notify>) -> ConfigMaps {
        let known = Arc::new(Known { all: Mutex::default(), changed });
        ConfigMaps { client, known, tasks: JoinSet::new(), running: BTreeMap::new() }
    }

    /// Watches these and no others. Gives what is known of them.
    pub(crate) fn watch(&mut self, wanted: Vec<ConfigMapKey>) -> BTreeMap<Id, ConfigMap> {
        let id = |key: &ConfigMapKey| (key.namespace.clone(), key.name.clone());
        let ids: BTreeSet<Id> = wanted.iter().map(id).collect();
        self.known.lock().retain(|id, _| ids.contains(id));
        self.running.retain(|id, watch| {
            if !ids.contains(id) {
                watch.abort();
            }
            ids.contains(id)
        });
        while self.tasks.try_join_next().is_some() {}
        for key in wanted {
            let id = id(&key);
            if self.running.contains_key(&id) {
                continue;
            }
            let Some(collection) = Collection::config_map(&key) else {
                let refused = Err(format!("'{}/{}' is no ConfigMap's name", id.0, id.1));
                self.known.lock().insert(id, Some(refused));
                continue;
            };
            self.known.lock().insert(id.clone(), None);
            let (client, known, told) = (self.client.clone(), Arc::clone(&self.known), id.clone());
            let watch = self.tasks.spawn(async move {
                let mut all = None;
                client.watch(&collection, |change| known.take(&told, &mut all, change)).await;
            });
            self.running.insert(id, watch);
        }
        self.known.lock().clone()
    }
}

impl Known {
    /// Takes note of a change of the one ConfigMap of a collection.
    fn take(&self, id: &Id, all: &mut Option<BTreeMap<String, Arc<Object>>>, change: Change) {
        let (namespace, name) = id;
        let failure = change.apply(all).map(|error| format!("the Kubernetes API server {error}"));
        let found = match (all.as_ref().map(|all| all.get(name)), failure) {
            // As it was read last.
            (Some(Some(object)), _) => Ok(Arc::clone(object)),
            (Some(None), _) => Err(format!("there is no ConfigMap {namespace}/{name}")),
            (None, Some(failure)) => Err(format!("ConfigMap {namespace}/{name} can't be read: {failure}")),
            (None, None) => return,
        };
        // It may be wanted no more.
        if let Some(known) = self.lock().get_mut(id)
            && known.as_ref() != Some(&found)
        {
            *known = Some(found);
            self.changed.notify_one();
        }
    }

    /// The map is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, ConfigMap>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
