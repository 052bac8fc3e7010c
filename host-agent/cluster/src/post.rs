//! One request to the API server and its answer, within bounds of time and size. What can't be read of an answer is told
//! nowhere: that to a token review holds the token.

use std::error::Error;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;

use crate::review::{Reviewed, status, to_json};
use crate::transport::Transport;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 1 << 20;

/// How long an answer may take, from the request to its last byte.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How often a request is sent whose connection is lost: the first may go out on one that the API server has just closed.
const ATTEMPTS: usize = 2;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PostError {
    #[error("can't be reached: {0}")]
    Unreachable(String),
    #[error("answers {status} to {kind}: {message}")]
    Refused { kind: &'static str, status: u16, message: String },
    #[error("gives an answer to {0} that can't be read")]
    Unreadable(&'static str),
    #[error("gives no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// Asks for a review and gives what the API server says.
pub(crate) async fn post<T: Reviewed>(client: &Transport, review: &T) -> Result<T::Status, PostError> {
    let body = Bytes::from(to_json(review));
    let asked = async {
        for _ in 1..ATTEMPTS {
            match send(client, T::PATH, body.clone()).await {
                Err(PostError::Unreachable(error)) => {
                    tracing::debug!(error, "a request to the API server is sent once more");
                }
                answered => return answered,
            }
        }
        send(client, T::PATH, body.clone()).await
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| PostError::Late)??;
    match answered {
        (code, answer) if code.is_success() => status::<T>(&answer).ok_or(PostError::Unreadable(T::KIND)),
        (code, answer) => {
            Err(PostError::Refused { kind: T::KIND, status: code.as_u16(), message: message(&answer) })
        }
    }
}

async fn send(client: &Transport, path: &str, body: Bytes) -> Result<(StatusCode, Vec<u8>), PostError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Full::new(body))
        .expect("the path is one of ours");
    let response = client.send(request).await.map_err(|error| PostError::Unreachable(causes(&*error)))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| PostError::Unreachable(error.to_string()))?;
    Ok((status, body.to_bytes().to_vec()))
}

/// What the API server says of its refusal: the message of a `Status`, which repeats nothing of what was sent but names.
fn message(answer: &[u8]) -> String {
    let status: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
    let told = status.as_ref().and_then(|status| status.get("message")?.as_str());
    told.unwrap_or("without saying why").chars().take(500).collect()
}

/// The error and what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    text
}
