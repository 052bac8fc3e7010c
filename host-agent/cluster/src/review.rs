//! The two reviews that the API server is asked for, in the parts that matter here: `TokenReview` of
//! `authentication.k8s.io/v1` and `SubjectAccessReview` of `authorization.k8s.io/v1`, as the Kubernetes API reference
//! describes them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What can be reviewed, and what comes back.
pub(crate) trait Reviewed: Serialize {
    /// Its group and version.
    const API_VERSION: &'static str;
    /// Its kind.
    const KIND: &'static str;
    /// Where one is created.
    const PATH: &'static str;
    /// What the API server says.
    type Status: DeserializeOwned + Default;
}

/// A review on its way to the API server.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a, T> {
    api_version: &'static str,
    kind: &'static str,
    metadata: BTreeMap<(), ()>,
    spec: &'a T,
}

/// A review as the API server gives it back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered<T> {
    api_version: String,
    kind: String,
    status: Option<T>,
}

/// The text of a review.
pub(crate) fn to_json<T: Reviewed>(spec: &T) -> Vec<u8> {
    let asked = Asked { api_version: T::API_VERSION, kind: T::KIND, metadata: BTreeMap::new(), spec };
    serde_json::to_vec(&asked).expect("reviews are plain data")
}

/// The status in the text of a review; `None` of any other text.
pub(crate) fn status<T: Reviewed>(text: &[u8]) -> Option<T::Status> {
    let Answered { api_version, kind, status } = serde_json::from_slice(text).ok()?;
    (api_version == T::API_VERSION && kind == T::KIND).then(|| status.unwrap_or_default())
}

/// Whose token it is.
#[derive(Serialize)]
pub(crate) struct TokenReview {
    pub(crate) token: String,
    /// Whom it has to be made for; `None`: the API server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audiences: Option<Vec<String>>,
}

impl Reviewed for TokenReview {
    const API_VERSION: &'static str = "authentication.k8s.io/v1";
    const KIND: &'static str = "TokenReview";
    const PATH: &'static str = "/apis/authentication.k8s.io/v1/tokenreviews";
    type Status = TokenStatus;
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenStatus {
    pub(crate) authenticated: Option<bool>,
    pub(crate) user: Option<UserInfo>,
    pub(crate) audiences: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct UserInfo {
    pub(crate) username: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) extra: Option<BTreeMap<String, Vec<String>>>,
}

/// Whether a user may do something.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubjectAccessReview {
    pub(crate) user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
    pub(crate) resource_attributes: ResourceAttributes,
}

#[derive(Serialize)]
pub(crate) struct ResourceAttributes {
    pub(crate) verb: &'static str,
    /// Empty: the core's.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) resource: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) subresource: &'static str,
    /// `None`: in all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// `None`: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

impl Reviewed for SubjectAccessReview {
    const API_VERSION: &'static str = "authorization.k8s.io/v1";
    const KIND: &'static str = "SubjectAccessReview";
    const PATH: &'static str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    type Status = AccessStatus;
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct AccessStatus {
    pub(crate) allowed: Option<bool>,
    pub(crate) denied: Option<bool>,
    pub(crate) evaluation_error: Option<String>,
}
