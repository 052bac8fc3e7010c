//! The agent as its users meet it: a real process, real files, real sockets.

mod certs;
mod compile;
mod differential;
mod drain;
mod flow;
#[path = "../../sandbox/tests/sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;
mod logs;
mod process;
mod requests;
mod transport;
mod watch;
