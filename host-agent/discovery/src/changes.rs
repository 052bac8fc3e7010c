//! While an answer is followed: pods that come later.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::WatchEvent;
use kube::{Api, Error};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt as _;

use crate::cluster::Cluster;
use crate::error::DiscoveryError;
use crate::find::on_nodes;
use crate::kind::Kind;
use crate::pods::{PodPlace, Taking, place_of};
use crate::question::Question;
use crate::wanted::Wanted;

/// Pods of Jobs have this label; those of a CronJob's next Job are found by it.
const OF_JOBS: &str = "batch.kubernetes.io/job-name";

/// Pods that come within this time are taken up together.
const COALESCE: Duration = Duration::from_millis(200);

/// Least and most time until the API server is asked again after it failed, or has ended a watch.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// HTTP's code for a version that the API server doesn't keep any more.
const GONE: u16 = 410;

impl Cluster {
    /// Tells what is meant on each node, pods that went since included, whenever a pod of the question has come to one;
    /// or why that can't be known, or not at once, when that is new. Goes on as long as it is polled.
    pub async fn keep_up(
        &self,
        question: &Question,
        mut tell: impl FnMut(Result<BTreeMap<String, Vec<String>>, DiscoveryError>),
    ) -> Infallible {
        let news = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        let mut known = BTreeSet::new();
        let mut pause = AGAIN.0;
        let mut told: Option<(Instant, String)> = None;
        loop {
            let error = match self.look(question, &mut known, &mut watches, &news).await {
                Ok(selectors) => {
                    tell(Ok(selectors));
                    tokio::select! {
                        () = news.notified() => {
                            sleep(COALESCE).await;
                            continue;
                        }
                        Some(Ok(error)) = watches.join_next() => error,
                    }
                }
                Err(error) => error,
            };
            watches.shutdown().await;
            // Long ago, it is another failure.
            let message = error.to_string();
            let last = told.replace((Instant::now(), message.clone()));
            let last = last.filter(|(time, _)| time.elapsed() < 2 * AGAIN.1);
            if last.is_none() {
                pause = AGAIN.0;
            }
            if last.is_none_or(|(_, last)| last != message) {
                tell(Err(error));
            }
            sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Looks which pods are meant now, and has those watched that may be meant later, if they aren't yet.
    async fn look(
        &self,
        question: &Question,
        known: &mut BTreeSet<PodPlace>,
        watches: &mut JoinSet<DiscoveryError>,
        news: &Arc<Notify>,
    ) -> Result<BTreeMap<String, Vec<String>>, DiscoveryError> {
        if watches.is_empty() {
            for (namespace, taking) in self.watched(question).await? {
                let (api, place) = self.pod_api(namespace.as_deref());
                watches.spawn(watch(api, place, taking, Arc::clone(news)));
            }
        }
        known.extend(
            self.meant(question, &mut Vec::new()).await?.into_iter().filter(|pod| pod.node.is_some()),
        );
        on_nodes(question, known.iter().cloned(), &mut Vec::new())
    }

    /// The pods to watch, with their namespace: more than are meant, where it takes other objects to tell which are.
    async fn watched(&self, question: &Question) -> Result<Vec<(Option<String>, Taking)>, DiscoveryError> {
        let is_cron_job = |wanted: &Wanted| matches!(wanted, Wanted::Object { kind: Kind::CronJob, .. });
        let (cron_jobs, others): (Vec<_>, Vec<_>) = question.wanted.iter().cloned().partition(is_cron_job);
        let mut watched = Vec::new();
        for (_, namespace, takings) in self.takings(&Question { wanted: others, ..question.clone() }).await? {
            watched.extend(takings.into_iter().map(|taking| (namespace.clone(), taking)));
        }
        if !cron_jobs.is_empty() {
            let namespace = question.namespace.as_deref().unwrap_or(&self.namespace);
            watched.push((Some(namespace.to_owned()), Taking::Labels(OF_JOBS.to_owned())));
        }
        Ok(watched)
    }
}

/// Notifies of each pod that has come to a node, beginning with those that are there, until that fails.
async fn watch(api: Api<Pod>, place: String, taking: Taking, news: Arc<Notify>) -> DiscoveryError {
    let mut seen: HashSet<PodPlace> = HashSet::new();
    let mut note = |pod: &Pod| {
        if let Some(place) = place_of(pod).filter(|place| place.node.is_some())
            && seen.insert(place)
        {
            news.notify_one();
        }
    };
    loop {
        if let Err(error) = watch_once(&api, &taking, &mut note).await {
            return DiscoveryError::of(format!("can't watch the pods of {place}"), &error);
        }
        sleep(AGAIN.0).await;
    }
}

/// Notes the pods that are there and those that come, until the API server or the network ends that.
async fn watch_once(api: &Api<Pod>, taking: &Taking, note: &mut impl FnMut(&Pod)) -> Result<(), Error> {
    // From version 0 on, one call would do both; but with an etcd before 3.4.31 or 3.5.13, the API server refuses that.
    let there = api.list(&taking.params()).await?;
    let version = there.metadata.resource_version.unwrap_or_default();
    let mut events = pin!(api.watch(&taking.watch(), &version).await?);
    there.items.iter().for_each(&mut *note);
    loop {
        match events.next().await {
            Some(Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod))) => note(&pod),
            Some(Ok(WatchEvent::Error(status))) if status.code == GONE => return Ok(()),
            Some(Ok(WatchEvent::Error(status))) => return Err(Error::Api(status)),
            Some(Ok(_)) => {}
            Some(Err(error @ Error::Api(_))) => return Err(error),
            Some(Err(_)) | None => return Ok(()),
        }
    }
}
