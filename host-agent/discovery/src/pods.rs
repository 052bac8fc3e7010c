//! From objects to pods, as the API server knows them.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::{Metadata, NamespaceResourceScope};
use kube::api::{ListParams, ObjectMeta, WatchParams};
use kube::core::Selector;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::cluster::Cluster;
use crate::error::DiscoveryError;
use crate::kind::Kind;
use crate::nearest::hint;

/// A pod, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PodPlace {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `None` as long as it waits for one.
    pub(crate) node: Option<String>,
}

/// What takes pods: one that is named, or those of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    Name(String),
    Labels(String),
}

impl Taking {
    pub(crate) fn params(&self) -> ListParams {
        match self {
            Taking::Name(name) => ListParams::default().fields(&format!("metadata.name={name}")),
            Taking::Labels(labels) => ListParams::default().labels(labels),
        }
    }

    pub(crate) fn watch(&self) -> WatchParams {
        match self {
            Taking::Name(name) => WatchParams::default().fields(&format!("metadata.name={name}")),
            Taking::Labels(labels) => WatchParams::default().labels(labels),
        }
    }
}

impl Cluster {
    /// What takes the pods of an object.
    ///
    /// # Errors
    /// There is no such object: the nearest names are told.
    pub(crate) async fn taking(
        &self,
        kind: Kind,
        name: &str,
        namespace: &str,
    ) -> Result<Vec<Taking>, DiscoveryError> {
        let by = |selector: Option<LabelSelector>| {
            labels(kind, namespace, name, selector).map(|taking| vec![taking])
        };
        match kind {
            Kind::Pod => {
                self.object::<Pod>(kind, name, namespace).await?;
                Ok(vec![Taking::Name(name.to_owned())])
            }
            Kind::Deployment => {
                by(Some(self.object::<Deployment>(kind, name, namespace).await?.spec.selector))
            }
            Kind::StatefulSet => {
                by(Some(self.object::<StatefulSet>(kind, name, namespace).await?.spec.selector))
            }
            Kind::DaemonSet => by(Some(self.object::<DaemonSet>(kind, name, namespace).await?.spec.selector)),
            Kind::ReplicaSet => {
                by(Some(self.object::<ReplicaSet>(kind, name, namespace).await?.spec.selector))
            }
            Kind::Job => {
                by(self.object::<Job>(kind, name, namespace).await?.spec.and_then(|spec| spec.selector))
            }
            Kind::Service => {
                let service = self.object::<Service>(kind, name, namespace).await?;
                let labels = service.spec.and_then(|spec| spec.selector);
                by(labels
                    .map(|labels| LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }))
            }
            Kind::CronJob => self.of_cron_job(name, namespace).await,
        }
    }

    async fn of_cron_job(&self, name: &str, namespace: &str) -> Result<Vec<Taking>, DiscoveryError> {
        let cron_job = self.object::<CronJob>(Kind::CronJob, name, namespace).await?;
        let jobs = Api::<Job>::namespaced(self.client.clone(), namespace).list(&ListParams::default()).await;
        let jobs =
            jobs.map_err(|error| DiscoveryError::of(format!("can't list the jobs of {namespace}"), &error))?;
        let is_own = |job: &Job| {
            let mut owners = job.metadata.owner_references.iter().flatten();
            owners.any(|owner| Some(&owner.uid) == cron_job.metadata.uid.as_ref())
        };
        let own = jobs.items.into_iter().filter(is_own);
        own.map(|job| {
            let name = job.metadata.name.clone().unwrap_or_default();
            labels(Kind::Job, namespace, &name, job.spec.and_then(|spec| spec.selector))
        })
        .collect()
    }

    /// The pods of a namespace, or of all, that are taken.
    pub(crate) async fn pods(
        &self,
        namespace: Option<&str>,
        taking: &Taking,
    ) -> Result<Vec<PodPlace>, DiscoveryError> {
        let (api, place) = self.pod_api(namespace);
        let what = match taking {
            Taking::Name(name) => format!("pod {name}"),
            Taking::Labels(labels) => format!("pods with labels '{labels}'"),
        };
        let pods = api.list(&taking.params()).await;
        let pods =
            pods.map_err(|error| DiscoveryError::of(format!("can't list {what} of {place}"), &error))?;
        Ok(pods.items.iter().filter_map(place_of).collect())
    }

    /// Where pods are asked for, and what that is called.
    pub(crate) fn pod_api(&self, namespace: Option<&str>) -> (Api<Pod>, String) {
        match namespace {
            Some(name) => (Api::namespaced(self.client.clone(), name), format!("namespace {name}")),
            None => (Api::all(self.client.clone()), "all namespaces".to_owned()),
        }
    }

    async fn object<K>(&self, kind: Kind, name: &str, namespace: &str) -> Result<K, DiscoveryError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Metadata<Ty = ObjectMeta>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let what = format!("{} {namespace}/{name}", kind.name());
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let object = api.get_opt(name).await;
        if let Some(object) =
            object.map_err(|error| DiscoveryError::of(format!("can't get {what}"), &error))?
        {
            return Ok(object);
        }
        // Where the others may not be listed, their names stay unknown.
        let others =
            api.list_metadata(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        let names = others.iter().filter_map(|other| other.metadata.name.as_deref());
        Err(DiscoveryError::refused(format!(
            "there is no {} '{name}' in namespace {namespace}{}",
            kind.name(),
            hint(name, names)
        )))
    }
}

/// Where a pod is.
pub(crate) fn place_of(pod: &Pod) -> Option<PodPlace> {
    Some(PodPlace {
        namespace: pod.metadata.namespace.clone()?,
        name: pod.metadata.name.clone()?,
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty()),
    })
}

fn labels(
    kind: Kind,
    namespace: &str,
    name: &str,
    selector: Option<LabelSelector>,
) -> Result<Taking, DiscoveryError> {
    let refused = |why: &str| {
        DiscoveryError::refused(format!("{} {namespace}/{name} {why}; choose pods by -l", kind.name()))
    };
    let selector = Selector::try_from(selector.unwrap_or_default())
        .map_err(|error| refused(&format!("has a selector that can't be read ({error})")))?;
    // One that is empty takes every pod of a namespace, which isn't what an object is asked for.
    match selector.selects_all() {
        true => Err(refused("has no selector, so it has no pods of its own")),
        false => Ok(Taking::Labels(selector.to_string())),
    }
}
