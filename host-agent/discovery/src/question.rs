//! What is asked of a cluster, as typed.

use crate::wanted::Wanted;

/// Which pods, of which nodes.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Objects and globs; none: everything that the rest leaves.
    pub wanted: Vec<Wanted>,
    /// Namespace of objects, and of globs that don't name theirs; else the context's.
    pub namespace: Option<String>,
    /// All namespaces, for globs and labels.
    pub all_namespaces: bool,
    /// A label selector, in kubectl's form.
    pub labels: Option<String>,
    /// A glob of containers' names.
    pub container: Option<String>,
    /// Names or globs of nodes; none: all.
    pub nodes: Vec<String>,
    /// Namespace of the agents; else any, as far as we may look.
    pub agent_namespace: Option<String>,
    /// The answer is followed, so that pods may come on any node.
    pub follow: bool,
}
