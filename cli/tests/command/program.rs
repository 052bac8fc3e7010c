//! The program under test, and how it ended.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A run of `weir` that is being prepared.
pub(crate) struct Weir {
    command: Command,
    stdin: Vec<u8>,
}

impl Weir {
    /// `weir` with these arguments, in an environment that says nothing about colours, agents, clusters or zones.
    /// Compiled filters are kept between tests.
    pub(crate) fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Weir {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command
            .args(args)
            .env_remove("WEIR_AGENT")
            .env_remove("WEIR_AGENT_NAMESPACE")
            .env_remove("KUBECONFIG")
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .env("XDG_CACHE_HOME", cache());
        Weir { command, stdin: Vec::new() }
    }

    /// Gives it these bytes on a pipe as standard input.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Weir {
        self.stdin = bytes.into();
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Weir {
        self.command.env(name, value);
        self
    }

    /// Runs it in this folder.
    pub(crate) fn in_dir(mut self, dir: &std::path::Path) -> Weir {
        self.command.current_dir(dir);
        self
    }

    /// The prepared command, for tests that hold its streams themselves.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Outcome {
        let shown = format!("{:?}", self.command);
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("weir starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let bytes = std::mem::take(&mut self.stdin);
        // On a thread of its own: the program may write before it has read everything.
        let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = child.wait_with_output().expect("weir ends");
        // A program that needs no more input closes the pipe; that is its right.
        feeder.join().expect("the feeder does not panic").ok();
        Outcome { shown, output }
    }

    /// Runs it with this file as standard input.
    pub(crate) fn run_with_stdin_file(mut self, file: File) -> Outcome {
        let shown = format!("{:?}", self.command);
        let output = self.command.stdin(file).output().expect("weir runs");
        Outcome { shown, output }
    }
}

/// Runs `weir` with arguments that are plain text.
pub(crate) fn weir(args: &[&str]) -> Outcome {
    Weir::new(args).run()
}

/// Where compiled filters are kept, for all tests.
fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// How a run ended.
pub(crate) struct Outcome {
    shown: String,
    output: Output,
}

impl Outcome {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Outcome {
        assert_eq!(self.output.status.code(), Some(code), "{}\n{}", self.shown, self.stderr());
        self
    }

    /// What it wrote to standard output.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    /// What it wrote to standard output, as text.
    #[track_caller]
    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.output.stdout).expect("standard output is UTF-8")
    }

    /// What it wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Lines of standard output.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout().lines().collect()
    }

    /// Lines of standard output, each a JSON object.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| -> Value {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(value.is_object(), "{line}");
            value
        };
        self.lines().into_iter().map(parse).collect()
    }

    /// Fails the test unless standard error names all of these.
    #[track_caller]
    pub(crate) fn says(self, needles: &[&str]) -> Outcome {
        let stderr = self.stderr();
        for needle in needles {
            assert!(stderr.contains(needle), "{}\nsays nothing of '{needle}':\n{stderr}", self.shown);
        }
        self
    }
}
