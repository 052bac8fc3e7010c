//! Where a question goes: to an engine in this process, or to an agent. What comes back is the same.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use weir_query::{
    Builtin, Cancel, Compiler, Engine, EngineConfig, Event, FilterInfo, FilterLimits, FilterList, FilterRef,
    Flow, Inputs, QueryError, QuerySpec, SourceInfo,
};
use weir_rpc::client::{Client, ClientError, Endpoint};

use crate::args::{AgentArgs, TargetArgs};
use crate::failure::Failure;
use crate::output::report;

/// Where kubelet keeps the logs of a node.
pub(crate) const DEFAULT_DIR: &str = "/var/log/pods";

/// Names an agent when the command line names no target.
pub(crate) const AGENT_VARIABLE: &str = "WEIR_AGENT";

/// The place that was chosen.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Search here.
    Local(Inputs),
    /// Ask an agent.
    Agent(Endpoint),
}

impl Choice {
    /// Reads what was typed: an explicit place before the environment, that before the default folder.
    pub(crate) fn new(args: &TargetArgs) -> Result<Choice, Failure> {
        let local = args.dir.is_some() || !args.file.is_empty();
        if let (true, Some(flag)) = (local, agent_flag(&args.agent)) {
            return Err(for_an_agent(flag));
        }
        if let Some(dir) = &args.dir {
            return Ok(Choice::Local(Inputs::Root(dir.clone())));
        }
        if !args.file.is_empty() {
            return Ok(Choice::Local(Inputs::Files(args.file.clone())));
        }
        match endpoint(&args.agent)? {
            Some(endpoint) => Ok(Choice::Agent(endpoint)),
            None => Ok(Choice::Local(Inputs::Root(PathBuf::from(DEFAULT_DIR)))),
        }
    }

    /// Where to ask about filters: no logs are involved.
    pub(crate) fn for_filters(args: &AgentArgs) -> Result<Choice, Failure> {
        Ok(endpoint(args)?.map_or_else(|| Choice::Local(Inputs::Files(Vec::new())), Choice::Agent))
    }

    /// Makes it ready to be asked. What is searched here is searched by `threads`.
    pub(crate) fn open(self, threads: usize) -> Result<Target, Failure> {
        match self {
            Choice::Local(inputs) => Ok(Target::Local(Box::new(local_engine(inputs, threads)?))),
            Choice::Agent(endpoint) => {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| Failure::failed(format!("cannot start the network runtime: {error}")))?;
                let client = runtime.block_on(Client::connect(&endpoint))?;
                Ok(Target::Agent(Box::new(Remote { runtime, client, endpoint })))
            }
        }
    }
}

/// Something that answers.
pub(crate) enum Target {
    /// An engine in this process.
    Local(Box<Engine>),
    /// A connected agent.
    Agent(Box<Remote>),
}

/// A connected agent.
pub(crate) struct Remote {
    runtime: Runtime,
    client: Client,
    endpoint: Endpoint,
}

impl Remote {
    /// Makes one call, and says which agent failed where that is no answer of its own.
    fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let error = match self.runtime.block_on(call(&mut self.client)) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // With TLS 1.3 a client learns only after the handshake that its certificate was missed.
        let anonymous = self.endpoint.url.starts_with("https:") && self.endpoint.cert.is_none();
        let hint = match error {
            ClientError::Lost { .. } if anonymous => {
                "; if it wants a client certificate, give --tls-cert and --tls-key"
            }
            _ => "",
        };
        Err(match error.into() {
            Failure::Failed(message) => Failure::failed(format!("{}: {message}{hint}", self.endpoint.url)),
            Failure::Lost(message) => Failure::Lost(format!("{}: {message}{hint}", self.endpoint.url)),
            other => other,
        })
    }

    /// Connects anew, trying as often as there are waits between, or until the user has enough.
    fn reconnect(&mut self, waits: impl Iterator<Item = Duration>) -> Result<Ended, Failure> {
        let endpoint = &self.endpoint;
        let connect = async {
            for wait in waits {
                match Client::connect(endpoint).await {
                    Err(ClientError::Connect { .. }) => tokio::time::sleep(wait).await,
                    other => return other,
                }
            }
            Client::connect(endpoint).await
        };
        self.runtime.block_on(async {
            tokio::select! {
                client = connect => {
                    self.client = client?;
                    Ok(Ended::ByItself)
                }
                _ = tokio::signal::ctrl_c() => Ok(Ended::Interrupted),
            }
        })
    }
}

