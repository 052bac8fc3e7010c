//! The agents: pods of Weir's DaemonSet, one on each node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod};
use kube::Api;
use kube::api::ListParams;

use crate::cluster::Cluster;
use crate::error::DiscoveryError;

/// Labels of an agent's pod.
const LABELS: &str = "app.kubernetes.io/name=weir,app.kubernetes.io/component=agent";

/// Where agents are looked for by those who may not look everywhere.
const USUAL_NAMESPACE: &str = "weir";

/// Name of the container's port for gRPC.
const PORT_NAME: &str = "grpc";

/// The port where none has that name.
const PORT: u16 = 7411;

/// An agent's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Node on which it runs.
    pub node: String,
    /// Version of Weir that its labels tell.
    pub version: Option<String>,
    /// Port of gRPC.
    pub port: u16,
    /// Whether it can be asked.
    pub state: State,
}

/// Whether an agent can be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It can.
    Ready,
    /// It can't; why.
    NotReady(String),
}

impl Agent {
    fn of(pod: &Pod) -> Option<Agent> {
        let spec = pod.spec.as_ref()?;
        let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
        let named = ports.into_iter().find(|port| port.name.as_deref() == Some(PORT_NAME));
        let labels = pod.metadata.labels.as_ref();
        Some(Agent {
            namespace: pod.metadata.namespace.clone()?,
            pod: pod.metadata.name.clone()?,
            node: spec.node_name.clone()?,
            version: labels.and_then(|labels| labels.get("app.kubernetes.io/version").cloned()),
            port: named.and_then(|port| u16::try_from(port.container_port).ok()).unwrap_or(PORT),
            state: state(pod),
        })
    }
}

impl Cluster {
    /// The agents by the name of their node, in the given namespace or in any; of several on a node, as in an update,
    /// the one that is ready. With a node, only that one's.
    pub(crate) async fn agents(
        &self,
        namespace: Option<&str>,
        node: Option<&str>,
    ) -> Result<BTreeMap<String, Agent>, DiscoveryError> {
        let mut params = ListParams::default().labels(LABELS);
        if let Some(node) = node {
            params = params.fields(&format!("spec.nodeName={node}"));
        }
        let pods = match namespace {
            Some(namespace) => self.agent_pods(Some(namespace), &params).await?,
            None => match self.agent_pods(None, &params).await {
                Err(error) if error.is_forbidden() => {
                    self.agent_pods(Some(USUAL_NAMESPACE), &params)
                        .await
                        .map_err(|_| error.with_hint("name the agents' namespace with --agent-namespace"))?
                }
                pods => pods?,
            },
        };
        let mut agents: BTreeMap<String, Agent> = BTreeMap::new();
        for agent in pods.iter().filter_map(Agent::of) {
            match agents.get(&agent.node) {
                Some(known) if known.state <= agent.state => {}
                _ => {
                    agents.insert(agent.node.clone(), agent);
                }
            }
        }
        Ok(agents)
    }

    async fn agent_pods(
        &self,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<Vec<Pod>, DiscoveryError> {
        let (api, place) = match namespace {
            Some(name) => (Api::<Pod>::namespaced(self.client.clone(), name), format!("namespace {name}")),
            None => (Api::<Pod>::all(self.client.clone()), "all namespaces".to_owned()),
        };
        let pods = api.list(params).await;
        let pods =
            pods.map_err(|error| DiscoveryError::of(format!("can't look for agents in {place}"), &error))?;
        Ok(pods.items)
    }

    /// The names of all nodes; `None` for those who may not list them.
    pub(crate) async fn nodes(&self) -> Result<Option<Vec<String>>, DiscoveryError> {
        match Api::<Node>::all(self.client.clone()).list_metadata(&ListParams::default()).await {
            Ok(nodes) => Ok(Some(nodes.items.into_iter().filter_map(|node| node.metadata.name).collect())),
            Err(error) => match DiscoveryError::of("can't list nodes", &error) {
                error if error.is_forbidden() => Ok(None),
                error => Err(error),
            },
        }
    }
}

/// Whether a pod can be asked, and if not, in kubelet's words.
fn state(pod: &Pod) -> State {
    let status = pod.status.clone().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return State::NotReady("it is being deleted".to_owned());
    }
    let conditions = status.conditions.unwrap_or_default();
    if conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
        return State::Ready;
    }
    let waits = |container: &ContainerStatus| container.state.as_ref()?.waiting.as_ref()?.reason.clone();
    let reason = status.container_statuses.iter().flatten().find_map(waits);
    let phase = status.phase.unwrap_or_else(|| "Pending".to_owned());
    State::NotReady(match reason {
        Some(reason) => format!("it isn't ready ({phase}, {reason})"),
        None => format!("it isn't ready ({phase})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_ready_comes_first() {
        assert!(State::Ready < State::NotReady(String::new()));
    }
}
