//! The agents of two nodes, and what they record.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::certs::{Authority, Signed};
use crate::cluster::Args;
use crate::cluster::call::Callee;
use crate::cluster::control_plane::{AUDIENCE, ControlPlane, ISSUER};
use crate::cluster::objects;
use crate::process::Daemon;

/// Name of the certificate of the relay that agents believe.
pub(crate) const RELAY: &str = "relay.weir.svc";

/// How long an agent goes on, in seconds, while the API server doesn't answer. It is longer than that takes to start.
pub(crate) const UNAVAILABLE_SECONDS: u64 = 20;

/// Agents, by number of their node.
pub(crate) struct Agents {
    daemons: Vec<Daemon>,
    /// Where they are.
    pub(crate) callees: Vec<Callee>,
    /// Certificate of the relay, and one that is as valid and of another name.
    pub(crate) relay: Signed,
    pub(crate) other: Signed,
    dir: PathBuf,
}

/// The folder of one node.
fn node(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("node-{number}"))
}

impl Agents {
    /// Starts an agent on each node.
    pub(crate) fn start(args: &Args, cluster: &ControlPlane, authority: &Authority) -> Result<Agents> {
        let dir = args.state.clone();
        let clients = Authority::new(&dir, "clients")?;
        let server = authority.sign("agent", "agents")?;
        let mut agents = Agents {
            daemons: Vec::new(),
            callees: Vec::new(),
            relay: clients.sign(RELAY, "relays")?,
            other: clients.sign("other.weir.svc", "relays")?,
            dir,
        };
        for number in 0..2 {
            let node = node(&args.state, number);
            fs::create_dir_all(node.join("logs"))?;
            objects::write_logs(&node.join("logs"), number)?;
            fs::write(node.join("token"), cluster.token("weir", "agent", ISSUER)?)?;
            fs::copy(&cluster.ca, node.join("api-ca.pem"))?;
            let mut config = config(&node, cluster, &server, &args.state);
            config["access"]["api_server_tokens"] = (number == 1).into();
            fs::write(node.join("agent.yaml"), config.to_string())?;
            let (daemon, callee) = serve(&args.agent, &node, &cluster.ca)?;
            agents.daemons.push(daemon);
            agents.callees.push(callee);
        }
        Ok(agents)
    }

    /// The first node's agent.
    pub(crate) fn first(&self) -> &Callee {
        &self.callees[0]
    }

    /// The second node's agent, which takes tokens for the API server too.
    pub(crate) fn second(&self) -> &Callee {
        &self.callees[1]
    }

    /// The folder of a node.
    pub(crate) fn node(&self, number: usize) -> PathBuf {
        node(&self.dir, number)
    }

    /// Fails when one has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::alive)
    }

    /// Checks the records of the first agent: every query has one that says who asked and what came of it.
    pub(crate) fn records(&self) -> Result<String> {
        let text = fs::read_to_string(self.node(0).join("audit.jsonl"))?;
        let records = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let find = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
            let found = records.iter().filter(|record| is_it(record)).count();
            ensure!(found > 0, "no record of {what} among {}", records.len());
            Ok(found)
        };
        let jane =
            json!({"name": "jane", "uid": "uid-jane", "groups": ["dev", "staff", "system:authenticated"]});
        find("jane's query by token", &|record| {
            record["user"] == jane && record["way"] == "token" && record["outcome"] == "complete"
        })?;
        find("a query of a named namespace that was denied", &|record| {
            record["user"] == jane
                && record["outcome"] == "denied"
                && record["query"]["selectors"] == json!(["bank:"])
                && record["refusal"] == json!({"status": "PermissionDenied", "field": "sources[0]"})
        })?;
        find("a query through the relay", &|record| record["way"] == "relay" && record["relay"] == RELAY)?;
        for outcome in ["unauthenticated", "revoked", "unavailable", "cancelled"] {
            find(outcome, &|record| record["outcome"] == outcome)?;
        }
        let tokens = ["-token", "Bearer"].iter().any(|secret| text.contains(secret));
        ensure!(!tokens, "a record holds a token");
        Ok(format!("{} records", records.len()))
    }
}

/// Starts an agent with the config in its node's folder, and waits until it says where it listens.
pub(crate) fn serve(binary: &Path, node: &Path, ca: &Path) -> Result<(Daemon, Callee)> {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(node.join("agent.yaml"));
    let mut daemon = Daemon::start("weir-agent", node, &mut command, true)?;
    let grpc = daemon.serves_at()?;
    let (url, ca) = (format!("https://{grpc}"), ca.to_owned());
    Ok((daemon, Callee { url, ca, dir: node.to_owned() }))
}

pub(crate) fn config(node: &Path, cluster: &ControlPlane, server: &Signed, state: &Path) -> Value {
    json!({
        "listen": "127.0.0.1:0", "health_listen": "127.0.0.1:0", "drain_seconds": 1, "allow_components": true,
        "logs_dir": node.join("logs"), "cache_dir": node.join("cache"),
        "tls": {"cert": server.cert, "key": server.key, "client_ca": state.join("clients.pem"), "client_certs": "optional"},
        "access": {
            "mode": "kubernetes", "audience": AUDIENCE, "relays": [RELAY],
            "api_server": cluster.url, "api_ca": node.join("api-ca.pem"), "api_token": node.join("token"),
            // As short as can be, so that the test needn't wait.
            "allowed_seconds": 1, "denied_seconds": 1, "recheck_seconds": 1, "unavailable_seconds": UNAVAILABLE_SECONDS,
        },
        "audit": {"output": node.join("audit.jsonl")},
        "limits": {"watch_seconds": 1},
    })
}

/// A file that a new one is put in place of, in one step.
pub(crate) fn replace(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content)?;
    fs::rename(&new, path).with_context(|| format!("{} could not be replaced", path.display()))
}
