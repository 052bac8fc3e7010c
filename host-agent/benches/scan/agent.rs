//! A real agent that serves over TLS, and clients of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    /// Starts `program` over the logs of `logs`, with whatever it writes besides in `dir`.
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
            .args(["--tls-cert", text(&server.cert), "--tls-key", text(&server.key)])
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
        Agent { child, endpoint: Endpoint { url, ca: Some(ca), server_name, ..Endpoint::default() } }
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
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("our child's figures");
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
        let kib: u64 = kib.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("the agent is left behind: {error}");
        }
    }
}

/// Asks an agent for every record that has `pattern` in it, over a connection of its own.
pub(crate) fn query(endpoint: &Endpoint, pattern: &str, sink: &mut dyn FnMut(Event) -> Flow) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let pattern = PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() };
    let spec = QuerySpec { pattern, ..QuerySpec::default() };
    runtime.block_on(async {
        let mut client = Client::connect(endpoint).await.expect("the agent");
        client.query(&spec, sink).await.expect("an answer");
    });
}

/// A folder of logs in kubelet's layout with one file, which is `log`.
pub(crate) fn folder_of(log: &Path, dir: &Path) -> PathBuf {
    let path = crate::tree::log_of_pod(dir, 0).expect("a folder");
    fs::hard_link(log, path).expect("a link in the same folder");
    dir.to_owned()
}
