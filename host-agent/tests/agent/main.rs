//! The agent as its users meet it: a real process, real files, real sockets.

#[path = "../../sandbox/tests/sandbox/bombs.rs"]
mod bombs;
mod certs;
mod compile;
mod differential;
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
mod permissions;
mod process;
mod raw;
mod reload;
mod requests;
mod shadow;
mod transport;
mod upload;
mod watch;
