//! From component to filter: admitted, compiled once, mapped, linked and asked for its description.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::abi::LogFilterPre;
use crate::admit::{AdmissionError, admit, digest};
use crate::cache::{Cache, CacheError, Entry};
use crate::compile::{CompileError, Compiler, compile};
use crate::engine::Runtime;
use crate::failure::FilterFailure;
use crate::filter::{CompileInfo, Filter, FilterInner};
use crate::guest::Guest;
use crate::limits::{FilterLimits, SandboxLimits};
use crate::store::HostState;
use crate::text::one_line;

/// Components whose admission is remembered, which takes about 100 bytes each.
const REMEMBERED: usize = 1000;

/// How a sandbox compiles and keeps components.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Directory for compiled components, made with mode 0700 when it isn't there. `None`: they are kept
    /// in memory, as long as they are in use.
    pub cache_dir: Option<PathBuf>,
    /// See [`SandboxLimits`].
    pub limits: SandboxLimits,
}

/// Why a sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The directory for compiled components can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Why a component did not become a filter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It was refused before it was compiled.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// It was not compiled.
    #[error("component {digest}: {source}")]
    Compile {
        /// The component's digest.
        digest: String,
        /// Why.
        source: CompileError,
    },
    /// Its functions have other types than the contract's, or it can't be linked.
    #[error(
        "component {digest} does not fit the contract `weir:filter`: {problem}; rebuild it against this version"
    )]
    Contract {
        /// The component's digest.
        digest: String,
        /// The mismatch, in one line.
        problem: String,
    },
    /// It failed while it described itself.
    #[error(transparent)]
    Describe(FilterFailure),
    /// The engine that runs filters could not be made.
    #[error("the WebAssembly engine can't start: {problem}")]
    Engine {
        /// What it says, in one line.
        problem: String,
    },
}

/// Loads filters. Clones share engine, cache and loaded filters; threads may share it.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    compiler: Compiler,
    limits: SandboxLimits,
    cache: Option<Cache>,
    state: Mutex<State>,
    /// Held while one component is made into a filter, so that machines are not swamped and no
    /// component is compiled twice.
    building: Mutex<()>,
}

#[derive(Default)]
struct State {
    runtime: Option<Arc<Runtime>>,
    /// Filters that are in use, by digest.
    filters: HashMap<String, Weak<FilterInner>>,
    /// Digests of components that were admitted: the limits don't change, so they would be again, and checking all of
    /// a large one takes longer than loading it from the cache.
    admitted: HashSet<String>,
}

impl Sandbox {
    /// Opens the cache. The engine is made when the first filter is loaded.
    ///
    /// # Errors
    /// When the cache directory is not ours alone.
    pub fn new(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        let SandboxConfig { compiler, cache_dir, limits } = config;
        let cache = cache_dir.map(|path| Cache::open(&path, limits.cache_bytes)).transpose()?;
        Ok(Sandbox(Arc::new(Inner {
            compiler,
            limits,
            cache,
            state: Mutex::default(),
            building: Mutex::new(()),
        })))
    }

    /// Makes a component into a filter. Blocks while another one is compiled; a component that is in use
    /// is neither compiled nor mapped again.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load(&self, component: &[u8]) -> Result<Filter, LoadError> {
        let digest = digest(component);
        if let Some(filter) = self.in_use(&digest) {
            return Ok(filter);
        }
        self.admit_once(component, &digest)?;
        let _building = self.0.building.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = self.in_use(&digest) {
            return Ok(filter);
        }
        let runtime = self.runtime()?;
        let started = Instant::now();
        let (code, cached) = self.0.code(&runtime, component, &digest)?;
        let compile = CompileInfo { cached, time: started.elapsed() };
        let contract = |error: wasmtime::Error| LoadError::Contract {
            digest: digest.clone(),
            problem: one_line(&format!("{error:#}")),
        };
        let linker = Linker::<HostState>::new(&runtime.engine);
        let pre = linker.instantiate_pre(&code).and_then(LogFilterPre::new).map_err(contract)?;

