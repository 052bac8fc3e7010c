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
    /// What queries and policies call it. It goes before a filter of the same name that ships with Weir or is in the folder.
    pub name: String,
    /// Which filter; or why that can't be known, which refuses whatever names it. A name is that of one that ships with
    /// Weir; a component has to pass the same gate as one from the folder of filters.
    pub filter: Result<FilterRef, String>,
    /// Parameters as the text of a JSON object; empty text is none.
    pub params: String,
    /// Limits that are to differ from the engine's. The maxima for queries don't hold here.
    pub limits: BTreeMap<String, u64>,
}

/// Installed filters by their names. Replaced as a whole; a query keeps what it began with.
pub(crate) type InstalledSet = BTreeMap<String, Result<Installed, String>>;

/// One that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) filter: Filter,
    pub(crate) params: String,
    pub(crate) limits: BTreeMap<String, u64>,
}

impl Engine {
    /// Has queries and policies that begin from now on find these filters, and no others that were installed before. Compiles
    /// them, which blocks until that is done. Gives the digest of each component, or why that filter can't be used, in the order of `specs`.
    /// Of two with one name, neither can.
    pub fn install(&self, specs: &[InstalledSpec], cancel: &Cancel) -> Vec<Result<String, String>> {
        let mut set = InstalledSet::new();
        let mut told = Vec::with_capacity(specs.len());
        for spec in specs {
            let is_double = specs.iter().filter(|other| other.name == spec.name).count() > 1;
            let installed = match is_double {
                true => Err("another one has the same name".to_owned()),
                false => self.install_one(spec, cancel),
            };
            told.push(installed.as_ref().map(|it| it.filter.digest().to_owned()).map_err(Clone::clone));
            set.insert(spec.name.clone(), installed);
        }
        if !cancel.is_cancelled() {
            *self.installed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        }
        told
    }

    fn install_one(&self, spec: &InstalledSpec, cancel: &Cancel) -> Result<Installed, String> {
        let filter = match spec.filter.as_ref().map_err(Clone::clone)? {
            FilterRef::Name(name) => self.load_builtin(name, "builtin", cancel),
            component @ FilterRef::Component { bytes, signature, .. } => {
                let config = &self.config;
                let admitted = gate::pass(bytes, signature.as_deref(), &config.sandbox_limits, &config.trust);
                admitted.map_err(|error: GateError| error.to_string())?;
                self.load_as(component, "component", cancel)
            }
            FilterRef::Uploaded { .. } => {
                return Err("what a client has uploaded can't be installed".to_owned());
            }
        };
        let filter = filter.map_err(|error| error.to_string())?;
        let mut limits = self.config.filter_limits.clone();
        set_limits(&mut limits, &spec.limits)?;
        // Without any, whoever uses it gives them.
        if !spec.params.trim().is_empty() {
            check_within(&filter, &spec.params, &limits)?;
            filter.open(&spec.params, &limits).map_err(|error| error.to_string())?;
        }
        Ok(Installed { filter, params: spec.params.clone(), limits: spec.limits.clone() })
    }

    /// The filters that are installed now.
    pub(crate) fn installed(&self) -> Arc<InstalledSet> {
        Arc::clone(&self.installed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The installed filter of that name, if one has it.
    ///
    /// # Errors
    /// It can't be used.
    pub(crate) fn find_installed(&self, name: &str, field: &str) -> Result<Option<Installed>, QueryError> {
        match self.installed().get(name) {
            None => Ok(None),
            Some(Ok(installed)) => Ok(Some(installed.clone())),
            Some(Err(why)) => Err(QueryError::Refused {
                field: field.to_owned(),
                message: format!(
                    "the filter '{name}' can't be used here ({why}); whoever has installed it can mend it"
                ),
            }),
        }
    }

    /// The parameters that hold where `given` may be none, and the limits that hold before those that are given.
    ///
    /// # Errors
    /// An installed filter that can't be used.
    pub(crate) fn defaults(
        &self,
        filter: &FilterRef,
        given: &str,
        field: &str,
    ) -> Result<(String, FilterLimits), QueryError> {
        let mut limits = self.config.filter_limits.clone();
        let mut params = if given.trim().is_empty() { "{}" } else { given }.to_owned();
        if let FilterRef::Name(name) = filter
            && let Some(installed) = self.find_installed(name, field)?
        {
            set_limits(&mut limits, &installed.limits).expect("they were checked when it was installed");
            if given.trim().is_empty() && !installed.params.trim().is_empty() {
                params = installed.params;
            }
        }
        Ok((params, limits))
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
