//! Names of artifacts by digest: `HOST[:PORT]/REPOSITORY[:TAG]@sha256:…`.

use std::fmt;
use std::str::FromStr;

use weir_trust::Digest;

use crate::host::is_host;

/// Most bytes of a repository's name.
const REPOSITORY_BYTES: usize = 255;

/// The name of an artifact by the digest of its manifest. A tag in the text it was read from counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    digest: Digest,
}

/// Text that names no artifact by digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not the name of an artifact by digest: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: String,
}

impl Reference {
    /// Host, and port where it has one, of the registry.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository's name there.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        let refused = |reason: &str| ReferenceError {
            text: text.chars().take(600).collect(),
            reason: reason.to_owned(),
        };
        let (name, digest) = text.split_once('@').ok_or_else(|| {
            refused("a tag may change what it means: give REGISTRY/NAME@sha256:(64 hex digits); `weir filter push` prints it")
        })?;
        let digest = digest.parse().map_err(|error: weir_trust::DigestError| refused(&error.to_string()))?;
        let (host, path) = name.split_once('/').filter(|(host, _)| is_host(host)).ok_or_else(|| {
            refused("it begins with no registry's name, such as ghcr.io or registry.example:5000")
        })?;
        let (path, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        if !is_repository(path) {
            return Err(refused("its name has lower-case letters, digits and / . _ - between them"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refused("its tag has letters, digits and . _ -"));
        }
        let is_official = matches!(host, "docker.io" | "index.docker.io") && !path.contains('/');
        let repository = if is_official { format!("library/{path}") } else { path.to_owned() };
        Ok(Reference { host: host.to_owned(), repository, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.host, self.repository, self.digest)
    }
}

fn is_repository(path: &str) -> bool {
    let is_part = |part: &str| {
        let is_end =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = part.as_bytes();
        let is_good = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(byte);
        is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(is_good) && !part.contains("..")
    };
    path.len() <= REPOSITORY_BYTES && path.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_by_digest_are_read_and_others_are_refused() {
        let digest = Digest::of(b"");
        for (text, host, repository) in [
            ("ghcr.io/team/errors", "ghcr.io", "team/errors"),
            ("ghcr.io/team/errors:1.0", "ghcr.io", "team/errors"),
            ("localhost:5000/a/b/e-r_r.s", "localhost:5000", "a/b/e-r_r.s"),
            ("docker.io/errors", "docker.io", "library/errors"),
            ("docker.io/team/errors", "docker.io", "team/errors"),
        ] {
            let reference: Reference = format!("{text}@{digest}").parse().expect(text);
            assert_eq!((reference.host(), reference.repository()), (host, repository));
            assert_eq!(reference.digest(), digest);
        }
        for (text, says) in [
            ("".to_owned(), "a tag may change"),
            ("ghcr.io/team/errors:1.0".to_owned(), "a tag may change"),
            ("ghcr.io/errors@sha256:12".to_owned(), "64 hexadecimal digits"),
            (format!("team/errors@{digest}"), "no registry's name"),
            (format!("u:p@ghcr.io/errors@{digest}"), "64 hexadecimal digits"),
            (format!("ghcr.io/../errors@{digest}"), "lower-case letters"),
            (format!("ghcr.io/a//b@{digest}"), "lower-case letters"),
            (format!("ghcr.io/Team@{digest}"), "lower-case letters"),
            (format!("ghcr.io/a?b@{digest}"), "lower-case letters"),
            (format!("ghcr.io/a:b/c@{digest}"), "its tag"),
        ] {
            let error = text.parse::<Reference>().expect_err(&text).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_means_nothing_else_in_a_url(text in "[a-z.:/@?#%A-Z0-9_ -]{0,60}") {
            let text = format!("{text}@{}", Digest::of(b""));
            if let Ok(reference) = text.parse::<Reference>() {
                let url = format!("https://{}/v2/{}/x", reference.host(), reference.repository());
                let url: http::Uri = url.parse().expect("a URL");
                prop_assert_eq!(url.authority().map(|it| it.as_str()), Some(reference.host()));
                prop_assert_eq!(url.path(), format!("/v2/{}/x", reference.repository()));
                prop_assert_eq!(url.query(), None);
                prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }
    }
}
