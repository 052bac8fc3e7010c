//! Why a query is refused.

use weir_sandbox::{AdmissionError, LoadError, OpenError};
use weir_scan::{PatternError, ScanError};

/// A query, or a part of it, that can't be answered. Each names the field and says what would be right.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The field's value is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// Name of the field as in [`QuerySpec`](crate::QuerySpec), with an index where it is a list.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The field names something that isn't here.
    #[error("{field}: {message}")]
    NotFound {
        /// Name of the field.
        field: String,
        /// What was looked for, and where to see what there is.
        message: String,
    },
    /// The field asks for something that isn't allowed here.
    #[error("{field}: {message}")]
    Refused {
        /// Name of the field.
        field: String,
        /// What isn't allowed and who could allow it.
        message: String,
    },
    /// The field passes a named limit.
    #[error("{field}: {message} (limit {limit} is {value})")]
    LimitExceeded {
        /// Name of the field.
        field: String,
        /// Name of the limit.
        limit: String,
        /// The limit's value.
        value: String,
        /// What passed it.
        message: String,
    },
    /// The field names a component by its digest that whoever asks has not uploaded, or not lately.
    #[error("{field}: component {digest} is not here; upload it first (again, when it is long ago)")]
    ComponentNeeded {
        /// Name of the field.
        field: String,
        /// `sha256:` and hexadecimal digits.
        digest: String,
    },
    /// Who may read what can't be told now.
    #[error("{message}")]
    Unavailable {
        /// What can't be asked, and when to try again.
        message: String,
    },
    /// It can't be answered yet: what it depends on isn't known.
    #[error("{message}")]
    NotReady {
        /// What isn't known, and that asking again later helps.
        message: String,
    },
    /// It should have worked: the disk or the sandbox failed.
    #[error("{message}")]
    Failed {
        /// What failed, and the cause.
        message: String,
    },
}

impl QueryError {
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> QueryError {
        QueryError::Invalid { field: field.into(), message: message.into() }
    }

    pub(crate) fn limit(
        field: impl Into<String>,
        limit: &str,
        value: impl ToString,
        message: impl Into<String>,
    ) -> QueryError {
        QueryError::LimitExceeded {
            field: field.into(),
            limit: limit.to_owned(),
            value: value.to_string(),
            message: message.into(),
        }
    }

    pub(crate) fn scan(error: &ScanError) -> QueryError {
        QueryError::Failed { message: error.to_string() }
    }

    pub(crate) fn pattern(error: &PatternError) -> QueryError {
        let message = error.to_string();
        match error {
            PatternError::TooLarge { limit, value, .. } => {
                QueryError::limit("pattern", limit, value, message)
            }
            PatternError::TooMany { value, .. } => {
                QueryError::limit("pattern", "pattern_count", value, message)
            }
            _ => QueryError::invalid("pattern", message),
        }
    }

    pub(crate) fn load(field: &str, error: &LoadError) -> QueryError {
        match error {
            LoadError::Engine { .. } | LoadError::Unwanted { .. } => {
                QueryError::Failed { message: error.to_string() }
            }
            LoadError::Admission(AdmissionError::TooLarge { found, limit }) => {
                QueryError::limit(field, "component_bytes", limit, format!("the component has {found} bytes"))
            }
            LoadError::Busy { limit } => QueryError::limit(field, "compile_queue", limit, error.to_string()),
            _ => QueryError::invalid(field, error.to_string()),
        }
    }

    pub(crate) fn open(field: &str, error: &OpenError) -> QueryError {
        QueryError::invalid(field, error.to_string())
    }
}
