//! `weir-agent`: config, log, bind, serve, drain.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use weir_agent::args::{Command, ServeArgs};
use weir_agent::{Agent, Args, Ending, logging, panic, runtime, self_check, signals};
use weir_query::Compiler;

/// How long threads that don't end with their queries are waited for.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Serve(args) | Command::CheckConfig(args) if args.print_config => print_config(args),
        Command::Serve(args) => serve(args),
        Command::CheckConfig(args) => check(args),
        Command::Compile => return weir_query::compile_child_main(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    logging::start(config.log).context("the log can't be started")?;
    panic::end_on_panic();
    if config.cache_dir.is_none() {
        tracing::warn!("no cache folder can be used: each start compiles filters anew; set cache_dir");
    }
    if let Err(error) = weir_query::raise_open_file_limit() {
        tracing::warn!(%error, "the limit on open files can't be raised");
    }
    self_check(&config);
    let runtime = runtime(&config).context("threads can't be started")?;
    let ending = runtime.block_on(async {
        let signals = signals().context("signals can't be listened for")?;
        let agent = Agent::bind(config, compiler()).await?;
        let line = agent.ready_line();
        tracing::info!("{line}");
        tell(&line).context("the ready line can't be written to standard output")?;
        agent.run(signals.clone().reached(1), signals.reached(2)).await.map_err(anyhow::Error::from)
    });
    runtime.shutdown_timeout(LEFTOVERS);
    match ending? {
        Ending::Drained => tracing::info!("ended; every query had ended"),
        Ending::Cut => tracing::warn!("ended; queries were cut"),
    }
    Ok(())
}

fn check(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    let tls = match &config.tls {
        None => "without TLS",
        Some(files) if files.client_ca.is_none() => "with TLS",
        Some(files) if files.client_cert_optional => "with TLS and optional client certificates",
        Some(_) => "with TLS and client certificates",
    };
    let access = config.access.told();
    if let Some(folder) = &config.policies_folder {
        check_policies(folder)?;
    }
    let (listen, health, logs) = (&config.listen, config.health_listen, config.logs_dir.display());
    tell(&format!("ok: gRPC on {listen} {tls}, {access}, probes and metrics on {health}, logs in {logs}"))
        .context("standard output can't be written to")
}

/// What can be told of policies without the filters that they name.
fn check_policies(folder: &Path) -> anyhow::Result<()> {
    let policies = weir_config::read_policies(folder, &weir_config::PolicyLimits::default())
        .with_context(|| format!("policies.folder: {}", folder.display()))?;
    let wrong: Vec<String> = policies.into_iter().filter_map(|policy| policy.filters.err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(wrong.join("\n"))) }
}

fn print_config(args: ServeArgs) -> anyhow::Result<()> {
    // By way of a value, as when a file's keys are checked: one way to write settings is enough.
    let settings = serde_norway::to_value(args.config()?.settings()).context("the config can't be told")?;
    let text = serde_norway::to_string(&settings).context("the config can't be written")?;
    tell(text.trim_end()).context("standard output can't be written to")
}

/// The binary itself, whatever became of its file since it was started.
fn compiler() -> Compiler {
    Compiler::Child { program: "/proc/self/exe".into(), args: vec!["compile".into()] }
}

fn tell(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
