//! What queries run on: the logs, the filters and the limits of one process. It lists sources and filters,
//! and turns a [`QuerySpec`] into a [`Plan`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use weir_sandbox::{Binding, Compiler, FilterLimits, Sandbox, SandboxConfig, SandboxLimits};
use weir_scan::{Input, LogRoot, LogSet, MessageRegex, PatternError, PatternLimits, SetTimes, Source};
use weir_trust::Trust;

use crate::builtin::Builtin;
use crate::folder::{Folder, FolderConfig};
use crate::installed::InstalledSet;
use crate::labels::KnownLabels;
use crate::plan::{Plan, Planner};
use crate::policy::PolicySet;
use crate::prefilters::Prefilters;
use crate::resume::ResumeKey;
use crate::scope::Scope;
use crate::seats::Seats;
use crate::selection::Selection;
use crate::watch::Watcher;
use crate::{Cancel, QueryError, QueryLimits, QuerySpec, available_threads};

/// Name of the file in the cache folder that holds the key of resume tokens.
const RESUME_KEY_FILE: &str = "resume.key";

/// Where logs are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Every container below a folder in kubelet's or Docker's layout.
    Root(LogRoot),
    /// These files; `-` is standard input.
    Files(Vec<PathBuf>),
}

impl Inputs {
    /// Every container below a folder whose links are followed: a user's own.
    pub fn root(dir: impl Into<PathBuf>) -> Inputs {
        Inputs::Root(LogRoot::new(dir))
    }
}

/// How an [`Engine`] is made.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where logs are looked for.
    pub inputs: Inputs,
    /// How filters are compiled.
    pub compiler: Compiler,
    /// Where compiled filters are kept. `None` compiles each filter anew in every process.
    pub cache_dir: Option<PathBuf>,
    /// What seals resume tokens. `None`: a key that is kept in `cache_dir`; without that, tokens end with the process.
    pub resume_key: Option<ResumeKey>,
    /// Bounds of a query.
    pub limits: QueryLimits,
    /// Bounds of compiling a filter.
    pub sandbox_limits: SandboxLimits,
    /// Bounds of running a filter, where the query doesn't set its own.
    pub filter_limits: FilterLimits,
    /// The most that a query may set a filter's bounds to.
    pub filter_maxima: FilterLimits,
    /// Whether a query may bring its own component.
    pub allow_components: bool,
    /// Where filters are besides those that ship with Weir; [`Engine::look_at_folder`] reads it.
    pub folder: Option<FolderConfig>,
    /// Which components that come from outside may run: uploads, and those of the folder.
    pub trust: Trust,
    /// Name of the node, which filters are told; may be empty.
    pub node: String,
    /// The policies that hold from the beginning. Where they are still to be loaded, [`PolicySet::not_synced`].
    pub policies: Arc<PolicySet>,
}

impl EngineConfig {
    /// A config with every limit at its default, no cache, no policies, and every component allowed.
    pub fn new(inputs: Inputs, compiler: Compiler) -> EngineConfig {
        EngineConfig {
            inputs,
            compiler,
            cache_dir: None,
            resume_key: None,
            limits: QueryLimits::default(),
            sandbox_limits: SandboxLimits::default(),
            filter_limits: FilterLimits::default(),
            filter_maxima: FilterLimits::maxima(),
            allow_components: true,
            folder: None,
            trust: Trust::default(),
            node: String::new(),
            policies: Arc::default(),
        }
    }
}

/// A source as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Whose log it is.
    pub source: Source,
    /// Its files, oldest first.
    pub files: Vec<FileInfo>,
    /// Bytes on disk (compressed, for gzip).
    pub bytes: u64,
    /// Time of the oldest record, nanoseconds since the epoch, where asked for and readable.
    pub oldest: Option<i64>,
    /// Time of the newest record, nanoseconds since the epoch, where asked for and readable.
    pub newest: Option<i64>,
    /// What could not be read when the times were looked up: a file and why.
    pub problem: Option<String>,
}

/// One file of a [`SourceInfo`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name, without its folder.
    pub name: String,
    /// Bytes on disk.
    pub size: u64,
}

