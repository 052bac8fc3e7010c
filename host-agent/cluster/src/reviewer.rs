//! Whose token it is, and what a user may read, as the API server says; remembered for a while.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::api_server::ApiClient;
use crate::cache::{Cache, Found, Full};
use crate::observer::{Observer, Review, Verdict};
use crate::request::{PATIENCE, RequestError, post};
use crate::review::{ResourceAttributes, Reviewed, SubjectAccessReview, TokenReview, UserInfo};
use crate::user::User;

/// Answers about tokens that are remembered at once.
const TOKENS: usize = 1024;

/// Answers about access that are remembered at once.
const ACCESSES: usize = 8192;

/// Reviews that the API server is asked for at once; more wait.
const REVIEWS: usize = 16;

/// How a [`Reviewer`] asks, and how long it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewerConfig {
    /// Whom tokens must be made for.
    pub audience: String,
    /// Whether tokens are taken too that are made for the API server itself, as those of kubeconfigs are.
    pub api_server_tokens: bool,
    /// How long a yes is remembered, from when it was asked for.
    pub allowed: Duration,
    /// How long a no is remembered, from when it was asked for.
    pub denied: Duration,
}

/// What is read: the logs of pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Namespaced {
    /// In all namespaces, those still to come included.
    All,
    /// Of every pod in a namespace.
    Namespace(String),
    /// Of one pod.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Logs are read: `get` on `pods/log`.
    Read(Namespaced),
    /// A `Filter` is used in a query: `use` on `filters` of `weir.dev`, by its name.
    UseFilter(String),
    /// A filter of the caller's own is used: `upload` on `filters` of `weir.dev`.
    UploadFilter,
    /// A policy is left out: `bypass` on `filterpolicies` of `weir.dev`, by its name.
    BypassPolicy(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The token is nobody's, or not for us, or over.
    #[error("the token is not valid, or not for this audience")]
    Token,
    /// The API server can't be asked, or doesn't answer as it should.
    #[error("the Kubernetes API server {reason}")]
    Unavailable {
        /// What is wrong, for the agent's administrator.
        reason: String,
    },
}

/// Asks the API server. Clones share what is remembered.
#[derive(Clone)]
pub struct Reviewer(Arc<Shared>);

struct Shared {
    client: ApiClient,
    config: ReviewerConfig,
    observer: Arc<dyn Observer>,
    /// By the token's digest.
    tokens: Cache<[u8; 32], Option<Arc<User>>, RequestError>,
    accesses: Cache<(Arc<User>, Act), bool, RequestError>,
    slots: Semaphore,
}

impl Reviewer {
    /// One that asks through `client`.
    pub fn new(client: ApiClient, config: ReviewerConfig, observer: Arc<dyn Observer>) -> Reviewer {
        let (tokens, accesses) = (Cache::new(TOKENS), Cache::new(ACCESSES));
        Reviewer(Arc::new(Shared {
            client,
            config,
            observer,
            tokens,
            accesses,
            slots: Semaphore::new(REVIEWS),
        }))
    }

    /// Whose token it is. Within a tokio runtime.
    ///
    /// # Errors
    /// [`ReviewError::Token`]; [`ReviewError::Unavailable`], which says nothing of the token.
    pub async fn user(&self, token: &str) -> Result<Arc<User>, ReviewError> {
        let key: [u8; 32] = Sha256::digest(token).into();
        let (asker, token) = (self.clone(), token.to_owned());
        let ask = || async move { asker.review_token(token).await };
        let keep = self.keep();
        let found = self.0.tokens.get(key, ask, move |user| keep(user.is_some())).await;
        self.found(Review::Token, found)?.ok_or(ReviewError::Token)
    }

    /// Whether `user` may do that. Within a tokio runtime.
    ///
    /// # Errors
    /// [`ReviewError::Unavailable`].
    pub async fn may(&self, user: &Arc<User>, what: Act) -> Result<bool, ReviewError> {
        let key = (Arc::clone(user), what);
        let (asker, asked) = (self.clone(), key.clone());
        let ask = || async move { asker.review_access(asked).await };
        let keep = self.keep();
        let found = self.0.accesses.get(key, ask, move |allowed| keep(*allowed)).await;
        self.found(Review::Access, found)
    }

