//! Labels of namespaces and of this node's pods, asked for while policies select by them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_cluster::{ApiClient, Change, Collection, Metadata};
use weir_query::{Engine, Scope, Source};

/// Between two looks at which pods have logs here.
const LOOK: Duration = Duration::from_secs(10);

/// After how long a pod is asked for again; after twice that, labels that nobody has told again aren't known any more.
const TRUSTED: Duration = Duration::from_secs(300);

/// The same of a pod that isn't known, such as a static one whose object is still to come.
const UNKNOWN_AGAIN: Duration = Duration::from_secs(30);

/// Annotation of a static pod's object, which says the uid that its logs have.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// Learns labels.
pub(crate) struct LabelWatch {
    client: ApiClient,
    engine: Arc<Engine>,
}

impl LabelWatch {
    pub(crate) fn new(client: ApiClient, engine: Arc<Engine>) -> LabelWatch {
        LabelWatch { client, engine }
    }

    /// Learns labels for as long as it is polled.
    pub(crate) async fn watch(&self) -> Infallible {
        tokio::select! {
            never = self.namespaces() => never,
            never = self.pods() => never,
        }
    }

    async fn namespaces(&self) -> Infallible {
        while !self.engine.policies().selects_namespaces_by_labels() {
            tokio::time::sleep(LOOK).await;
        }
        let mut known: Option<BTreeMap<String, Arc<weir_cluster::Object>>> = None;
        let take = |change: Change| {
            if let Some(error) = change.apply(&mut known) {
                tracing::warn!(%error, "labels of namespaces can't be read: policies cover those that aren't known");
            }
            let labels =
                known.iter().flatten().map(|(name, object)| (name.clone(), object.metadata.labels.clone()));
            self.engine.labels().set_namespaces(labels.collect());
        };
        self.client.watch(&Collection::namespaces(), take).await
    }

    async fn pods(&self) -> Infallible {
        // By uid: when they were asked for, and when somebody knew them.
        let mut asked: BTreeMap<String, Instant> = BTreeMap::new();
        let mut known: BTreeMap<String, Instant> = BTreeMap::new();
        let mut told = None;
        loop {
            let pods = self.pods_that_matter().await;
            let is_here = |uid: &String| pods.iter().any(|pod| pod.uid == *uid);
            asked.retain(|uid, _| is_here(uid));
            // What nobody has said for long isn't known any more.
            known.retain(|uid, at| is_here(uid) && at.elapsed() < 2 * TRUSTED);
            self.engine.labels().keep_pods(&known.keys().cloned().collect());
            for pod in &pods {
                let pause = if known.contains_key(&pod.uid) { TRUSTED } else { UNKNOWN_AGAIN };
                if asked.get(&pod.uid).is_some_and(|at| at.elapsed() < pause) {
                    continue;
                }
                match self.client.pod(&pod.namespace, &pod.pod).await {
                    Ok(found) => {
                        asked.insert(pod.uid.clone(), Instant::now());
                        told = None;
                        if let Some(found) = found.filter(|found| is_of(found, &pod.uid)) {
                            self.engine.labels().set_pod(pod.uid.clone(), found.labels);
                            known.insert(pod.uid.clone(), Instant::now());
                        }
                    }
                    Err(error) => {
                        let error = error.to_string();
                        if told.as_ref() != Some(&error) {
                            tracing::warn!(%error, "labels of pods can't be read: policies cover those that aren't known");
                        }
                        told = Some(error);
                        break;
                    }
                }
            }
            tokio::time::sleep(LOOK.mul_f64(fastrand::f64() / 2.0 + 0.75)).await;
        }
    }

    /// Pods with logs here whose labels make a difference.
    async fn pods_that_matter(&self) -> Vec<Source> {
        let policies = self.engine.policies();
        if !policies.selects_pods_by_labels() {
            return Vec::new();
        }
        let engine = Arc::clone(&self.engine);
        let listed =
            tokio::task::spawn_blocking(move || engine.sources(&[], false, &Scope::everything())).await;
        let Ok(Ok(listed)) = listed else { return Vec::new() };
        let mut pods: Vec<Source> = listed.into_iter().map(|info| info.source).collect();
        pods.retain(|pod| !pod.uid.is_empty() && policies.selects_by_labels(pod));
        pods.sort_by(|a, b| a.uid.cmp(&b.uid));
        pods.dedup_by(|a, b| a.uid == b.uid);
        pods
    }
}

/// Whether an object is that of the pod whose logs have this uid.
fn is_of(pod: &Metadata, uid: &str) -> bool {
    // Uids of static pods have no dashes: nobody else's object can take the place of another pod's.
    let is_static = !uid.contains('-');
    pod.uid == uid || (is_static && pod.annotations.get(CONFIG_HASH).is_some_and(|hash| hash == uid))
}