impl Target {
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
            Target::Agent(remote) => remote.call(async |client| {
                tokio::select! {
                    ended = client.query(spec, sink) => ended.map(|()| Ended::ByItself),
                    _ = tokio::signal::ctrl_c(), if spec.follow => Ok(Ended::Interrupted),
                }
            }),
        }
    }

    /// Connects anew to an agent whose connection was lost.
    pub(crate) fn reconnect(&mut self, waits: impl Iterator<Item = Duration>) -> Result<Ended, Failure> {
        match self {
            Target::Local(_) => Ok(Ended::ByItself),
            Target::Agent(remote) => remote.reconnect(waits),
        }
    }

    /// What can be searched.
    pub(crate) fn sources(&mut self, selectors: &[String]) -> Result<Vec<SourceInfo>, Failure> {
        match self {
            Target::Local(engine) => Ok(engine.sources(selectors, true)?),
            Target::Agent(remote) => remote.call(async |client| client.sources(selectors).await),
        }
    }

    /// Every filter that a query can name, and the files of an agent's folder of filters.
    pub(crate) fn filters(&mut self) -> Result<FilterList, Failure> {
        match self {
            Target::Local(engine) => Ok(engine.filters()?),
            Target::Agent(remote) => remote.call(async |client| client.filters().await),
        }
    }

    /// The filter of that name.
    pub(crate) fn filter(&mut self, name: &str) -> Result<FilterInfo, Failure> {
        match self {
            Target::Local(engine) => Ok(engine.filter(name)?),
            Target::Agent(remote) => remote.call(async |client| client.filter(name).await),
        }
    }
}

impl Target {
    /// A component of the user's own, which is looked at here whoever will run it.
    pub(crate) fn component(&self, component: &FilterRef) -> Result<FilterInfo, Failure> {
        Ok(match self {
            Target::Local(engine) => engine.info(component)?,
            Target::Agent(_) => local_engine(Inputs::Files(Vec::new()), 1)?.info(component)?,
        })
    }
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

fn endpoint(args: &AgentArgs) -> Result<Option<Endpoint>, Failure> {
    let variable = std::env::var(AGENT_VARIABLE).ok().filter(|url| !url.is_empty());
    let Some(url) = args.agent.clone().or(variable) else {
        return agent_flag(args).map_or(Ok(None), |flag| Err(for_an_agent(flag)));
    };
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    Ok(Some(Endpoint {
        url,
        ca: args.tls_ca.clone(),
        cert: args.tls_cert.clone(),
        key: args.tls_key.clone(),
        server_name: args.tls_server_name.clone(),
        token,
    }))
}

/// A flag that was given and means something only with an agent.
fn agent_flag(args: &AgentArgs) -> Option<&'static str> {
    let flags = [
        ("--tls-ca", args.tls_ca.is_some()),
        ("--tls-cert", args.tls_cert.is_some()),
        ("--tls-server-name", args.tls_server_name.is_some()),
        ("--token-file", args.token_file.is_some()),
    ];
    flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
}

fn for_an_agent(flag: &str) -> Failure {
    Failure::refused(format!("{flag} is for an agent: name it with --agent URL"))
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("--token-file {}: {error}", path.display())))?;
    match text.trim() {
        "" => Err(Failure::refused(format!("--token-file {}: the file is empty", path.display()))),
        token => Ok(token.to_owned()),
    }
}

/// An engine in this process, with the filters that ship with Weir.
pub(crate) fn local_engine(inputs: Inputs, threads: usize) -> Result<Engine, Failure> {
    if let Inputs::Root(dir) = &inputs {
        check_dir(dir)?;
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("cannot find this program's own file: {error}")))?;
    let mut config = EngineConfig::new(inputs, Compiler::Child { program, args: vec!["compile".into()] });
    config.cache_dir = cache_dir();
    config.limits.threads = threads;
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
    let hint = "name a folder of logs with --dir, files with --file, or an agent with --agent";
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
