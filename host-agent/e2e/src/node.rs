//! One node: containerd and kubelet with roots and sockets of their own, and the static pods that kubelet runs.
//!
//! It owns their configuration and their lives. It expects to run in mount and process namespaces of its own, as
//! `scripts/e2e` makes them: then `/var/log` and `/run` are its own, and no process of a pod outlives it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use weir_e2e_writer::{Account, Ledger, STOP};

use crate::process::{Daemon, output};
use crate::{image, wait};

/// The node's name, which ends the names of static pods.
pub(crate) const NAME: &str = "node";

/// Where kubelet keeps logs when its config says nothing else.
pub(crate) const LOGS: &str = "/var/log/pods";

/// Plain size from which kubelet rotates a log.
const ROTATE_AT: &str = "256Ki";

/// Files of one container instance, the live one included.
const MAX_FILES: u32 = 4;

/// How long containerd and kubelet may take for one step. The first start reads images and makes snapshots.
const STEP: Duration = Duration::from_secs(60);

/// A container of a pod: a writer.
pub(crate) struct Container {
    pub(crate) name: &'static str,
    /// Length and pieces of its lines, as `weir_e2e_writer::Form` names them.
    pub(crate) form: &'static str,
    /// Lines of each stream in a second.
    pub(crate) rate: u32,
    /// Line in whose middle it crashes.
    pub(crate) crash_after: Option<u32>,
}

/// A running node.
pub(crate) struct Node {
    dir: PathBuf,
    kubelet: Daemon,
    containerd: Daemon,
}

impl Node {
    /// Starts containerd, gives it the writer's image, and starts kubelet on an empty folder of pods.
    pub(crate) fn start(dir: &Path, kubelet: &Path, writer: &Path) -> Result<Node> {
        for folder in ["pods", "staging", "ledger"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        fs::write(dir.join("containerd.toml"), containerd_config(dir))?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(dir.join("containerd.toml"));
        let mut containerd = Daemon::start("containerd", dir, &mut command, false)?;
        wait::until("containerd answers", STEP, || {
            containerd.alive()?;
            Ok(ctr(dir, &["version"]).ok())
        })?;
        let archive = image::archive(writer, dir)?;
        let archive = archive.to_str().context("the state folder's name is UTF-8")?;
        ctr(dir, &["images", "import", "--snapshotter", "native", archive])?;

        let config = dir.join("kubelet.json");
        fs::write(&config, kubelet_config(dir).to_string())?;
        let mut command = Command::new(kubelet);
        command.args(["--hostname-override", NAME, "--v", "2", "--config"]).arg(config);
        command.arg("--root-dir").arg(dir.join("kubelet")).arg("--cert-dir").arg(dir.join("certs"));
        let kubelet = Daemon::start("kubelet", dir, &mut command, false)?;
        Ok(Node { dir: dir.to_owned(), kubelet, containerd })
    }

    /// Gives containerd an image from an OCI layout; its tag is the one that the layout has.
    pub(crate) fn import(&self, layout: &Path, name: &str) -> Result<()> {
        let archive = self.dir.join("imported.tar");
        output(
            Path::new("tar"),
            ["-C".as_ref(), layout.as_os_str(), "-cf".as_ref(), archive.as_os_str(), ".".as_ref()],
        )?;
        let archive = archive.to_str().context("the state folder's name is UTF-8")?;
        ctr(&self.dir, &["images", "import", "--snapshotter", "native", "--base-name", name, archive])
            .map(drop)
    }

    /// Fails when a part of the node has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        self.containerd.alive()?;
        self.kubelet.alive()
    }

    /// Runs a pod of these containers.
    pub(crate) fn run_pod(&self, name: &str, containers: &[Container]) -> Result<()> {
        self.run_manifest(name, &pod(name, containers, &self.ledgers()))
    }

    /// Runs a pod.
    pub(crate) fn run_manifest(&self, name: &str, manifest: &Value) -> Result<()> {
        // Kubelet reads whatever it sees in its folder, half a file too: write elsewhere, then rename.
        let staged = self.dir.join("staging").join(name);
        fs::write(&staged, manifest.to_string())?;
        fs::rename(staged, self.manifest(name))
            .with_context(|| format!("pod {name} could not be handed over"))
    }

    /// Deletes a pod. Its writers are killed in the middle of their work.
    pub(crate) fn delete_pod(&self, name: &str) -> Result<()> {
        fs::remove_file(self.manifest(name)).with_context(|| format!("pod {name} isn't there"))
    }

    /// Asks all writers to stop and to stay alive, and waits until they have. `gone` are pods that were deleted.
    pub(crate) fn stop_writing(&mut self, gone: &[&str]) -> Result<()> {
        fs::write(self.ledgers().join(STOP), "")?;
        wait::until("all writers are idle", STEP, || {
            self.alive()?;
            let runs = self.runs()?;
            // Only the last run of a writer is alive.
            let last = runs
                .iter()
                .filter(|run| !runs.iter().any(|r| r.writer == run.writer && r.number > run.number));
            let mut alive =
                last.filter(|run| !gone.iter().any(|pod| run.writer.starts_with(&format!("{pod}-"))));
            Ok(alive.all(|run| run.account.iter().all(|stream| stream.idle)).then_some(()))
        })
    }

