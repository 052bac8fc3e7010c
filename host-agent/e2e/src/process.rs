//! Programs that run beside the test until it ends them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// How long a program may take to end after a signal.
const END: Duration = Duration::from_secs(20);

/// A running program. Its standard error goes to a file; it is killed when dropped.
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`, with standard error in `NAME.log` of `dir`, and standard output too unless it is `piped`.
    pub(crate) fn start(name: &str, dir: &Path, command: &mut Command, piped: bool) -> Result<Daemon> {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let stdout = if piped { Stdio::piped() } else { file.try_clone()?.into() };
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(file).spawn();
        let child = child.with_context(|| format!("{name} could not be started: {command:?}"))?;
        Ok(Daemon { name: name.to_owned(), child, log })
    }

    /// Its standard output, where it was asked for.
    pub(crate) fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().with_context(|| format!("{} has no pipe", self.name))
    }

    /// Of an agent, whose standard output was asked for: where it says that it serves gRPC.
    pub(crate) fn serves_at(&mut self) -> Result<String> {
        let mut line = String::new();
        BufReader::new(self.stdout()?).read_line(&mut line)?;
        let grpc = line.split_whitespace().find_map(|word| word.strip_prefix("grpc=")).map(str::to_owned);
        match grpc {
            Some(grpc) => Ok(grpc),
            None => {
                bail!("the agent doesn't say where it listens, but '{line}'; its log: {}", self.last_words()?)
            }
        }
    }

    /// Fails when it has ended, with the end of what it said.
    pub(crate) fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; it said last:\n{}", self.name, self.last_words()?),
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} has no process id", self.name))?;
        kill_process(pid, signal).with_context(|| format!("{} took no signal", self.name))
    }

    /// Sends it a signal and waits for its end.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.signal(signal)?;
        wait::until(&format!("{} ends", self.name), END, || Ok(self.child.try_wait()?))
    }

    /// Waits for its own end.
    pub(crate) fn exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        wait::until(&format!("{} ends by itself", self.name), limit, || Ok(self.child.try_wait()?))
    }

    /// The last lines of its standard error.
    pub(crate) fn last_words(&self) -> Result<String> {
        let text = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("{} is left behind: {error}", self.name);
        }
    }
}

/// Runs a program to its end and gives its standard output.
///
/// # Errors
///
/// Names the command and what it said when it fails.
pub(crate) fn output<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("{command:?} could not be started"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// A port of loopback that was free just now.
pub(crate) fn free_port() -> Result<u16> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    ensure!(port != 0, "the system gives no port");
    Ok(port)
}
