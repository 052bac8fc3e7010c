//! Weir beside the real thing.
//!
//! `node`: a kubelet and a containerd write, rotate, compress and delete logs, and what `weir` and `weir-agent` tell of
//! them is compared with what the writers say they wrote and with a reader of our own. `scripts/e2e` builds what this
//! needs and runs it in namespaces of its own. [`cluster`]: an API server says who may read what.

mod agent;
mod agent_pod;
mod answer;
mod certs;
mod chart;
mod cluster;
mod disk;
mod follow;
mod image;
mod node;
mod past;
mod process;
mod report;
mod trail;
mod wait;

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use rustix::fs::Mode;

use crate::agent::{Agent, AgentProcess};
use crate::agent_pod::{AgentPod, IMAGE};
use crate::answer::Weir;
use crate::follow::Following;
use crate::node::{Container, Node, Rotations};
use crate::past::{Live, Quiet};
use crate::report::Report;

/// Runs Weir beside the real thing.
#[derive(Parser)]
enum Command {
    /// Against logs that a real kubelet and containerd write
    Node(Args),
    /// Beside a real API server
    Cluster(cluster::Args),
}

#[derive(clap::Args)]
struct Args {
    /// The `weir` to test
    #[arg(long)]
    weir: PathBuf,
    /// The `weir-agent` to test
    #[arg(long)]
    agent: PathBuf,
    /// kubelet
    #[arg(long)]
    kubelet: PathBuf,
    /// The workload: `weir-e2e-writer`, linked statically
    #[arg(long)]
    writer: PathBuf,
    /// An OCI layout with the agent's image, of this tag: the agent is then a pod as the chart describes it
    #[arg(long, num_args = 2, value_names = ["LAYOUT", "TAG"])]
    image: Option<Vec<String>>,
    /// The chart's values example of which that pod is
    #[arg(long, default_value = chart::DEFAULT, value_name = "NAME", requires = "image")]
    example: String,
    /// Let nobody but root read logs and their folders (0600 and 0700), as on a hardened node
    #[arg(long)]
    hardened: bool,
    /// Rotations that each container of the workload must see
    #[arg(long, default_value_t = 6)]
    rotations: usize,
    /// Empty folder for everything that the node keeps
    #[arg(long)]
    state: PathBuf,
}

/// How long the workload may take for its restarts and deletions, and for each of its rotations. Kubelet removes a deleted
/// pod's logs up to a minute after its end.
const WORKLOAD: Duration = Duration::from_secs(150);
const ROTATION: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let command = Command::parse();
    let mut report = Report::default();
    let started = Instant::now();
    let ran = match &command {
        Command::Node(args) => run(args, &mut report),
        Command::Cluster(args) => cluster::run(args, &mut report),
    };
    if let Err(error) = ran {
        report.check("the test runs to its end", Err(error));
    }
    report.end(started.elapsed())
}

fn run(args: &Args, report: &mut Report) -> Result<()> {
    if args.hardened {
        // Of everything that is started from here on. What reads along is root.
        rustix::process::umask(Mode::from_raw_mode(0o077));
    }
    let mut node = Node::start(&args.state, &args.kubelet, &args.writer)?;
    std::fs::create_dir_all(node::LOGS)?;
    let mut agent = match args.image.as_deref() {
        Some([layout, tag]) => {
            node.import(Path::new(layout), IMAGE)?;
            Agent::Pod(AgentPod::start(&node, &args.state, tag, &args.example)?)
        }
        _ => Agent::Process(AgentProcess::start(&args.agent, &args.state)?),
    };
    let cache = args.state.join("cache");
    let local = Weir::new(args.weir.clone(), Vec::new(), cache.clone());
    let remote = Weir::new(args.weir.clone(), agent.target(), cache);

    let mut follows = [
        Following::start("follow a folder", &local, &args.state)?,
        Following::start("follow, killed and resumed", &local, &args.state)?,
        Following::start("follow an agent that restarts", &remote, &args.state)?,
    ];
    let worked = work(args.rotations, &mut node, &mut agent, [&local, &remote], &mut follows);
    report.check("searches while kubelet rotates", worked);
    node.stop_writing(&["doomed"])?;
    settle(&node)?;
    for follow in &mut follows {
        let ended = follow.end(&node.runs()?);
        report.check(follow.name, ended);
    }
    node.suspend_kubelet()?;
    report.check("who may read the logs", readers(args.hardened));
    for (name, weir) in [("folder", &local), ("agent", &remote)] {
        quiet(name, weir, report)?;
    }
    node.resume_kubelet()?;
    node.alive()
}

