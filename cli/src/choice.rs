//! Where a question goes, from what was typed: to logs here, to agents at given addresses, or to those of a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_discovery::{Cluster, Context, Question, Wanted};
use weir_query::{Inputs, SandboxLimits};
use weir_rpc::{Endpoint, Roots};

use crate::cluster::ClusterChoice;
use crate::failure::Failure;
use crate::target::{Remote, Target, local_engine, runtime};
use crate::target_args::{AgentArgs, ClusterArgs, PodArgs, TargetArgs};

/// Where kubelet keeps the logs of a node.
pub(crate) const DEFAULT_DIR: &str = "/var/log/pods";

/// Names agents, with commas between them, when the command line names no target.
pub(crate) const AGENT_VARIABLE: &str = "WEIR_AGENT";

/// Namespace of the agents, when the command line doesn't say.
const AGENT_NAMESPACE_VARIABLE: &str = "WEIR_AGENT_NAMESPACE";

/// The place that was chosen.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Search here.
    Local(Inputs),
    /// Ask these agents; at least one.
    Agents(Vec<Endpoint>),
    /// Ask the agents of a cluster.
    Cluster(Box<ClusterChoice>),
}

/// What was typed that says where to look.
pub(crate) struct Typed<'a> {
    pub(crate) target: &'a TargetArgs,
    pub(crate) cluster: &'a ClusterArgs,
    pub(crate) sources: &'a [String],
    pub(crate) all_namespaces: bool,
    pub(crate) follow: bool,
}

impl Choice {
    /// Reads what was typed. An explicit place comes first; then what only a cluster has; then the environment, the
    /// node's own folder, and the kubeconfig.
    pub(crate) fn new(typed: &Typed<'_>) -> Result<Choice, Failure> {
        let Typed { target: args, cluster, sources, .. } = *typed;
        let all_namespaces = typed.all_namespaces.then_some("--all-namespaces");
        let of_cluster = args.pods.flag().or(cluster.flag()).or(all_namespaces);
        if args.dir.is_some() || !args.file.is_empty() {
            if let Some(flag) = agent_flag(&args.agent) {
                return Err(for_an_agent(flag));
            }
            if let Some(flag) = of_cluster {
                return Err(Failure::refused(format!(
                    "{flag} is for a cluster, where the API server finds pods: leave --dir and --file out; of logs \
                     that are here, SOURCE chooses: namespace:pod/container"
                )));
            }
            return Ok(Choice::Local(match &args.dir {
                Some(dir) => Inputs::root(dir.clone()),
                None => Inputs::Files(args.file.clone()),
            }));
        }
        if !args.agent.agent.is_empty() {
            let pods = args.pods.flag().or(all_namespaces);
            return Choice::addresses(&args.agent, args.agent.agent.clone(), cluster, pods);
        }
        if of_cluster.is_some() || sources.iter().any(|source| Wanted::is_object(source)) {
            return typed.cluster();
        }
        let urls = urls_of_environment();
        if !urls.is_empty() {
            return Choice::addresses(&args.agent, urls, cluster, None);
        }
        if !Path::new(DEFAULT_DIR).is_dir() && context(cluster).exists() {
            return typed.cluster();
        }
        match agent_flag(&args.agent) {
            Some(flag) => Err(for_an_agent(flag)),
            None => Ok(Choice::Local(Inputs::root(PathBuf::from(DEFAULT_DIR)))),
        }
    }

    /// Where to ask about filters: no logs are involved, so that a cluster is asked only when it is named.
    pub(crate) fn for_filters(args: &AgentArgs, cluster: &ClusterArgs) -> Result<Choice, Failure> {
        match Choice::for_agents(args, cluster)? {
            Some(choice) => Ok(choice),
            None => match agent_flag(args) {
                Some(flag) => Err(for_an_agent(flag)),
                None => Ok(Choice::Local(Inputs::Files(Vec::new()))),
            },
        }
    }

    /// Where to ask about agents.
    pub(crate) fn for_nodes(args: &AgentArgs, cluster: &ClusterArgs) -> Result<Choice, Failure> {
        match Choice::for_agents(args, cluster)? {
            Some(choice) => Ok(choice),
            None => everything(args, cluster),
        }
    }

    /// The agents that are named, or those of the cluster that is.
    fn for_agents(args: &AgentArgs, cluster: &ClusterArgs) -> Result<Option<Choice>, Failure> {
        if !args.agent.is_empty() {
            return Choice::addresses(args, args.agent.clone(), cluster, None).map(Some);
        }
        if cluster.flag().is_some() {
            return everything(args, cluster).map(Some);
        }
        match urls_of_environment() {
            urls if urls.is_empty() => Ok(None),
            urls => Choice::addresses(args, urls, cluster, None).map(Some),
        }
    }

