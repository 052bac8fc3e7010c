//! The agent as its users meet it: a real process, real files, real sockets.

mod access;
mod api_server;
#[path = "../../sandbox/tests/sandbox/bombs.rs"]
mod bombs;
mod certs;
mod compile;
mod differential;
#[path = "../../registry/tests/registry/docker_registry.rs"]
#[allow(dead_code, reason = "the registries' own tests use more of it")]
mod docker_registry;
mod drain;
mod faults;
mod filter_folder;
mod flow;
mod garbage;
#[path = "../../sandbox/tests/sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;
mod hostile;
mod limits;
mod logs;
#[path = "../../query/tests/policies/node.rs"]
#[allow(dead_code, reason = "the queries' own tests use more of it")]
mod node;
mod permissions;
mod policies;
mod process;
mod pulls;
#[path = "../../query/tests/policies/queries.rs"]
mod queries;
mod raw;
mod reload;
mod requests;
#[path = "../../query/tests/policies/secrets.rs"]
mod secrets;
mod shadow;
mod transport;
mod upload;
mod watch;
