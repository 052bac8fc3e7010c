//! What is in the cluster: nodes, agents that are real processes, and pods whose logs they read.

use std::fs::File;
use std::io::Write as _;

use serde_json::{Value, json};

use super::plane::Plane;
use crate::agent::Agent;
use crate::sample::Tree;

/// A node with an agent.
pub(crate) struct Node {
    name: &'static str,
    pub(crate) tree: Tree,
    /// Holds the folder where the agent keeps the key of its positions, whichever process it is.
    state: Tree,
    pub(crate) agent: Option<Agent>,
}

impl Node {
    /// A node whose agent runs in pod `weir/agent-NODE`.
    pub(crate) fn new(plane: &mut Plane, name: &'static str) -> Node {
        node(plane, name);
        let mut node = Node { name, tree: Tree::new(), state: Tree::new(), agent: None };
        node.start(plane, &format!("agent-{name}"));
        node
    }

    /// Starts an agent in a pod of this name.
    pub(crate) fn start(&mut self, plane: &mut Plane, pod: &str) {
        let (cert, key) = plane.sign(pod, "weir-agent.weir.svc");
        let cache = self.state.path().join("cache").display().to_string();
        let flags = ["--tls-cert", &cert, "--tls-key", &key, "--cache-dir", &cache];
        let agent = Agent::start(&self.tree, &flags);
        plane.lead(&format!("weir/{pod}"), &agent.address);
        agent_pod(plane, pod, self.name, true);
        self.agent = Some(agent);
    }

    /// Appends to the log of a pod's container `web`.
    pub(crate) fn append(&self, pod: &str, time: &str, message: &str) {
        let path = self.tree.path().join(format!("shop_{pod}_uid-{pod}/web/0.log"));
        let mut file = File::options().append(true).open(path).expect("the live file");
        writeln!(file, "2026-11-24T{time}Z stdout F {message}").expect("written");
    }

    /// Writes a pod's log, as kubelet does.
    pub(crate) fn log(&self, pod: &str, container: &str, lines: &[(&str, &str)]) {
        let line = |(time, message): &(&str, &str)| format!("2026-11-24T{time}Z stdout F {message}\n");
        let text: String = lines.iter().map(line).collect();
        self.tree.write(&format!("shop_{pod}_uid-{pod}/{container}/0.log"), text);
    }
}

/// A node, whose kubelet is that of all.
pub(crate) fn node(plane: &Plane, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    plane.create("/api/v1/nodes", &object);
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": plane.kubelet_port}},
    }});
    plane.merge(&format!("/api/v1/nodes/{name}/status"), &status);
}

/// The pod of an agent.
pub(crate) fn agent_pod(plane: &Plane, name: &str, node: &str, ready: bool) {
    let labels = json!({
        "app.kubernetes.io/name": "weir", "app.kubernetes.io/component": "agent",
        "app.kubernetes.io/version": "0.1.0",
    });
    let spec = json!({"nodeName": node, "containers": [
        {"name": "agent", "image": "weir", "ports": [{"name": "grpc", "containerPort": 7411}]}
    ]});
    pod(plane, "weir", name, &labels, spec);
    let status = match ready {
        true => json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
        false => json!({"phase": "Pending", "containerStatuses": [
            {"name": "agent", "image": "weir", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"waiting": {"reason": "ImagePullBackOff"}}}
        ]}),
    };
    plane.merge(&format!("/api/v1/namespaces/weir/pods/{name}/status"), &json!({"status": status}));
}

/// A pod of the workload.
pub(crate) fn workload(plane: &Plane, name: &str, node: &str, labels: &Value) {
    let mut spec =
        json!({"containers": [{"name": "web", "image": "web"}, {"name": "proxy", "image": "proxy"}]});
    if !node.is_empty() {
        spec["nodeName"] = node.into();
    }
    pod(plane, "shop", name, labels, spec);
}

fn pod(plane: &Plane, namespace: &str, name: &str, labels: &Value, spec: Value) {
    let object = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels}, "spec": spec});
    plane.create(&format!("/api/v1/namespaces/{namespace}/pods"), &object);
}

pub(crate) fn namespace(plane: &Plane, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    plane.create("/api/v1/namespaces", &object);
}

/// What agents publish about their certificates.
pub(crate) fn trust(plane: &Plane) {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "weir-ca"},
        "data": {"ca.crt": plane.ca()}});
    plane.create("/api/v1/namespaces/weir/configmaps", &object);
}

/// An object of `apps/v1` that takes the pods with label `app=NAME`.
pub(crate) fn owner(plane: &Plane, kind: &str, name: &str) {
    let labels = json!({"app": name});
    let template =
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}});
    let mut spec = json!({"selector": {"matchLabels": labels}, "template": template});
    if kind == "StatefulSet" {
        spec["serviceName"] = name.into();
    }
    let object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    plane.create(&format!("/apis/apps/v1/namespaces/shop/{}s", kind.to_lowercase()), &object);
}

/// A job; gives the label of its pods.
pub(crate) fn job(plane: &Plane, name: &str, owner: Option<&Value>) -> Value {
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "web", "image": "web"}]}});
    let mut object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"template": template}});
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob",
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": true}]);
    }
    let made = plane.create("/apis/batch/v1/namespaces/shop/jobs", &object);
    made["spec"]["selector"]["matchLabels"].clone()
}

pub(crate) fn cron_job(plane: &Plane, name: &str) -> Value {
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "web", "image": "web"}]}});
    let object = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}});
    plane.create("/apis/batch/v1/namespaces/shop/cronjobs", &object)
}

pub(crate) fn service(plane: &Plane, name: &str, selector: Option<&Value>) {
    let mut object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}]}});
    if let Some(selector) = selector {
        object["spec"]["selector"] = selector.clone();
    }
    plane.create("/api/v1/namespaces/shop/services", &object);
}
