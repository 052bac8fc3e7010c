//! The folder of policies, looked at again and again while the agent runs: what is in it is in force from then on. What can't
//! be loaded is logged, and has all that it may cover refused.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weir_config::{PolicyLimits, read_policies};
use weir_query::{Cancel, CancelWhenDropped, Engine, PolicySet, PolicySpec};

use crate::metrics::Metrics;

/// Looks at a folder of policies.
pub(crate) struct PolicyFolder {
    /// `None`: there are no policies.
    path: Option<PathBuf>,
    every: Duration,
    /// Set when filters of the folder of filters are others than before.
    filters_changed: Arc<AtomicBool>,
    known: Arc<Known>,
}

/// What was found and made of it.
struct Known {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    limits: PolicyLimits,
    /// Held for as long as a look lasts.
    last: Mutex<Last>,
}

/// The last look.
#[derive(Default)]
struct Last {
    specs: Vec<PolicySpec>,
    /// Names, and why they can't be loaded, as they were logged.
    told: Vec<(String, Option<String>)>,
    /// Why none is known, as it was logged.
    unreadable: Option<String>,
    /// All of them are loaded.
    is_whole: bool,
}

impl PolicyFolder {
    pub(crate) fn new(
        path: Option<PathBuf>,
        every: Duration,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        filters_changed: Arc<AtomicBool>,
    ) -> PolicyFolder {
        let limits = PolicyLimits { component_bytes: engine.component_bytes(), ..PolicyLimits::default() };
        let known = Arc::new(Known { engine, metrics, limits, last: Mutex::default() });
        PolicyFolder { path, every, filters_changed, known }
    }

    /// Looks at it for as long as it is polled.
    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            tokio::time::sleep(self.every).await;
            self.look().await;
        }
    }

    /// Looks at it once, on a blocking thread.
    pub(crate) async fn look(&self) {
        let Some(path) = self.path.clone() else { return };
        let (known, cancel) = (Arc::clone(&self.known), Cancel::default());
        let filters_changed = self.filters_changed.swap(false, Ordering::Relaxed);
        // Ends a look that nobody waits for any more.
        let _ended = CancelWhenDropped::new(cancel.clone());
        let look = tokio::task::spawn_blocking(move || match read_policies(&path, &known.limits) {
            Ok(specs) => known.take(specs, filters_changed, &cancel),
            Err(error) => known.refuse_all(&format!("{}: {error}", path.display())),
        });
        if let Err(error) = look.await {
            tracing::error!(%error, "a look at the folder of policies failed");
        }
    }
}

impl Known {
    /// Loads policies if they are others than before, or not all of them could be loaded.
    fn take(&self, specs: Vec<PolicySpec>, filters_changed: bool, cancel: &Cancel) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_whole && !filters_changed && last.specs == specs {
            return;
        }
        let set = Arc::new(self.engine.load_policies(&specs, cancel));
        if cancel.is_cancelled() {
            return;
        }
        self.engine.set_policies(Arc::clone(&set));
        let told: Vec<_> = set
            .policies()
            .iter()
            .map(|policy| (policy.name().to_owned(), policy.problem().map(str::to_owned)))
            .collect();
        for (policy, problem) in told.iter().filter(|told| !last.told.contains(told)) {
            match problem {
                None => tracing::info!(policy, "policy loaded"),
                Some(problem) => {
                    tracing::error!(
                        policy,
                        problem,
                        "a policy can't be loaded: all that it may cover is refused"
                    );
                }
            }
        }
        for (policy, _) in last.told.iter().filter(|(name, _)| !told.iter().any(|(known, _)| known == name)) {
            tracing::info!(policy, "a policy is gone");
        }
        let refused = told.iter().filter(|(_, problem)| problem.is_some()).count();
        self.metrics.policies(told.len() - refused, refused);
        *last = Last { is_whole: refused == 0, specs, told, unreadable: None };
    }

    fn refuse_all(&self, why: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.unreadable.as_deref() != Some(why) {
            tracing::error!(%why, "the policies can't be read: every query is refused");
        }
        self.engine.set_policies(Arc::new(PolicySet::not_synced(why)));
        // Not one that is refused is known, and yet all are.
        self.metrics.policies(0, 1);
        *last = Last { unreadable: Some(why.to_owned()), ..Last::default() };
    }
}
