//! What Weir asks a Kubernetes API server: who the user of a token is, and what users may read.
//!
//! [`ApiServer`] says where the API server is, and makes an [`ApiClient`] that authenticates as the pod's service
//! account. There is no `kube` in it: of two requests, most of what came with it would be a reader of kubeconfigs (0.3 MB of
//! the agent). [`Reviewer`] asks for token reviews and access reviews,
//! and remembers the answers for a while. An API server that can't be asked is an error, never an answer.
//!
//! This crate knows nothing of logs, queries or gRPC.
#![forbid(unsafe_code)]

mod api_server;
mod cache;
mod observer;
mod post;
mod review;
mod reviewer;
mod transport;
mod user;

pub use api_server::{ApiClient, ApiServer, ApiServerError};
pub use observer::{Observer, Review, Verdict};
pub use reviewer::{Namespaced, ReviewError, Reviewer, ReviewerConfig};
pub use user::User;
