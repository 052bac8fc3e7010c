//! Our errors into gRPC's status and back. This file alone knows which code stands for what.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use weir_query::QueryError;

use crate::ClientError;

/// Domain of the `google.rpc.ErrorInfo` that each of our errors carries.
const DOMAIN: &str = "weir";

/// Reason of an error about bytes that are no message.
const MALFORMED: &str = "MALFORMED";

/// Reason of an error of ours that is about the agent and not about the query.
const SHUTTING_DOWN: &str = "SHUTTING_DOWN";

/// Reason of an error that says that it isn't known who asks.
const UNAUTHENTICATED: &str = "UNAUTHENTICATED";

/// Reason of an error that says that it can't be told who asks or what they may read.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// Longest text of an error in bytes. A status travels in the trailers, several times over, and a client may take no more
/// than 8 KiB of them.
const TEXT_BYTES: usize = 1000;

/// The status that tells `error`.
pub(crate) fn from_error(error: &QueryError) -> Status {
    let (code, reason) = match error {
        QueryError::Invalid { .. } => (Code::InvalidArgument, "INVALID"),
        QueryError::NotFound { .. } => (Code::NotFound, "NOT_FOUND"),
        QueryError::Refused { .. } => (Code::PermissionDenied, "REFUSED"),
        QueryError::LimitExceeded { .. } => (Code::ResourceExhausted, "LIMIT_EXCEEDED"),
        QueryError::ComponentNeeded { .. } => (Code::FailedPrecondition, "COMPONENT_NEEDED"),
        QueryError::Unavailable { .. } => (Code::Unavailable, UNAVAILABLE),
        QueryError::NotReady { .. } => (Code::Unavailable, "NOT_READY"),
        _ => (Code::Internal, "FAILED"),
    };
    let text = cut(&error.to_string());
    let mut metadata = HashMap::new();
    let mut tell = |key: &str, value: &str| metadata.insert(key.to_owned(), cut(value));
    let mut details = ErrorDetails::new();
    match error {
        QueryError::Invalid { field, message } => {
            tell("field", field);
            tell("message", message);
            details.add_bad_request_violation(cut(field), cut(message));
        }
        QueryError::NotFound { field, message } | QueryError::Refused { field, message } => {
            tell("field", field);
            tell("message", message);
        }
        QueryError::LimitExceeded { field, limit, value, message } => {
            tell("field", field);
            tell("limit", limit);
            tell("value", value);
            tell("message", message);
        }
        QueryError::ComponentNeeded { field, digest } => {
            tell("field", field);
            tell("digest", digest);
            tell("message", &text);
        }
        QueryError::Failed { message }
        | QueryError::Unavailable { message }
        | QueryError::NotReady { message } => {
            tell("message", message);
        }
        other => {
            tell("message", &other.to_string());
        }
    }
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, text, details)
}

/// The beginning of a text that is too long for a status.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES)])
}

/// The agent is about to end.
pub(crate) fn shutting_down() -> Status {
    with_info(Code::Unavailable, "the agent is shutting down", SHUTTING_DOWN, [])
}

/// The agent is about to end, and so a query that follows is.
pub(crate) fn follow_ends() -> Status {
    let message = "the agent is shutting down; the query can go on from the positions that it told";
    with_info(Code::Unavailable, message, SHUTTING_DOWN, [("resume", "positions")])
}

/// It isn't known who asks.
pub(crate) fn unauthenticated(message: &str) -> Status {
    with_info(Code::Unauthenticated, message, UNAUTHENTICATED, [])
}

/// It can't be told now who asks, or what they may read.
pub(crate) fn unavailable(message: &str) -> Status {
    from_error(&QueryError::Unavailable { message: message.to_owned() })
}

/// What a field asks for isn't allowed.
pub(crate) fn refused(field: &str, message: &str) -> Status {
    from_error(&QueryError::Refused { field: field.to_owned(), message: message.to_owned() })
}

