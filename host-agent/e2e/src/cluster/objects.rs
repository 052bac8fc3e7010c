//! The logs of two nodes, and who may read which of them.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cluster::control_plane::ControlPlane;

/// A pod with logs: the node that it runs on, its namespace and its name.
pub(crate) struct Pod {
    pub(crate) node: usize,
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
}

const fn pod(node: usize, namespace: &'static str, name: &'static str) -> Pod {
    Pod { node, namespace, name }
}

/// All pods. No name is part of another one's.
pub(crate) static PODS: [Pod; 6] = [
    pod(0, "shop", "web-1"),
    pod(0, "shop", "cart-1"),
    pod(0, "bank", "ledger-1"),
    pod(0, "ops", "cron-1"),
    pod(1, "shop", "web-2"),
    pod(1, "bank", "ledger-2"),
];

impl Pod {
    /// What its log says, and nothing else does.
    pub(crate) fn canary(&self) -> String {
        format!("canary-of-{}", self.name)
    }
}

/// Writes the logs of one node.
pub(crate) fn write_logs(root: &Path, node: usize) -> Result<()> {
    for (number, pod) in PODS.iter().enumerate().filter(|(_, pod)| pod.node == node) {
        let uid = format!("00000000-0000-0000-0000-{number:012}");
        let dir = root.join(format!("{}_{}_{uid}/app", pod.namespace, pod.name));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("0.log"), format!("2026-11-24T10:00:0{number}Z stdout F {}\n", pod.canary()))?;
    }
    Ok(())
}

/// Makes namespaces, service accounts, roles and who they are bound to:
///
/// | who | may read |
/// |---|---|
/// | user `jane` | namespace `shop` |
/// | user `petra` | pod `web-1` of `shop` |
/// | user `auditor` | everything |
/// | group `readers` | namespace `bank` |
/// | service account `reader` of `ops` | namespace `ops` |
/// | service accounts `leaver` and `goner` of `shop` | namespace `shop`, until that is taken away |
/// | user `nobody` | nothing |
/// | service account `agent` of `weir` | nothing: it may ask for reviews |
pub(crate) fn make(cluster: &ControlPlane) -> Result<()> {
    for namespace in ["weir", "shop", "bank", "ops"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.create("/api/v1/namespaces", &object)?;
    }
    for (namespace, name) in [("weir", "agent"), ("ops", "reader"), ("shop", "leaver"), ("shop", "goner")] {
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        cluster.create(&format!("/api/v1/namespaces/{namespace}/serviceaccounts"), &object)?;
    }
    let rule = json!({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "log-reader"}, "rules": [rule]});
    cluster.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role)?;
    let mut one = rule;
    one["resourceNames"] = json!(["web-1"]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "web-1-reader"}, "rules": [one]});
    cluster.create("/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles", &role)?;

    let user = |name: &str| json!({"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"});
    let group = |name: &str| json!({"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"});
    let account =
        |namespace: &str, name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace});
    let reader = ("ClusterRole", "log-reader");
    bind(cluster, Some("shop"), "jane", reader, &user("jane"))?;
    bind(cluster, Some("shop"), "petra", ("Role", "web-1-reader"), &user("petra"))?;
    bind(cluster, Some("bank"), "readers", reader, &group("readers"))?;
    bind(cluster, Some("ops"), "reader", reader, &account("ops", "reader"))?;
    bind(cluster, Some("shop"), "leaver", reader, &account("shop", "leaver"))?;
    bind(cluster, Some("shop"), "goner", reader, &account("shop", "goner"))?;
    bind(cluster, None, "auditor", reader, &user("auditor"))?;
    bind(cluster, None, "delegator", ("ClusterRole", "system:auth-delegator"), &account("weir", "agent"))
}

/// Binds a role, in one namespace or in all.
fn bind(
    cluster: &ControlPlane,
    namespace: Option<&str>,
    name: &str,
    (kind, role): (&str, &str),
    subject: &Value,
) -> Result<()> {
    let (binding, path) = match namespace {
        Some(namespace) => ("RoleBinding", format!("namespaces/{namespace}/rolebindings")),
        None => ("ClusterRoleBinding", "clusterrolebindings".to_owned()),
    };
    let object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": binding,
        "metadata": {"name": name}, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}});
    cluster.create(&format!("/apis/rbac.authorization.k8s.io/v1/{path}"), &object).map(drop)
}
