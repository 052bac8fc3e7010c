//! The agent as its users meet it: a real process, real files, real sockets.

mod certs;
mod differential;
mod drain;
mod faults;
mod flow;
mod garbage;
mod limits;
mod logs;
mod process;
mod raw;
mod reload;
mod requests;
mod transport;
mod watch;
