//! The folder of policies, looked at again and again while the agent runs: what is in it is in force from then on.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_config::{PolicyLimits, read_policies};
use weir_query::{Cancel, CancelWhenDropped};

use crate::policies::{Origin, Policies};

/// Looks at a folder of policies.
pub(crate) struct PolicyFolder {
    /// `None`: there is none; then policies of elsewhere are loaded anew when filters have changed.
    pub(crate) path: Option<PathBuf>,
    /// `None`: neither there nor in the folder of filters anything can change.
    pub(crate) every: Option<Duration>,
    pub(crate) limits: PolicyLimits,
    /// Set when filters of the folder of filters are others than before.
    pub(crate) filters_changed: Arc<AtomicBool>,
    pub(crate) policies: Arc<Policies>,
}

impl PolicyFolder {
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
        let filters_changed = self.filters_changed.swap(false, Ordering::Relaxed);
        if self.path.is_none() && !filters_changed {
            return;
        }
        let (path, policies, limits) = (self.path.clone(), Arc::clone(&self.policies), self.limits);
        let cancel = Cancel::default();
        // Ends a look that nobody waits for any more.
        let _ended = CancelWhenDropped::new(cancel.clone());
        let look = tokio::task::spawn_blocking(move || {
            let Some(path) = path else { return policies.reload(&cancel) };
            let specs = read_policies(&path, &limits).map_err(|error| format!("{}: {error}", path.display()));
            policies.set(Origin::Folder, specs, filters_changed, &cancel);
        });
        if let Err(error) = look.await {
            tracing::error!(%error, "a look at the folder of policies failed");
        }
    }
}
