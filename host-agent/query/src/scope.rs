//! What whoever asks may read. Who that is, this crate doesn't know.

use std::fmt;
use std::sync::Arc;

use crate::QueryError;

/// What one may be allowed to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Every namespace, and logs that belong to none.
    Everywhere,
    /// Every pod of a namespace.
    Namespace(String),
    /// One pod.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
    },
}

/// Tells what may be read. Clones share it.
///
/// What may not be read is, to a query, as if it weren't there. It is asked before anything is looked up that it
/// concerns: of a narrow place only when a wider one around it may not be read.
#[derive(Clone, Default)]
pub struct Scope(Option<Arc<Ask>>);

type Ask = dyn Fn(&Place) -> Result<bool, QueryError> + Send + Sync;

impl Scope {
    /// Everything may be read.
    pub fn everything() -> Scope {
        Scope::default()
    }

    /// What `may_read` says may be. It is called from threads that run queries, often, and may block: remember answers.
    /// Its error ends a query that begins; one that follows asks again later whether it may read what is new.
    pub fn new(may_read: impl Fn(&Place) -> Result<bool, QueryError> + Send + Sync + 'static) -> Scope {
        Scope(Some(Arc::new(may_read)))
    }

    /// Whether a place may be read.
    ///
    /// # Errors
    /// It can't be told now.
    pub(crate) fn may_read(&self, place: &Place) -> Result<bool, QueryError> {
        self.0.as_ref().map_or(Ok(true), |ask| ask(place))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Scope(..)" } else { "Scope(everything)" })
    }
}
