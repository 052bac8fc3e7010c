//! What the command line asks a Kubernetes API server: which pods are meant by `deployments/web`, on which nodes they
//! run, and how the agents of those nodes are reached with no more than a kubeconfig.
//!
//! [`Cluster::find`] turns a [`Question`] into [`Place`]s: nodes, what to ask there, and the agent's pod. A [`Tunnel`]
//! leads to such an agent through the API server. What agents are asked, and how their answers become one, is no part
//! of this crate; nor does any agent use it.
#![forbid(unsafe_code)]

mod agent;
mod changes;
mod cluster;
mod credentials;
mod error;
mod find;
mod kind;
mod names;
mod nearest;
mod pods;
mod question;
mod token_file;
mod trust;
mod tunnel;
mod wanted;

pub use agent::{Agent, State};
pub use cluster::{Cluster, Context};
pub use error::DiscoveryError;
pub use find::{Found, Place};
pub use kind::Kind;
pub use names::context_names;
pub use question::Question;
pub use trust::Trust;
pub use tunnel::Tunnel;
pub use wanted::Wanted;
