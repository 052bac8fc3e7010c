//! While an answer is followed: pods that come later.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::StreamExt as _;

use crate::cluster::Cluster;
use crate::error::DiscoveryError;
use crate::find::on_nodes;
use crate::kind::Kind;
use crate::pods::{PodPlace, place_of};
use crate::question::Question;
use crate::wanted::Wanted;

/// Pods of Jobs have this label; those of a CronJob's next Job are found by it.
const OF_JOBS: &str = "batch.kubernetes.io/job-name";

/// Pods that come within this time are taken up together.
const COALESCE: Duration = Duration::from_millis(200);

/// Least and most time until the API server is asked again after it failed, or has ended a watch.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

impl Cluster {
    /// Tells what is meant on each node, pods that went since included, whenever a pod of the question has come to one;
    /// or once why that can't be known. Goes on as long as it is polled.
    pub async fn keep_up(
        &self,
        question: &Question,
        mut tell: impl FnMut(Result<BTreeMap<String, Vec<String>>, DiscoveryError>),
    ) -> Infallible {
        let news = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        let mut known = BTreeSet::new();
        let mut pause = AGAIN.0;
        let mut is_failing = false;
        loop {
            match self.look(question, &mut known, &mut watches, &news).await {
                Ok(selectors) => {
                    (is_failing, pause) = (false, AGAIN.0);
                    tell(Ok(selectors));
                    news.notified().await;
                    sleep(COALESCE).await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tell(Err(error));
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(AGAIN.1);
                }
            }
        }
    }

    /// Looks which pods are meant now, and has those watched that may be meant later, if they aren't yet.
    async fn look(
        &self,
        question: &Question,
        known: &mut BTreeSet<PodPlace>,
        watches: &mut JoinSet<()>,
        news: &Arc<Notify>,
    ) -> Result<BTreeMap<String, Vec<String>>, DiscoveryError> {
        if watches.is_empty() {
            for (api, params) in self.watched(question).await? {
                watches.spawn(watch(api, params, Arc::clone(news)));
            }
        }
        known.extend(
            self.meant(question, &mut Vec::new()).await?.into_iter().filter(|pod| pod.node.is_some()),
        );
        on_nodes(question, known.iter().cloned(), &mut Vec::new())
    }

    /// The pods to watch: more than are meant, where it takes other objects to tell which are.
    async fn watched(&self, question: &Question) -> Result<Vec<(Api<Pod>, WatchParams)>, DiscoveryError> {
        let is_cron_job = |wanted: &Wanted| matches!(wanted, Wanted::Object { kind: Kind::CronJob, .. });
        let (cron_jobs, others): (Vec<_>, Vec<_>) = question.wanted.iter().cloned().partition(is_cron_job);
        let mut watched = Vec::new();
        for (_, namespace, takings) in self.takings(&Question { wanted: others, ..question.clone() }).await? {
            for taking in takings {
                watched.push((self.pod_api(namespace.as_deref()).0, taking.watch()));
            }
        }
        if !cron_jobs.is_empty() {
            let namespace = question.namespace.as_deref().unwrap_or(&self.namespace);
            watched.push((self.pod_api(Some(namespace)).0, WatchParams::default().labels(OF_JOBS)));
        }
        Ok(watched)
    }
}

/// Notifies of each pod that has come to a node, beginning with those that are there.
async fn watch(api: Api<Pod>, params: WatchParams, news: Arc<Notify>) {
    let mut seen: HashSet<PodPlace> = HashSet::new();
    let mut pause = AGAIN.0;
    loop {
        // From 0: the state now, then what changes.
        if let Ok(events) = api.watch(&params, "0").await {
            let mut events = pin!(events);
            while let Some(Ok(event)) = events.next().await {
                pause = AGAIN.0;
                let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event else { continue };
                if let Some(place) = place_of(&pod).filter(|place| place.node.is_some())
                    && seen.insert(place)
                {
                    news.notify_one();
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(AGAIN.1);
    }
}
