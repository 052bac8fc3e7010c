//! From component to filter: admitted, compiled once, mapped, linked and asked for its description.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::abi::LogFilterPre;
use crate::admit::{AdmissionError, admit, digest};
use crate::cache::{Cache, CacheError, Entry};
use crate::compile::{CompileError, Compiler, LOOK_EVERY, compile};
use crate::engine::{Runtime, hex};
use crate::failure::FilterFailure;
use crate::filter::{CompileInfo, Filter, FilterInner};
use crate::guest::Guest;
use crate::limits::{FilterLimits, SandboxLimits};
use crate::store::HostState;
use crate::text::one_line;

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
    /// It has more tables, memories or instances, or larger ones, than there are slots for.
    #[error("component {digest} is made of more than a filter may be: {problem}")]
    TooMany {
        /// The component's digest.
        digest: String,
        /// What there is too much of, in one line.
        problem: String,
    },
    /// It failed while it described itself.
    #[error(transparent)]
    Describe(FilterFailure),
    /// Too many components wait to be compiled already.
    #[error(
        "{limit} components wait to be compiled already, which is the limit compile_queue; try again in a moment"
    )]
    Busy {
        /// [`SandboxLimits::compile_queue`].
        limit: usize,
    },
    /// Nobody waits for it any more: see [`Sandbox::load_while`].
    #[error("nobody waits for component {digest} any more")]
    Unwanted {
        /// The component's digest.
        digest: String,
    },
    /// The engine that runs filters could not be made.
    #[error("the WebAssembly engine can't start: {problem}")]
    Engine {
        /// What it says, in one line.
        problem: String,
    },
}

/// A component whose digest is known, so that its bytes are needed only where it has to be compiled.
#[derive(Clone, Copy)]
pub struct KnownComponent<'a> {
    /// `sha256:` and the hexadecimal digest of its bytes. Whoever makes this answers for it.
    pub digest: &'a str,
    /// How many bytes it has.
    pub size: usize,
    /// Whose it is: what is made of it is shared with nobody else, not even where that one brings the same bytes. Empty:
    /// everybody's.
    pub owner: &'a str,
    /// Gives them.
    pub bytes: &'a dyn Fn() -> Cow<'a, [u8]>,
}

impl KnownComponent<'_> {
    /// What tells what is made of it from all else: hexadecimal digits.
    fn key(&self) -> String {
        let digest = self.digest.trim_start_matches("sha256:");
        match self.owner {
            "" => digest.to_owned(),
            owner => hex(&Sha256::digest(format!("{digest} of {owner}"))),
        }
    }
}

/// Loads filters. Clones share engine, cache and loaded filters; threads may share it.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    compiler: Compiler,
    limits: SandboxLimits,
    cache: Option<Cache>,
    state: Mutex<State>,
    /// Set while one component is made into a filter, so that machines are not swamped and no
    /// component is compiled twice.
    building: Mutex<bool>,
    /// Told when it is not set any more.
    built: Condvar,
    /// How many have [`Inner::building`] or wait for it.
    in_line: AtomicUsize,
}

/// The turn to have a component compiled.
struct Turn<'a>(&'a Inner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.building.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.built.notify_one();
    }
}

/// A place in the line of those that have components to compile.
struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct State {
    runtime: Option<Arc<Runtime>>,
    /// Filters that are loaded, by [`KnownComponent::key`].
    filters: HashMap<String, Weak<FilterInner>>,
    /// Those used last, which stay loaded whether they are in use or not; the latest comes last.
    kept: VecDeque<Arc<FilterInner>>,
}

impl State {
    /// A filter that is loaded; it is used now, and kept as [`State::keep`] says.
    fn loaded(&mut self, key: &str, most: usize) -> Option<Filter> {
        let filter = self.filters.get(key).and_then(Weak::upgrade)?;
        self.keep(&filter, most);
        Some(Filter::from_inner(filter))
    }

