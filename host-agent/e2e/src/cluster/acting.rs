//! An agent that acts on `Filter` and `FilterPolicy` objects, on a node of its own, with the rights that the chart gives it; and who
//! asks it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::certs::Authority;
use crate::cluster::Args;
use crate::cluster::agents::{config, serve};
use crate::cluster::call::Callee;
use crate::cluster::control_plane::{ControlPlane, ISSUER};
use crate::process::Daemon;
use crate::{chart, wait};

/// Name of the node.
pub(crate) const NODE: &str = "node-2";

/// How long a change may take to show: an agent asks again every ten seconds what hasn't succeeded, and the API server no less often
/// than every 30.
pub(crate) const SHOWS: Duration = Duration::from_secs(60);

pub(crate) const CARD: &str = "4929420573595709";
pub(crate) const MASKED: &str = "[REDACTED:card]";
pub(crate) const DENIED: i32 = 2;
pub(crate) const INCOMPLETE: i32 = 3;

/// An agent that acts on objects, and who asks it.
pub(crate) struct Acting<'a> {
    pub(crate) cluster: &'a ControlPlane,
    /// `weir`.
    pub(crate) weir: PathBuf,
    /// The node's folder.
    pub(crate) node: PathBuf,
    /// `weir-agent`.
    agent: PathBuf,
    pub(crate) daemon: Daemon,
    callee: Callee,
}

/// What `weir` said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Makes the agent's account with the chart's rights, and who asks it:
///
/// | who | may |
/// |---|---|
/// | user `auditor` | read everything; `bypass` policy `cards`; `upload` |
/// | user `jane` | read namespace `shop`; `use` filter `cards` |
/// | group `readers` | read namespace `bank`, and use no Filter |
fn make(cluster: &ControlPlane) -> Result<()> {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "weir"}});
    cluster.create("/api/v1/namespaces/weir/serviceaccounts", &account)?;
    for role in chart::objects("ClusterRole")? {
        cluster.create(&format!("{RBAC}/clusterroles"), &role)?;
    }
    for binding in chart::objects("ClusterRoleBinding")? {
        // Who may use filters is said below.
        if binding["metadata"]["name"] == "weir-agent" {
            cluster.create(&format!("{RBAC}/clusterrolebindings"), &binding)?;
        }
    }
    // As the chart's value rbac.filterConfigMaps makes it.
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["filters"], "verbs": ["list", "watch"]});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "filters"}, "rules": [rule]});
    cluster.create(&format!("{RBAC}/namespaces/ops/roles"), &role)?;
    let subject = json!({"kind": "ServiceAccount", "name": "weir", "namespace": "weir"});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "filters"},
        "subjects": [subject], "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "filters"}});
    cluster.create(&format!("{RBAC}/namespaces/ops/rolebindings"), &binding)?;
    for (name, user, resource, names, verb) in [
        ("bypass-cards", "auditor", "filterpolicies", &["cards"][..], "bypass"),
        ("upload", "auditor", "filters", &[], "upload"),
        ("use-cards", "jane", "filters", &["cards"], "use"),
    ] {
        let rule = json!({"apiGroups": ["weir.dev"], "resources": [resource], "resourceNames": names, "verbs": [verb]});
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]});
        cluster.create(&format!("{RBAC}/clusterroles"), &role)?;
        let subject = json!({"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "subjects": [subject], "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}});
        cluster.create(&format!("{RBAC}/clusterrolebindings"), &binding)?;
    }
    Ok(())
}