/// In one word, how a status refuses because of who asks; `None` for others.
pub(crate) fn denial(status: &Status) -> Option<&'static str> {
    match status.code() {
        Code::Unauthenticated => Some("unauthenticated"),
        Code::PermissionDenied => Some("denied"),
        Code::Unavailable if detail(status, "reason").is_some_and(|reason| reason == UNAVAILABLE) => {
            Some("unavailable")
        }
        _ => None,
    }
}

/// The field that a status is about; may be empty.
pub(crate) fn field_of(status: &Status) -> String {
    detail(status, "field").unwrap_or_default()
}

/// What was sent is no message of the kind that was to come.
pub(crate) fn malformed(message: &str) -> Status {
    with_info(Code::InvalidArgument, message, MALFORMED, [])
}

fn with_info<const N: usize>(code: Code, message: &str, reason: &str, more: [(&str, &str); N]) -> Status {
    let metadata = more.into_iter().chain([("message", message)]);
    let metadata: HashMap<String, String> =
        metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// A search that ended without saying how.
pub(crate) fn no_summary() -> Status {
    from_error(&QueryError::Failed { message: "the search ended without a summary".to_owned() })
}

/// Something is over a limit of the server.
pub(crate) fn limit(field: &str, limit: &str, value: impl ToString, message: &str) -> Status {
    from_error(&QueryError::LimitExceeded {
        field: field.to_owned(),
        limit: limit.to_owned(),
        value: value.to_string(),
        message: message.to_owned(),
    })
}

/// The limit that a status tells to be passed.
pub(crate) fn limit_of(status: &Status) -> Option<String> {
    detail(status, "limit")
}

/// A detail of one of our errors, or its `reason`.
fn detail(status: &Status, key: &str) -> Option<String> {
    let mut info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
    if key == "reason" { Some(info.reason) } else { info.metadata.remove(key) }
}

/// The error that a client gets for `status`.
pub(crate) fn to_error(status: &Status) -> ClientError {
    if let Some(info) = status.get_details_error_info()
        && info.domain == DOMAIN
    {
        let get = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
        let (field, message) = (get("field"), get("message"));
        // Both may be otherwise in a moment.
        if [SHUTTING_DOWN, UNAVAILABLE].contains(&info.reason.as_str()) {
            return ClientError::Lost { message };
        }
        if info.reason == MALFORMED {
            return ClientError::Protocol { message };
        }
        return ClientError::Query(match info.reason.as_str() {
            "INVALID" => QueryError::Invalid { field, message },
            "NOT_FOUND" => QueryError::NotFound { field, message },
            "REFUSED" => QueryError::Refused { field, message },
            UNAUTHENTICATED => QueryError::Refused { field: "token".to_owned(), message },
            "NOT_READY" => QueryError::NotReady { message },
            "COMPONENT_NEEDED" => QueryError::ComponentNeeded { field, digest: get("digest") },
            "LIMIT_EXCEEDED" => {
                QueryError::LimitExceeded { field, limit: get("limit"), value: get("value"), message }
            }
            _ => QueryError::Failed { message },
        });
    }
    // Not from our services: from the gRPC library on either side, or from something in between.
    let (field, message) = ("request".to_owned(), status.message().to_owned());
    match status.code() {
        Code::InvalidArgument => ClientError::Query(QueryError::Invalid { field, message }),
        Code::PermissionDenied | Code::Unauthenticated => {
            ClientError::Query(QueryError::Refused { field, message })
        }
        Code::OutOfRange | Code::ResourceExhausted => {
            ClientError::Query(QueryError::Refused { field, message: format!("too large: {message}") })
        }
        Code::Unimplemented => ClientError::Protocol {
            message: format!("the agent doesn't know this call; it may be of another version ({message})"),
        },
        _ if is_silence(status) => ClientError::Lost {
            message: "it gives no sign of life; it hangs, or the network is gone".to_owned(),
        },
        Code::Unavailable => ClientError::Lost { message },
        // In the midst of an answer, the transport doesn't say why it has no connection any more.
        Code::Unknown if transport_errors(status).next().is_some() => ClientError::Lost {
            message: "the connection is lost; the agent has ended or hangs, or the network is gone"
                .to_owned(),
        },
        code => ClientError::Lost { message: format!("{}: {message}", code.description()) },
    }
}

/// Whether the other side has not answered when it was asked whether it is there.
fn is_silence(status: &Status) -> bool {
    transport_errors(status).any(hyper::Error::is_timeout)
}

/// Those of the transport, where they are behind a status.
fn transport_errors(status: &Status) -> impl Iterator<Item = &hyper::Error> {
    let first = std::error::Error::source(status);
    std::iter::successors(first, |error| error.source()).filter_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_at_a_characters_border() {
        let message = "ä".repeat(100_000);
        let status = from_error(&QueryError::Invalid { field: message.clone(), message });
        let mut trailers = tonic::codegen::http::HeaderMap::new();
        status.add_header(&mut trailers).expect("a header");
        let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        assert!(bytes < 16 << 10, "{bytes}");
        assert!(status.message().contains('…'));
    }

    #[test]
    fn each_error_has_its_code_and_comes_back_whole() {
        let (field, message) = ("filters[0]".to_owned(), "what is wrong".to_owned());
        let cases = [
            (Code::InvalidArgument, QueryError::Invalid { field: field.clone(), message: message.clone() }),
            (Code::NotFound, QueryError::NotFound { field: field.clone(), message: message.clone() }),
            (Code::PermissionDenied, QueryError::Refused { field: field.clone(), message: message.clone() }),
            (
                Code::ResourceExhausted,
                QueryError::LimitExceeded {
                    field,
                    limit: "filters".to_owned(),
                    value: "8".to_owned(),
                    message: message.clone(),
                },
            ),
            (
                Code::FailedPrecondition,
                QueryError::ComponentNeeded {
                    field: "filters[0]".to_owned(),
                    digest: "sha256:12".to_owned(),
                },
            ),
            (Code::Unavailable, QueryError::NotReady { message: message.clone() }),
            (Code::Internal, QueryError::Failed { message }),
        ];
        for (code, error) in cases {
            let status = from_error(&error);
            assert_eq!(status.code(), code);
            assert_eq!(status.message(), error.to_string());
            match to_error(&status) {
                ClientError::Query(back) => assert_eq!(format!("{back:?}"), format!("{error:?}")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn who_asks_is_told_apart_from_what_is_asked() {
        let known = [
            (unauthenticated("no token"), Some("unauthenticated")),
            (refused("sources[0]", "not yours"), Some("denied")),
            (unavailable("down"), Some("unavailable")),
            (shutting_down(), None),
            (limit("query", "max_queued", 1, "later"), None),
        ];
        for (status, expected) in known {
            assert_eq!(denial(&status), expected, "{status:?}");
        }
        assert_eq!(field_of(&refused("sources[0]", "not yours")), "sources[0]");
        assert!(matches!(to_error(&unavailable("down")), ClientError::Lost { .. }), "a follow comes back");
        let ClientError::Query(QueryError::Refused { field, .. }) = to_error(&unauthenticated("no token"))
        else {
            panic!("a refusal");
        };
        assert_eq!(field, "token");
    }

    #[test]
    fn a_bad_field_is_told_in_the_standard_way_too() {
        let error =
            QueryError::Invalid { field: "until".to_owned(), message: "is not after since".to_owned() };
        let bad = from_error(&error).get_details_bad_request().expect("a detail");
        assert_eq!(bad.field_violations[0].field, "until");
    }

    #[test]
    fn a_status_without_our_details_is_told_by_its_code() {
        assert!(matches!(
            to_error(&Status::unauthenticated("no token")),
            ClientError::Query(QueryError::Refused { .. })
        ));
        assert!(matches!(to_error(&Status::unavailable("gone")), ClientError::Lost { .. }));
        assert!(matches!(to_error(&Status::unimplemented("what")), ClientError::Protocol { .. }));
    }
}
