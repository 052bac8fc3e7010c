//! What a command or a running process takes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::ClockId;
use nix::unistd::Pid;

/// What one command took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

impl Cost {
    /// More than any command takes.
    pub(crate) const MAX: Cost = Cost { cpu: Duration::MAX, wall: Duration::MAX };

    /// The less of each.
    pub(crate) fn best(self, other: Cost) -> Cost {
        Cost { cpu: self.cpu.min(other.cpu), wall: self.wall.min(other.wall) }
    }
}

/// Runs a command to its end, with its output in a file: `rg` stops at the first match when it writes to
/// /dev/null.
pub(crate) fn run(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Cost {
    let before = cpu_time(UsageWho::RUSAGE_CHILDREN);
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(tempfile::tempfile().expect("a temporary file"))
        .stderr(Stdio::inherit())
        .status()
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/bench", program.display()));
    let wall = started.elapsed();
    assert!(status.success(), "{}: {status}", program.display());
    Cost { cpu: cpu_time(UsageWho::RUSAGE_CHILDREN) - before, wall }
}

/// Runs `f` and what it starts on the first `count` of our processors, so that a command finds room for as many
/// threads.
pub(crate) fn on_processors<T>(count: usize, f: impl FnOnce() -> T) -> T {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this).expect("our own processors");
    let mut some = CpuSet::new();
    for cpu in (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu) == Ok(true)).take(count) {
        some.set(cpu).expect("a processor that there is");
    }
    sched_setaffinity(this, &some).expect("our own processors");
    let value = f();
    sched_setaffinity(this, &all).expect("our own processors");
    value
}

/// Processor time of this process, or of its children that have ended.
pub(crate) fn cpu_time(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("usage of this process and its ended children");
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs())
            + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// Processor time of a running child, all its threads together.
pub(crate) fn cpu_time_of(child: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(child).expect("a process id"));
    let clock = ClockId::pid_cpu_clock_id(pid).expect("a child that runs");
    Duration::from(clock.now().expect("a child that runs"))
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The first line that a program says of itself.
pub(crate) fn version(program: &Path) -> String {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/bench", program.display()));
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
