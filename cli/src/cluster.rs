//! The agents of a cluster, found by the API server and reached through it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::watch;
use weir_discovery::{Cluster, Context, DiscoveryError, Found, Place, Question, Trust, Tunnel};
use weir_query::QueryLimits;
use weir_relay::{Fleet, Member, NoAnswer, Reach};
use weir_rpc::{Endpoint, Roots};

use crate::failure::Failure;
use crate::output::report;
use crate::target::{ClusterPart, Remote, no_answer, runtime};

/// The agents of a cluster that are to be asked.
#[derive(Debug)]
pub(crate) struct ClusterChoice {
    /// The kubeconfig's context.
    pub(crate) context: Context,
    /// Which pods, of which nodes.
    pub(crate) question: Question,
    /// What was given for the agents: certificates, a token.
    pub(crate) given: Endpoint,
}

/// Agents that were found, and what became of connecting to them.
pub(crate) struct Opened {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) places: Vec<Place>,
    pub(crate) fleet: Result<Fleet, NoAnswer>,
    part: ClusterPart,
}

impl ClusterChoice {
    /// Finds the agents and connects to them.
    pub(crate) fn open(&self) -> Result<Remote, Failure> {
        let Opened { runtime, fleet, part, .. } = self.connect()?;
        match fleet {
            Ok(fleet) => Ok(Remote::of_cluster(runtime, fleet, part)),
            Err(error) => Err(no_answer(error, false)),
        }
    }

    /// The same, for those who want to know of agents that can't be reached.
    pub(crate) fn connect(&self) -> Result<Opened, Failure> {
        let runtime = runtime()?;
        let (places, fleet, part) = runtime.block_on(async {
            let cluster = Cluster::open(&self.context).await?;
            let gives_token = self.gives_token(&cluster).await?;
            let found = cluster.find(&self.question).await?;
            found.notes.iter().for_each(|note| report::say(note));
            let (members, senders) = self.members(&cluster, &found, gives_token).await?;
            let later = senders.map(|senders| Later { cluster, question: self.question.clone(), senders });
            let fleet = Fleet::connect(members, QueryLimits::default()).await;
            let part = ClusterPart { globs: found.globs.unwrap_or_default(), later };
            Ok::<_, DiscoveryError>((found.places, fleet, part))
        })?;
        Ok(Opened { runtime, places, fleet, part })
    }

    /// Whether the kubeconfig's token is for the agents: not where another proof was given.
    async fn gives_token(&self, cluster: &Cluster) -> Result<bool, DiscoveryError> {
        if self.given.token.is_some() {
            return Ok(false);
        }
        match cluster.token().await {
            Ok(_) => Ok(true),
            Err(DiscoveryError::Refused(_)) if self.given.cert.is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A member for each node, and, where pods may come later, who tells it of them.
    async fn members(
        &self,
        cluster: &Cluster,
        found: &Found,
        gives_token: bool,
    ) -> Result<(Vec<Member>, Option<Senders>), DiscoveryError> {
        let is_everything = found.globs.as_ref().is_some_and(Vec::is_empty);
        let comes_later = self.question.follow && self.question.is_resolved() && !is_everything;
        let (mut members, mut senders) = (Vec::new(), Senders::new());
        let mut trusts: BTreeMap<&str, Trust> = BTreeMap::new();
        for place in &found.places {
            let namespace = place.agent.as_ref().map_or(&found.agent_namespace, |agent| &agent.namespace);
            let trust = match trusts.get(namespace.as_str()) {
                Some(known) => known.clone(),
                None => {
                    let trust = self.trust(cluster, namespace).await?;
                    trusts.insert(namespace, trust.clone());
                    trust
                }
            };
            let port = place.agent.as_ref().map_or(443, |agent| agent.port);
            let endpoint = Endpoint {
                url: format!("https://{}:{port}", trust.server_name),
                ca: trust.roots,
                ..self.given.clone()
            };
            let in_namespace = self.question.agent_namespace.as_deref();
            let tunnel = Tunnel::new(cluster, &place.node, in_namespace, place.agent.clone(), gives_token);
            let (sender, own) = watch::channel(place.selectors.clone());
            members.push(Member {
                name: place.node.clone(),
                reach: Reach::Over(endpoint, Arc::new(tunnel)),
                own: (comes_later || !place.selectors.is_empty()).then_some(own).filter(|_| !is_everything),
            });
            senders.insert(place.node.clone(), sender);
        }
        Ok((members, comes_later.then_some(senders)))
    }

    /// What the agents' certificate must be.
    async fn trust(&self, cluster: &Cluster, namespace: &str) -> Result<Trust, DiscoveryError> {
        match &self.given.ca {
            Roots::System => cluster.trust(namespace).await,
            given => Ok(Trust { roots: given.clone(), server_name: Trust::usual_name(namespace) }),
        }
    }
}

/// Who tells each node's member which selectors are its own.
type Senders = BTreeMap<String, watch::Sender<Vec<String>>>;

/// Pods that come while an answer is followed.
pub(crate) struct Later {
    cluster: Cluster,
    question: Question,
    senders: Senders,
}

impl Later {
    /// Tells members of pods that have come to their nodes, as long as it is polled.
    pub(crate) async fn take_up(later: Option<Later>) -> Infallible {
        let Some(Later { cluster, question, senders }) = later else { return std::future::pending().await };
        let mut told = BTreeSet::new();
        let tell = |selectors: Result<BTreeMap<String, Vec<String>>, DiscoveryError>| match selectors {
            Err(error) => {
                report::say(&format!("pods that come now are noticed late, or not at all: {error}"))
            }
            Ok(selectors) => {
                for (node, selectors) in selectors {
                    match senders.get(&node) {
                        Some(sender) => {
                            sender.send_if_modified(|known| {
                                let is_new = *known != selectors;
                                *known = selectors;
                                is_new
                            });
                        }
                        None if told.insert(node.clone()) => report::say(&format!(
                            "pods have come to node {node}, which had no agent when this began: begin again to see them"
                        )),
                        None => {}
                    }
                }
            }
        };
        cluster.keep_up(&question, tell).await
    }
}
