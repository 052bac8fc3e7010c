//! Who answers a question: an engine in this process, or agents. What comes back is the same.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use weir_config::{PolicyLimits, read_policy};
use weir_query::{
    Builtin, Cancel, Compiler, Engine, EngineConfig, Event, FilterInfo, FilterLimits, FilterList, Flow,
    Inputs, QueryError, QueryLimits, QuerySpec, SandboxLimits, Scope, SourceInfo,
};
use weir_relay::{Fleet, Listing, Member, NoAnswer, Reach};
use weir_rpc::{ClientError, Endpoint};

use crate::cluster::Later;
use crate::failure::Failure;
use crate::output::report;

/// Something that answers.
pub(crate) enum Target {
    /// An engine in this process.
    Local(Box<Engine>),
    /// Agents, of which one at least is connected.
    Agents(Box<Remote>),
}

/// Connected agents.
pub(crate) struct Remote {
    runtime: Runtime,
    fleet: Fleet,
    /// An agent is asked over TLS without a certificate of ours.
    is_anonymous: bool,
    /// Of a cluster's agents: what else is known.
    cluster: Option<ClusterPart>,
}

/// What is known of a cluster's agents beside the connections.
pub(crate) struct ClusterPart {
    /// Selectors that all agents are asked, in place of what was typed.
    pub(crate) globs: Vec<String>,
    /// Pods that come while an answer is followed.
    pub(crate) later: Option<Later>,
}

impl Remote {
    /// Connects to agents at these addresses.
    pub(crate) fn at(endpoints: &[Endpoint]) -> Result<Remote, Failure> {
        let runtime = runtime()?;
        let member = |endpoint: &Endpoint| Member {
            name: endpoint.url.clone(),
            reach: Reach::Endpoint(endpoint.clone()),
            own: None,
        };
        let members = endpoints.iter().map(member).collect();
        let fleet = runtime.block_on(Fleet::connect(members, QueryLimits::default()));
        let fleet = fleet.map_err(|error| no_answer(error, false))?;
        let is_anonymous =
            endpoints.iter().any(|agent| agent.url.starts_with("https:") && agent.cert.is_none());
        Ok(Remote { runtime, fleet, is_anonymous, cluster: None })
    }

    /// Connected agents of a cluster.
    pub(crate) fn of_cluster(runtime: Runtime, fleet: Fleet, part: ClusterPart) -> Remote {
        Remote { runtime, fleet, is_anonymous: false, cluster: Some(part) }
    }

    /// The selectors that all are asked, for what was typed.
    fn selectors(&self, typed: &[String]) -> Vec<String> {
        self.cluster.as_ref().map_or_else(|| typed.to_vec(), |cluster| cluster.globs.clone())
    }

    /// Makes one call, and says which agent failed where that is no answer of its own.
    fn call<T>(&mut self, call: impl AsyncFnOnce(&mut Fleet) -> Result<T, NoAnswer>) -> Result<T, Failure> {
        self.runtime.block_on(call(&mut self.fleet)).map_err(|error| no_answer(error, self.is_anonymous))
    }
}

/// What network calls are made on.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    // A thread of its own for connections: the first one may wait for long until a pager takes more.
    let built = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| Failure::failed(format!("cannot start the network runtime: {error}")))
}

/// Why no agent answers. Where any refuses, the question is wrong, whether or not others can be reached.
pub(crate) fn no_answer(NoAnswer(errors): NoAnswer, is_anonymous: bool) -> Failure {
    let is_alone = errors.len() == 1;
    let (mut messages, mut is_refused) = (Vec::new(), false);
    for (name, error) in errors {
        let names_itself = matches!(error, ClientError::Connect { .. });
        // With TLS 1.3 a client learns only after the handshake that its certificate was missed.
        let hint = match &error {
            ClientError::Lost { .. } if is_anonymous => {
                "; if it wants a client certificate, give --tls-cert and --tls-key"
            }
            _ => "",
        };
        messages.push(match error.into() {
            Failure::Failed(message) if names_itself => message,
            Failure::Failed(message) => format!("{name}: {message}{hint}"),
            Failure::Refused(message) => {
                is_refused = true;
                if is_alone { message } else { format!("{name}: {message}") }
            }
            // Of agents, these are all.
            other => return other,
        });
    }
    let message = messages.join("; ");
    if is_refused { Failure::Refused(message) } else { Failure::Failed(message) }
}

impl Target {
    /// Has all that is searched here go through the policies in these files.
    pub(crate) fn set_policies(&mut self, files: &[PathBuf]) -> Result<(), Failure> {
        if files.is_empty() {
            return Ok(());
        }
        let Target::Local(engine) = self else {
            return Err(Failure::refused("--policy is for a search here: an agent has policies of its own"));
        };
        let limits = PolicyLimits { component_bytes: engine.component_bytes(), ..PolicyLimits::default() };
        let read = |path: &PathBuf| {
            read_policy(path, &limits).map_err(|error| Failure::refused(format!("--policy {error}")))
        };
        let specs = files.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
        let policies = engine.load_policies(&specs, &Cancel::default());
        for policy in policies.policies() {
            if let Some(problem) = policy.problem() {
                return Err(Failure::refused(format!("--policy: '{}': {problem}", policy.name())));
            }
        }
        engine.set_policies(Arc::new(policies));
        Ok(())
    }

