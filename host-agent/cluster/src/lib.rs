//! What Weir asks a Kubernetes API server: who the user of a token is, what users may do, and which filters and policies
//! there are.
//!
//! [`ApiServer`] says where the API server is, and makes an [`ApiClient`] that authenticates as the pod's service
//! account, and lists and watches objects. There is no `kube` in it: most of what came with it would be a reader of kubeconfigs
//! (0.3 MB of the agent). [`Reviewer`] asks for token reviews and access reviews,
//! and remembers the answers for a while. An API server that can't be asked is an error, never an answer.
//!
//! This crate knows nothing of logs, queries or gRPC.
#![forbid(unsafe_code)]

mod api_server;
mod cache;
mod observer;
mod request;
mod resource;
mod review;
mod reviewer;
mod transport;
mod user;
mod watch;

pub use api_server::{ApiClient, ApiServer, ApiServerError};
pub use observer::{Observer, Review, Verdict};
pub use request::RequestError;
pub use resource::{
    Condition, ConfigMapKey, FilterSpec, Kind, Metadata, Namespaces, NodeStatus, Object, OciReference, Pods,
    PolicyFilter, PolicySpec, Requirement, Selector, Status, is_name,
};
pub use reviewer::{Act, Namespaced, ReviewError, Reviewer, ReviewerConfig};
pub use user::User;
pub use watch::{Change, Collection};
