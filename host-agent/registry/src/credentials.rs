//! Who asks: a name and a password from a file as `docker login` writes it, which is also what a Kubernetes Secret of type
//! `kubernetes.io/dockerconfigjson` holds.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the user.
    pub user: String,
    /// Password or token.
    pub password: String,
}

/// Bytes without credentials that can be used. What they hold isn't told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// It isn't the JSON of such a file.
    #[error("it is no file of credentials as `docker login` writes it ({{\"auths\": {{…}}}})")]
    Malformed,
    /// Those of the registry can't be used.
    #[error("the credentials for {host} {reason}")]
    Unusable {
        /// The registry.
        host: String,
        /// What is wrong with them.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl Credentials {
    /// Those for a registry in the content of a file; `None` where it has none for it.
    ///
    /// # Errors
    /// Content that isn't such a file, or credentials that aren't a name and a password.
    pub fn find(json: &[u8], host: &str) -> Result<Option<Credentials>, CredentialsError> {
        let file: File = serde_json::from_slice(json).map_err(|_| CredentialsError::Malformed)?;
        let is_hub = |name: &str| matches!(name, "docker.io" | "index.docker.io" | "registry-1.docker.io");
        let is_it = |key: &str| bare(key) == host || (is_hub(host) && is_hub(bare(key)));
        let Some((_, entry)) = file.auths.into_iter().find(|(key, _)| is_it(key)) else { return Ok(None) };
        entry
            .credentials()
            .map(Some)
            .map_err(|reason| CredentialsError::Unusable { host: host.to_owned(), reason })
    }
}

impl Entry {
    fn credentials(self) -> Result<Credentials, &'static str> {
        if !self.identitytoken.is_empty() {
            return Err("are an identity token; a password or an access token is needed");
        }
        if self.auth.is_empty() {
            return match self.username.is_empty() {
                true => Err("are none: there is neither `auth` nor `username`"),
                false => Ok(Credentials { user: self.username, password: self.password }),
            };
        }
        let decoded = STANDARD.decode(&self.auth).or_else(|_| STANDARD_NO_PAD.decode(&self.auth));
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or("can't be read: `auth` isn't base64")?;
        // Docker ends some with zeros.
        let (user, password) = text
            .trim_end_matches('\0')
            .split_once(':')
            .ok_or("can't be read: `auth` holds no NAME:PASSWORD")?;
        Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The registry that a key is about, which may be a URL.
fn bare(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn those_for_a_registry_are_found_in_each_form() {
        let auth = STANDARD.encode("jane:a:b");
        let file = json!({"auths": {
            "ghcr.io": {"auth": auth}, "https://quay.io/v2/": {"username": "joe", "password": "x"},
            "https://index.docker.io/v1/": {"auth": auth}, "a.io": {}, "b.io": {"identitytoken": "t"}, "c.io": {"auth": "?"},
            "d.io": {"auth": STANDARD.encode("nobody")},
        }, "credsStore": "desktop"});
        let file = file.to_string();
        let find = |host: &str| Credentials::find(file.as_bytes(), host);
        for (host, user, password) in
            [("ghcr.io", "jane", "a:b"), ("quay.io", "joe", "x"), ("docker.io", "jane", "a:b")]
        {
            let expected = Credentials { user: user.to_owned(), password: password.to_owned() };
            assert_eq!(find(host), Ok(Some(expected)), "{host}");
        }
        for host in ["io", "evil-ghcr.io", "ghcr.io:443"] {
            assert_eq!(find(host), Ok(None), "{host}");
        }
        for (host, says) in
            [("a.io", "neither"), ("b.io", "identity token"), ("c.io", "base64"), ("d.io", "NAME:PASSWORD")]
        {
            let error = find(host).expect_err(host).to_string();
            assert!(error.contains(says) && error.contains(host), "{error}");
        }
        assert_eq!(Credentials::find(b"{", "a.io"), Err(CredentialsError::Malformed));
        let shown = format!("{:?}", find("ghcr.io"));
        assert!(shown.contains("jane") && !shown.contains("a:b"), "{shown}");
    }

    proptest! {
        #[test]
        fn errors_hold_nothing_of_the_file(secret in "[a-z]{12}") {
            let file = format!("{{\"auths\": {{\"a.io\": {{\"auth\": \"{secret}!\"}}}}}}");
            let error = Credentials::find(file.as_bytes(), "a.io").expect_err("not base64");
            prop_assert!(!error.to_string().contains(&secret));
        }
    }
}
