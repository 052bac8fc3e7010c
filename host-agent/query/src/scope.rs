//! What whoever asks may do. Who that is, this crate doesn't know.

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

/// What one may be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Read the logs of a place.
    Read(Place),
    /// Use an installed filter, by its name.
    UseFilter(String),
    /// Use a filter of one's own.
    UploadFilter,
    /// Leave a policy out, by its name.
    BypassPolicy(String),
}

/// Tells what may be done. Clones share it.
///
/// What may not be read is, to a query, as if it weren't there. It is asked before anything is looked up that it
/// concerns: of a narrow place only when a wider one around it may not be read.
#[derive(Clone, Default)]
pub struct Scope(Option<Arc<Ask>>);

type Ask = dyn Fn(&Right) -> Result<bool, QueryError> + Send + Sync;

impl Scope {
    /// Everything may be read and used. No policy is left out.
    pub fn everything() -> Scope {
        Scope::default()
    }

    /// What `may` says may be. It is called from threads that run queries, often, and may block: remember answers.
    /// Its error ends a query that begins; one that follows asks again later whether it may read what is new.
    pub fn new(may: impl Fn(&Right) -> Result<bool, QueryError> + Send + Sync + 'static) -> Scope {
        Scope(Some(Arc::new(may)))
    }

    /// Whether one may.
    ///
    /// # Errors
    /// It can't be told now.
    pub(crate) fn may(&self, right: &Right) -> Result<bool, QueryError> {
        match &self.0 {
            Some(ask) => ask(right),
            None => Ok(!matches!(right, Right::BypassPolicy(_))),
        }
    }

    /// Whether a place may be read.
    ///
    /// # Errors
    /// It can't be told now.
    pub(crate) fn may_read(&self, place: &Place) -> Result<bool, QueryError> {
        self.may(&Right::Read(place.clone()))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Scope(..)" } else { "Scope(everything)" })
    }
}
