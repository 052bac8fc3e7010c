//! The agent of a demo: a process of its own, on loopback, for as long as the demo runs.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;

/// The agent's program, which is installed and built beside this one.
const PROGRAM: &str = "weir-agent";

/// A running agent. It ends with this value.
pub(crate) struct DemoAgent {
    child: Child,
    url: String,
    /// Kept open so that the agent can write to it.
    _stdout: BufReader<ChildStdout>,
}

impl DemoAgent {
    /// Starts an agent for the logs in `logs` and waits until it listens.
    pub(crate) fn start(logs: &Path, cache: &Path, messages: &Path) -> Result<DemoAgent, Failure> {
        let program = program()?;
        let failed =
            |error: io::Error| Failure::failed(format!("cannot start {}: {error}", program.display()));
        let mut child = Command::new(&program)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"])
            .arg("--logs-dir")
            .arg(logs)
            .arg("--cache-dir")
            .arg(cache)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(messages).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        while stdout.read_line(&mut line).map_err(failed)? > 0 {
            if let Some(address) = ready_address(&line) {
                return Ok(DemoAgent { url: format!("http://{address}"), child, _stdout: stdout });
            }
            line.clear();
        }
        let status = child.wait().map_err(failed)?;
        let said = fs::read_to_string(messages).map_err(failed)?;
        Err(Failure::failed(format!(
            "{} ended before it listened ({status}): {}",
            program.display(),
            said.trim()
        )))
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::failed(format!("cannot stop the agent: {error}"));
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|error| failed(error.into()))?;
        let status = self.child.wait().map_err(failed)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::failed(format!("the agent ended badly: {status}")))
        }
    }
}

impl Drop for DemoAgent {
    fn drop(&mut self) {
        // After `stop` the process is gone and this does nothing; after a failure nobody could be told.
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().and_then(|()| self.child.wait()).ok();
        }
    }
}

/// The agent's program beside this one.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("cannot find this program's own file: {error}")))?;
    let program = own.with_file_name(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    Err(Failure::failed(format!(
        "there is no {}; the demo needs the agent beside this program: build both with `cargo build`",
        program.display()
    )))
}

/// The address in the agent's ready line, `listening grpc=127.0.0.1:41234 health=…`.
fn ready_address(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next() == Some("listening")).then_some(())?;
    words.find_map(|word| word.strip_prefix("grpc="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lines() {
        assert_eq!(
            ready_address("listening grpc=127.0.0.1:41234 health=127.0.0.1:9\n"),
            Some("127.0.0.1:41234")
        );
        assert_eq!(ready_address("starting grpc=127.0.0.1:41234"), None);
        assert_eq!(ready_address(""), None);
    }
}
