//! Filters that an administrator has installed under a name of their own, such as the `Filter` objects of a cluster: each is a
//! filter that ships with Weir, or a component, with parameters and limits that hold where a query or a policy gives none.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use weir_sandbox::Filter;

use crate::engine::Engine;
use crate::gate::{self, GateError};
use crate::params::check_within;
use crate::{Cancel, FilterLimits, FilterRef, QueryError};

/// An installed filter as it was written: nothing here has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct InstalledSpec {
    /// What queries and policies call it. Names of filters that ship with Weir are never to be had: without it, they would be
    /// taken for it. It goes before one of that name in the folder.
    pub name: String,
    /// Which filter; or why that can't be known, which refuses whatever names it. A name is that of one that ships with
    /// Weir; a component has to pass the same gate as one from the folder of filters.
    pub filter: Result<FilterRef, String>,
    /// Parameters as the text of a JSON object; empty text is none.
    pub params: String,
    /// Limits that are to differ from the engine's. The maxima for queries don't hold here.
    pub limits: BTreeMap<String, u64>,
}

/// What became of filters that were to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The digest of each component, or why that filter can't be used, in the order of their specs.
    pub filters: Vec<Result<String, String>>,
    /// Whether there are others now than before.
    pub is_changed: bool,
}

/// Installed filters by their names. Replaced as a whole; a query keeps what it began with.
pub(crate) type InstalledSet = BTreeMap<String, Entry>;

/// What became of one.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    print: Print,
    /// The filter; or why it can't be used.
    pub(crate) result: Result<Filter, String>,
    /// The same spec would come to the same.
    is_final: bool,
}

impl Entry {
    /// Whether whoever uses it gets the same.
    fn is_as(&self, other: &Entry) -> bool {
        let digest = |entry: &Entry| entry.result.as_ref().ok().map(|filter| filter.digest().to_owned());
        self.print == other.print && digest(self) == digest(other)
    }
}

/// What tells one spec from another, without its component.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Print {
    filter: String,
    signature: Option<Vec<u8>>,
    params: String,
    limits: BTreeMap<String, u64>,
}

impl Print {
    fn of(spec: &InstalledSpec) -> Print {
        let (filter, signature) = match &spec.filter {
            Ok(FilterRef::Component { bytes, signature, .. }) => {
                (weir_sandbox::digest(bytes), signature.clone())
            }
            Ok(named) => (format!("name {}", named.name()), None),
            Err(why) => (format!("none {why}"), None),
        };
        Print { filter, signature, params: spec.params.clone(), limits: spec.limits.clone() }
    }
}

impl Engine {
    /// Has queries and policies that begin from now on find these filters, and no others that were installed before. Compiles
    /// what is otherwise than before, which blocks until that is done. Of two with one name, neither can be used.
    pub fn install(&self, specs: &[InstalledSpec], cancel: &Cancel) -> Installation {
        let before = self.installed();
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        specs.iter().for_each(|spec| *count.entry(&spec.name).or_default() += 1);
        let (mut set, mut told) = (InstalledSet::new(), Vec::with_capacity(specs.len()));
        for spec in specs {
            if self.builtin.contains_key(spec.name.as_str()) {
                told.push(Err("a filter that ships with Weir has this name; give another one".to_owned()));
                continue;
            }
            let print = Print::of(spec);
            let known = before.get(&spec.name).filter(|known| known.is_final && known.print == print);
            let entry = match known {
                _ if count[spec.name.as_str()] > 1 => {
                    Entry { print, result: Err("another one has the same name".to_owned()), is_final: false }
                }
                Some(known) => known.clone(),
                None => {
                    let result = self.install_one(spec, cancel);
                    let is_final = result.as_ref().err().is_none_or(|problem| problem.is_final);
                    Entry { print, result: result.map_err(|problem| problem.why), is_final }
                }
            };
            let digest = entry.result.as_ref().map(|filter| filter.digest().to_owned());
            told.push(digest.map_err(Clone::clone));
            set.insert(spec.name.clone(), entry);
        }
        let is_other =
            |(name, entry): (&String, &Entry)| before.get(name).is_none_or(|known| !known.is_as(entry));
        let is_changed = before.len() != set.len() || set.iter().any(is_other);
        if !cancel.is_cancelled() {
            *self.installed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        }
        Installation { filters: told, is_changed }
    }

