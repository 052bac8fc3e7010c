//! What a shell completes from a cluster: contexts, namespaces, nodes, objects. Whoever types gets no error, and is not
//! kept waiting for a cluster that doesn't answer.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use weir_discovery::{Cluster, Context, DiscoveryError, Kind, context_names};

use crate::target::runtime;

/// How long a cluster has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Completes the contexts of the kubeconfig.
pub(crate) fn contexts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        begin_with(current, context_names(&typed_context()).unwrap_or_default())
    })
}

/// Completes the cluster's namespaces.
pub(crate) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        begin_with(current, ask(async |cluster| cluster.namespace_names().await))
    })
}

/// Completes the cluster's nodes.
pub(crate) fn nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        begin_with(current, ask(async |cluster| cluster.node_names().await))
    })
}

/// Completes `kind/name`: the kinds, then what there is of one.
pub(crate) fn sources() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let text = current.to_string_lossy();
        let Some((typed, _)) = text.split_once('/') else {
            return begin_with(current, Kind::ALL.map(|kind| format!("{}/", kind.name())));
        };
        let Some(kind) = Kind::parse(typed) else { return Vec::new() };
        let namespace = typed_value(&["-n", "--namespace"]);
        let names = ask(async |cluster| cluster.object_names(kind, namespace.as_deref()).await);
        begin_with(current, names.into_iter().map(|name| format!("{typed}/{name}")))
    })
}

fn begin_with(current: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

fn ask(question: impl AsyncFnOnce(Cluster) -> Result<Vec<String>, DiscoveryError>) -> Vec<String> {
    let context = typed_context();
    let Some(runtime) = runtime().ok().filter(|_| context.exists()) else { return Vec::new() };
    let answer = async {
        let cluster = Cluster::open(&context).await?;
        question(cluster).await
    };
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await });
    answer.ok().and_then(Result::ok).unwrap_or_default()
}

/// The kubeconfig and context that stand elsewhere on the line.
fn typed_context() -> Context {
    Context {
        kubeconfig: typed_value(&["--kubeconfig"]).map(Into::into),
        name: typed_value(&["--context", "--kube-context"]),
    }
}

/// What stands behind one of these flags, or in the same word behind `=`.
fn typed_value(flags: &[&str]) -> Option<String> {
    let words: Vec<String> = std::env::args().collect();
    let joined = |word: &str| {
        let (flag, value) = word.split_once('=')?;
        flags.contains(&flag).then(|| value.to_owned())
    };
    let apart = words.windows(2).find(|pair| flags.contains(&pair[0].as_str())).map(|pair| pair[1].clone());
    apart.or_else(|| words.iter().find_map(|word| joined(word))).filter(|value| !value.is_empty())
}
