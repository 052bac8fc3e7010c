//! Policies: filters that an administrator binds to namespaces, and that every query of what lies there goes through.
//!
//! A [`PolicySpec`] is a policy as somebody wrote it. [`Engine::load_policies`] makes a [`PolicySet`] of several:
//! compiled, and opened with their parameters. What can't be loaded stays in the set, and has all that it may cover
//! refused; so does a set that isn't known yet. [`Engine::set_policies`] replaces the set as a whole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use globset::{Glob, GlobSet, GlobSetBuilder};
use weir_sandbox::{Binding, Kind};
use weir_scan::{AnyOf, MessageRegex, PatternLimits, Source};

use crate::engine::Engine;
use crate::gate::{self, GateError};
use crate::installed::{InstalledSet, set_limits};
use crate::labels::{KnownLabels, LabelSelector};
use crate::params::check_within;
use crate::{Cancel, FilterRef, QueryError};

/// Longest name of a policy in bytes: that of a Kubernetes object.
const NAME_BYTES: usize = 253;

/// Namespaces, or pods, that one policy names at the most.
const NAMES: usize = 1000;

/// A policy as it was written: nothing here has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpec {
    /// What errors, summaries and metrics call it: up to 253 lower-case letters, digits, `-` and `.`, and no two alike.
    pub name: String,
    /// What it covers.
    pub scope: PolicyScope,
    /// Its filters, in the order in which records pass through them, at least one; or why they can't be known, which has
    /// all that the policy covers refused.
    pub filters: Result<Vec<PolicyFilter>, String>,
    /// What becomes of a record that one of them fails on.
    pub on_failure: PolicyFailure,
}

/// What a policy covers: logs of pods that match all of it. Plain files, of which nothing is known, are covered by every
/// policy. So is, of what is selected by labels, whatever has labels that [`Engine::labels`] doesn't know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyScope {
    /// Names or globs of namespaces, at most 1000; none stands for all.
    pub namespaces: Vec<String>,
    /// Which namespaces, by their labels.
    pub namespace_selector: Option<LabelSelector>,
    /// Names or globs of pods, likewise.
    pub pods: Vec<String>,
    /// Which pods, by their labels.
    pub pod_selector: Option<LabelSelector>,
}

/// One filter of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFilter {
    /// Which filter: one that the engine knows by name, or a component. A component has to pass the same gate as one from
    /// the folder of filters. What a client has uploaded is refused.
    pub filter: FilterRef,
    /// Its parameters as the text of a JSON object; empty text counts as `{}`.
    pub params: String,
    /// Limits that are to differ from the engine's, by the names of
    /// [`FilterLimits::NAMED`](weir_sandbox::FilterLimits::NAMED). The maxima for queries don't hold here.
    pub limits: BTreeMap<String, u64>,
}

/// What becomes of a record that a policy's filter fails on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyFailure {
    /// It is withheld and counted, and the answer is incomplete.
    #[default]
    Withhold,
    /// It is withheld, and the query ends there, incomplete.
    Refuse,
}

/// The policies of an engine. A query keeps the set that it began with.
#[derive(Debug)]
pub struct PolicySet {
    /// By name; or why they aren't known yet.
    policies: Result<Vec<Policy>, String>,
    /// What is known of labels when a query comes upon a source.
    labels: Arc<KnownLabels>,
    /// For policies that cover sources together: what they may change. Kept, since it takes a while to compile.
    changed: Mutex<BTreeMap<Vec<usize>, Option<Arc<AnyOf>>>>,
}

/// One policy of a [`PolicySet`].
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
    scope: Scope,
    state: State,
}

/// What became of a policy.
#[derive(Clone, Debug)]
enum State {
    Loaded(Arc<Loaded>),
    /// It is known, and what it covers is refused until it is loaded.
    Loading,
    /// Why it can't be loaded.
    Failed(String),
}

/// What a policy is made of that can be used.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) filters: Vec<LoadedFilter>,
    pub(crate) on_failure: PolicyFailure,
}

/// A filter with its parameters.
#[derive(Debug)]
pub(crate) struct LoadedFilter {
    pub(crate) binding: Binding,
    pub(crate) prefilter: Option<Arc<MessageRegex>>,
}

/// What a policy covers, ready to match. `None` covers every name.
#[derive(Clone, Debug, Default)]
struct Scope {
    namespaces: Option<GlobSet>,
    namespace_selector: Option<LabelSelector>,
    pods: Option<GlobSet>,
    pod_selector: Option<LabelSelector>,
}

impl Default for PolicySet {
    /// No policies.
    fn default() -> PolicySet {
        PolicySet { policies: Ok(Vec::new()), labels: Arc::default(), changed: Mutex::default() }
    }
}

