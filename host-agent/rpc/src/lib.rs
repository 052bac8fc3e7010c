//! The gRPC services of Weir and their client: the only crate that knows protobuf.
//!
//! [`Server`] answers `weir.v1` (see `proto/weir/v1`) from an [`Engine`](weir_query::Engine); [`Client`] gives
//! the same [`Event`](weir_query::Event)s that a local run gives. Searches are blocking code: each runs on a
//! thread of tokio's blocking pool, coupled to its response stream by a bounded outbox, so that a slow
//! client slows its search down and a lost one ends it.

mod access;
mod address;
mod admission;
mod audit;
mod batch;
mod body;
mod caller;
pub mod client;
mod codec;
mod connection;
mod convert;
mod convert_filters;
mod dial;
mod endpoint;
mod filter_service;
mod gate;
mod identity;
mod job;
mod launcher;
mod limits;
pub mod listen;
mod lookup;
mod observer;
mod outbox;
mod phase;
mod policy;
mod query_service;
pub mod server;
mod shadow;
mod source_service;
mod status;
mod tls;
mod trace_id;
mod uploads;
pub mod wire;

pub use access::{Access, AccessError, Answer as AccessAnswer, Guard, User};
pub use audit::{Audit, QueryRecord, Question};
pub use client::{Answer, Client, ClientError, Trace, causes};
pub use dial::{Dial, Dialing, Stream};
pub use endpoint::{Endpoint, Roots};
pub use limits::ServerLimits;
pub use listen::{Listen, ListenError, Listener};
pub use observer::{Observer, Outcome, Unobserved};
pub use server::{Ending, ServeError, Server};
pub use tls::{Certificates, TlsFiles};