        let unnamed: Arc<str> = Arc::from(digest.as_str());
        let mut guest =
            Guest::new(&runtime, &pre, &unnamed, &FilterLimits::default()).map_err(LoadError::Describe)?;
        let description = guest.describe().map_err(LoadError::Describe)?;
        drop(guest);
        let inner = Arc::new(FilterInner {
            runtime,
            pre,
            name: Arc::from(description.name.as_str()),
            description,
            digest: digest.clone(),
            size: component.len(),
            compile,
        });
        let mut state = self.0.lock();
        state.filters.retain(|_, filter| filter.strong_count() > 0);
        state.filters.insert(digest, Arc::downgrade(&inner));
        Ok(Filter::from_inner(inner))
    }

    /// Checks a component that wasn't admitted before.
    fn admit_once(&self, component: &[u8], digest: &str) -> Result<(), AdmissionError> {
        if self.0.lock().admitted.contains(digest) {
            return Ok(());
        }
        admit(component, &self.0.limits)?;
        let mut state = self.0.lock();
        if state.admitted.len() >= REMEMBERED {
            state.admitted.clear();
        }
        state.admitted.insert(digest.to_owned());
        Ok(())
    }

    fn in_use(&self, digest: &str) -> Option<Filter> {
        self.0.lock().filters.get(digest).and_then(Weak::upgrade).map(Filter::from_inner)
    }

    fn runtime(&self) -> Result<Arc<Runtime>, LoadError> {
        let mut state = self.0.lock();
        if let Some(runtime) = &state.runtime {
            return Ok(Arc::clone(runtime));
        }
        let runtime = Runtime::new(&self.0.limits)
            .map_err(|error| LoadError::Engine { problem: one_line(&format!("{error:#}")) })?;
        let runtime = Arc::new(runtime);
        state.runtime = Some(Arc::clone(&runtime));
        Ok(runtime)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("compiler", &self.0.compiler)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment or insertion: no panic can leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The component as mapped machine code, and whether it was on disk.
    fn code(
        &self,
        runtime: &Runtime,
        component: &[u8],
        digest: &str,
    ) -> Result<(Component, bool), LoadError> {
        let name = format!("{}-{}", digest.trim_start_matches("sha256:"), runtime.compatibility);
        if let Some(code) = self.cached(runtime, &name) {
            return Ok((code, true));
        }
        let failed = |source| LoadError::Compile { digest: digest.to_owned(), source };
        let artifact = compile(&self.compiler, component, &self.limits).map_err(failed)?;
        let unusable = |error: wasmtime::Error| LoadError::Engine {
            problem: format!(
                "what the compiler made of {digest} can't be run: {}; is it the same program?",
                one_line(&format!("{error:#}"))
            ),
        };
        if let Some(cache) = &self.cache {
            match cache.store(&name, &artifact) {
                Ok(entry) => {
                    let code = map(&runtime.engine, Artifact::Entry(&entry)).map_err(unusable)?;
                    return Ok((code, false));
                }
                // A full disk must not stop a filter.
                Err(error) => {
                    tracing::warn!(%error, digest, "a compiled filter could not be kept on disk")
                }
            }
        }
        let code = map(&runtime.engine, Artifact::Bytes(&artifact)).map_err(unusable)?;
        Ok((code, false))
    }

    fn cached(&self, runtime: &Runtime, name: &str) -> Option<Component> {
        let cache = self.cache.as_ref()?;
        let entry = cache.find(name).unwrap_or_else(|error| {
            tracing::warn!(%error, entry = name, "a cache entry can't be read: compiling again");
            None
        })?;
        match map(&runtime.engine, Artifact::Entry(&entry)) {
            Ok(code) => Some(code),
            Err(error) => {
                tracing::warn!(%error, entry = name, "a cache entry can't be mapped: compiling again");
                None
            }
        }
    }
}

/// Machine code that the compiler of this program made.
enum Artifact<'a> {
    Entry(&'a Entry),
    Bytes(&'a [u8]),
}

/// Makes an artifact executable.
#[allow(
    unsafe_code,
    reason = "wasmtime can check that an artifact fits the engine, but not that a compiler made it"
)]
fn map(engine: &Engine, artifact: Artifact<'_>) -> wasmtime::Result<Component> {
    match artifact {
        // SAFETY: the file carries the digest of its bytes, was written by `Cache::store` with what
        // `compile` gave, and lies in a directory that was opened as ours with mode 0700, as a file of
        // ours with mode 0600: nobody else could write it. We never write to a file under its final name,
        // so it doesn't change while it is mapped. The path leads to the very file that was checked.
        Artifact::Entry(entry) => unsafe { Component::deserialize_file(engine, entry.path()) },
        // SAFETY: the bytes come straight from `compile`: from wasmtime in this process, or over a pipe
        // from a child that runs the program which the operator configured, as a rule this one, on a
        // component that it validated.
        Artifact::Bytes(bytes) => unsafe { Component::deserialize(engine, bytes) },
    }
}
