//! Names of artifacts: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use weir_trust::Digest;

/// The name of an artifact in a registry. Without tag and digest it is that of the tag `latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub(crate) oci_client::Reference);

/// Text that names no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not the name of an artifact in a registry: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: String,
}

impl Reference {
    /// Whether text begins like a registry's name: with a point, a port, or `localhost`. A name alone isn't taken to
    /// be one on Docker Hub.
    pub fn is_like(text: &str) -> bool {
        let host = text.split_once('/').map(|(host, _)| host);
        host.is_some_and(|host| !host.starts_with('.') && (host == "localhost" || host.contains(['.', ':'])))
    }

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// Registry and repository, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.0.registry(), self.0.repository())
    }

    /// The last part of the repository's name.
    pub fn base_name(&self) -> &str {
        self.0.repository().rsplit('/').next().unwrap_or_default()
    }

    /// The digest in it.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// The same artifact, named by the digest of its manifest.
    pub fn at(&self, digest: Digest) -> Reference {
        let (registry, repository) = (self.0.registry().to_owned(), self.0.repository().to_owned());
        Reference(oci_client::Reference::with_digest(registry, repository, digest.to_string()))
    }

    /// Another tag in the same repository.
    pub(crate) fn tagged(&self, tag: String) -> Reference {
        let (registry, repository) = (self.0.registry().to_owned(), self.0.repository().to_owned());
        Reference(oci_client::Reference::with_tag(registry, repository, tag))
    }

    /// Whether the registry is on this machine, so that what is said to it isn't heard by others.
    pub fn is_loopback(&self) -> bool {
        let registry = self.0.registry();
        let host = match registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => registry,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        let error = |reason: String| ReferenceError { text: text.to_owned(), reason };
        if !Reference::is_like(text) {
            let reason = "give HOST/NAME:TAG or HOST/NAME@sha256:…, such as ghcr.io/team/errors:1.0";
            return Err(error(reason.to_owned()));
        }
        let reference = oci_client::Reference::try_from(text).map_err(|told| error(told.to_string()))?;
        if let Some(digest) = reference.digest() {
            digest.parse::<Digest>().map_err(|told| error(told.to_string()))?;
        }
        Ok(Reference(reference))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_artifacts_are_read_and_others_are_refused() {
        let digest = Digest::of(b"");
        for (text, registry, is_loopback, name) in [
            ("ghcr.io/team/errors:1.0", "ghcr.io", false, "errors"),
            ("localhost/errors", "localhost", true, "errors"),
            ("localhost:5000/a/b/errors", "localhost:5000", true, "errors"),
            ("127.0.0.2:5000/errors:x", "127.0.0.2:5000", true, "errors"),
            ("10.0.0.1:5000/errors:x", "10.0.0.1:5000", false, "errors"),
            ("localhost.example.com/errors", "localhost.example.com", false, "errors"),
            (&format!("ghcr.io/errors@{digest}"), "ghcr.io", false, "errors"),
        ] {
            let reference: Reference = text.parse().expect(text);
            assert_eq!((reference.registry(), reference.is_loopback()), (registry, is_loopback), "{text}");
            assert_eq!(reference.base_name(), name);
            assert!(reference.at(digest).to_string().ends_with(&format!("{name}@{digest}")), "{text}");
        }
        for text in [
            "",
            "errors",
            "team/errors:1.0",
            "./errors.wasm",
            "/tmp/x.wasm",
            "../ghcr.io/x",
            "ghcr.io/UPPER",
            "ghcr.io/x@sha256:12",
        ] {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
