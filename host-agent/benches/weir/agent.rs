//! A real agent that serves over TLS, and clients of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Runtime;
use weir_query::{Event, Flow, PatternSpec, QuerySpec};
use weir_rpc::{Client, Endpoint};

use crate::certs::Authority;
use crate::cost::cpu_time_of;
use crate::tree::text;

/// A running agent. It is killed when dropped.
pub(crate) struct Agent {
    child: Child,
    endpoint: Endpoint,
}

impl Agent {
    /// Starts `program` over the logs of `logs`, with whatever it writes besides in `dir`: what another agent kept there
    /// is used again. Queries may bring components.
    pub(crate) fn start(program: &Path, logs: &Path, dir: &Path) -> Agent {
        Agent::start_with(program, logs, dir, "")
    }

    /// The same with a config file.
    pub(crate) fn start_with(program: &Path, logs: &Path, dir: &Path, config: &str) -> Agent {
        fs::create_dir_all(dir).expect("a folder");
        let config_file = dir.join("agent.yaml");
        fs::write(&config_file, config).expect("a file");
        let authority = Authority::new();
        let (ca, server) = (authority.write(dir, "ca"), authority.sign(dir, "localhost"));
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"])
            .args(["--config", text(&config_file)])
            .args(["--logs-dir", text(logs), "--cache-dir", text(&dir.join("cache"))])
            .args(["--tls-cert", text(&server.cert), "--tls-key", text(&server.key), "--allow-components"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.join("agent.log")).expect("a file"))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run scripts/bench", program.display()));
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut ready).expect("the ready line");
        let place = ready.split_whitespace().find_map(|word| word.strip_prefix("grpc="));
        let url = format!("https://{}", place.unwrap_or_else(|| panic!("no place in '{ready}'")));
        let server_name = Some("localhost".to_owned());
        Agent { child, endpoint: Endpoint { url, ca: ca.into(), server_name, ..Endpoint::default() } }
    }

    /// Where it serves.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Processor time so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time_of(self.child.id())
    }

    /// Memory of its own that is in use, in bytes: without pages of its binary, which are shared.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        kib(&self.status(), "RssAnon:") << 10
    }

    /// What it holds now.
    pub(crate) fn holdings(&self) -> Holdings {
        let rollup = self.file("smaps_rollup");
        Holdings {
            resident: kib(&rollup, "Rss:") << 10,
            anonymous: kib(&rollup, "Anonymous:") << 10,
            threads: self.threads(),
            descriptors: fs::read_dir(self.path("fd")).expect("our child's descriptors").count(),
        }
    }

    /// Threads that there are.
    pub(crate) fn threads(&self) -> u64 {
        number(&self.status(), "Threads:")
    }

    /// How often a thread of it has waited for something and was woken, over all threads that there are.
    pub(crate) fn wake_ups(&self) -> u64 {
        let tasks = fs::read_dir(self.path("task")).expect("our child's threads");
        let status = |task: std::io::Result<fs::DirEntry>| {
            fs::read_to_string(task.expect("a thread").path().join("status")).expect("a thread that rests")
        };
        tasks.map(|task| number(&status(task), "voluntary_ctxt_switches:")).sum()
    }

    fn status(&self) -> String {
        self.file("status")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("our child's figures")
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }
}

/// What a process holds.
#[derive(Clone, Copy)]
pub(crate) struct Holdings {
    /// All memory that is in use, pages of the binary and of compiled filters included, in bytes.
    pub(crate) resident: u64,
    /// That of its own, in bytes.
    pub(crate) anonymous: u64,
    pub(crate) threads: u64,
    /// Files, sockets and the like.
    pub(crate) descriptors: usize,
}

/// A figure in kB of a file in /proc.
fn kib(text: &str, name: &str) -> u64 {
    number(&text.replace(" kB", ""), name)
}

/// A figure of a file in /proc.
fn number(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_else(|| panic!("{name} in {text}")).trim().parse().expect("a number")
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("the agent is left behind: {error}");
        }
    }
}

/// A connection to an agent.
pub(crate) struct Connection {
    runtime: Runtime,
    client: Client,
}

impl Connection {
    pub(crate) fn new(endpoint: &Endpoint) -> Connection {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(Client::connect(endpoint)).expect("the agent");
        Connection { runtime, client }
    }

    /// Runs a query to its end, or until `sink` stops it.
    pub(crate) fn query(&mut self, spec: &QuerySpec, sink: &mut dyn FnMut(Event) -> Flow) {
        self.runtime.block_on(self.client.query(spec, sink)).expect("an answer");
    }

    /// How many logs the agent lists.
    pub(crate) fn sources(&mut self) -> usize {
        self.runtime.block_on(self.client.sources(&[])).expect("an answer").len()
    }
}

/// What a query for every record that has `pattern` in it asks for.
pub(crate) fn matching(pattern: &str) -> QuerySpec {
    let pattern = PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() };
    QuerySpec { pattern, ..QuerySpec::default() }
}

/// Asks an agent for every record that has `pattern` in it, over a connection of its own.
pub(crate) fn query(endpoint: &Endpoint, pattern: &str, sink: &mut dyn FnMut(Event) -> Flow) {
    Connection::new(endpoint).query(&matching(pattern), sink);
}

/// A folder of logs in kubelet's layout with one file, a copy of `log`: an agent reads no file that has two names.
pub(crate) fn folder_of(log: &Path, dir: &Path) -> PathBuf {
    let path = crate::tree::log_of_pod(dir, 0).expect("a folder");
    fs::copy(log, path).expect("a copy");
    dir.to_owned()
}
