//! Which filters an engine has, what they say of themselves, and how a query gets the one that it names: those that ship
//! with Weir, those of the folder, and components that come with queries.

use std::borrow::Cow;
use std::io;

use weir_sandbox::{Filter, Kind, KnownComponent};

use crate::engine::Engine;
use crate::folder::{Folder, FolderChange, FolderFile, Loader, Named};
use crate::gate::{self, GateError};
use crate::installed::{self, Entry, InstalledSet};
use crate::{Cancel, FilterRef, QueryError};

/// A filter as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterInfo {
    /// Name that a query uses.
    pub name: String,
    /// Version of the filter.
    pub version: String,
    /// Its kind.
    pub kind: Kind,
    /// One line on what it does.
    pub summary: String,
    /// JSON Schema (2020-12) of its parameters.
    pub params_schema: String,
    /// Digest of the component, `sha256:` and hex.
    pub digest: String,
    /// Bytes of the component.
    pub size: u64,
    /// Its file in the engine's folder of filters; empty for others.
    pub file: String,
}

/// Filters, and where others could be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterList {
    /// Every filter that a query can name, by name.
    pub filters: Vec<FilterInfo>,
    /// Every file of the folder of filters, by name.
    pub files: Vec<FolderFile>,
}

impl FilterInfo {
    /// What a loaded filter says of itself, under the name that it is called by.
    fn of(name: &str, filter: &Filter) -> FilterInfo {
        let description = filter.description();
        FilterInfo {
            name: name.to_owned(),
            version: description.version.clone(),
            kind: description.kind,
            summary: description.summary.clone(),
            params_schema: description.params_schema.clone(),
            digest: filter.digest().to_owned(),
            size: filter.size() as u64,
            file: String::new(),
        }
    }

    /// The same of a filter of the folder.
    fn named(Named { filter, file }: Named) -> FilterInfo {
        FilterInfo { file, ..FilterInfo::of(&filter.description().name, &filter) }
    }
}

impl Engine {
    /// Every filter that a query can name, and what is known of the files of the folder.
    ///
    /// # Errors
    /// A filter that can't be compiled.
    pub fn filters(&self) -> Result<FilterList, QueryError> {
        let installed = self.installed();
        let named = |(name, it): (&String, &Entry)| {
            it.result.as_ref().ok().map(|filter| FilterInfo::of(name, filter))
        };
        let mut filters: Vec<FilterInfo> = installed.iter().filter_map(named).collect();
        for name in self.builtin.keys().filter(|name| !installed.contains_key(**name)) {
            filters.push(FilterInfo::of(name, &self.load_builtin(name, "name", &Cancel::default())?));
        }
        let (mut found, files) =
            self.folder.as_ref().map(|it| (it.filters(), it.files())).unwrap_or_default();
        found.retain(|named| !installed.contains_key(&named.filter.description().name));
        filters.extend(found.into_iter().map(FilterInfo::named));
        filters.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(FilterList { filters, files })
    }

