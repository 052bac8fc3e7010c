//! Names that there are, for whoever completes what is typed.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::cluster::{Cluster, Context};
use crate::error::DiscoveryError;
use crate::kind::Kind;

/// The names of a kubeconfig's contexts.
///
/// # Errors
/// The kubeconfig can't be read.
pub fn context_names(context: &Context) -> Result<Vec<String>, DiscoveryError> {
    Ok(context.read()?.contexts.into_iter().map(|context| context.name).collect())
}

impl Cluster {
    /// The names of all namespaces.
    ///
    /// # Errors
    /// The API server doesn't answer, or doesn't allow it.
    pub async fn namespace_names(&self) -> Result<Vec<String>, DiscoveryError> {
        names(Api::<Namespace>::all(self.client.clone())).await
    }

    /// The names of all nodes.
    ///
    /// # Errors
    /// The API server doesn't answer, or doesn't allow it.
    pub async fn node_names(&self) -> Result<Vec<String>, DiscoveryError> {
        self.nodes().await.map(Option::unwrap_or_default)
    }

    /// The names of objects of a kind, in the given namespace or the context's.
    ///
    /// # Errors
    /// The API server doesn't answer, or doesn't allow it.
    pub async fn object_names(
        &self,
        kind: Kind,
        namespace: Option<&str>,
    ) -> Result<Vec<String>, DiscoveryError> {
        let (client, namespace) = (self.client.clone(), namespace.unwrap_or(&self.namespace));
        match kind {
            Kind::Pod => names(Api::<Pod>::namespaced(client, namespace)).await,
            Kind::Deployment => names(Api::<Deployment>::namespaced(client, namespace)).await,
            Kind::StatefulSet => names(Api::<StatefulSet>::namespaced(client, namespace)).await,
            Kind::DaemonSet => names(Api::<DaemonSet>::namespaced(client, namespace)).await,
            Kind::ReplicaSet => names(Api::<ReplicaSet>::namespaced(client, namespace)).await,
            Kind::Job => names(Api::<Job>::namespaced(client, namespace)).await,
            Kind::CronJob => names(Api::<CronJob>::namespaced(client, namespace)).await,
            Kind::Service => names(Api::<Service>::namespaced(client, namespace)).await,
        }
    }
}

async fn names<K>(api: Api<K>) -> Result<Vec<String>, DiscoveryError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let list = api.list_metadata(&ListParams::default()).await;
    let list = list.map_err(|error| DiscoveryError::of("can't list names", &error))?;
    Ok(list.items.into_iter().filter_map(|object| object.metadata.name).collect())
}