/// Logs, filters and limits of one process. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) sandbox: Sandbox,
    /// Signs where a search stands, so that what a client hands back can be trusted.
    pub(crate) resume_key: ResumeKey,
    prefilters: Prefilters,
    pub(crate) seats: Arc<Seats>,
    pub(crate) builtin: BTreeMap<&'static str, Builtin>,
    pub(crate) folder: Option<Folder>,
    pub(crate) installed: RwLock<Arc<InstalledSet>>,
    pub(crate) labels: Arc<KnownLabels>,
    pub(crate) policies: RwLock<Arc<PolicySet>>,
}

impl Engine {
    /// An engine with the filters of `builtin`. Nothing is compiled and no log is
    /// looked for yet.
    ///
    /// # Errors
    /// A cache folder that can't be used.
    pub fn new(config: EngineConfig, builtin: &[Builtin]) -> Result<Engine, QueryError> {
        let sandbox = Sandbox::new(SandboxConfig {
            compiler: config.compiler.clone(),
            cache_dir: config.cache_dir.clone(),
            limits: config.sandbox_limits.clone(),
        })
        .map_err(|error| QueryError::Failed { message: error.to_string() })?;
        let resume_key = match (&config.resume_key, &config.cache_dir) {
            (Some(key), _) => Ok(*key),
            (None, Some(dir)) => ResumeKey::load(&dir.join(RESUME_KEY_FILE)).map_err(|error| {
                QueryError::Failed { message: format!("{}: {error}", dir.join(RESUME_KEY_FILE).display()) }
            }),
            (None, None) => {
                ResumeKey::random().map_err(|error| QueryError::Failed { message: error.to_string() })
            }
        }?;
        let builtin = builtin.iter().map(|builtin| (builtin.name(), *builtin)).collect();
        let folder = config.folder.clone().map(Folder::new);
        let policies = RwLock::new(Arc::clone(&config.policies));
        let prefilters = Prefilters::default();
        let seats = Arc::new(Seats::new(available_threads()));
        let (installed, labels) = Default::default();
        Ok(Engine {
            config,
            sandbox,
            resume_key,
            prefilters,
            seats,
            builtin,
            folder,
            installed,
            labels,
            policies,
        })
    }

    /// What is known of labels, which policies select by.
    pub fn labels(&self) -> &KnownLabels {
        &self.labels
    }

    /// The sources within `scope` that any of `selectors` takes (all, when there is none), by identity. With `times`,
    /// each with the times of its oldest and newest record, which costs a few reads a source. Sizes of what policies cover
    /// aren't told (0): they would tell how long what is taken out of a line is.
    ///
    /// # Errors
    /// A selector that can't be read, takes nothing, or names what may not be read; a folder that can't be listed.
    pub fn sources(
        &self,
        selectors: &[String],
        times: bool,
        scope: &Scope,
    ) -> Result<Vec<SourceInfo>, QueryError> {
        let selection = Selection::new(selectors, &self.config.limits, scope)?;
        let sets = self.select(&selection, selectors, None)?;
        let policies = self.policies();
        let is_covered = |set: &LogSet| policies.covering(&set.source, &[]) != Ok(Vec::new());
        Ok(sets.iter().map(|set| source_info(set, times, is_covered(set))).collect())
    }

    /// The prefilter of an opened filter, compiled as queries match it.
    ///
    /// # Errors
    /// The filter's own fault: one that is no regular expression, or too large.
    pub fn prefilter(&self, binding: &Binding) -> Result<Option<Arc<MessageRegex>>, PatternError> {
        let bounds = PatternLimits {
            compiled_bytes: binding.limits().prefilter_compiled_bytes,
            pattern_bytes: binding.limits().prefilter_bytes,
            ..self.config.limits.patterns
        };
        let prefilter = binding.plan().prefilter.as_ref();
        prefilter.map(|prefilter| self.prefilters.get(prefilter, &bounds)).transpose()
    }

    /// Checks a query and makes it ready to run. Filters are compiled and opened with their parameters;
    /// no log file is opened.
    ///
    /// # Errors
    /// Any input that is wrong, missing, not allowed or over a limit, by the field's name.
    pub fn plan(&self, spec: &QuerySpec) -> Result<Plan, QueryError> {
        self.plan_within(spec, &Scope::everything(), &Cancel::default())
    }

