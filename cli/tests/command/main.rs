//! Runs the real `weir` on real log trees, as a user would.

mod agent;
#[path = "../../../host-agent/sandbox/tests/sandbox/bombs.rs"]
#[allow(dead_code, reason = "the agent's own tests use the rest")]
mod bombs;
mod cluster;
mod counts;
mod demo;
mod exit_codes;
mod filter_crate;
mod filter_day;
mod filter_ship;
mod filter_test;
mod filters;
mod fleet;
mod follow;
mod formats;
#[path = "../../../host-agent/sandbox/tests/sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;
mod hostile;
mod inputs;
mod kubeconfig;
mod listings;
mod policy;
mod program;
#[path = "../../../host-agent/registry/tests/registry/docker_registry.rs"]
#[allow(dead_code, reason = "the agents' tests use more of it")]
mod registry;
mod sample;
mod shadow;
mod terminal;
