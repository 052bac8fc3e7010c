//! Weir in a cluster of its own: an etcd and a kube-apiserver say who callers are and what they may read, and real agents
//! over the logs of two nodes answer accordingly; one more acts on `Filter` and `FilterPolicy` objects, with the rights that the
//! chart gives it.
//!
//! `scripts/e2e-cluster` builds what this needs.

mod acting;
mod agents;
mod call;
mod changes;
mod control_plane;
mod identities;
mod objects;
mod resources;
mod rights;
mod tokens;

use std::path::PathBuf;

use anyhow::Result;

use crate::certs::Authority;
use crate::cluster::agents::Agents;
use crate::cluster::control_plane::ControlPlane;
use crate::report::Report;

/// Runs Weir beside a real API server.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The `weir` to test
    #[arg(long)]
    weir: PathBuf,
    /// The `weir-agent` to test
    #[arg(long)]
    agent: PathBuf,
    /// kube-apiserver
    #[arg(long)]
    api_server: PathBuf,
    /// Empty folder for everything that the cluster keeps
    #[arg(long)]
    state: PathBuf,
}

/// Runs every check.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<()> {
    let authority = Authority::new(&args.state, "ca")?;
    let mut cluster = ControlPlane::start(&args.api_server, &args.state, &authority)?;
    objects::make(&cluster)?;
    let mut agents = Agents::start(args, &cluster, &authority)?;

    report.check("who may read what", rights::matrix(&cluster, &agents));
    report.check("what is named", rights::named(&agents));
    report.check("what may not be read is as what isn't there", rights::indistinguishable(&agents));
    report.check("tokens that are not valid", tokens::invalid(&cluster, &agents));
    report.check("tokens of kubeconfigs", tokens::of_api_server(&cluster, &agents));
    report.check("a token that is over", tokens::expired(&cluster, &agents));
    report.check("identities from a relay", identities::from_relays(&agents));
    report.check("identities from anybody else", identities::from_others(&agents));
    report.check("what the API server is asked", identities::as_reviewed(&cluster));
    report.check("the command line on two agents", rights::command_line(args, &agents));
    report.check("pods that come while it follows", changes::new_pods(&agents));
    report.check("a role that is taken away while it follows", changes::role_taken(&cluster, &agents));
    report.check("an account that is deleted while it follows", changes::account_deleted(&cluster, &agents));
    report.check("the agent's own token and roots change", changes::rotation(&cluster, &agents));
    report.check("the API server is down and comes back", changes::outage(&mut cluster, &agents));
    report.check("what was recorded", agents.records());
    resources::run(args, &cluster, &authority, report)?;
    agents.alive()
}
