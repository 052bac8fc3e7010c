//! What Weir asks a Kubernetes API server: who the user of a token is, and what users may read.
//!
//! [`ApiServer`] says where the API server is, and makes a [`kube::Client`] that authenticates as the pod's service
//! account, without any of kube's own ways to find a config. [`Reviewer`] asks for token reviews and access reviews,
//! and remembers the answers for a while. An API server that can't be asked is an error, never an answer.
//!
//! This crate knows nothing of logs, queries or gRPC.
#![forbid(unsafe_code)]

mod api_server;
mod cache;
mod observer;
mod post;
mod reviewer;
mod transport;
mod user;

pub use api_server::{ApiServer, ApiServerError};
pub use observer::{Observer, Review, Verdict};
pub use reviewer::{Namespaced, ReviewError, Reviewer, ReviewerConfig};
pub use user::User;