    fn install_one(&self, spec: &InstalledSpec, cancel: &Cancel) -> Result<Filter, Problem> {
        let filter = match spec.filter.as_ref().map_err(Clone::clone)? {
            FilterRef::Name(name) => self.load_builtin(name, "builtin", cancel),
            component @ FilterRef::Component { bytes, signature, .. } => {
                let config = &self.config;
                let admitted = gate::pass(bytes, signature.as_deref(), &config.sandbox_limits, &config.trust);
                admitted.map_err(|error: GateError| error.to_string())?;
                self.load_as(component, &InstalledSet::new(), "component", cancel)
            }
            FilterRef::Uploaded { .. } => {
                return Err("what a client has uploaded can't be installed".to_owned().into());
            }
        }?;
        let mut limits = self.config.filter_limits.clone();
        set_limits(&mut limits, &spec.limits)?;
        // Without any, whoever uses it gives them.
        if !spec.params.trim().is_empty() {
            check_within(&filter, &spec.params, &limits)?;
            filter.open(&spec.params, &limits).map_err(|error| error.to_string())?;
        }
        Ok(filter)
    }

    /// The filters that are installed now.
    pub(crate) fn installed(&self) -> Arc<InstalledSet> {
        Arc::clone(&self.installed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The parameters that hold where `given` may be none, and the limits that hold before those that are given.
    pub(crate) fn defaults(
        &self,
        filter: &FilterRef,
        installed: &InstalledSet,
        given: &str,
    ) -> (String, FilterLimits) {
        let mut limits = self.config.filter_limits.clone();
        let own = match filter {
            FilterRef::Name(name) => installed.get(name).filter(|entry| entry.result.is_ok()),
            FilterRef::Component { .. } | FilterRef::Uploaded { .. } => None,
        };
        let own = own.map(|entry| &entry.print);
        if let Some(own) = own {
            set_limits(&mut limits, &own.limits).expect("they were checked when it was installed");
        }
        let params = [Some(given), own.map(|own| own.params.as_str())];
        let params = params.into_iter().flatten().find(|params| !params.trim().is_empty()).unwrap_or("{}");
        (params.to_owned(), limits)
    }
}

/// Why one can't be used.
struct Problem {
    why: String,
    /// It isn't about the moment.
    is_final: bool,
}

impl From<String> for Problem {
    fn from(why: String) -> Problem {
        Problem { why, is_final: true }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        let is_final = match &error {
            QueryError::Failed { .. } => false,
            QueryError::LimitExceeded { limit, .. } => limit != "compile_queue",
            _ => true,
        };
        Problem { why: error.to_string(), is_final }
    }
}

/// The installed filter of that name, if one has it.
///
/// # Errors
/// It can't be used; why, whoever may read its object sees there.
pub(crate) fn find<'a>(
    installed: &'a InstalledSet,
    name: &str,
    field: &str,
) -> Result<Option<&'a Filter>, QueryError> {
    match installed.get(name).map(|entry| &entry.result) {
        None => Ok(None),
        Some(Ok(filter)) => Ok(Some(filter)),
        Some(Err(_)) => Err(QueryError::Refused {
            field: field.to_owned(),
            message: format!(
                "the filter '{name}' can't be used here; its status says why (kubectl get filter {name} -o yaml)"
            ),
        }),
    }
}

/// Sets limits by their names.
pub(crate) fn set_limits(limits: &mut FilterLimits, named: &BTreeMap<String, u64>) -> Result<(), String> {
    for (name, value) in named {
        let set = FilterLimits::named(name).and_then(|limit| limit.set(limits, *value));
        set.map_err(|reason| format!("limits.{name}: {reason}"))?;
    }
    Ok(())
}
