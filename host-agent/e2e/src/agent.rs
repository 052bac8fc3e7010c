//! An agent that serves the node's logs on loopback: a process of the machine, or the pod that the chart describes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::agent_pod::AgentPod;
use crate::node;
use crate::process::Daemon;

/// A running `weir-agent`.
pub(crate) enum Agent {
    Process(AgentProcess),
    Pod(AgentPod),
}

impl Agent {
    /// What `weir` has to be told to ask it.
    pub(crate) fn target(&self) -> Vec<String> {
        match self {
            Agent::Process(process) => vec!["--agent".to_owned(), process.url.clone()],
            Agent::Pod(pod) => pod.target(),
        }
    }

    /// Ends it as kubelet does; another one is at the same address then.
    pub(crate) fn restart(&mut self) -> Result<()> {
        match self {
            Agent::Process(process) => process.restart(),
            Agent::Pod(pod) => pod.restart(),
        }
    }

    /// Fails when it has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        match self {
            Agent::Process(process) => process.daemon.alive(),
            Agent::Pod(pod) => pod.alive(),
        }
    }
}

/// One that runs beside the node.
pub(crate) struct AgentProcess {
    daemon: Daemon,
    /// Where it serves gRPC: `http://127.0.0.1:PORT`.
    url: String,
    binary: PathBuf,
    dir: PathBuf,
}

impl AgentProcess {
    /// Starts an agent on a free port.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<AgentProcess> {
        let (daemon, url) = serve(binary, dir, "127.0.0.1:0")?;
        Ok(AgentProcess { daemon, url, binary: binary.to_owned(), dir: dir.to_owned() })
    }

    fn restart(&mut self) -> Result<()> {
        let address = self.url.strip_prefix("http://").context("we made the URL")?;
        let status = self.daemon.end(Signal::TERM)?;
        ensure!(status.success(), "SIGTERM ended the agent with {status}: {}", self.daemon.last_words()?);
        (self.daemon, _) = serve(&self.binary, &self.dir, address)?;
        Ok(())
    }
}

/// Starts an agent and waits until it says where it listens.
fn serve(binary: &Path, dir: &Path, listen: &str) -> Result<(Daemon, String)> {
    let mut command = Command::new(binary);
    command.args(["serve", "--logs-dir", node::LOGS, "--listen", listen]);
    // Follows don't end by themselves, so there is nothing to wait for.
    command.args(["--drain-seconds", "1"]);
    command.args(["--health-listen", "127.0.0.1:0", "--cache-dir"]).arg(dir.join("agent-cache"));
    let mut daemon = Daemon::start("weir-agent", dir, &mut command, true)?;
    let url = format!("http://{}", daemon.serves_at()?);
    Ok((daemon, url))
}