impl PolicySet {
    /// Policies that aren't known yet, and why: everything is refused.
    pub fn not_synced(why: impl Into<String>) -> PolicySet {
        PolicySet { policies: Err(why.into()), labels: Arc::default(), changed: Mutex::default() }
    }

    /// The policies, by name; those that couldn't be loaded too. None while they aren't known.
    pub fn policies(&self) -> &[Policy] {
        self.policies.as_deref().unwrap_or_default()
    }

    /// Whether the policies are known.
    pub fn is_synced(&self) -> bool {
        self.policies.is_ok()
    }

    /// Messages that match none of these aren't changed by any of the policies at these places; `None` when any may be.
    pub(crate) fn changed_by(&self, policies: &[usize]) -> Option<Arc<AnyOf>> {
        let mut known = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(policies) {
            return known.clone();
        }
        let loaded = policies.iter().filter_map(|policy| self.policies().get(*policy)?.loaded());
        let filters: Vec<&LoadedFilter> = loaded.flat_map(|loaded| &loaded.filters).collect();
        let each = filters.iter().map(|filter| match filter.binding.kind() {
            // What drops lines hides how many there are, so it sees all.
            Kind::Select => None,
            Kind::Transform | Kind::Redact | Kind::Aggregate => filter.prefilter.clone(),
        });
        // On raw lines an expression is larger than on messages.
        let compiled_bytes = PatternLimits::default().compiled_bytes
            + filters.iter().map(|it| it.binding.limits().prefilter_compiled_bytes).sum::<usize>();
        let changed = each.collect::<Option<Vec<_>>>().map(|each| Arc::new(AnyOf::new(each, compiled_bytes)));
        known.insert(policies.to_vec(), changed.clone());
        changed
    }

    /// The policies.
    ///
    /// # Errors
    /// Which there are isn't known; the text says so.
    pub(crate) fn known(&self) -> Result<&[Policy], NotLoaded> {
        self.policies.as_deref().map_err(|why| NotLoaded {
            is_final: false,
            message: format!(
                "which policies there are isn't known yet ({why}), so nothing is given; ask again later"
            ),
        })
    }

    /// Whether the labels of namespaces make a difference.
    pub fn selects_namespaces_by_labels(&self) -> bool {
        self.policies().iter().any(|policy| policy.scope.namespace_selector.is_some())
    }

    /// Whether the labels of pods make a difference.
    pub fn selects_pods_by_labels(&self) -> bool {
        self.policies().iter().any(|policy| policy.scope.pod_selector.is_some())
    }

    /// Whether the labels of a source's pod make a difference.
    pub fn selects_by_labels(&self, source: &Source) -> bool {
        let selects = |policy: &Policy| {
            policy.scope.pod_selector.is_some() && policy.scope.covers_namespace(source, &self.labels)
        };
        self.policies().iter().any(selects)
    }

    /// The policies that cover a source, by their place in the set, but for those at the places `bypassed`.
    ///
    /// # Errors
    /// One of them, or which there are, isn't known; the text says so.
    pub(crate) fn covering(&self, source: &Source, bypassed: &[usize]) -> Result<Vec<usize>, NotLoaded> {
        let policies = self.known()?;
        let covers = |(place, policy): &(usize, &Policy)| {
            !bypassed.contains(place) && policy.scope.covers(source, &self.labels)
        };
        let covering = policies.iter().enumerate().filter(covers);
        let place = |(place, policy): (usize, &Policy)| match &policy.state {
            State::Loaded(_) => Ok(place),
            State::Loading => Err(NotLoaded {
                is_final: false,
                message: format!(
                    "the policy '{}' is being loaded, so nothing is given that it may cover; ask again",
                    policy.name
                ),
            }),
            State::Failed(why) => Err(NotLoaded {
                is_final: true,
                message: format!(
                    "the policy '{}' can't be loaded ({why}), so nothing is given that it may cover; whoever \
                     administrates the policies can mend it",
                    policy.name
                ),
            }),
        };
        covering.map(place).collect()
    }
}

/// Why a source is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotLoaded {
    /// It stays so until somebody changes a policy.
    is_final: bool,
    pub(crate) message: String,
}

impl From<NotLoaded> for QueryError {
    fn from(NotLoaded { is_final, message }: NotLoaded) -> QueryError {
        match is_final {
            true => QueryError::Refused { field: "sources".to_owned(), message },
            false => QueryError::NotReady { message },
        }
    }
}

