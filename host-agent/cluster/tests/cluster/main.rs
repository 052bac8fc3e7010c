//! How an API server is taken that answers in parts, late, or not as it should. What a real one answers is tested by
//! `scripts/e2e-cluster`.

mod reviewer;
mod server;
mod watch;
