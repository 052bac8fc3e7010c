//! The agent as its users meet it: a real process, real files, real sockets.

mod certs;
mod differential;
mod drain;
mod flow;
mod logs;
mod process;
mod requests;
mod transport;
mod watch;
