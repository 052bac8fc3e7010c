//! From component to machine code: in a child process of the agent's own program, under limits.
//!
//! The child gets the component on its standard input and gives the artifact on its standard output.
//! Its environment is empty but for its limits, which it sets on itself before it reads.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use rayon::ThreadPoolBuilder;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::MemfdFlags;
use rustix::process::{Resource, Rlimit, Signal};
use wasmtime::Engine;

use crate::engine;
use crate::limits::SandboxLimits;
use crate::text::one_line;

const MEMORY_VARIABLE: &str = "WEIR_COMPILE_MEMORY_BYTES";
const SECONDS_VARIABLE: &str = "WEIR_COMPILE_SECONDS";
const ARTIFACT_VARIABLE: &str = "WEIR_COMPILE_ARTIFACT_BYTES";
/// Most of the child's error text that is kept, in bytes.
const STDERR_BYTES: usize = 16 << 10;
/// Wall time that the child gets, as a multiple of its CPU time.
const WALL_FACTOR: u64 = 3;

/// Most threads of a child. Each holds what it makes of one function; all count against the child's limits.
const THREADS: usize = 4;

/// How often whoever waits for a compile is looked for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a Rust program ends that is out of memory.
const ABORT: i32 = Signal::ABORT.as_raw();

/// Where components are compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Compiler {
    /// A child process that ends in [`compile_child_main`]: what an agent uses.
    Child {
        /// The program, as a rule the agent's own.
        program: PathBuf,
        /// Its arguments.
        args: Vec<OsString>,
    },
    /// This process: for short-lived tools and tests. A hostile component may then use any amount of
    /// memory and time.
    InProcess,
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The compiler refuses it.
    #[error("the compiler refuses it: {0}")]
    Refused(String),
    /// Over [`SandboxLimits::compile_seconds`].
    #[error("compiling took longer than the limit compile_seconds ({0}); make the component smaller")]
    Time(u64),
    /// Over [`SandboxLimits::compile_memory_bytes`].
    #[error(
        "compiling took more memory than the limit compile_memory_bytes ({0}); make the component smaller"
    )]
    Memory(u64),
    /// Over [`SandboxLimits::artifact_bytes`].
    #[error("the compiled component is over the limit artifact_bytes ({0}); make the component smaller")]
    ArtifactTooLarge(usize),
    /// Nobody waits for it any more.
    #[error("nobody waits for it any more")]
    Unwanted,
    /// The child ended in another way.
    #[error("the compiling process ended with {status}: {stderr}")]
    Child {
        /// How it ended.
        status: ExitStatus,
        /// What it said, in one line.
        stderr: String,
    },
    /// The child could not be started or listened to.
    #[error("the compiling process `{program}` could not be used: {source}")]
    Io {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Compiles a component that was admitted. A child is ended when the component isn't wanted any more.
pub(crate) fn compile(
    compiler: &Compiler,
    component: &[u8],
    limits: &SandboxLimits,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Vec<u8>, CompileError> {
    let artifact = match compiler {
        Compiler::InProcess => precompile(component, false).map_err(CompileError::Refused)?,
        Compiler::Child { program, args } => {
            let mut command = Command::new(program);
            command.args(args);
            compile_in_child(command, component, limits, is_wanted)
                .map_err(|source| CompileError::Io { program: program.clone(), source })??
        }
    };
    if artifact.len() > limits.artifact_bytes {
        return Err(CompileError::ArtifactTooLarge(limits.artifact_bytes));
    }
    Ok(artifact)
}

/// The whole of the child process: `main` of a program that [`Compiler::Child`] names calls this and
/// returns what it returns. Reads a component from standard input, writes machine code to standard
/// output or one line of text to standard error.
pub fn compile_child_main() -> ExitCode {
    let written = compile_as_child().and_then(|artifact| {
        let mut out = io::stdout().lock();
        out.write_all(&artifact).and_then(|()| out.flush()).map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // When not even that can be written, the status still tells.
        Err(problem) => match writeln!(io::stderr(), "{problem}") {
            Ok(()) => ExitCode::FAILURE,
            Err(_) => ExitCode::from(2),
        },
    }
}

fn compile_as_child() -> Result<Vec<u8>, String> {
    let defaults = SandboxLimits::default();
    let memory = variable(MEMORY_VARIABLE, defaults.compile_memory_bytes)?;
    let seconds = variable(SECONDS_VARIABLE, defaults.compile_seconds)?;
    let artifact_bytes = variable(ARTIFACT_VARIABLE, defaults.artifact_bytes as u64)?;
    restrict(memory, seconds).map_err(|error| format!("limits could not be set: {error}"))?;
    let mut component = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut component)
        .map_err(|error| format!("the component could not be read: {error}"))?;
    let artifact = precompile(&component, start_threads())?;
    if artifact.len() as u64 > artifact_bytes {
        return Err(format!("the artifact has {} bytes; the limit is {artifact_bytes}", artifact.len()));
    }
    Ok(artifact)
}

fn variable(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name} is {value:?}; expected a number")),
        Err(std::env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Gives up what a compiler doesn't need, for good.
fn restrict(memory: u64, seconds: u64) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::As, memory)?;
    limit(Resource::Cpu, seconds)?;
    limit(Resource::Core, 0)?;
    // It writes to a pipe only.
    limit(Resource::Fsize, 0)
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let inherited = rustix::process::getrlimit(resource).maximum;
    let value = Some(inherited.map_or(value, |maximum| maximum.min(value)));
    Ok(rustix::process::setrlimit(resource, Rlimit { current: value, maximum: value })?)
}

/// Starts threads that compile functions at the same time; whether there are any. Without them, as where the system has no
/// more, one does it all.
fn start_threads() -> bool {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS);
    threads > 1 && ThreadPoolBuilder::new().num_threads(threads).build_global().is_ok()
}

