//! Short blocking work, such as a listing: a bounded number at once, on tokio's blocking threads.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::Status;
use weir_query::{Engine, QueryError};

use crate::status;

/// Runs lookups on an engine. Clones share one bound.
#[derive(Clone)]
pub(crate) struct Lookups {
    engine: Arc<Engine>,
    slots: Arc<Semaphore>,
}

impl Lookups {
    /// Lookups on `engine`, at most `max` at once; more than that wait.
    pub(crate) fn new(engine: Arc<Engine>, max: usize) -> Lookups {
        Lookups { engine, slots: Arc::new(Semaphore::new(max)) }
    }

    /// What lookups are made on.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs one lookup.
    pub(crate) async fn run<T, F>(&self, lookup: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Result<T, QueryError> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| status::shutting_down())?;
        let engine = Arc::clone(&self.engine);
        let ran = tokio::task::spawn_blocking(move || {
            let result = lookup(&engine);
            drop(slot);
            result
        });
        match ran.await {
            Ok(result) => result.map_err(|error| status::from_error(&error)),
            Err(error) => {
                tracing::error!(%error, "a lookup failed");
                Err(status::from_error(&QueryError::Failed { message: "the lookup failed".to_owned() }))
            }
        }
    }
}