impl Policy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it can't be loaded; `None` when it is.
    pub fn problem(&self) -> Option<&str> {
        match &self.state {
            State::Loaded(_) => None,
            State::Loading => Some("it is being loaded"),
            State::Failed(why) => Some(why),
        }
    }

    pub(crate) fn loaded(&self) -> Option<&Loaded> {
        match &self.state {
            State::Loaded(loaded) => Some(loaded),
            State::Loading | State::Failed(_) => None,
        }
    }
}

impl Scope {
    fn new(scope: &PolicyScope) -> Result<Scope, String> {
        let set = |field: &str, names: &[String]| -> Result<Option<GlobSet>, String> {
            if names.is_empty() {
                return Ok(None);
            }
            if names.len() > NAMES {
                return Err(format!("{field}: {} names; give {NAMES} at the most, or globs", names.len()));
            }
            let mut globs = GlobSetBuilder::new();
            for name in names {
                let glob = Glob::new(name).map_err(|error| format!("{field}: '{name}': {error}"))?;
                globs.add(glob);
            }
            globs.build().map(Some).map_err(|error| format!("{field}: {error}"))
        };
        Ok(Scope {
            namespaces: set("namespaces", &scope.namespaces)?,
            namespace_selector: scope.namespace_selector.clone(),
            pods: set("pods", &scope.pods)?,
            pod_selector: scope.pod_selector.clone(),
        })
    }

    fn covers(&self, source: &Source, labels: &KnownLabels) -> bool {
        self.covers_namespace(source, labels)
            && takes(&self.pods, &source.pod)
            && self.pod_selector.as_ref().is_none_or(|wanted| labels.may_take_pod(wanted, &source.uid))
    }

    fn covers_namespace(&self, source: &Source, labels: &KnownLabels) -> bool {
        let name = &source.namespace;
        takes(&self.namespaces, name)
            && self.namespace_selector.as_ref().is_none_or(|wanted| labels.may_take_namespace(wanted, name))
    }
}

/// Whether any of the globs takes a name; one that isn't known is taken.
fn takes(globs: &Option<GlobSet>, name: &str) -> bool {
    name.is_empty() || globs.as_ref().is_none_or(|globs| globs.is_match(name))
}

impl Engine {
    /// Makes policies ready: compiles their filters and opens them with their parameters, which blocks until that is done.
    /// What can't be loaded, or isn't before `cancel` is set, stays in the set with the reason.
    pub fn load_policies(&self, specs: &[PolicySpec], cancel: &Cancel) -> PolicySet {
        let mut specs: Vec<&PolicySpec> = specs.iter().collect();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let is_double = |spec: &PolicySpec| specs.iter().filter(|other| other.name == spec.name).count() > 1;
        let installed = self.installed();
        let policies = specs.iter().map(|spec| {
            let (scope, scope_problem) = match Scope::new(&spec.scope) {
                Ok(scope) => (scope, None),
                // What was meant isn't known.
                Err(problem) => (Scope::default(), Some(problem)),
            };
            let double = is_double(spec).then(|| "another policy has the same name".to_owned());
            let loaded = match double.or(scope_problem).or(name_problem(&spec.name)) {
                Some(problem) => Err(problem),
                None => self.load_policy(spec, &installed, cancel),
            };
            let state = loaded.map_or_else(State::Failed, |loaded| State::Loaded(Arc::new(loaded)));
            Policy { name: spec.name.clone(), scope, state }
        });
        let policies = Ok(policies.collect());
        PolicySet { policies, labels: Arc::clone(&self.labels), changed: Mutex::default() }
    }

    /// Has queries that begin while policies are loaded know of them: of what those of `specs` cover that are not among
    /// `before`, which were loaded last, nothing is given. Does nothing where no policies are known.
    pub fn announce_policies(&self, specs: &[PolicySpec], before: &[PolicySpec]) {
        let known = self.policies();
        if !known.is_synced() || specs.iter().all(|spec| before.contains(spec)) {
            return;
        }
        let policy = |spec: &PolicySpec| {
            let same = known.policies().iter().find(|policy| policy.name == spec.name);
            match same.filter(|_| before.contains(spec)) {
                Some(same) => same.clone(),
                None => {
                    let scope = Scope::new(&spec.scope).unwrap_or_default();
                    Policy { name: spec.name.clone(), scope, state: State::Loading }
                }
            }
        };
        let mut policies: Vec<Policy> = specs.iter().map(policy).collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let labels = Arc::clone(&self.labels);
        self.set_policies(Arc::new(PolicySet { policies: Ok(policies), labels, changed: Mutex::default() }));
    }

    /// Has every query that begins from now on go through these policies. Those that run keep theirs.
    pub fn set_policies(&self, policies: Arc<PolicySet>) {
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = policies;
    }

