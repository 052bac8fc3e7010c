//! The policies that are in force, from wherever they come: a folder, and the cluster's own objects. What can't be loaded is
//! logged, and has all that it may cover refused; so is everything while one of them can't say which policies it has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use weir_query::{Cancel, Engine, PolicySet, PolicySpec};

use crate::metrics::Metrics;

/// Why policies aren't known before anybody has said which there are.
pub(crate) const WAITING: &str = "they are being loaded";

/// Where policies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Files of a folder.
    Folder,
    /// `FilterPolicy` objects.
    Cluster,
}

/// What became of policies, by their names: why one can't be loaded; or why it isn't known which there are.
pub(crate) type Outcome = Result<BTreeMap<String, Option<String>>, String>;

/// Loads policies, and has the engine's queries go through them.
pub(crate) struct Policies {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    /// Held for as long as they are loaded.
    last: Mutex<Last>,
    /// The outcome is another one.
    changed: Notify,
}

/// What was loaded last.
struct Last {
    /// What each origin has; or why that isn't known.
    origins: BTreeMap<Origin, Result<Vec<PolicySpec>, String>>,
    /// Those that were loaded.
    specs: Vec<PolicySpec>,
    /// As it was logged.
    outcome: Outcome,
    /// All of them are loaded.
    is_whole: bool,
}

impl Policies {
    /// Policies that come from these, which haven't said yet what they have.
    pub(crate) fn new(engine: Arc<Engine>, metrics: Arc<Metrics>, origins: &[Origin]) -> Policies {
        let unknown = |origin: &Origin| (*origin, Err(WAITING.to_owned()));
        let last = Last {
            origins: origins.iter().map(unknown).collect(),
            specs: Vec::new(),
            outcome: Err(WAITING.to_owned()),
            is_whole: false,
        };
        Policies { engine, metrics, last: Mutex::new(last), changed: Notify::new() }
    }

    /// Waits until the outcome is another one than before.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes what an origin has now, or why that isn't known any more. Loads all, which blocks, if they are others than
    /// before, or `filters_changed`, or not all of them could be loaded.
    pub(crate) fn set(
        &self,
        origin: Origin,
        specs: Result<Vec<PolicySpec>, String>,
        filters_changed: bool,
        cancel: &Cancel,
    ) {
        // A panic while policies were loaded ends the process.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = last.origins.get(&origin) == Some(&specs);
        last.origins.insert(origin, specs);
        self.load_all(&mut last, is_same && !filters_changed, cancel);
    }

    /// What became of them. Blocks while they are loaded.
    pub(crate) fn outcome(&self) -> Outcome {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).outcome.clone()
    }

    /// Loads them anew, with filters that are others than before.
    pub(crate) fn reload(&self, cancel: &Cancel) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.load_all(&mut last, false, cancel);
    }

    fn load_all(&self, last: &mut Last, is_same: bool, cancel: &Cancel) {
        if is_same && last.is_whole {
            return;
        }
        let all: Result<Vec<Vec<PolicySpec>>, String> = last.origins.values().cloned().collect();
        let outcome = match all {
            Ok(specs) => self.load(last, specs.concat(), cancel),
            Err(why) => {
                last.is_whole = false;
                // One that is refused isn't known, and yet all are.
                self.metrics.policies(0, 1);
                self.engine.set_policies(Arc::new(PolicySet::not_synced(&*why)));
                Some(Err(why))
            }
        };
        // What was cut short is done again.
        let Some(outcome) = outcome else { return };
        if outcome != last.outcome {
            tell(&last.outcome, &outcome);
            last.outcome = outcome;
            self.changed.notify_one();
        }
    }

    fn load(&self, last: &mut Last, specs: Vec<PolicySpec>, cancel: &Cancel) -> Option<Outcome> {
        last.is_whole = false;
        self.engine.announce_policies(&specs, &last.specs);
        let set = Arc::new(self.engine.load_policies(&specs, cancel));
        if cancel.is_cancelled() {
            return None;
        }
        self.engine.set_policies(Arc::clone(&set));
        let problem = |policy: &weir_query::Policy| policy.problem().map(str::to_owned);
        let outcome: BTreeMap<_, _> =
            set.policies().iter().map(|policy| (policy.name().to_owned(), problem(policy))).collect();
        let refused = set.policies().iter().filter(|policy| policy.problem().is_some()).count();
        self.metrics.policies(set.policies().len() - refused, refused);
        (last.is_whole, last.specs) = (refused == 0, specs);
        Some(Ok(outcome))
    }
}

/// Logs what is otherwise than before.
fn tell(before: &Outcome, now: &Outcome) {
    let none = BTreeMap::new();
    let before = before.as_ref().unwrap_or(&none);
    let now = match now {
        Ok(now) => now,
        Err(why) => {
            tracing::error!(%why, "the policies can't be read: every query is refused");
            return;
        }
    };
    for (policy, problem) in now.iter().filter(|(name, problem)| before.get(*name) != Some(problem)) {
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
    for policy in before.keys().filter(|name| !now.contains_key(*name)) {
        tracing::info!(policy, "a policy is gone");
    }
}
