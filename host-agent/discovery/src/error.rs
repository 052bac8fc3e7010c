//! Why something isn't found, and the API server's errors in words.

use kube::Error;
use weir_rpc::causes;

/// Why there is nobody to ask. Each message says what was looked for, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The question is wrong: a kind, a name, a selector or a kubeconfig that can't be used.
    #[error("{0}")]
    Refused(String),
    /// The API server doesn't allow what is needed.
    #[error("{doing}: {message}{hint}")]
    Forbidden {
        /// What was to be done.
        doing: String,
        /// What the API server says.
        message: String,
        /// What could be done about it; may be empty.
        hint: String,
    },
    /// The API server can't be reached, or fails.
    #[error("{doing}: {message}")]
    Failed {
        /// What was to be done.
        doing: String,
        /// What happened.
        message: String,
    },
}

impl DiscoveryError {
    pub(crate) fn refused(message: impl Into<String>) -> DiscoveryError {
        DiscoveryError::Refused(message.into())
    }

    /// What became of a call, by what it was for.
    pub(crate) fn of(doing: impl Into<String>, error: &Error) -> DiscoveryError {
        let (doing, message) = (doing.into(), explain(error));
        match error {
            Error::Api(status) if status.code == 403 => {
                DiscoveryError::Forbidden { doing, message, hint: String::new() }
            }
            Error::Api(status) if status.code == 401 => DiscoveryError::Forbidden {
                doing,
                message,
                hint: "; the kubeconfig's credentials aren't valid (any more): log in again".to_owned(),
            },
            Error::Api(status) if status.code == 400 => {
                DiscoveryError::Refused(format!("{doing}: {message}"))
            }
            _ => DiscoveryError::Failed { doing, message },
        }
    }

    pub(crate) fn with_hint(self, text: &str) -> DiscoveryError {
        match self {
            DiscoveryError::Forbidden { doing, message, hint } if hint.is_empty() => {
                DiscoveryError::Forbidden { doing, message, hint: format!("; {text}") }
            }
            other => other,
        }
    }

    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, DiscoveryError::Forbidden { .. })
    }
}

/// The API server's own words, or the chain of causes.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        Error::Api(status) => format!("the API server answers {} {}", status.code, status.reason),
        Error::Service(inner) => causes(inner.as_ref()),
        other => causes(other),
    }
}