    /// Looks at the folder of filters, if there is one: reads and compiles what has changed, which blocks until that is
    /// done or `cancel` is set. Gives what is otherwise than the last time. Queries keep the filters that they began with.
    ///
    /// # Errors
    /// The folder can't be read: then all of its filters stay as they were.
    pub fn look_at_folder(&self, cancel: &Cancel) -> io::Result<Vec<FolderChange>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let load = Loader {
            sandbox: &self.sandbox,
            limits: &self.config.sandbox_limits,
            trust: &self.config.trust,
            cancel,
        };
        folder.look(&load, &|name| self.builtin.contains_key(name))
    }

    /// The names that filters of the folder and installed ones have of their own, sorted.
    pub fn own_names(&self) -> Vec<String> {
        let found = self.folder.as_ref().map(Folder::filters).unwrap_or_default();
        let installed = self.installed();
        let installed = installed.values().filter_map(|it| it.result.as_ref().ok());
        let filters = found.iter().map(|named| &named.filter).chain(installed);
        let mut names: Vec<String> = filters.map(|filter| filter.description().name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !self.builtin.contains_key(name.as_str()));
        names
    }

    /// The filter of that name.
    ///
    /// # Errors
    /// No such filter, or one that can't be compiled.
    pub fn filter(&self, name: &str) -> Result<FilterInfo, QueryError> {
        let installed = self.installed();
        let folder = self.folder.as_ref().filter(|_| !installed.contains_key(name));
        if let Some(named) = folder.and_then(|folder| folder.get(name)) {
            return Ok(FilterInfo::named(named));
        }
        let filter = FilterRef::Name(name.to_owned());
        Ok(FilterInfo::of(name, &self.load_as(&filter, &installed, "name", &Cancel::default())?))
    }

    /// What a filter says of itself: one that a query can name, or a component, taken as [`Engine::load`] takes it.
    ///
    /// # Errors
    /// No such filter, or one that can't be compiled.
    pub fn info(&self, filter: &FilterRef) -> Result<FilterInfo, QueryError> {
        let loaded = self.load(filter)?;
        let name = match filter {
            FilterRef::Name(name) => name,
            FilterRef::Component { .. } | FilterRef::Uploaded { .. } => &loaded.description().name,
        };
        Ok(FilterInfo::of(name, &loaded))
    }

    /// A filter outside of any query: compiled, and asked what it is. A component is taken whether or not queries
    /// may bring their own.
    ///
    /// # Errors
    /// No such filter, or one that can't be compiled.
    pub fn load(&self, filter: &FilterRef) -> Result<Filter, QueryError> {
        self.load_as(filter, &self.installed(), "filter", &Cancel::default())
    }

    /// [`Engine::load`] for a field of a query, of filters that were `installed` when it began, unless `cancel` is set while the filter is to be compiled.
    pub(crate) fn load_as(
        &self,
        filter: &FilterRef,
        installed: &InstalledSet,
        field: &str,
        cancel: &Cancel,
    ) -> Result<Filter, QueryError> {
        let go_on = || !cancel.is_cancelled();
        match filter {
            FilterRef::Name(name) => match installed::find(installed, name, field)? {
                Some(filter) => Ok(filter.clone()),
                None if self.builtin.contains_key(name.as_str()) => self.load_builtin(name, field, cancel),
                None => {
                    let found = self.folder.as_ref().and_then(|folder| folder.get(name));
                    found.map(|named| named.filter).ok_or_else(|| self.no_filter(name, field))
                }
            },
            FilterRef::Component { label, bytes, .. } => {
                let load = self.sandbox.load_while(bytes, &go_on);
                load.map_err(|error| QueryError::load(&format!("{field} ({label})"), &error))
            }
            FilterRef::Uploaded { label, component } => {
                let known = KnownComponent {
                    digest: &component.digest,
                    size: component.bytes.len(),
                    owner: &component.owner,
                    bytes: &|| Cow::Borrowed(&component.bytes),
                };
                let load = self.sandbox.load_known_while(known, &go_on);
                load.map_err(|error| QueryError::load(&format!("{field} ({label})"), &error))
            }
        }
    }

    /// The filter of that name that ships with Weir.
    ///
    /// # Errors
    /// No such filter, or one that can't be compiled.
    pub(crate) fn load_builtin(
        &self,
        name: &str,
        field: &str,
        cancel: &Cancel,
    ) -> Result<Filter, QueryError> {
        let builtin = self.builtin.get(name).ok_or_else(|| self.no_filter(name, field))?;
        let go_on = || !cancel.is_cancelled();
        let load = |component: KnownComponent<'_>| self.sandbox.load_known_while(component, &go_on);
        builtin.with_component(load).map_err(|error| QueryError::load(field, &error))
    }

    /// Refuses components that come with queries, `field` of which names one, where the config doesn't allow them.
    ///
    /// # Errors
    /// [`QueryError::Refused`], which says what allows them.
    pub fn check_components_allowed(&self, field: &str) -> Result<(), QueryError> {
        if self.config.allow_components {
            return Ok(());
        }
        Err(QueryError::Refused {
            field: field.to_owned(),
            message: "a filter of one's own is not allowed here: name one of the agent's, or set allow_components: true \
                      in its config"
                .to_owned(),
        })
    }

    /// The most bytes that a component may have.
    pub fn component_bytes(&self) -> usize {
        self.config.sandbox_limits.component_bytes
    }

    /// Lets a component in that a client uploads, as every component is that comes from outside; gives its digest.
    /// `signature` is the content of its signature file, if it came with one; `field` is what errors call it. It is not compiled before a query uses it.
    ///
    /// # Errors
    /// Components aren't allowed, or this one is refused.
    pub fn admit_upload(
        &self,
        component: &[u8],
        signature: Option<&[u8]>,
        field: &str,
    ) -> Result<String, QueryError> {
        self.check_components_allowed(field)?;
        let admitted = gate::pass(component, signature, &self.config.sandbox_limits, &self.config.trust);
        admitted.map(|admitted| admitted.digest).map_err(|error| match error {
            GateError::Admission(error) => QueryError::load(field, &error.into()),
            GateError::Untrusted(refused) => {
                QueryError::Refused { field: field.to_owned(), message: refused.to_string() }
            }
        })
    }

    fn no_filter(&self, name: &str, field: &str) -> QueryError {
        let found = self.folder.as_ref().map(Folder::filters).unwrap_or_default();
        let found = found.iter().map(|named| named.filter.description().name.as_str());
        let installed = self.installed();
        let installed = installed.keys().map(String::as_str);
        let mut known: Vec<&str> = self.builtin.keys().copied().chain(found).chain(installed).collect();
        known.sort_unstable();
        known.dedup();
        QueryError::NotFound {
            field: field.to_owned(),
            message: format!("no filter is named '{name}'; there are {}", known.join(", ")),
        }
    }
}
