//! `weir demo`: sample logs, a real agent on loopback, and questions asked of it by this very program.

mod agent;
mod content;
mod instance;
mod random;
mod tour;
mod tree;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::ZonedDateTime;
use weir_query::time::parse_time;

use crate::args::DemoArgs;
use crate::choice::AGENT_VARIABLE;
use crate::failure::{Exit, Failure};
use crate::units;
use agent::DemoAgent;
use tour::{STEPS, command_line, quoted};
use tree::TreeSpec;

/// Marks a folder as written by a demo, so that another demo may write it anew.
const MARKER: &str = ".weir-demo";

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let end = parse_time(&args.end, &ZonedDateTime::now())
        .map_err(|error| Failure::refused(format!("--end: {error}")))?;
    let place = Place::prepare(args)?;
    let mut out = io::stdout().lock();
    if !args.keep {
        let spec = TreeSpec { lines: args.lines, seed: args.seed, end };
        let size = tree::write(&place.logs, &spec).map_err(|error| place.failed(&error))?;
        writeln!(
            out,
            "# {} of {} in {}, {} of log, below {}",
            units::count(size.lines, "line"),
            units::count(size.containers, "container"),
            units::count(size.files, "file"),
            units::bytes(size.bytes),
            place.logs.display()
        )
        .map_err(Failure::Output)?;
    }
    if args.tree_only {
        return Ok(Exit::Complete);
    }
    let agent = DemoAgent::start(&place.logs, &place.dir.join("cache"), &place.dir.join("agent.log"))?;
    writeln!(out, "# An agent serves them on loopback; `weir` asks it over gRPC.\n")
        .map_err(Failure::Output)?;
    writeln!(out, "$ export {AGENT_VARIABLE}={}", agent.url()).map_err(Failure::Output)?;
    let unexpected = tour(&mut out, agent.url())?;
    agent.stop()?;
    out.write_all(farewell(&place)?.as_bytes()).map_err(Failure::Output)?;
    out.flush().map_err(Failure::Output)?;
    if unexpected.is_empty() {
        return Ok(Exit::Complete);
    }
    Err(Failure::failed(format!("these commands did not end as they should:\n{}", unexpected.join("\n"))))
}

/// Asks every question; gives back those that ended in another way than they should.
fn tour(out: &mut io::StdoutLock<'_>, url: &str) -> Result<Vec<String>, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("cannot find this program's own file: {error}")))?;
    let mut unexpected = Vec::new();
    for step in STEPS {
        let line = command_line(step.args);
        writeln!(out, "\n# {}\n$ {line}", step.title).map_err(Failure::Output)?;
        out.flush().map_err(Failure::Output)?;
        let status = Command::new(&own)
            .args(step.args)
            .env(AGENT_VARIABLE, url)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| Failure::failed(format!("cannot run {}: {error}", own.display())))?;
        match status.code() {
            Some(code) => writeln!(out, "(exit code {code})").map_err(Failure::Output)?,
            None => writeln!(out, "({status})").map_err(Failure::Output)?,
        }
        if status.code() != Some(step.exit) {
            unexpected.push(format!("  {line}: {status}, not exit code {}", step.exit));
        }
    }
    Ok(unexpected)
}

/// What to play with, also left as a file.
fn farewell(place: &Place) -> Result<String, Failure> {
    let logs = quoted(&place.logs.display().to_string());
    let cache = quoted(&place.dir.join("cache").display().to_string());
    let program = quoted(&agent::program()?.display().to_string());
    let mut text = format!(
        "\n# The agent has ended. The logs are still there; search them without an agent:\n\
         weir logs --dir {logs} -e timeout --tail 5\n\n\
         # or start the agent again, and ask it from another terminal:\n\
         {program} serve --logs-dir {logs} --cache-dir {cache}\n\
         export {AGENT_VARIABLE}=http://127.0.0.1:7411\n"
    );
    for step in STEPS {
        text.push_str(&command_line(step.args));
        text.push('\n');
    }
    let file = place.dir.join("commands.txt");
    fs::write(&file, &text).map_err(|error| place.failed(&error))?;
    Ok(format!("{text}\n# These lines are in {}\n", file.display()))
}

/// The folder of a demo.
struct Place {
    dir: PathBuf,
    logs: PathBuf,
}

impl Place {
    /// Makes room. Only what a demo wrote is ever removed.
    fn prepare(args: &DemoArgs) -> Result<Place, Failure> {
        let Some(dir) = &args.dir else {
            let dir = tempfile::Builder::new()
                .prefix("weir-demo-")
                .tempdir()
                .map_err(|error| {
                    Failure::failed(format!("cannot make a folder for temporary files: {error}"))
                })?
                .keep();
            return Place::marked(dir);
        };
        let marked = dir.join(MARKER).is_file();
        if args.keep {
            return if marked {
                Ok(Place::at(absolute(dir)?))
            } else {
                Err(not_a_demo(dir, "has no logs of a demo"))
            };
        }
        let failed = |error: io::Error| Failure::refused(format!("--dir {}: {error}", dir.display()));
        if !marked && dir.exists() && fs::read_dir(dir).map_err(failed)?.next().is_some() {
            return Err(not_a_demo(dir, "is not empty and not of a demo"));
        }
        fs::create_dir_all(dir).map_err(failed)?;
        let place = Place::marked(absolute(dir)?)?;
        if place.logs.exists() {
            fs::remove_dir_all(&place.logs).map_err(failed)?;
        }
        Ok(place)
    }

    fn marked(dir: PathBuf) -> Result<Place, Failure> {
        let place = Place::at(dir);
        fs::write(place.dir.join(MARKER), b"").map_err(|error| place.failed(&error))?;
        Ok(place)
    }

    fn at(dir: PathBuf) -> Place {
        Place { logs: dir.join("pods"), dir }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("cannot write to {}: {error}", self.dir.display()))
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(dir).map_err(|error| Failure::refused(format!("--dir {}: {error}", dir.display())))
}

fn not_a_demo(dir: &Path, what: &str) -> Failure {
    Failure::refused(format!("--dir {}: the folder {what}; name a new one", dir.display()))
}