    /// The policies that a query goes through that begins now.
    pub fn policies(&self) -> Arc<PolicySet> {
        Arc::clone(&self.policies.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn load_policy(
        &self,
        spec: &PolicySpec,
        installed: &InstalledSet,
        cancel: &Cancel,
    ) -> Result<Loaded, String> {
        let filters = spec.filters.as_ref().map_err(Clone::clone)?;
        let most = self.config.limits.filters;
        match filters.len() {
            0 => return Err("filters: it has none; give at least one".to_owned()),
            count if count > most => {
                return Err(format!("filters: it has {count}; the limit filters is {most}"));
            }
            _ => {}
        }
        let load = |(index, filter)| {
            self.load_policy_filter(filter, installed, &format!("filters[{index}]"), cancel)
        };
        let filters = filters.iter().enumerate().map(load).collect::<Result<_, String>>()?;
        Ok(Loaded { filters, on_failure: spec.on_failure })
    }

    fn load_policy_filter(
        &self,
        spec: &PolicyFilter,
        installed: &InstalledSet,
        field: &str,
        cancel: &Cancel,
    ) -> Result<LoadedFilter, String> {
        let field = format!("{field} ({})", spec.filter.name());
        match &spec.filter {
            FilterRef::Name(name) => {
                if let Some(Err(why)) = installed.get(name).map(|entry| &entry.result) {
                    return Err(format!("{field}: that Filter can't be used: {why}"));
                }
            }
            FilterRef::Component { bytes, signature, .. } => {
                let limits = &self.config.sandbox_limits;
                let admitted = gate::pass(bytes, signature.as_deref(), limits, &self.config.trust);
                admitted.map_err(|error: GateError| format!("{field}: {error}"))?;
            }
            FilterRef::Uploaded { .. } => {
                return Err(format!("{field}: what a client has uploaded can't be part of a policy"));
            }
        }
        let filter = self.load_as(&spec.filter, installed, &field, cancel);
        let filter = filter.map_err(|error| error.to_string())?;
        if filter.description().kind == Kind::Aggregate {
            return Err(format!(
                "{field}: it is of kind aggregate, which hides nothing; give one of kind redact, transform or select"
            ));
        }
        let (params, mut limits) = self.defaults(&spec.filter, installed, &spec.params);
        set_limits(&mut limits, &spec.limits).map_err(|problem| format!("{field}.{problem}"))?;
        check_within(&filter, &params, &limits).map_err(|problem| format!("{field}: {problem}"))?;
        let binding = filter.open(&params, &limits).map_err(|error| format!("{field}: {error}"))?;
        let prefilter = self.prefilter(&binding).map_err(|error| {
            format!("{field}: the filter's own prefilter is refused, tell its author: {error}")
        })?;
        Ok(LoadedFilter { binding, prefilter })
    }
}

fn name_problem(name: &str) -> Option<String> {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(is_good) {
        return None;
    }
    Some(format!("its name is to be 1 to {NAME_BYTES} lower-case letters, digits, '-' and '.'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(namespace: &str, pod: &str) -> Source {
        Source { namespace: namespace.to_owned(), pod: pod.to_owned(), ..Source::default() }
    }

    fn scope(namespaces: &[&str], pods: &[&str]) -> Result<Scope, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (namespaces, pods) = (owned(namespaces), owned(pods));
        Scope::new(&PolicyScope { namespaces, pods, ..PolicyScope::default() })
    }

    #[test]
    fn a_scope_takes_what_both_parts_take_and_all_of_whom_nothing_is_known() {
        let labels = KnownLabels::default();
        let both = scope(&["shop", "pay-*"], &["web-*"]).expect("a scope");
        for (namespace, pod, covered) in [
            ("shop", "web-1", true),
            ("pay-eu", "web-2", true),
            ("shop", "db-0", false),
            ("shops", "web-1", false),
            ("", "", true),
        ] {
            assert_eq!(both.covers(&source(namespace, pod), &labels), covered, "{namespace}/{pod}");
        }
        assert!(scope(&[], &[]).expect("a scope").covers(&source("any", "pod"), &labels));
        assert!(scope(&["a["], &[]).expect_err("no glob").contains("'a['"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let not_synced = PolicySet::not_synced("the API server was not asked yet");
        let refused = not_synced.covering(&source("shop", "web"), &[]).expect_err("refused");
        assert!(
            matches!(QueryError::from(refused), QueryError::NotReady { message } if message.contains("API server"))
        );
        assert!(!not_synced.is_synced() && not_synced.policies().is_empty());
        assert_eq!(PolicySet::default().covering(&source("shop", "web"), &[]), Ok(Vec::new()));
    }
}
