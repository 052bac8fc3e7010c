//! From a question to the nodes that have the answer, and what to ask on each.

use std::collections::BTreeMap;

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::agent::Agent;
use crate::cluster::Cluster;
use crate::error::DiscoveryError;
use crate::kind::Kind;
use crate::nearest::hint;
use crate::pods::{PodPlace, Taking};
use crate::question::Question;
use crate::wanted::Wanted;

/// Where an answer is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Selectors for every place, an empty list for everything; `None` where each place has its own alone.
    pub globs: Option<Vec<String>>,
    /// The nodes, by name.
    pub places: Vec<Place>,
    /// A namespace that has agents, for nodes that have none.
    pub agent_namespace: String,
    /// What whoever asks should know, in sentences.
    pub notes: Vec<String>,
}

/// A node that has a part of the answer, or may get one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub node: String,
    /// Selectors of what is meant there, beside the globs.
    pub selectors: Vec<String>,
    /// The agent there, if there is one.
    pub agent: Option<Agent>,
}

/// Selectors by the node where they take something.
pub(crate) type Selectors = BTreeMap<String, Vec<String>>;

impl Cluster {
    /// Finds the pods and the agents of a question.
    ///
    /// # Errors
    /// Objects that aren't there or have no pods; nodes that aren't there; no agent at all; an API server that doesn't
    /// answer or doesn't allow it.
    pub async fn find(&self, question: &Question) -> Result<Found, DiscoveryError> {
        question.check()?;
        let globs = self.globs(question)?;
        let mut notes = Vec::new();
        let pods = self.meant(question, &mut notes).await?;
        let mut selectors = on_nodes(question, pods, &mut notes)?;
        let mut agents = self.agents(question.agent_namespace.as_deref(), None).await?;
        let Some(agent_namespace) = agents.values().next().map(|agent| agent.namespace.clone()) else {
            return Err(no_agents(question));
        };
        if globs.is_some() {
            for node in self.all_nodes(question, &agents, &mut notes).await? {
                selectors.entry(node).or_default();
            }
        } else if question.follow {
            let is_wanted = question.node_globs()?;
            for node in
                agents.keys().filter(|node| is_wanted.as_ref().is_none_or(|globs| globs.is_match(node)))
            {
                selectors.entry(node.clone()).or_default();
            }
        }
        let place = |(node, selectors): (String, Vec<String>)| {
            let agent = agents.remove(&node);
            Place { node, selectors, agent }
        };
        Ok(Found { globs, places: selectors.into_iter().map(place).collect(), agent_namespace, notes })
    }

    /// The nodes that the question leaves, of all there are as far as that can be known.
    async fn all_nodes(
        &self,
        question: &Question,
        agents: &BTreeMap<String, Agent>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>, DiscoveryError> {
        let listed = self.nodes().await?;
        if listed.is_none() {
            notes.push("you may not list nodes, so a node without an agent of Weir isn't noticed".to_owned());
        }
        let is_listed = listed.is_some();
        let mut nodes: Vec<String> = listed.unwrap_or_default();
        nodes.extend(agents.keys().cloned());
        nodes.sort();
        nodes.dedup();
        let Some(globs) = question.node_globs()? else { return Ok(nodes) };
        for name in &question.nodes {
            let glob = one_glob(name)?;
            if !nodes.iter().any(|node| glob.is_match(node)) {
                if is_listed || name.contains(['*', '?', '[', '{']) {
                    let hint = hint(name, nodes.iter().map(String::as_str));
                    return Err(DiscoveryError::refused(format!(
                        "--node {name}: there is no such node{hint}"
                    )));
                }
                nodes.push(name.clone());
            }
        }
        nodes.retain(|node| globs.is_match(node));
        Ok(nodes)
    }

    /// Selectors that every place is asked; `None` where only objects or labels are asked for.
    fn globs(&self, question: &Question) -> Result<Option<Vec<String>>, DiscoveryError> {
        if question.labels.is_some() {
            return Ok(None);
        }
        let namespace = match question.all_namespaces {
            true => "",
            false => question.namespace.as_deref().unwrap_or(&self.namespace),
        };
        let container = question.container.as_deref().unwrap_or_default();
        if question.wanted.is_empty() {
            let is_all = namespace.is_empty() && container.is_empty();
            return Ok(Some(if is_all { Vec::new() } else { vec![selector(namespace, "", container)] }));
        }
        let globs = question.wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Glob(text) => Some(complete(text, question, namespace, container)),
            Wanted::Object { .. } => None,
        });
        let globs = globs.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(globs).filter(|globs| !globs.is_empty()))
    }

    /// The pods that objects and labels mean.
    pub(crate) async fn meant(
        &self,
        question: &Question,
        notes: &mut Vec<String>,
    ) -> Result<Vec<PodPlace>, DiscoveryError> {
        let mut pods: Vec<PodPlace> = Vec::new();
        let mut without = Vec::new();
        for (what, namespace, takings) in self.takings(question).await? {
            let before = pods.len();
            for taking in &takings {
                pods.extend(self.pods(namespace.as_deref(), taking).await?);
            }
            if pods.len() == before {
                without.push(what);
            }
        }
        let has_globs = question.wanted.iter().any(|wanted| matches!(wanted, Wanted::Glob(_)));
        if pods.is_empty() && !without.is_empty() && !question.follow && !has_globs {
            return Err(DiscoveryError::refused(format!("{}; -f waits for some", without.join("; "))));
        }
        notes.extend(without);
        pods.sort();
        pods.dedup();
        Ok(pods)
    }

    /// What takes pods, with what that is called where there are none, and the namespace.
    pub(crate) async fn takings(
        &self,
        question: &Question,
    ) -> Result<Vec<(String, Option<String>, Vec<Taking>)>, DiscoveryError> {
        let namespace = question.namespace.as_deref().unwrap_or(&self.namespace);
        let mut found = Vec::new();
        if let Some(labels) = &question.labels {
            let (scope, place) = match question.all_namespaces {
                true => (None, "any namespace".to_owned()),
                false => (Some(namespace.to_owned()), format!("namespace {namespace}")),
            };
            let what = format!("no pod of {place} has the labels '{labels}'");
            found.push((what, scope, vec![Taking::Labels(labels.clone())]));
        }
        for wanted in &question.wanted {
            if let Wanted::Object { kind, name } = wanted {
                let takings = self.taking(*kind, name, namespace).await?;
                let what = format!("{} {namespace}/{name} has no pods", kind.name());
                found.push((what, Some(namespace.to_owned()), takings));
            }
        }
        Ok(found)
    }
}