    /// Runs a query; `sink` sees its events until it stops, or the user ends a query that follows.
    pub(crate) fn query(
        &mut self,
        spec: &QuerySpec,
        sink: &mut dyn FnMut(Event) -> Flow,
    ) -> Result<Ended, Failure> {
        match self {
            Target::Local(engine) => {
                let plan = engine.plan(spec)?;
                let cancel = Cancel::default();
                if spec.follow {
                    cancel_on_interrupt(&cancel)?;
                }
                plan.run(&cancel, sink);
                Ok(if cancel.is_cancelled() { Ended::Interrupted } else { Ended::ByItself })
            }
            Target::Agents(remote) => {
                let spec = &QuerySpec { sources: remote.selectors(&spec.sources), ..spec.clone() };
                let later = remote.cluster.as_mut().and_then(|cluster| cluster.later.take());
                remote.call(async |fleet| {
                    tokio::select! {
                        ended = fleet.query(spec, sink) => ended.map(|()| Ended::ByItself),
                        _ = tokio::signal::ctrl_c(), if spec.follow => Ok(Ended::Interrupted),
                        never = Later::take_up(later) => match never {},
                    }
                })
            }
        }
    }

    /// Whether an agent was away when the user ended the query.
    pub(crate) fn is_any_away(&self) -> bool {
        matches!(self, Target::Agents(remote) if remote.fleet.is_any_away())
    }

    /// Whether there is more than one agent.
    pub(crate) fn is_several(&self) -> bool {
        matches!(self, Target::Agents(remote) if remote.fleet.is_several())
    }

    /// What can be searched.
    pub(crate) fn sources(&mut self, selectors: &[String]) -> Result<Listing<Vec<SourceInfo>>, Failure> {
        match self {
            Target::Local(engine) => Ok(here(engine.sources(selectors, true, &Scope::everything())?)),
            Target::Agents(remote) => {
                let selectors = remote.selectors(selectors);
                remote.call(async |fleet| fleet.sources(&selectors).await)
            }
        }
    }

    /// Every filter that a query can name, and the files of agents' folders of filters.
    pub(crate) fn filters(&mut self) -> Result<Listing<FilterList>, Failure> {
        match self {
            Target::Local(engine) => Ok(here(engine.filters()?)),
            Target::Agents(remote) => remote.call(async |fleet| fleet.filters().await),
        }
    }

    /// The filter of that name.
    pub(crate) fn filter(&mut self, name: &str) -> Result<Listing<FilterInfo>, Failure> {
        match self {
            Target::Local(engine) => Ok(here(engine.filter(name)?)),
            Target::Agents(remote) => remote.call(async |fleet| fleet.filter(name).await),
        }
    }
}

/// What there is in this process.
pub(crate) fn here<T>(found: T) -> Listing<T> {
    Listing { found: vec![(String::new(), found)], problems: Vec::new() }
}

/// How a query ended that didn't fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was done, or its sink wanted no more.
    ByItself,
    /// The user has ended it.
    Interrupted,
}

/// Has Ctrl-C end the query, so that it can say where it stands.
fn cancel_on_interrupt(cancel: &Cancel) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot wait for Ctrl-C: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let cancel = cancel.clone();
    std::thread::spawn(move || match runtime.block_on(tokio::signal::ctrl_c()) {
        Ok(()) => cancel.cancel(),
        Err(error) => {
            report::say(&format!("Ctrl-C ends this program without a word on where it stood: {error}"))
        }
    });
    Ok(())
}

/// An engine in this process, with the filters that ship with Weir.
pub(crate) fn local_engine(
    inputs: Inputs,
    threads: usize,
    sandbox_limits: SandboxLimits,
) -> Result<Engine, Failure> {
    if let Inputs::Root(root) = &inputs {
        check_dir(root.dir())?;
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("cannot find this program's own file: {error}")))?;
    let mut config = EngineConfig::new(inputs, Compiler::Child { program, args: vec!["compile".into()] });
    config.cache_dir = cache_dir();
    config.limits.threads = threads;
    config.sandbox_limits = sandbox_limits;
    // Whoever waits for a long search on a machine of their own can end it.
    config.filter_limits.query_time = FilterLimits::maxima().query_time;
    let builtin: Vec<_> = weir_filters::all()
        .iter()
        .map(|filter| Builtin::new(filter.name, filter.digest, filter.size, weir_filters::component))
        .collect();
    match Engine::new(config.clone(), &builtin) {
        Ok(engine) => Ok(engine),
        // A cache that another user owns, say: slower without, but not wrong.
        Err(_) if config.cache_dir.is_some() => {
            config.cache_dir = None;
            Ok(Engine::new(config, &builtin)?)
        }
        Err(error) => Err(QueryError::into(error)),
    }
}

fn check_dir(dir: &Path) -> Result<(), Failure> {
    let hint = "name a folder of logs with --dir, files with --file, an agent with --agent, or a cluster with \
                --kubeconfig";
    match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Failure::refused(format!(
            "--dir {}: not a folder; to search a file, use --file",
            dir.display()
        ))),
        Err(error) => Err(Failure::refused(format!("--dir {}: {error}; {hint}", dir.display()))),
    }
}

/// Where compiled filters are kept between runs: `$XDG_CACHE_HOME/weir` or `~/.cache/weir`, only for this
/// user. `None` where there is no such place, which costs a compile in every run and nothing else.
fn cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    let dir = base.join("weir");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).ok()?;
    Some(dir)
}
