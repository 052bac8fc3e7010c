//! The workload: writes numbered lines to both streams at a steady rate until it is asked to stop, or dies in the
//! middle of a line. Also stands in for the pause container, which only has to stay.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use weir_e2e_writer::{Form, Ledger, Line, Progress, STOP, Stream};

const USAGE: &str =
    "usage: writer pause | writer NAME DIR short|long|pieces LINES-PER-SECOND [CRASH-AFTER-LINES]";

/// What one run is asked to do.
#[derive(Clone)]
struct Task {
    name: String,
    /// Folder of ledgers, shared with the checker.
    dir: String,
    form: Form,
    /// Lines of each stream in a second.
    rate: u32,
    /// Line of standard output in whose middle the process dies.
    crash: Option<u64>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args == ["pause"] {
        stay();
    }
    let task = task(&args).unwrap_or_else(|error| {
        eprintln!("writer: {error}\n{USAGE}");
        std::process::exit(2)
    });
    if let Err(error) = run(&task) {
        // Standard error is a log under test: what isn't a numbered line there shows in the test's report.
        eprintln!("writer {}: {error}", task.name);
        std::process::exit(1);
    }
    stay();
}

fn task(args: &[String]) -> Result<Task, String> {
    let [name, dir, form, rate, rest @ ..] = args else { return Err("too few arguments".to_owned()) };
    let rate = rate.parse().ok().filter(|&rate| rate > 0);
    let rate = rate.ok_or("LINES-PER-SECOND is a number above 0")?;
    let crash = match rest {
        [] => None,
        [lines] => Some(lines.parse().map_err(|_| "CRASH-AFTER-LINES is a number")?),
        _ => return Err("too many arguments".to_owned()),
    };
    Ok(Task { name: name.clone(), dir: dir.clone(), form: form.parse()?, rate, crash })
}

/// Stays alive and does nothing. The first process of a container has no default handlers, so only SIGKILL ends it.
fn stay() -> ! {
    loop {
        thread::park();
    }
}

fn run(task: &Task) -> io::Result<()> {
    let (run, ledger) = Ledger::create(Path::new(&task.dir), &task.name)?;
    thread::scope(|scope| {
        let stderr = scope.spawn(|| write(task, run, Stream::Stderr, &ledger));
        write(task, run, Stream::Stdout, &ledger)?;
        stderr.join().map_err(|_| io::Error::other("a thread panicked"))?
    })
}

/// A stream without the buffer of `io::stdout()`, which would hold pieces back until a newline.
fn unbuffered(stream: Stream) -> io::Result<File> {
    let fd = match stream {
        Stream::Stdout => io::stdout().as_fd().try_clone_to_owned()?,
        Stream::Stderr => io::stderr().as_fd().try_clone_to_owned()?,
    };
    Ok(File::from(fd))
}

/// Writes one stream's lines until it is asked to stop.
fn write(task: &Task, run: u32, stream: Stream, ledger: &Ledger) -> io::Result<()> {
    let mut out = unbuffered(stream)?;
    let stop = Path::new(&task.dir).join(STOP);
    let step = Duration::from_secs(1) / task.rate;
    let pieces = task.form.pieces();
    let mut due = Instant::now();
    let mut number = 0;
    while !stop.exists() {
        number += 1;
        ledger.note(stream, Progress { begun: number, done: number - 1, idle: false })?;
        let mut bytes = Line { writer: task.name.clone(), run, stream, number }.bytes(task.form);
        bytes.push(b'\n');
        if stream == Stream::Stdout && task.crash == Some(number) {
            out.write_all(&bytes[..bytes.len() - 20])?;
            std::process::abort();
        }
        for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
            out.write_all(piece)?;
            due += step / u32::try_from(pieces).expect("pieces are few");
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        ledger.note(stream, Progress { begun: number, done: number, idle: false })?;
    }
    ledger.note(stream, Progress { begun: number, done: number, idle: true })
}
