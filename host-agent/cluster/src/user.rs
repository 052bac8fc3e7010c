//! Whom an API server knows a caller as.

use std::collections::BTreeMap;

/// Whom an API server knows a caller as: everything that access may depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// Name, such as `system:serviceaccount:shop:reader`.
    pub name: String,
    /// What tells apart two users that had the name one after the other; may be empty.
    pub uid: String,
    /// Groups that the user belongs to.
    pub groups: Vec<String>,
    /// What else the authenticator knows, by key.
    pub extra: BTreeMap<String, Vec<String>>,
}