    /// Like [`Engine::plan`], but of what is within `scope` alone, and without waiting for filters to compile when
    /// `cancel` is set.
    ///
    /// # Errors
    /// As [`Engine::plan`]; what it names may not be read, or it can't be told whether it may.
    pub fn plan_within(&self, spec: &QuerySpec, scope: &Scope, cancel: &Cancel) -> Result<Plan, QueryError> {
        Planner { engine: self, spec, scope, cancel, installed: self.installed() }.plan()
    }

    /// The sets that are selected, by selectors that were `typed` so. With a watcher, their directories, and those where
    /// more may turn up, are watched from before they are listed; then a selector may take nothing yet.
    pub(crate) fn select(
        &self,
        selection: &Selection,
        typed: &[String],
        mut watcher: Option<&mut Watcher>,
    ) -> Result<Vec<LogSet>, QueryError> {
        let mut look = selection.look();
        let mut sets = match &self.config.inputs {
            Inputs::Root(root) => {
                let mut visit = |dir: &Path, source: &Source| {
                    let wanted = look.may_take(source);
                    if let Some(watcher) = watcher.as_mut().filter(|_| wanted) {
                        watcher.watch(dir);
                    }
                    wanted
                };
                root.list_visiting(&mut visit).map_err(|error| QueryError::scan(&error))?
            }
            Inputs::Files(paths) => {
                let parent =
                    |path: &Path| path.parent().filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_owned);
                for path in paths.iter().filter(|path| *path != Path::new("-")) {
                    if let Some(watcher) = &mut watcher {
                        watcher.watch(&parent(path).unwrap_or_else(|| PathBuf::from(".")));
                    }
                }
                paths.iter().map(|path| file_set(path)).collect::<Result<_, _>>()?
            }
        };
        for dir in sets.iter().flat_map(|set| &set.dirs) {
            watcher.iter_mut().for_each(|watcher| watcher.watch(dir));
        }
        sets.retain(|set| look.takes(&set.source));
        let idle = look.idle(sets.iter().map(|set| &set.source)).filter(|_| watcher.is_none());
        look.finish()?;
        if let Some(idle) = idle {
            let text = &typed[idle];
            return Err(QueryError::NotFound {
                field: "sources".to_owned(),
                message: format!("nothing here matches '{text}'; `weir sources` lists what can be searched"),
            });
        }
        // Files keep the order in which they were named; a folder's sources go by identity.
        if matches!(self.config.inputs, Inputs::Root(_)) {
            sets.sort_by(|a, b| a.source.cmp(&b.source));
        }
        Ok(sets)
    }
}

/// Bytes on disk of all files of `set`.
pub(crate) fn set_bytes(set: &LogSet) -> u64 {
    set.files.iter().map(|file| file.size).sum()
}

fn source_info(set: &LogSet, times: bool, is_covered: bool) -> SourceInfo {
    let told = |bytes: u64| if is_covered { 0 } else { bytes };
    let times = if times { weir_scan::times(set) } else { SetTimes::default() };
    let files = set
        .files
        .iter()
        .map(|file| FileInfo { name: file_name(&file.input), size: told(file.size) })
        .collect();
    SourceInfo {
        source: set.source.clone(),
        files,
        bytes: told(set_bytes(set)),
        oldest: times.oldest,
        newest: times.newest,
        problem: times.problem,
    }
}

fn file_name(input: &Input) -> String {
    match input {
        Input::Plain(path) | Input::Gzip(path) => {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        }
        Input::Pipe(_) => "-".to_owned(),
    }
}

fn file_set(path: &Path) -> Result<LogSet, QueryError> {
    let failed = |message: String| QueryError::NotFound { field: "file".to_owned(), message };
    if path == Path::new("-") {
        // A handle of our own, so that reading it doesn't pass through the standard library's buffer.
        let stdin = std::os::fd::AsFd::as_fd(&std::io::stdin())
            .try_clone_to_owned()
            .map_err(|error| failed(format!("standard input can't be read: {error}")))?;
        return Ok(weir_scan::pipe_set(stdin.into(), "-"));
    }
    weir_scan::file_set(path).map_err(|error| failed(error.to_string()))
}
