//! Weir's custom resources, `Filter` and `FilterPolicy` of `weir.dev/v1alpha1`, as far as agents read them, and what an agent
//! writes of them: whether they are loaded on its node. The definitions are in `charts/weir/files/crds`, which the API server
//! checks each object against.

use std::collections::BTreeMap;

use http::Method;
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api_server::ApiClient;
use crate::request::{Call, JSON, PATIENCE, RequestError, answer};
use crate::watch::Collection;

/// Group and version of both.
const API_VERSION: &str = "weir.dev/v1alpha1";

/// Largest answer with one object, in bytes.
const OBJECT_BYTES: usize = 8 << 20;

/// An object as the API server has it, in the parts that matter here. A part that it doesn't have is empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Object {
    /// Who it is.
    pub metadata: Metadata,
    /// What is wanted of it.
    pub spec: Value,
    /// What became of it.
    pub status: Status,
    /// A ConfigMap's bytes, in base64.
    pub binary_data: BTreeMap<String, String>,
    /// A ConfigMap's texts.
    pub data: BTreeMap<String, String>,
}

/// Who an object is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// What tells it from one that had the name before.
    pub uid: String,
    /// Which version of its spec it is.
    pub generation: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What became of an object of Weir's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// On each node.
    pub nodes: Vec<NodeStatus>,
}

/// What became of an object on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct NodeStatus {
    /// The node.
    pub node: String,
    /// Digest of the component that is loaded; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// One: `Loaded`.
    pub conditions: Vec<Condition>,
}

/// A condition as Kubernetes has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// [`Metadata::generation`] of what was looked at.
    pub observed_generation: i64,
    /// When `status` changed last, as RFC 3339.
    pub last_transition_time: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

/// The two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A filter that queries and policies name.
    Filter,
    /// Filters that each record of some pods passes.
    FilterPolicy,
}

/// The spec of a `Filter`: one of the first three is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FilterSpec {
    /// Name of one that ships with Weir.
    pub builtin: Option<String>,
    /// Where a component is.
    pub config_map: Option<ConfigMapKey>,
    /// Where a component is in a registry.
    pub oci: Option<OciReference>,
    /// Parameters that hold unless others are given.
    pub params: Option<Value>,
    /// Limits likewise.
    pub limits: BTreeMap<String, u64>,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ConfigMapKey {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key, of `binaryData`.
    pub key: String,
}

/// An artifact in a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OciReference {
    /// Its name, by digest.
    pub reference: String,
}

/// The spec of a `FilterPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// Its filters, in their order.
    pub filters: Vec<PolicyFilter>,
    /// Where it holds.
    pub namespaces: Namespaces,
    /// Of which pods there; `None`: of all.
    #[serde(default)]
    pub pods: Option<Pods>,
    /// `Withhold` or `Refuse`.
    #[serde(default)]
    pub on_failure: Option<String>,
}

/// A filter of a policy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct PolicyFilter {
    /// Name of a `Filter`, or of one that ships with Weir.
    pub name: String,
    /// Parameters in place of the filter's own.
    #[serde(default)]
    pub params: Option<Value>,
    /// Limits in place of the filter's own.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
}

/// Which namespaces: those that satisfy both.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Names or globs.
    pub names: Vec<String>,
    /// By labels.
    pub selector: Option<Selector>,
}

/// Which pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Pods {
    /// By labels.
    pub selector: Selector,
}

/// A label selector as Kubernetes has them: all that it says must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Selector {
    /// Labels and their values.
    pub match_labels: BTreeMap<String, String>,
    /// Requirements.
    pub match_expressions: Vec<Requirement>,
}

/// A requirement on a label.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values of the first two.
    pub values: Vec<String>,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Filter => "Filter",
            Kind::FilterPolicy => "FilterPolicy",
        }
    }

    fn path(self) -> String {
        format!("/apis/{API_VERSION}/{}", if self == Kind::Filter { "filters" } else { "filterpolicies" })
    }

    /// All of this kind.
    pub fn collection(self) -> Collection {
        Collection { path: self.path(), name: None, what: self.name(), metadata_only: false }
    }
}

impl Collection {
    /// All namespaces, of which no more than metadata is read.
    pub fn namespaces() -> Collection {
        Collection {
            path: "/api/v1/namespaces".to_owned(),
            name: None,
            what: "Namespace",
            metadata_only: true,
        }
    }

    /// One ConfigMap; `None` where its names are none that Kubernetes takes, which would be another path.
    pub fn config_map(ConfigMapKey { namespace, name, .. }: &ConfigMapKey) -> Option<Collection> {
        if !is_name(namespace) || !is_name(name) {
            return None;
        }
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        Some(Collection { path, name: Some(name.clone()), what: "ConfigMap", metadata_only: false })
    }
}

impl ApiClient {
    /// The metadata of a pod; `None` where there is none of that name.
    ///
    /// # Errors
    /// It can't be told.
    pub async fn pod(&self, namespace: &str, name: &str) -> Result<Option<Metadata>, RequestError> {
        if !is_name(namespace) || !is_name(name) {
            return Ok(None);
        }
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let call = Call { accept, ..Call::get(path, "Pod") };
        match answer(&self.0, &call, OBJECT_BYTES, PATIENCE).await {
            Ok(object) => match serde_json::from_slice::<Object>(&object) {
                Ok(object) => Ok(Some(object.metadata)),
                Err(_) => Err(RequestError::Unreadable("Pod")),
            },
            Err(RequestError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says what became of an object on one node, by server-side apply, which leaves what others have said. Of an object that is gone,
    /// nothing is said.
    ///
    /// # Errors
    /// It isn't written.
    pub async fn report(
        &self,
        kind: Kind,
        Metadata { name, uid, .. }: &Metadata,
        status: &NodeStatus,
    ) -> Result<(), RequestError> {
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": kind.name(),
            // Not of another one that has the name now.
            "metadata": { "name": name, "uid": uid },
            "status": { "nodes": [status] },
        });
        let call = Call {
            method: Method::PATCH,
            path: format!("{}/{name}/status?fieldManager={}&force=true", kind.path(), manager(&status.node)),
            content: "application/apply-patch+yaml",
            accept: JSON,
            body: Bytes::from(body.to_string()),
            what: kind.name(),
        };
        match answer(&self.0, &call, OBJECT_BYTES, PATIENCE).await {
            // It isn't there any more, or another one is.
            Ok(_) | Err(RequestError::Refused { status: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl FilterSpec {
    /// The spec of a `Filter`.
    ///
    /// # Errors
    /// It isn't one, as the text says.
    pub fn of(object: &Object) -> Result<FilterSpec, String> {
        spec(object)
    }
}

impl PolicySpec {
    /// The spec of a `FilterPolicy`.
    ///
    /// # Errors
    /// It isn't one, as the text says.
    pub fn of(object: &Object) -> Result<PolicySpec, String> {
        spec(object)
    }
}

/// Who writes a node's entry: at most 128 characters.
fn manager(node: &str) -> String {
    const LETTERS: usize = 100;
    if node.len() <= LETTERS {
        return format!("weir-agent-{node}");
    }
    let digest: String = Sha256::digest(node).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("weir-agent-{digest}")
}

/// Whether it is a name that an object may have: a DNS subdomain, which holds nothing that means something in a path.
pub fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(is_good) && !name.starts_with('.')
}

fn spec<T: DeserializeOwned>(object: &Object) -> Result<T, String> {
    T::deserialize(&object.spec).map_err(|error| format!("spec: {error}"))
}
