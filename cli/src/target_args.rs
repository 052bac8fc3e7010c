//! Where to look, as typed: here, at agents, or all over a cluster.

use std::path::PathBuf;

use clap::Args;

use crate::cluster_names;

/// Where to look.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where to search")]
pub(crate) struct TargetArgs {
    /// Folder of logs in kubelet's layout, or Docker's [default: /var/log/pods, where it is there]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "agent"])]
    pub(crate) dir: Option<PathBuf>,
    /// Search this file; `-` is standard input. Repeat it for more files. Gzip is recognised by content
    #[arg(long, value_name = "PATH", conflicts_with = "agent")]
    pub(crate) file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) pods: PodArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

/// How to reach an agent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Agent")]
pub(crate) struct AgentArgs {
    /// Ask the agent at this address: https://HOST:PORT, http:// on loopback, or unix:///PATH. Repeat it to ask
    /// several as if they were one [env: WEIR_AGENT, with commas between several]
    #[arg(long, value_name = "URL")]
    pub(crate) agent: Vec<String>,
    /// Certificate authorities to trust, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Name to expect in the agent's certificate, when it isn't the URL's host
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// File with a bearer token [default for a cluster: the kubeconfig's]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Give the agents at these addresses the kubeconfig's bearer token
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) token_from_kubeconfig: bool,
    /// Seconds that connecting may take, and that an agent may give no sign of life, however long its answer takes
    /// [default: 10, and 20]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) agent_timeout: Option<u64>,
}

/// Which cluster, and which of its agents.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Kubeconfig to find pods and agents with [default: the files of KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; also --context, as for kubectl [default: its current one]
    #[arg(long, value_name = "NAME", add = cluster_names::contexts())]
    pub(crate) kube_context: Option<String>,
    /// Only this node, by name or glob; repeat it for more
    #[arg(long, value_name = "NODE", add = cluster_names::nodes())]
    pub(crate) node: Vec<String>,
    /// Namespace of Weir's agents [default: any] [env: WEIR_AGENT_NAMESPACE]
    #[arg(long, value_name = "NAME", add = cluster_names::namespaces())]
    pub(crate) agent_namespace: Option<String>,
}

/// Which pods of a cluster.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct PodArgs {
    /// Namespace of what SOURCE names [default: the context's]
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces", add = cluster_names::namespaces())]
    pub(crate) namespace: Option<String>,
    /// All namespaces
    #[arg(long)]
    pub(crate) all_namespaces: bool,
    /// Pods with these labels, as for kubectl: app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Containers of these names only, a glob
    #[arg(short, long, value_name = "GLOB")]
    pub(crate) container: Option<String>,
}

/// The kubeconfig's context by kubectl's name, where that isn't ripgrep's flag too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ContextArgs {
    /// The same as --kube-context
    #[arg(long, value_name = "NAME", hide = true, conflicts_with = "kube_context", add = cluster_names::contexts())]
    pub(crate) context: Option<String>,
}

impl ClusterArgs {
    /// The same, with the context by its other name.
    pub(crate) fn with_context(&self, context: Option<&str>) -> ClusterArgs {
        let kube_context = self.kube_context.clone().or(context.map(str::to_owned));
        ClusterArgs { kube_context, ..self.clone() }
    }

    /// A flag that was given and is about a cluster.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let flags =
            [("--kubeconfig", self.kubeconfig.is_some()), ("--kube-context", self.kube_context.is_some())];
        flags.into_iter().find_map(|(flag, given)| given.then_some(flag)).or(self.agents_flag())
    }

    /// A flag that was given and is about which agents are asked.
    pub(crate) fn agents_flag(&self) -> Option<&'static str> {
        let flags =
            [("--node", !self.node.is_empty()), ("--agent-namespace", self.agent_namespace.is_some())];
        flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

impl PodArgs {
    /// A flag that was given and is about a cluster's pods.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let flags = [
            ("--namespace", self.namespace.is_some()),
            ("--all-namespaces", self.all_namespaces),
            ("--selector", self.selector.is_some()),
            ("--container", self.container.is_some()),
        ];
        flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}
