//! Who asks and what they may do: the one interface to whoever knows of users. This crate reads from a call what
//! identifies its caller, and asks through here.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use weir_query::Right;

use crate::audit::Audit;

/// A user: everything that access may depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// Name; never empty.
    pub name: String,
    /// What tells apart two users that had the name one after the other; may be empty.
    pub uid: String,
    /// Groups that the user belongs to.
    pub groups: Vec<String>,
    /// What else is known, by key.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why it isn't known who asks, or what they may read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The token is nobody's. The client is told so.
    #[error("{message}")]
    Token {
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// It can't be told now. The client is told so.
    #[error("{message}")]
    Unavailable {
        /// What can't be asked; nothing about the caller.
        message: String,
    },
}

/// An answer that may have to be waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AccessError>> + Send + 'a>>;

/// Knows users. It is asked for each call, and again while a call lasts: remember answers.
pub trait Access: Send + Sync + 'static {
    /// Whose bearer token it is.
    fn user<'a>(&'a self, token: &'a str) -> Answer<'a, Arc<User>>;

    /// Whether `user` may do that.
    fn may<'a>(&'a self, user: &'a Arc<User>, right: &'a Right) -> Answer<'a, bool>;
}

/// How the server guards what it serves.
#[derive(Clone)]
pub struct Guard {
    /// Who knows users; `None` lets everybody who can connect read everything, and nobody leave a policy out.
    pub access: Option<Arc<dyn Access>>,
    /// Names (DNS or URI, of the subject's alternative names) of client certificates that may pass on the identity of
    /// somebody else, in the headers `x-remote-user`, `x-remote-uid`, `x-remote-group` and `x-remote-extra-*`.
    pub relays: Vec<String>,
    /// How often it is asked again whether what still runs may be read (default 30 s).
    pub recheck: Duration,
    /// How long what runs goes on while that can't be asked (default 2 minutes).
    pub unavailable: Duration,
    /// Who records queries.
    pub audit: Arc<dyn Audit>,
}

impl Guard {
    /// Everybody who can connect may read everything, and nobody records it.
    pub fn open() -> Guard {
        Guard {
            access: None,
            relays: Vec::new(),
            recheck: Duration::from_secs(30),
            unavailable: Duration::from_secs(120),
            audit: Arc::new(crate::audit::Unaudited),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("open", &self.access.is_none()).field("relays", &self.relays).finish()
    }
}