impl Acting<'_> {
    /// Makes the account and the logs, and starts it.
    pub(crate) fn start<'a>(
        args: &Args,
        cluster: &'a ControlPlane,
        authority: &Authority,
    ) -> Result<Acting<'a>> {
        make(cluster)?;
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "till-1", "labels": {"pci": "yes"}},
            "spec": {"containers": [{"name": "app", "image": "none"}]}});
        let pod = cluster.create("/api/v1/namespaces/shop/pods", &pod)?;
        let labelled = pod["metadata"]["uid"].as_str().context("a pod without a uid")?;
        let node = args.state.join(NODE);
        let other = "20000000-0000-0000-0000-000000000000";
        for (pod, uid) in [
            ("shop_till-1", labelled),
            ("shop_web-9", "20000000-0000-0000-0000-000000000001"),
            ("bank_vault-9", other),
            ("ops_cron-9", "20000000-0000-0000-0000-000000000002"),
        ] {
            let dir = node.join(format!("logs/{pod}_{uid}/app"));
            fs::create_dir_all(&dir)?;
            fs::write(dir.join("0.log"), format!("2026-11-24T10:00:00Z stdout F {pod} paid with {CARD}\n"))?;
        }
        fs::write(node.join("token"), cluster.token("weir", "weir", ISSUER)?)?;
        fs::copy(&cluster.ca, node.join("api-ca.pem"))?;
        let server = authority.sign("acting", "agents")?;
        let mut config = config(&node, cluster, &server, &args.state);
        config["custom_resources"] = true.into();
        config["node"] = NODE.into();
        fs::write(node.join("agent.yaml"), config.to_string())?;
        let (daemon, callee) = serve(&args.agent, &node, &cluster.ca)?;
        let (weir, agent) = (args.weir.clone(), args.agent.clone());
        Ok(Acting { cluster, weir, node, agent, daemon, callee })
    }

    /// Runs `weir logs` as a user.
    pub(crate) fn ask(&self, user: &str, words: &[&str]) -> Result<Said> {
        let token = self.node.join(format!("{user}.token"));
        fs::write(&token, format!("{user}-token\n"))?;
        let output = self.command(words).arg("--token-file").arg(token).output()?;
        let code = output.status.code().context("weir ended by a signal")?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        Ok(Said { code, out, err })
    }

    /// `weir logs` of this agent.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.weir);
        command.args(["logs", "--agent", &self.callee.url]).args(words).arg("--tls-ca").arg(&self.callee.ca);
        command.env("XDG_CACHE_HOME", self.node.join("client-cache"));
        command
    }

    /// Waits until the auditor's query has ended with that code, and said, on either output, all that it must and nothing that it
    /// mustn't.
    pub(crate) fn until(
        &self,
        what: &str,
        words: &[&str],
        code: i32,
        says: &[&str],
        never: &[&str],
    ) -> Result<()> {
        let mut last = String::new();
        let waited = wait::until(what, SHOWS, || {
            let Said { code: ended, out, err } = self.ask("auditor", words)?;
            let said = format!("{out}{err}");
            let is_good = ended == code
                && says.iter().all(|word| said.contains(word))
                && !never.iter().any(|word| said.contains(word));
            last = format!("{ended}: {said}");
            Ok(is_good.then_some(()))
        });
        waited.with_context(|| format!("the last answer: {last}"))
    }

    /// Waits until an object says of this node that it is loaded, or why not; gives the entry.
    pub(crate) fn status(&self, path: &str, name: &str, loaded: &str, says: &str) -> Result<Value> {
        let mut last = Value::Null;
        let waited = wait::until(&format!("{name} says {loaded}"), SHOWS, || {
            let object = self.cluster.get(&format!("{path}/{name}"))?;
            let generation = &object["metadata"]["generation"];
            last = object["status"].clone();
            let nodes = object["status"]["nodes"].as_array().cloned().unwrap_or_default();
            let entry = nodes.into_iter().find(|entry| entry["node"] == NODE);
            Ok(entry.filter(|entry| {
                let condition = &entry["conditions"][0];
                condition["type"] == "Loaded"
                    && condition["status"] == loaded
                    && condition["observedGeneration"] == *generation
                    && condition["message"].as_str().is_some_and(|message| message.contains(says))
            }))
        });
        waited.with_context(|| format!("its status: {last}"))
    }
    /// Ends it, and starts another one.
    pub(crate) fn start_anew(&mut self) -> Result<()> {
        self.daemon.end(Signal::TERM)?;
        (self.daemon, self.callee) = serve(&self.agent, &self.node, &self.cluster.ca)?;
        Ok(())
    }
}
