//! Why there is no answer at all.

use weir_rpc::ClientError;

/// No agent has answered: what each said, by its name, in the order of the members.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(.0))]
pub struct NoAnswer(pub Vec<(String, ClientError)>);

impl NoAnswer {
    /// One error in place of all, where all say the same.
    pub(crate) fn of(mut errors: Vec<(String, ClientError)>) -> NoAnswer {
        let first = errors.first().map(|(_, error)| error.to_string());
        if errors.iter().all(|(_, error)| Some(error.to_string()) == first) {
            errors.truncate(1);
        }
        NoAnswer(errors)
    }
}

fn told(errors: &[(String, ClientError)]) -> String {
    match errors {
        [(_, error)] => error.to_string(),
        all => all.iter().map(|(name, error)| format!("{name}: {error}")).collect::<Vec<_>>().join("; "),
    }
}

/// Whether the connection was lost or not made, so that the agent may be there again later.
pub(crate) fn is_lost(error: &ClientError) -> bool {
    matches!(error, ClientError::Lost { .. } | ClientError::Connect { .. } | ClientError::Incomplete)
}