    /// Keeps a filter loaded that is used now, and no more than `most` in all.
    fn keep(&mut self, filter: &Arc<FilterInner>, most: usize) {
        self.kept.retain(|kept| !Arc::ptr_eq(kept, filter));
        self.kept.push_back(Arc::clone(filter));
        let surplus = self.kept.len().saturating_sub(most);
        self.kept.drain(..surplus);
    }
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
            building: Mutex::new(false),
            built: Condvar::new(),
            in_line: AtomicUsize::new(0),
        })))
    }

    /// Makes a component into a filter. Blocks while another one is compiled; a component that is loaded
    /// is neither compiled nor mapped again.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load(&self, component: &[u8]) -> Result<Filter, LoadError> {
        self.load_while(component, &|| true)
    }

    /// Like [`Sandbox::load`], but asks `is_wanted` ten times a second while it waits or compiles, and gives up when it
    /// isn't.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load_while(&self, component: &[u8], is_wanted: &dyn Fn() -> bool) -> Result<Filter, LoadError> {
        let known = KnownComponent {
            digest: &digest(component),
            size: component.len(),
            owner: "",
            bytes: &|| Cow::Borrowed(component),
        };
        self.load_known_while(known, is_wanted)
    }

    /// Like [`Sandbox::load_while`], of a component whose digest is known.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load_known_while(
        &self,
        component: KnownComponent<'_>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Filter, LoadError> {
        let key = component.key();
        if let Some(filter) = self.loaded(&key) {
            return Ok(filter);
        }
        let runtime = self.runtime()?;
        let started = Instant::now();
        // What is on disk doesn't wait for what others have to compile, and was admitted before it was compiled.
        let name = self.0.entry_name(&key, &runtime);
        if let Some(code) = self.0.cached(&runtime, &name) {
            let compile = CompileInfo { cached: true, time: started.elapsed() };
            return self.describe(component, key, &runtime, &code, compile);
        }
        let bytes = (component.bytes)();
        admit(&bytes, &self.0.limits)?;
        let _place = self.0.stand_in_line()?;
        let Some(_turn) = self.0.wait_for_turn(is_wanted) else {
            return Err(LoadError::Unwanted { digest: component.digest.to_owned() });
        };
        if let Some(filter) = self.loaded(&key) {
            return Ok(filter);
        }
        let (code, cached) = match self.0.cached(&runtime, &name) {
            Some(code) => (code, true),
            None => (self.0.compiled(&runtime, &bytes, component.digest, &name, is_wanted)?, false),
        };
        let compile = CompileInfo { cached, time: started.elapsed() };
        self.describe(component, key, &runtime, &code, compile)
    }

    /// The last step: links the machine code and asks it what it is. Of two that come here with the same component, one
    /// filter stays.
    fn describe(
        &self,
        component: KnownComponent<'_>,
        key: String,
        runtime: &Arc<Runtime>,
        code: &Component,
        compile: CompileInfo,
    ) -> Result<Filter, LoadError> {
        let digest = component.digest.to_owned();
        let contract = |error: wasmtime::Error| LoadError::Contract {
            digest: digest.clone(),
            problem: one_line(&format!("{error:#}")),
        };
        let linker = Linker::<HostState>::new(&runtime.engine);
        let pre = linker.instantiate_pre(code).and_then(LogFilterPre::new).map_err(contract)?;

        let unnamed: Arc<str> = Arc::from(digest.as_str());
        let mut guest = Guest::new(runtime, &pre, &unnamed, &FilterLimits::for_describing())
            .map_err(LoadError::Describe)?;
        let description = guest.describe(self.0.limits.schema_bytes).map_err(LoadError::Describe)?;
        drop(guest);
        let mut state = self.0.lock();
        if let Some(filter) = state.loaded(&key, self.0.limits.loaded_filters) {
            return Ok(filter);
        }
        let inner = Arc::new(FilterInner {
            runtime: Arc::clone(runtime),
            pre,
            name: Arc::from(description.name.as_str()),
            description,
            digest,
            size: component.size,
            compile,
        });
        state.filters.retain(|_, filter| filter.strong_count() > 0);
        state.filters.insert(key, Arc::downgrade(&inner));
        state.keep(&inner, self.0.limits.loaded_filters);
        Ok(Filter::from_inner(inner))
    }

    fn loaded(&self, key: &str) -> Option<Filter> {
        self.0.lock().loaded(key, self.0.limits.loaded_filters)
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

    /// Refuses when the line is as long as it may be, behind the one whose component is compiled.
    fn stand_in_line(&self) -> Result<InLine<'_>, LoadError> {
        let place = InLine(&self.in_line);
        match self.in_line.fetch_add(1, Ordering::Relaxed) {
            before if before > self.limits.compile_queue => {
                Err(LoadError::Busy { limit: self.limits.compile_queue })
            }
            _ => Ok(place),
        }
    }

    /// Waits until no other component is made into a filter; `None` when it isn't wanted any more.
    fn wait_for_turn(&self, is_wanted: &dyn Fn() -> bool) -> Option<Turn<'_>> {
        let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        while *building {
            if !is_wanted() {
                return None;
            }
            let waited = self.built.wait_timeout(building, LOOK_EVERY);
            building = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *building = true;
        Some(Turn(self))
    }

    /// Compiles a component, keeps the result on disk and maps it.
    fn compiled(
        &self,
        runtime: &Runtime,
        component: &[u8],
        digest: &str,
        name: &str,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Component, LoadError> {
        let failed = |source| match source {
            CompileError::Unwanted => LoadError::Unwanted { digest: digest.to_owned() },
            source => LoadError::Compile { digest: digest.to_owned(), source },
        };
        let artifact = compile(&self.compiler, component, &self.limits, is_wanted).map_err(failed)?;
        let unusable = |error: wasmtime::Error| {
            let problem = one_line(&format!("{error:#}"));
            // wasmtime's error for this has no public type; every such text has these words.
            if problem.contains("exceeds the") {
                return LoadError::TooMany { digest: digest.to_owned(), problem };
            }
            LoadError::Engine {
                problem: format!(
                    "what the compiler made of {digest} can't be run: {problem}; is it the same program?"
                ),
            }
        };
        if let Some(cache) = &self.cache {
            match cache.store(name, &artifact) {
                Ok(entry) => {
                    let code = map(&runtime.engine, Artifact::Entry(&entry)).map_err(unusable)?;
                    return Ok(code);
                }
                // A full disk must not stop a filter.
                Err(error) => {
                    tracing::warn!(%error, digest, "a compiled filter could not be kept on disk")
                }
            }
        }
        map(&runtime.engine, Artifact::Bytes(&artifact)).map_err(unusable)
    }

    /// Name of a component's machine code in the cache. It tells all that decided over its admission too.
    fn entry_name(&self, key: &str, runtime: &Runtime) -> String {
        let (code, bytes) = (&runtime.compatibility, self.limits.component_bytes);
        format!("{key}-{code}-{}-{bytes}", env!("CARGO_PKG_VERSION"))
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