impl Question {
    /// Whether it has objects or labels, whose pods the API server knows.
    pub fn is_resolved(&self) -> bool {
        self.labels.is_some() || self.wanted.iter().any(|wanted| matches!(wanted, Wanted::Object { .. }))
    }

    fn check(&self) -> Result<(), DiscoveryError> {
        let object = self.wanted.iter().find_map(|wanted| match wanted {
            Wanted::Object { kind, name } => Some((*kind, name)),
            Wanted::Glob(_) => None,
        });
        if self.labels.is_some() && !self.wanted.is_empty() {
            return Err(DiscoveryError::refused("-l chooses pods by their labels: give no SOURCE beside it"));
        }
        if let (Some((kind, name)), true) = (object, self.all_namespaces) {
            let kind = Kind::name(kind);
            return Err(DiscoveryError::refused(format!(
                "{kind}/{name} is in one namespace: give it with -n, or choose pods of all namespaces by -l"
            )));
        }
        Ok(())
    }

    pub(crate) fn node_globs(&self) -> Result<Option<GlobSet>, DiscoveryError> {
        if self.nodes.is_empty() {
            return Ok(None);
        }
        let mut globs = GlobSetBuilder::new();
        for name in &self.nodes {
            globs.add(glob(name)?);
        }
        globs.build().map(Some).map_err(|error| DiscoveryError::refused(format!("--node: {error}")))
    }
}

fn glob(name: &str) -> Result<Glob, DiscoveryError> {
    Glob::new(name).map_err(|error| DiscoveryError::refused(format!("--node {name}: {error}")))
}

fn one_glob(name: &str) -> Result<GlobSet, DiscoveryError> {
    GlobSet::new([glob(name)?]).map_err(|error| DiscoveryError::refused(format!("--node {name}: {error}")))
}

/// A glob as typed, with the namespace and the container that flags give.
fn complete(
    text: &str,
    question: &Question,
    namespace: &str,
    container: &str,
) -> Result<String, DiscoveryError> {
    let refused = |flag: &str, part: &str| {
        Err(DiscoveryError::refused(format!(
            "'{text}' names its {part} itself: leave {flag} out, or that part"
        )))
    };
    let (own_namespace, rest) = match text.split_once(':') {
        Some((own, rest)) => (Some(own), rest),
        None => (None, text),
    };
    if own_namespace.is_some() && question.namespace.is_some() {
        return refused("-n", "namespace");
    }
    let (pod, own_container) = rest.split_once('/').unwrap_or((rest, ""));
    if !own_container.is_empty() && !container.is_empty() {
        return refused("-c", "container");
    }
    let container = if own_container.is_empty() { container } else { own_container };
    Ok(selector(own_namespace.unwrap_or(namespace), pod, container))
}

fn selector(namespace: &str, pods: &str, container: &str) -> String {
    let container = if container.is_empty() { String::new() } else { format!("/{container}") };
    format!("{namespace}:{pods}{container}")
}

/// One selector for each namespace of each node.
pub(crate) fn on_nodes(
    question: &Question,
    pods: impl IntoIterator<Item = PodPlace>,
    notes: &mut Vec<String>,
) -> Result<Selectors, DiscoveryError> {
    let globs = question.node_globs()?;
    let mut names: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut elsewhere = Vec::new();
    for PodPlace { namespace, name, node } in pods {
        match node {
            None => notes.push(format!("pod {namespace}/{name} is on no node yet")),
            Some(node) if globs.as_ref().is_some_and(|globs| !globs.is_match(&node)) => elsewhere.push(node),
            Some(node) => names.entry((node, namespace)).or_default().push(name),
        }
    }
    if names.is_empty() && !elsewhere.is_empty() && !question.follow {
        elsewhere.sort();
        elsewhere.dedup();
        let wanted = question.nodes.join(", ");
        return Err(DiscoveryError::refused(format!(
            "none of these pods runs on --node {wanted}: they run on {}",
            elsewhere.join(", ")
        )));
    }
    let container = question.container.as_deref().unwrap_or_default();
    let mut selectors = Selectors::new();
    for ((node, namespace), names) in names {
        let pods = match names.as_slice() {
            [alone] => alone.clone(),
            several => format!("{{{}}}", several.join(",")),
        };
        selectors.entry(node).or_default().push(selector(&namespace, &pods, container));
    }
    Ok(selectors)
}

fn no_agents(question: &Question) -> DiscoveryError {
    let place = match &question.agent_namespace {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in this cluster".to_owned(),
    };
    DiscoveryError::refused(format!(
        "no agent of Weir runs {place} (pods with the labels app.kubernetes.io/name=weir and \
         app.kubernetes.io/component=agent): install Weir's chart, or say where they are with --agent-namespace"
    ))
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
