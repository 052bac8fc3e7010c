//! An agent that serves the node's logs on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::node;
use crate::process::Daemon;

/// A running `weir-agent`.
pub(crate) struct Agent {
    daemon: Daemon,
    /// Where it serves gRPC: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    binary: PathBuf,
    dir: PathBuf,
}

impl Agent {
    /// Starts an agent on a free port.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Agent> {
        let (daemon, url) = serve(binary, dir, "127.0.0.1:0")?;
        Ok(Agent { daemon, url, binary: binary.to_owned(), dir: dir.to_owned() })
    }

    /// Ends it as kubelet does, and starts another one at the same address.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let address = self.url.strip_prefix("http://").context("we made the URL")?;
        let status = self.daemon.end(Signal::TERM)?;
        ensure!(status.success(), "SIGTERM ended the agent with {status}: {}", self.daemon.last_words()?);
        (self.daemon, _) = serve(&self.binary, &self.dir, address)?;
        Ok(())
    }

    /// Fails when it has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        self.daemon.alive()
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
    let mut line = String::new();
    BufReader::new(daemon.stdout()?).read_line(&mut line)?;
    let grpc = line.split_whitespace().find_map(|word| word.strip_prefix("grpc="));
    let Some(grpc) = grpc else {
        bail!("the agent did not say where it listens, but '{line}'; its log: {}", daemon.last_words()?);
    };
    let url = format!("http://{grpc}");
    Ok((daemon, url))
}