fn precompile(component: &[u8], parallel: bool) -> Result<Vec<u8>, String> {
    let mut config = engine::config();
    // What comes out is the same.
    config.parallel_compilation(parallel);
    let engine = Engine::new(&config).map_err(|error| one_line(&format!("{error:#}")))?;
    engine.precompile_component(component).map_err(|error| one_line(&format!("{error:#}")))
}

fn compile_in_child(
    mut command: Command,
    component: &[u8],
    limits: &SandboxLimits,
    is_wanted: &dyn Fn() -> bool,
) -> io::Result<Result<Vec<u8>, CompileError>> {
    // A file in memory: the child can read at its own pace, and no thread has to feed it.
    let mut input = File::from(rustix::fs::memfd_create("weir-component", MemfdFlags::CLOEXEC)?);
    input.write_all(component)?;
    input.seek(SeekFrom::Start(0))?;
    command
        .env_clear()
        .env(MEMORY_VARIABLE, limits.compile_memory_bytes.to_string())
        .env(SECONDS_VARIABLE, limits.compile_seconds.to_string())
        .env(ARTIFACT_VARIABLE, limits.artifact_bytes.to_string())
        .current_dir("/")
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let wall = Duration::from_secs(limits.compile_seconds.saturating_mul(WALL_FACTOR).max(1));
    let heard = Heard::listen(&mut child, Instant::now() + wall, limits.artifact_bytes, is_wanted);
    // It has closed its outputs, or has to go: a process that has ended is not hurt by this.
    child.kill()?;
    let status = child.wait()?;
    let heard = heard?;
    Ok(judge(status, heard, limits))
}

fn judge(status: ExitStatus, heard: Heard, limits: &SandboxLimits) -> Result<Vec<u8>, CompileError> {
    let stderr = one_line(&String::from_utf8_lossy(&heard.stderr));
    match heard.end {
        End::TooLong => return Err(CompileError::Time(limits.compile_seconds)),
        End::TooLarge => return Err(CompileError::ArtifactTooLarge(limits.artifact_bytes)),
        End::Unwanted => return Err(CompileError::Unwanted),
        End::Closed => {}
    }
    if status.success() {
        return Ok(heard.stdout);
    }
    // Rust's allocator and wasmtime each have their words for it; the first one then aborts.
    let no_memory = ["memory allocation of", "out of memory", "Cannot allocate memory"];
    let out_of_memory = no_memory.iter().any(|words| stderr.contains(words));
    let killed = [Signal::XCPU.as_raw(), Signal::KILL.as_raw()];
    match (status.code(), status.signal()) {
        (Some(1), _) | (_, Some(ABORT)) if out_of_memory => {
            Err(CompileError::Memory(limits.compile_memory_bytes))
        }
        (Some(1), _) => Err(CompileError::Refused(stderr)),
        // The kernel kills at the CPU limit's hard value.
        (_, Some(signal)) if killed.contains(&signal) => Err(CompileError::Time(limits.compile_seconds)),
        _ => Err(CompileError::Child { status, stderr }),
    }
}

enum End {
    Closed,
    TooLong,
    TooLarge,
    Unwanted,
}

/// What a child said before it closed its outputs.
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    end: End,
}

impl Heard {
    fn listen(
        child: &mut Child,
        deadline: Instant,
        stdout_bytes: usize,
        is_wanted: &dyn Fn() -> bool,
    ) -> io::Result<Heard> {
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let mut heard = Heard { stdout: Vec::new(), stderr: Vec::new(), end: End::Closed };
        let mut chunk = vec![0; 64 << 10];
        while out.is_some() || err.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                heard.end = End::TooLong;
                break;
            }
            if !is_wanted() {
                heard.end = End::Unwanted;
                break;
            }
            let (out_ready, err_ready) = ready(out.as_ref(), err.as_ref(), left.min(LOOK_EVERY))?;
            if let Some(pipe) = out.as_mut().filter(|_| out_ready) {
                match read(pipe, &mut chunk)? {
                    Some([]) => out = None,
                    Some(bytes) => heard.stdout.extend_from_slice(bytes),
                    None => {}
                }
            }
            if let Some(pipe) = err.as_mut().filter(|_| err_ready) {
                match read(pipe, &mut chunk)? {
                    Some([]) => err = None,
                    Some(bytes) => {
                        let room = STDERR_BYTES - heard.stderr.len();
                        heard.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                    None => {}
                }
            }
            if heard.stdout.len() > stdout_bytes {
                heard.end = End::TooLarge;
                break;
            }
        }
        Ok(heard)
    }
}

/// Waits until one of the pipes has bytes or is closed. Both false when time or a signal passed.
fn ready(
    out: Option<&std::process::ChildStdout>,
    err: Option<&std::process::ChildStderr>,
    left: Duration,
) -> io::Result<(bool, bool)> {
    let mut pipes = Vec::with_capacity(2);
    pipes.extend(out.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    pipes.extend(err.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    let timeout = left.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    match poll(&mut pipes, Some(&timeout)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok((false, false)),
        Err(error) => return Err(error.into()),
    }
    let mut ready = pipes.iter().map(|pipe| !pipe.revents().is_empty());
    let out_ready = out.is_some() && ready.next() == Some(true);
    let err_ready = err.is_some() && ready.next() == Some(true);
    Ok((out_ready, err_ready))
}

/// `None` when a signal came first; an empty slice when the other end is closed.
fn read<'a>(pipe: &mut impl Read, chunk: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
    match pipe.read(chunk) {
        Ok(read) => Ok(Some(&chunk[..read])),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}