    /// All runs that any writer began, by writer and number.
    pub(crate) fn runs(&self) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for entry in fs::read_dir(self.ledgers())? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a ledger's name is ours")?;
            if let Some((writer, number)) = name.rsplit_once('.') {
                let account = Ledger::read(&entry.path())?;
                runs.push(Run { writer: writer.to_owned(), number: number.parse()?, account });
            }
        }
        runs.sort_by(|a, b| (&a.writer, a.number).cmp(&(&b.writer, b.number)));
        Ok(runs)
    }

    /// Stops kubelet, so that nothing is rotated, restarted or deleted until [`Node::resume_kubelet`].
    pub(crate) fn suspend_kubelet(&self) -> Result<()> {
        self.kubelet.signal(Signal::STOP)
    }

    /// Lets kubelet go on.
    pub(crate) fn resume_kubelet(&self) -> Result<()> {
        self.kubelet.signal(Signal::CONT)
    }

    fn manifest(&self, pod: &str) -> PathBuf {
        self.dir.join("pods").join(format!("{pod}.json"))
    }

    fn ledgers(&self) -> PathBuf {
        self.dir.join("ledger")
    }
}

/// One process of a writer, as its ledger tells.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// `POD-CONTAINER`.
    pub(crate) writer: String,
    pub(crate) number: u32,
    pub(crate) account: Account,
}

/// Rotated files that were seen, by pod and container and name without `.gz`.
#[derive(Debug, Default)]
pub(crate) struct Rotations(BTreeSet<(String, String, String)>);

impl Rotations {
    /// Looks at the node's folder of logs. Between two looks kubelet must not rotate and delete a file: it looks at a
    /// log every three seconds, and keeps a rotated file for several of those.
    pub(crate) fn look(&mut self) -> Result<()> {
        for file in crate::disk::files(Path::new(LOGS))? {
            if let Some(stamp) = &file.rotated {
                let name = format!("{}.log.{stamp}", file.source.restart);
                self.0.insert((file.source.pod.clone(), file.source.container.clone(), name));
            }
        }
        Ok(())
    }

    /// How often a container's log was rotated, over all its restarts.
    pub(crate) fn of(&self, pod: &str, container: &str) -> usize {
        let pod = format!("{pod}-{NAME}");
        self.0.iter().filter(|(p, c, _)| *p == pod && c == container).count()
    }
}

impl fmt::Display for Rotations {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let containers: BTreeSet<_> = self.0.iter().map(|(pod, container, _)| (pod, container)).collect();
        out.write_str("rotations:")?;
        for (pod, container) in containers {
            let count = self.0.iter().filter(|(p, c, _)| (p, c) == (pod, container)).count();
            write!(out, " {pod}/{container} {count}")?;
        }
        Ok(())
    }
}

/// Asks containerd as an administrator.
fn ctr(dir: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let socket = dir.join("containerd.sock");
    let flags = ["--address".as_ref(), socket.as_os_str(), "--namespace".as_ref(), "k8s.io".as_ref()];
    output(Path::new("ctr"), flags.into_iter().chain(args.iter().map(AsRef::as_ref)))
}

/// containerd 1.6 and later read this; later ones migrate it.
fn containerd_config(dir: &Path) -> String {
    let dir = dir.display();
    let image = image::NAME;
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "{dir}/containerd-state"

[grpc]
address = "{dir}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
# Without CAP_SYS_RESOURCE no process may lower its score, and every sandbox would fail.
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd]
# The state folder may lie on a file system that overlayfs can't use.
snapshotter = "native"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#
    )
}

fn kubelet_config(dir: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "staticPodPath": dir.join("pods"),
        "containerRuntimeEndpoint": format!("unix://{}/containerd.sock", dir.display()),
        // Nothing is served, so nobody needs to be let in.
        "enableServer": false, "healthzPort": 0, "readOnlyPort": 0,
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        // What the logs are about: rotation within seconds, in place of 10Mi, 5 and 10s.
        "containerLogMaxSize": ROTATE_AT, "containerLogMaxFiles": MAX_FILES, "containerLogMonitorInterval": "3s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
        "fileCheckFrequency": "1s", "syncFrequency": "2s",
        // The machine may be a container without systemd, swap accounting or free disk.
        "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false, "enforceNodeAllocatable": [],
        "failCgroupV1": false, "failSwapOn": false, "localStorageCapacityIsolation": false,
        "volumePluginDir": dir.join("volume-plugins"), "makeIPTablesUtilChains": false, "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%",
            "nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"},
    })
}

fn pod(name: &str, containers: &[Container], ledgers: &Path) -> Value {
    let containers = containers.iter().map(|container| {
        let mut args = vec![
            format!("{name}-{}", container.name),
            "/ledger".to_owned(),
            container.form.to_owned(),
            container.rate.to_string(),
        ];
        args.extend(container.crash_after.map(|lines| lines.to_string()));
        json!({
            "name": container.name, "image": image::NAME, "imagePullPolicy": "Never", "args": args,
            "volumeMounts": [{"name": "ledger", "mountPath": "/ledger"}],
        })
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "e2e"},
        "spec": {
            "hostNetwork": true, "terminationGracePeriodSeconds": 1, "containers": containers.collect::<Vec<_>>(),
            "volumes": [{"name": "ledger", "hostPath": {"path": ledgers, "type": "Directory"}}],
        },
    })
}