    fn keep(&self) -> impl Fn(bool) -> Duration + Send + 'static {
        let ReviewerConfig { allowed, denied, .. } = self.0.config;
        move |is_allowed| if is_allowed { allowed } else { denied }
    }

    fn found<V>(
        &self,
        review: Review,
        found: Result<Result<Found<V>, RequestError>, Full>,
    ) -> Result<V, ReviewError> {
        let failed = |reason: String| Err(ReviewError::Unavailable { reason });
        match found {
            Ok(Ok(Found::Fresh(value))) => Ok(value),
            Ok(Ok(Found::Known(value))) => {
                self.0.observer.known(review);
                Ok(value)
            }
            Ok(Err(error)) => failed(error.to_string()),
            Err(Full) => failed("is asked more at once than it answers".to_owned()),
        }
    }

    async fn review_token(&self, token: String) -> Result<Option<Arc<User>>, RequestError> {
        let ReviewerConfig { audience, api_server_tokens, .. } = &self.0.config;
        let ours = self.review_token_for(token.clone(), Some(audience)).await?;
        if ours.is_none() && *api_server_tokens {
            return self.review_token_for(token, None).await;
        }
        Ok(ours)
    }

    /// Whose token it is that was made for `audience`, or for the API server itself.
    async fn review_token_for(
        &self,
        token: String,
        audience: Option<&String>,
    ) -> Result<Option<Arc<User>>, RequestError> {
        let review = TokenReview { token, audiences: audience.map(|audience| vec![audience.clone()]) };
        let status = self.review(Review::Token, &review).await?;
        // An API server that doesn't know audiences tells none; then nobody has checked ours.
        let is_for =
            |audience| status.audiences.as_ref().is_some_and(|audiences| audiences.contains(audience));
        let is_known = status.authenticated == Some(true) && audience.is_none_or(is_for);
        let user = status.user.filter(|_| is_known).and_then(user).map(Arc::new);
        self.0.observer.reviewed(Review::Token, Verdict::of(user.is_some()));
        Ok(user)
    }

    async fn review_access(&self, (user, act): (Arc<User>, Act)) -> Result<bool, RequestError> {
        let resource_attributes = ResourceAttributes::from(act);
        let User { name, uid, groups, extra } = (*user).clone();
        let review = SubjectAccessReview { user: name, uid, groups, extra, resource_attributes };
        let status = self.review(Review::Access, &review).await?;
        if let Some(error) = status.evaluation_error.as_ref().filter(|_| status.allowed != Some(true)) {
            tracing::debug!(error, "the API server could not look at every rule");
        }
        let is_allowed = status.allowed == Some(true) && status.denied != Some(true);
        self.0.observer.reviewed(Review::Access, Verdict::of(is_allowed));
        Ok(is_allowed)
    }

    /// Asks for one review, when there is room.
    async fn review<T: Reviewed>(&self, kind: Review, review: &T) -> Result<T::Status, RequestError> {
        let answer = match tokio::time::timeout(PATIENCE, self.0.slots.acquire()).await {
            Ok(slot) => {
                let _slot = slot.expect("the semaphore is never closed");
                post(&self.0.client.0, review).await
            }
            Err(_) => Err(RequestError::Late(PATIENCE)),
        };
        if let Err(error) = &answer {
            tracing::warn!(review = kind.name(), "the Kubernetes API server {error}");
            self.0.observer.reviewed(kind, Verdict::Failed);
        }
        answer
    }
}

impl From<Act> for ResourceAttributes {
    fn from(act: Act) -> ResourceAttributes {
        let of_weir = |verb, resource, name| ResourceAttributes {
            verb,
            group: "weir.dev",
            version: "v1alpha1",
            resource,
            subresource: "",
            namespace: None,
            name,
        };
        match act {
            Act::Read(what) => {
                let (namespace, name) = match what {
                    Namespaced::All => (None, None),
                    Namespaced::Namespace(namespace) => (Some(namespace), None),
                    Namespaced::Pod { namespace, name } => (Some(namespace), Some(name)),
                };
                ResourceAttributes {
                    verb: "get",
                    group: "",
                    version: "v1",
                    resource: "pods",
                    subresource: "log",
                    namespace,
                    name,
                }
            }
            Act::UseFilter(name) => of_weir("use", "filters", Some(name)),
            Act::UploadFilter => of_weir("upload", "filters", None),
            Act::BypassPolicy(name) => of_weir("bypass", "filterpolicies", Some(name)),
        }
    }
}

/// A user that has a name.
fn user(info: UserInfo) -> Option<User> {
    let name = info.username.filter(|name| !name.is_empty())?;
    Some(User {
        name,
        uid: info.uid.unwrap_or_default(),
        groups: info.groups.unwrap_or_default(),
        extra: info.extra.unwrap_or_default(),
    })
}
