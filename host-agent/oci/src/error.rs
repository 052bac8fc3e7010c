//! How a registry can fail, each with what to do about it; and where that is read from what the client says.

use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use weir_trust::Digest;

/// Why something could not be pushed or pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody answers, or not in this protocol.
    #[error(
        "the registry {registry} can't be reached: {reason}; check its name, and whether it speaks {protocol}"
    )]
    Unreachable {
        /// Host and port.
        registry: String,
        /// What failed.
        reason: String,
        /// What was spoken, and what to do if it doesn't.
        protocol: &'static str,
    },
    /// It wants to know who asks, or that isn't allowed.
    #[error("the registry {registry} refuses access to {name}: {hint}")]
    Unauthorized {
        /// Host and port.
        registry: String,
        /// What was asked for.
        name: String,
        /// What to do.
        hint: String,
    },
    /// There is nothing of that name.
    #[error("{name} is not in the registry; check its name and tag, and whether it was pushed")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// There is something else.
    #[error("{name} is no filter: {reason}; `weir filter push` makes artifacts of the right form")]
    NoFilter {
        /// What was asked for.
        name: String,
        /// What it is.
        reason: String,
    },
    /// It is larger than it may be.
    #[error("{name} is too large: {what} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// What was asked for.
        name: String,
        /// Which part of it.
        what: &'static str,
        /// Its size as far as it is known.
        size: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// The bytes are not those that the digest names.
    #[error(
        "the registry gave other bytes for {name} than those of the digest {expected}: they were tampered with or \
         damaged; don't use them, and push the filter again"
    )]
    Digest {
        /// What was asked for.
        name: String,
        /// What they should be.
        expected: String,
    },
    /// It has a fault of its own.
    #[error("the registry {registry} fails on {name}: {reason}; try again later, or look at its log")]
    Failing {
        /// Host and port.
        registry: String,
        /// What was asked for.
        name: String,
        /// What it says.
        reason: String,
    },
    /// It answers with an error.
    #[error("the registry {registry} refuses {name}: {reason}")]
    Refused {
        /// Host and port.
        registry: String,
        /// What was asked for.
        name: String,
        /// What it says.
        reason: String,
    },
}

/// What the client was about when it failed.
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a oci_client::Reference,
    pub(crate) is_plain: bool,
    pub(crate) is_anonymous: bool,
}

impl Asked<'_> {
    /// The client's error as ours.
    pub(crate) fn failed(&self, error: OciDistributionError) -> RegistryError {
        match error {
            OciDistributionError::RequestError(error) => match error.status().map(|status| status.as_u16()) {
                Some(status) => self.status(status, error.to_string()),
                None => self.unreachable(&error),
            },
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => self.unauthorized(),
            OciDistributionError::RegistryError { envelope, .. } => {
                let codes = || envelope.errors.iter().map(|error| &error.code);
                let is_absent = |code: &OciErrorCode| {
                    use OciErrorCode as Code;
                    matches!(
                        code,
                        Code::ManifestUnknown | Code::NameUnknown | Code::NotFound | Code::BlobUnknown
                    )
                };
                if codes().any(is_absent) {
                    return self.not_found();
                }
                if codes().any(|code| matches!(code, OciErrorCode::Unauthorized | OciErrorCode::Denied)) {
                    return self.unauthorized();
                }
                self.refused(envelope.to_string())
            }
            OciDistributionError::ServerError { code, message, .. } => self.status(code, message),
            OciDistributionError::DigestError(DigestError::VerificationError { expected, .. }) => {
                self.digest(expected)
            }
            OciDistributionError::IoError(error) => self.broken(error),
            other => self.refused(other.to_string()),
        }
    }

    /// A blob that broke off, or isn't what its digest says.
    pub(crate) fn broken(&self, error: std::io::Error) -> RegistryError {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DigestError>());
        match inner {
            Some(DigestError::VerificationError { expected, .. }) => self.digest(expected.clone()),
            _ => self.unreachable(&error),
        }
    }

    pub(crate) fn digest(&self, expected: String) -> RegistryError {
        RegistryError::Digest { name: self.name.to_string(), expected }
    }

    pub(crate) fn no_filter(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::NoFilter { name: self.name.to_string(), reason: reason.into() }
    }

    pub(crate) fn too_large(&self, what: &'static str, size: u64, limit: u64) -> RegistryError {
        RegistryError::TooLarge { name: self.name.to_string(), what, size, limit }
    }

    /// Refuses bytes that aren't those of a digest.
    pub(crate) fn check(&self, bytes: &[u8], digest: Digest) -> Result<(), RegistryError> {
        match Digest::of(bytes) == digest {
            true => Ok(()),
            false => Err(self.digest(digest.to_string())),
        }
    }

    fn status(&self, status: u16, message: String) -> RegistryError {
        match status {
            401 | 403 => self.unauthorized(),
            404 => self.not_found(),
            500.. => RegistryError::Failing {
                registry: self.name.registry().to_owned(),
                name: self.name.to_string(),
                reason: format!("{status} {}", message.trim()),
            },
            status => self.refused(format!("{status} {}", message.trim())),
        }
    }

    fn not_found(&self) -> RegistryError {
        RegistryError::NotFound { name: self.name.to_string() }
    }

    fn refused(&self, reason: String) -> RegistryError {
        let registry = self.name.registry().to_owned();
        RegistryError::Refused { registry, name: self.name.to_string(), reason }
    }

    fn unauthorized(&self) -> RegistryError {
        let registry = self.name.registry();
        let hint = match self.is_anonymous {
            true => format!(
                "there are no credentials for it; log in with `docker login {registry}` or `podman login`"
            ),
            false => format!(
                "the credentials for it may not do this, or are wrong; log in again with `docker login {registry}`"
            ),
        };
        RegistryError::Unauthorized { registry: registry.to_owned(), name: self.name.to_string(), hint }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> RegistryError {
        // The first says that a request failed, the last says why.
        let mut last = error;
        while let Some(source) = last.source() {
            last = source;
        }
        let protocol = match self.is_plain {
            true => "plain HTTP (--plain-http=false makes it TLS)",
            false => "TLS (--plain-http speaks without, and shows everybody on the way what is sent)",
        };
        RegistryError::Unreachable {
            registry: self.name.registry().to_owned(),
            reason: last.to_string(),
            protocol,
        }
    }
}