/// Runs the workload until everything has happened that the test is about, and searches all the while. Of the follows,
/// the second is killed before a rotation and resumed behind it, and the third's agent is restarted.
fn work(
    wanted: usize,
    node: &mut Node,
    agent: &mut Agent,
    weirs: [&Weir; 2],
    [steady, killed, remote]: &mut [Following<'_>; 3],
) -> Result<String> {
    let short = |name| Container { name, form: "short", rate: 500, crash_after: None };
    let long = Container { name: "long", form: "long", rate: 10, crash_after: None };
    let pieces = Container { name: "pieces", form: "pieces", rate: 100, crash_after: None };
    node.run_pod("steady", &[short("short"), long, pieces])?;
    node.run_pod("crash", &[Container { crash_after: Some(4000), ..short("short") }])?;
    node.run_pod("doomed", &[short("short")])?;

    let mut rotations = Rotations::default();
    let mut live = Live::default();
    let (mut deleted, mut late) = (false, false);
    let mut to_come = VecDeque::from([Turn::Kill, Turn::Resume, Turn::RestartAgent]);
    let start = Instant::now();
    loop {
        node.alive()?;
        agent.alive()?;
        [&mut *steady, &mut *killed, &mut *remote].into_iter().try_for_each(Following::alive)?;
        rotations.look()?;
        if let Some(turn) = to_come.pop_front_if(|turn| rotations.of("steady", "short") >= turn.after()) {
            match turn {
                Turn::Kill => killed.kill()?,
                Turn::Resume => killed.resume()?,
                Turn::RestartAgent => agent.restart()?,
            }
        }
        if !deleted && rotations.of("doomed", "short") >= 2 {
            node.delete_pod("doomed")?;
            deleted = true;
        }
        if deleted && !late {
            node.run_pod("late", &[short("short")])?;
            late = true;
        }
        if late && to_come.is_empty() && done(wanted, node, &rotations)? {
            break;
        }
        let limit = WORKLOAD + ROTATION * u32::try_from(wanted)?;
        ensure!(start.elapsed() < limit, "the workload takes too long: {:?}", rotations);
        live.search(weirs[(live.searches % 2) as usize])?;
    }
    let Live { searches, lines, told, incomplete } = live;
    Ok(format!(
        "{searches} searches, {lines} lines, {told} in told gaps, {incomplete} incomplete answers, {rotations}"
    ))
}

/// What happens to those who follow.
enum Turn {
    Kill,
    Resume,
    RestartAgent,
}

impl Turn {
    /// After how many rotations.
    fn after(&self) -> usize {
        match self {
            Turn::Kill => 2,
            Turn::Resume => 3,
            Turn::RestartAgent => 4,
        }
    }
}

/// Whether all of the workload has happened.
fn done(wanted: usize, node: &Node, rotations: &Rotations) -> Result<bool> {
    let rotated =
        ["short", "long", "pieces"].iter().all(|container| rotations.of("steady", container) >= wanted)
            && rotations.of("late", "short") >= 2;
    let restarted = node.runs()?.iter().any(|run| run.writer == "crash-short" && run.number >= 2);
    let gone = !disk::files(Path::new(node::LOGS))?.iter().any(|file| file.source.pod == "doomed-node");
    Ok(rotated && restarted && gone)
}

/// Waits until the runtime has written all that the idle writers gave it.
fn settle(node: &Node) -> Result<()> {
    wait::until("the runtime has written everything", Duration::from_secs(30), || {
        let written = past::on_disk()?;
        let runs = node.runs()?;
        let alive = runs.iter().filter(|run| run.account.iter().all(|stream| stream.idle));
        let mut lines = alive.flat_map(|run| {
            let streams = weir_e2e_writer::Stream::BOTH.into_iter().zip(&run.account);
            streams.map(|(stream, progress)| ((run.writer.clone(), run.number, stream), progress.done))
        });
        Ok(lines
            .all(|(key, done)| written.get(&key).map_or(0, |trail| trail.last_whole()) == done)
            .then_some(()))
    })
}

/// Whether others than root may read logs, which is to be so on ordinary nodes alone.
fn readers(hardened: bool) -> Result<String> {
    let mode = |path: &Path| Ok::<_, std::io::Error>(std::fs::metadata(path)?.permissions().mode() & 0o777);
    let files = disk::files(Path::new(node::LOGS))?;
    ensure!(!files.is_empty(), "there is no log");
    let mut modes = vec![(Path::new(node::LOGS).to_owned(), mode(Path::new(node::LOGS))?)];
    for file in &files {
        modes.push((file.path.clone(), mode(&file.path)?));
    }
    for (path, mode) in &modes {
        let others = mode & 0o077 != 0;
        ensure!(others != hardened, "{} has the mode {mode:o}", path.display());
    }
    Ok(format!("{} files, {} {:o}", files.len(), node::LOGS, modes[0].1))
}

/// Exact comparisons, once nothing changes any more.
fn quiet(name: &str, weir: &Weir, report: &mut Report) -> Result<()> {
    let records = disk::read(Path::new(node::LOGS))?;
    let quiet = Quiet { weir, records: &records };
    let mut check = |what: &str, result| report.check(&format!("{name}: {what}"), result);
    check("all records", quiet.all());
    check("oldest and newest", quiet.ends());
    check("text across split lines", quiet.split_lines());
    check("spans of time", quiet.windows());
    check("counts", quiet.counts());
    check("the previous container", quiet.previous("crash-node", "short"));
    Ok(())
}
