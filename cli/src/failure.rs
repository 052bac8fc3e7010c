//! How a run can end, and what is said about it.

use std::io;
use std::process::ExitCode;

use weir_discovery::DiscoveryError;
use weir_query::QueryError;
use weir_query::time::TimeError;
use weir_rpc::ClientError;

/// What the exit code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The answer is whole.
    Complete,
    /// `-q`, and there is no match.
    NothingFound,
    /// A filter's test failed, or it can't be built.
    NotPassed,
    /// Wrong usage, or not allowed.
    Refused,
    /// Something is missing from the answer.
    Incomplete,
    /// The user ended a search that follows.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Complete => 0,
            Exit::NothingFound | Exit::NotPassed => 1,
            Exit::Refused => 2,
            Exit::Incomplete => 3,
            // As a shell tells of a program that SIGINT ended.
            Exit::Interrupted => 130,
        })
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for is wrong or not allowed.
    Refused(String),
    /// A filter that is being written is at fault.
    NotPassed(String),
    /// It should have worked.
    Failed(String),
    /// Standard output took no more.
    Output(io::Error),
}

impl Failure {
    /// What was asked for is wrong; `message` names it and says what would be right.
    pub(crate) fn refused(message: impl Into<String>) -> Failure {
        Failure::Refused(message.into())
    }

    /// It should have worked; `message` says what failed and what to do.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure::Failed(message.into())
    }

    /// Says on standard error what happened and gives the exit code. A closed pipe on standard output is
    /// how `| head` says that it has enough, so it ends quietly.
    pub(crate) fn report(&self) -> Exit {
        let (exit, message) = match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Exit::Complete;
            }
            Failure::Output(error) => (Exit::Incomplete, format!("cannot write to standard output: {error}")),
            Failure::NotPassed(message) => (Exit::NotPassed, message.clone()),
            Failure::Refused(message) => (Exit::Refused, message.clone()),
            Failure::Failed(message) => (Exit::Incomplete, message.clone()),
        };
        crate::output::report::say(&message);
        exit
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        let message = error.to_string();
        match error {
            QueryError::Failed { .. } | QueryError::Unavailable { .. } | QueryError::NotReady { .. } => {
                Failure::Failed(message)
            }
            _ => Failure::Refused(message),
        }
    }
}

impl From<TimeError> for Failure {
    fn from(error: TimeError) -> Failure {
        Failure::Refused(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Query(error) => error.into(),
            ClientError::Endpoint { field, message } => {
                Failure::Refused(format!("{}: {message}", flag(field)))
            }
            ClientError::Connect { look_at: Some(field), .. } => {
                Failure::Failed(format!("{error}; see {}", flag(field)))
            }
            other => Failure::Failed(other.to_string()),
        }
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Failure {
        let message = error.to_string();
        match error {
            DiscoveryError::Failed { .. } => Failure::Failed(message),
            _ => Failure::Refused(message),
        }
    }
}

/// The flag that fills a field of [`Endpoint`](weir_rpc::Endpoint).
fn flag(field: &str) -> &str {
    match field {
        "url" => "--agent",
        "ca" => "--tls-ca",
        "cert" => "--tls-cert",
        "key" => "--tls-key",
        "server_name" => "--tls-server-name",
        "token" => "--token-file",
        other => other,
    }
}
