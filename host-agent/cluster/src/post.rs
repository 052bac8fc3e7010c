//! One request to the API server and its answer, within bounds of time and size. Not by [`kube::Client::request`], which
//! reads answers of any size and logs those that it can't read: an answer to a token review holds the token.

use std::error::Error;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use k8s_openapi::Resource;
use k8s_openapi::serde::Serialize;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::client::Body;

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

/// Creates `object` and gives what the API server makes of it.
pub(crate) async fn post<T>(client: &kube::Client, path: &'static str, object: &T) -> Result<T, PostError>
where
    T: Resource + Serialize + DeserializeOwned,
{
    let body = serde_json::to_vec(object).expect("reviews are plain data");
    let asked = async {
        for _ in 1..ATTEMPTS {
            match send(client, path, body.clone()).await {
                Err(PostError::Unreachable(error)) => {
                    tracing::debug!(error, "a request to the API server is sent once more");
                }
                answered => return answered,
            }
        }
        send(client, path, body.clone()).await
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| PostError::Late)??;
    match answered {
        (status, answer) if status.is_success() => {
            serde_json::from_slice(&answer).map_err(|_| PostError::Unreadable(T::KIND))
        }
        (status, answer) => {
            Err(PostError::Refused { kind: T::KIND, status: status.as_u16(), message: message(&answer) })
        }
    }
}

async fn send(client: &kube::Client, path: &str, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), PostError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Body::from(body))
        .expect("the path is one of ours");
    let lost = |error: &dyn Error| PostError::Unreachable(causes(error));
    let response = client.send(request).await.map_err(|error| lost(&error))?;
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
