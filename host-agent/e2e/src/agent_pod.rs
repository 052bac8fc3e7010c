//! The agent as the chart describes it: its image, in a pod with the security context, the mounts and the limits of the
//! DaemonSet that the chart renders, by default or of another of its values examples.
//!
//! Kubelet runs it without an API server, and the node has no network but loopback. So these are otherwise: it shares the
//! node's network and listens on loopback, what Secrets and ConfigMaps hold comes from folders, and it doesn't ask who calls.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::certs::Authority;
use crate::node::Node;
use crate::process::free_port;
use crate::{chart, wait};

/// Name of the image in the node's containerd, without its tag.
pub(crate) const IMAGE: &str = "weir.test/weir-agent";

/// How long kubelet may take to start it, also again.
const START: Duration = Duration::from_secs(90);

/// What the program is called in its image.
const PROGRAM: &[u8] = b"/weir-agent\0serve\0";

/// The agent in a pod.
pub(crate) struct AgentPod {
    port: u16,
    ca: PathBuf,
}

impl AgentPod {
    /// Has kubelet run it, and waits until it serves. `tag` is that of the image, `example` names the chart's values.
    pub(crate) fn start(node: &Node, dir: &Path, tag: &str, example: &str) -> Result<AgentPod> {
        let (port, health) = (free_port()?, free_port()?);
        let mounted = dir.join("agent-pod");
        for folder in ["config", "tls", "resume"] {
            fs::create_dir_all(mounted.join(folder))?;
        }
        // Kubelet links logs from there.
        fs::create_dir_all("/var/log/containers")?;
        let authority = Authority::new(dir, "agent-ca")?;
        let signed = authority.sign("agent-pod", "agents")?;
        fs::copy(&signed.cert, mounted.join("tls/tls.crt"))?;
        fs::copy(&signed.key, mounted.join("tls/tls.key"))?;
        fs::write(mounted.join("resume/secret"), [7; 32])?;
        fs::write(mounted.join("config/agent.yaml"), config(port, health, example)?)?;
        // As a Secret's files are in a pod: root's, and of group 0.
        for file in ["tls/tls.crt", "tls/tls.key", "resume/secret", "config/agent.yaml"] {
            fs::set_permissions(mounted.join(file), Permissions::from_mode(0o440))?;
        }
        node.run_manifest("weir", &manifest(&mounted, health, tag, example)?)?;
        let pod = AgentPod { port, ca: dir.join("agent-ca.pem") };
        pod.serves()?;
        Ok(pod)
    }

    pub(crate) fn target(&self) -> Vec<String> {
        let url = format!("https://127.0.0.1:{}", self.port);
        ["--agent", &url, "--tls-ca", &self.ca.display().to_string()].map(str::to_owned).into()
    }

    /// Ends the container's process as kubelet does, which starts it again.
    pub(crate) fn restart(&self) -> Result<()> {
        let old = process()?.context("the agent's process is not there")?;
        kill_process(old, Signal::TERM)?;
        wait::until("the agent's container is another one", START, || {
            Ok(process()?.filter(|new| *new != old).map(drop))
        })?;
        self.serves()
    }

    /// Fails when it is gone, and doesn't come back.
    pub(crate) fn alive(&self) -> Result<()> {
        wait::until("the agent's process is there", START, || Ok(process()?.map(drop)))
    }

    fn serves(&self) -> Result<()> {
        wait::until("the agent in its pod serves", START, || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok().map(drop))
        })
    }
}

/// The agent's process. Those that compile for it are others.
fn process() -> Result<Option<Pid>> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile is none.
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if command.starts_with(PROGRAM) {
            return Ok(Pid::from_raw(id));
        }
    }
    Ok(None)
}

/// The chart's config, on loopback and without an API server. It says nothing to the log, so that the only lines of its own are known.
fn config(port: u16, health: u16, example: &str) -> Result<String> {
    let map = chart::object(example, "ConfigMap", "weir")?;
    let text = map["data"]["agent.yaml"].as_str().context("the chart's config")?;
    let mut config: Value = serde_norway::from_str(text)?;
    config["listen"] = format!("127.0.0.1:{port}").into();
    config["health_listen"] = format!("127.0.0.1:{health}").into();
    config["access"] = json!({"mode": "open"});
    config["custom_resources"] = false.into();
    config["drain_seconds"] = 1.into();
    Ok(config.to_string())
}

/// The chart's pod.
fn manifest(mounted: &Path, health: u16, tag: &str, example: &str) -> Result<Value> {
    let daemon_set = chart::object(example, "DaemonSet", "weir")?;
    let mut spec = daemon_set["spec"]["template"]["spec"].clone();
    let fields = spec.as_object_mut().context("the chart's pod")?;
    // Of the API server, which isn't there.
    for field in ["serviceAccountName", "automountServiceAccountToken", "priorityClassName"] {
        ensure!(fields.remove(field).is_some(), "the chart's pod has no {field}");
    }
    fields.insert("hostNetwork".to_owned(), true.into());
    let container = &mut spec["containers"][0];
    container["image"] = format!("{IMAGE}:{tag}").into();
    container["imagePullPolicy"] = "Never".into();
    container.as_object_mut().context("the chart's container")?.remove("ports");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &mut container[probe]["httpGet"];
        ensure!(get["port"] == "health", "the chart's {probe} is otherwise");
        get["port"] = health.into();
        get["host"] = "127.0.0.1".into();
    }
    for volume in spec["volumes"].as_array_mut().context("the chart's volumes")? {
        let fields = volume.as_object_mut().context("a volume")?;
        if fields.remove("configMap").is_some() || fields.remove("secret").is_some() {
            let name = fields["name"].as_str().context("a volume's name")?;
            let path = mounted.join(name);
            ensure!(path.is_dir(), "the chart's volume {name} is new");
            fields.insert("hostPath".to_owned(), json!({"path": path, "type": "Directory"}));
        }
    }
    Ok(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "weir", "namespace": "weir"}, "spec": spec}),
    )
}
