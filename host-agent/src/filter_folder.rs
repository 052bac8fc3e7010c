//! The folder of filters, looked at again and again while the agent runs: what changes is logged and counted.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_query::{Cancel, CancelWhenDropped, Engine, FolderChange, FolderFile};

use crate::metrics::Metrics;

/// Looks at an engine's folder of filters.
pub(crate) struct FilterFolder {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    /// `None`: there is no folder.
    every: Option<Duration>,
    /// Set when a look has found something otherwise.
    changed: Arc<AtomicBool>,
    /// The last look could not read it, which was told.
    is_unreadable: AtomicBool,
}

impl FilterFolder {
    pub(crate) fn new(engine: Arc<Engine>, metrics: Arc<Metrics>, every: Option<Duration>) -> FilterFolder {
        let changed = Arc::default();
        FilterFolder { engine, metrics, every, changed, is_unreadable: AtomicBool::new(false) }
    }

    /// What is set when a look has found something otherwise, for whoever takes note of it to clear.
    pub(crate) fn changed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.changed)
    }

    /// Looks at it for as long as it is polled.
    pub(crate) async fn watch(&self) -> Infallible {
        let Some(every) = self.every else { return std::future::pending().await };
        loop {
            tokio::time::sleep(every).await;
            self.look().await;
        }
    }

    /// Looks at it once, on a blocking thread.
    pub(crate) async fn look(&self) {
        let (engine, cancel) = (Arc::clone(&self.engine), Cancel::default());
        // Ends a look that nobody waits for any more.
        let _ended = CancelWhenDropped::new(cancel.clone());
        match tokio::task::spawn_blocking(move || engine.look_at_folder(&cancel)).await {
            Ok(Ok(changes)) => {
                self.is_unreadable.store(false, Ordering::Relaxed);
                changes.iter().for_each(|change| self.tell(change));
                self.changed.fetch_or(!changes.is_empty(), Ordering::Relaxed);
                if !changes.is_empty() {
                    self.metrics.own_filters(self.engine.own_names());
                }
            }
            Ok(Err(error)) if !self.is_unreadable.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "the folder of filters can't be read; its filters are used on as they are");
            }
            Ok(Err(_)) => {}
            Err(error) => tracing::error!(%error, "a look at the folder of filters failed"),
        }
    }

    fn tell(&self, change: &FolderChange) {
        match change {
            FolderChange::Removed(file) => {
                let FolderFile { file, filter, .. } = file;
                tracing::info!(file, filter, "a filter's file is gone, and the filter with it");
            }
            FolderChange::File(FolderFile { file, filter, digest, size, problem: None }) => {
                tracing::info!(file, filter, digest, size, "filter loaded");
                self.metrics.folder_file(true);
            }
            FolderChange::File(FolderFile { file, filter, digest, size, problem: Some(problem) }) => {
                let kept = filter.is_some();
                tracing::warn!(file, filter, digest, size, problem, kept, "a filter's file is refused");
                self.metrics.folder_file(false);
            }
        }
    }
}
