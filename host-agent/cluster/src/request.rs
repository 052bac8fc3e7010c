//! One request to the API server and its answer, within bounds of time and size. What can't be read of an answer is told
//! nowhere: that to a token review holds the token.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use weir_https::{BodyError, causes, whole};

use crate::review::{Reviewed, status, to_json};
use crate::transport::Transport;

/// Largest answer to a review that is read, in bytes.
const REVIEW_BYTES: usize = 1 << 20;

/// How long an answer may take, from the request to its last byte.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How often a request is sent whose connection is lost: the first may go out on one that the API server has just closed.
const ATTEMPTS: usize = 2;

/// JSON, as most requests have it.
pub(crate) const JSON: &str = "application/json";

/// Why the API server has given no answer that is of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It, or what leads to it.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    /// It refuses.
    #[error("answers {status} to {what}: {message}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Status of HTTP.
        status: u16,
        /// What it says.
        message: String,
    },
    /// Its answer isn't what it should be, or is too large.
    #[error("gives an answer to {0} that can't be read")]
    Unreadable(&'static str),
    /// It takes too long.
    #[error("gives no answer within {} s", .0.as_secs())]
    Late(Duration),
}

/// What is asked.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    /// Of the body.
    pub(crate) content: &'static str,
    /// Of the answer.
    pub(crate) accept: &'static str,
    pub(crate) body: Bytes,
    /// What errors call it.
    pub(crate) what: &'static str,
}

impl Call {
    /// Reads what is at a path.
    pub(crate) fn get(path: String, what: &'static str) -> Call {
        Call { method: Method::GET, path, content: JSON, accept: JSON, body: Bytes::new(), what }
    }
}

/// Asks for a review and gives what the API server says.
pub(crate) async fn post<T: Reviewed>(client: &Transport, review: &T) -> Result<T::Status, RequestError> {
    let call = Call {
        method: Method::POST,
        path: T::PATH.to_owned(),
        content: JSON,
        accept: JSON,
        body: Bytes::from(to_json(review)),
        what: T::KIND,
    };
    let answer = answer(client, &call, REVIEW_BYTES, PATIENCE).await?;
    status::<T>(&answer).ok_or(RequestError::Unreadable(T::KIND))
}

/// The whole of an answer that isn't a refusal, of no more than `most` bytes, within `patience`.
pub(crate) async fn answer(
    client: &Transport,
    call: &Call,
    most: usize,
    patience: Duration,
) -> Result<Bytes, RequestError> {
    let answered = async {
        whole(open(client, call).await?.into_body(), most).await.map_err(|error| match error {
            BodyError::Broken(reason) => RequestError::Unreachable(reason),
            _ => RequestError::Unreadable(call.what),
        })
    };
    tokio::time::timeout(patience, answered).await.map_err(|_| RequestError::Late(patience))?
}

/// The beginning of an answer that isn't a refusal.
pub(crate) async fn open(client: &Transport, call: &Call) -> Result<Response<Incoming>, RequestError> {
    let mut attempts = 1;
    let response = loop {
        match send(client, call).await {
            Err(RequestError::Unreachable(error)) if attempts < ATTEMPTS => {
                tracing::debug!(error, "a request to the API server is sent once more");
                attempts += 1;
            }
            sent => break sent?,
        }
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let refusal = whole(response.into_body(), REVIEW_BYTES).await.unwrap_or_default();
    Err(RequestError::Refused { what: call.what, status: status.as_u16(), message: message(&refusal) })
}

async fn send(client: &Transport, call: &Call) -> Result<Response<Incoming>, RequestError> {
    let request = Request::builder()
        .method(&call.method)
        .uri(&call.path)
        .header(CONTENT_TYPE, call.content)
        .header(ACCEPT, call.accept)
        .body(Full::new(call.body.clone()))
        .map_err(|error| RequestError::Unreachable(error.to_string()))?;
    client.send(request).await.map_err(|error| RequestError::Unreachable(causes(&*error)))
}

/// What the API server says of its refusal: the message of a `Status`, which repeats nothing of what was sent but names.
fn message(answer: &[u8]) -> String {
    let status: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
    let told = status.as_ref().and_then(|status| status.get("message")?.as_str());
    told.unwrap_or("without saying why").chars().take(500).collect()
}
