//! The policies that are in force, from wherever they come: a folder, and the cluster's own objects. What can't be loaded is
//! logged, and has all that it may cover refused; so is everything while one of them can't say which policies it has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_query::{Cancel, Engine, PolicySet, PolicySpec};

use crate::metrics::Metrics;

/// Where policies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Files of a folder.
    Folder,
    /// `FilterPolicy` objects.
    Cluster,
}

/// Loads policies, and has the engine's queries go through them.
pub(crate) struct Policies {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    /// Held for as long as they are loaded.
    last: Mutex<Last>,
}

/// What was loaded last.
#[derive(Default)]
struct Last {
    /// What each origin has; or why that isn't known.
    origins: BTreeMap<Origin, Result<Vec<PolicySpec>, String>>,
    /// Names, and why they can't be loaded, as they were logged.
    told: BTreeMap<String, Option<String>>,
    /// Why none is known, as it was logged.
    unknown: Option<String>,
    /// All of them are loaded.
    is_whole: bool,
}

impl Policies {
    /// Policies that come from these, which haven't said yet what they have.
    pub(crate) fn new(engine: Arc<Engine>, metrics: Arc<Metrics>, origins: &[Origin]) -> Policies {
        let unknown = |origin: &Origin| (*origin, Err("they are being loaded".to_owned()));
        let last = Last { origins: origins.iter().map(unknown).collect(), ..Last::default() };
        Policies { engine, metrics, last: Mutex::new(last) }
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
        let mut last = self.lock();
        let is_same = last.origins.get(&origin) == Some(&specs);
        if is_same && last.is_whole && !filters_changed {
            return;
        }
        last.origins.insert(origin, specs);
        match all(&last.origins) {
            Ok(specs) => self.load(&mut last, &specs, cancel),
            Err(why) => self.refuse_all(&mut last, why),
        }
    }

    /// Why policies can't be loaded, by the names of all that are known.
    pub(crate) fn problems(&self) -> BTreeMap<String, Option<String>> {
        self.lock().told.clone()
    }

    fn load(&self, last: &mut Last, specs: &[PolicySpec], cancel: &Cancel) {
        let set = Arc::new(self.engine.load_policies(specs, cancel));
        if cancel.is_cancelled() {
            last.is_whole = false;
            return;
        }
        self.engine.set_policies(Arc::clone(&set));
        let problem = |policy: &weir_query::Policy| policy.problem().map(str::to_owned);
        let told: BTreeMap<_, _> =
            set.policies().iter().map(|policy| (policy.name().to_owned(), problem(policy))).collect();
        for (policy, problem) in told.iter().filter(|(name, problem)| last.told.get(*name) != Some(problem)) {
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
        for policy in last.told.keys().filter(|name| !told.contains_key(*name)) {
            tracing::info!(policy, "a policy is gone");
        }
        let refused = set.policies().iter().filter(|policy| policy.problem().is_some()).count();
        self.metrics.policies(set.policies().len() - refused, refused);
        (last.is_whole, last.told, last.unknown) = (refused == 0, told, None);
    }

    fn refuse_all(&self, last: &mut Last, why: String) {
        if last.unknown.as_ref() != Some(&why) {
            tracing::error!(%why, "the policies can't be read: every query is refused");
        }
        self.engine.set_policies(Arc::new(PolicySet::not_synced(&*why)));
        // Not one that is refused is known, and yet all are.
        self.metrics.policies(0, 1);
        (last.is_whole, last.told, last.unknown) = (false, BTreeMap::new(), Some(why));
    }

    /// A panic while policies were loaded ends the process.
    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all origins have together.
fn all(origins: &BTreeMap<Origin, Result<Vec<PolicySpec>, String>>) -> Result<Vec<PolicySpec>, String> {
    origins.values().cloned().collect::<Result<Vec<_>, _>>().map(|specs| specs.concat())
}
