//! The node agent of Weir: reads a config, puts the engine and the gRPC server together, and answers probes
//! and metrics. It wires the crates below it and has no logic of its own about logs or filters.
#![forbid(unsafe_code)]

mod access;
mod agent;
pub mod args;
mod audit;
mod cache_dir;
mod config;
mod config_file;
mod config_maps;
mod filter_folder;
mod filter_limits;
mod labels;
mod limits;
pub mod logging;
mod metrics;
pub mod panic;
mod pod_memory;
mod policies;
mod policy_folder;
mod probes;
mod pulled_folder;
mod pulls;
mod registries;
mod resource_specs;
mod resource_status;
mod resources;
mod self_check;
mod settings;
mod signals;
mod trust;

pub use access::{AccessConfig, AccessSettings};
pub use agent::{Agent, AgentError, runtime};
pub use args::Args;
pub use audit::{AuditConfig, AuditSettings};
pub use config::{Config, ConfigError};
pub use logging::{LogConfig, LogFormat};
pub use self_check::self_check;
pub use settings::Settings;
pub use signals::{Signals, signals};
pub use weir_rpc::Ending;