    /// Agents at given addresses. Of a cluster they know nothing, but the kubeconfig's token may be for them.
    fn addresses(
        args: &AgentArgs,
        urls: Vec<String>,
        cluster: &ClusterArgs,
        pods: Option<&'static str>,
    ) -> Result<Choice, Failure> {
        let of_cluster = if args.token_from_kubeconfig { cluster.agents_flag() } else { cluster.flag() };
        let misplaced = pods.or(of_cluster);
        if let Some(flag) = misplaced {
            return Err(Failure::refused(format!(
                "{flag} is for a cluster, where the API server finds pods and agents: leave --agent out (to give these \
                 agents the kubeconfig's token, add --token-from-kubeconfig)"
            )));
        }
        let mut given = given(args)?;
        if args.token_from_kubeconfig {
            given.token =
                Some(runtime()?.block_on(async { Cluster::open(&context(cluster)).await?.token().await })?);
        }
        Ok(Choice::Agents(urls.into_iter().map(|url| Endpoint { url, ..given.clone() }).collect()))
    }

    /// Makes it ready to be asked. What is searched here is searched by `threads`, with filters within `sandbox_limits`.
    pub(crate) fn open(self, threads: usize, sandbox_limits: SandboxLimits) -> Result<Target, Failure> {
        match self {
            Choice::Local(inputs) => {
                Ok(Target::Local(Box::new(local_engine(inputs, threads, sandbox_limits)?)))
            }
            Choice::Agents(endpoints) => Ok(Target::Agents(Box::new(Remote::at(&endpoints)?))),
            Choice::Cluster(choice) => Ok(Target::Agents(Box::new(choice.open()?))),
        }
    }
}

impl Typed<'_> {
    fn cluster(&self) -> Result<Choice, Failure> {
        let PodArgs { namespace, all_namespaces, selector, container } = &self.target.pods;
        let all_namespaces = *all_namespaces || self.all_namespaces;
        if all_namespaces && namespace.is_some() {
            return Err(Failure::refused(
                "--namespace is one, --all-namespaces is all of them: choose one of the two",
            ));
        }
        let wanted = self.sources.iter().map(|source| Wanted::parse(source)).collect::<Result<_, _>>()?;
        let question = Question {
            wanted,
            namespace: namespace.clone(),
            all_namespaces,
            labels: selector.clone(),
            container: container.clone(),
            follow: self.follow,
            ..Question::default()
        };
        of_cluster(&self.target.agent, self.cluster, question)
    }
}

/// All agents of a cluster.
fn everything(args: &AgentArgs, cluster: &ClusterArgs) -> Result<Choice, Failure> {
    of_cluster(args, cluster, Question { all_namespaces: true, ..Question::default() })
}

fn of_cluster(args: &AgentArgs, cluster: &ClusterArgs, question: Question) -> Result<Choice, Failure> {
    if args.token_from_kubeconfig {
        return Err(Failure::refused(
            "--token-from-kubeconfig is for agents at given addresses (--agent URL): those of a cluster get it anyway",
        ));
    }
    let variable = std::env::var(AGENT_NAMESPACE_VARIABLE).ok().filter(|name| !name.is_empty());
    let agent_namespace = cluster.agent_namespace.clone().or(variable);
    let question = Question { nodes: cluster.node.clone(), agent_namespace, ..question };
    Ok(Choice::Cluster(Box::new(ClusterChoice { context: context(cluster), question, given: given(args)? })))
}

pub(crate) fn context(args: &ClusterArgs) -> Context {
    Context { kubeconfig: args.kubeconfig.clone(), name: args.kube_context.clone() }
}

/// What was given for all agents: all of an endpoint but its URL.
fn given(args: &AgentArgs) -> Result<Endpoint, Failure> {
    Ok(Endpoint {
        url: String::new(),
        ca: args.tls_ca.clone().map_or(Roots::System, Roots::File),
        cert: args.tls_cert.clone(),
        key: args.tls_key.clone(),
        server_name: args.tls_server_name.clone(),
        token: args.token_file.as_deref().map(read_token).transpose()?,
        patience: args.agent_timeout.map(Duration::from_secs),
    })
}

fn urls_of_environment() -> Vec<String> {
    let variable = std::env::var(AGENT_VARIABLE).unwrap_or_default();
    variable.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect()
}

/// A flag that was given and means something only with an agent.
fn agent_flag(args: &AgentArgs) -> Option<&'static str> {
    let flags = [
        ("--tls-ca", args.tls_ca.is_some()),
        ("--tls-cert", args.tls_cert.is_some()),
        ("--tls-server-name", args.tls_server_name.is_some()),
        ("--token-file", args.token_file.is_some()),
        ("--token-from-kubeconfig", args.token_from_kubeconfig),
        ("--agent-timeout", args.agent_timeout.is_some()),
    ];
    flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
}

fn for_an_agent(flag: &str) -> Failure {
    Failure::refused(format!(
        "{flag} is for an agent: name it with --agent URL, or a cluster with --kubeconfig"
    ))
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("--token-file {}: {error}", path.display())))?;
    match text.trim() {
        "" => Err(Failure::refused(format!("--token-file {}: the file is empty", path.display()))),
        token => Ok(token.to_owned()),
    }
}
