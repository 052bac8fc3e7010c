//! An agent's process, and what its plain port tells.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use weir_rpc::{Client, Endpoint};

/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often is looked again.
const LOOK: Duration = Duration::from_millis(20);

/// A running agent, with a folder of its own. It is killed when dropped.
pub(crate) struct Agent {
    child: Child,
    /// Where it serves gRPC, as it said.
    pub(crate) grpc: String,
    health: String,
    dir: TempDir,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    /// Anonymous memory in bytes.
    pub(crate) anonymous: u64,
}

/// A folder for one agent: `logs` in it, for a start.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("logs")).expect("a folder");
    dir
}

/// The folder of logs of a [`folder`].
pub(crate) fn logs(dir: &TempDir) -> PathBuf {
    dir.path().join("logs")
}

/// `weir-agent COMMAND` on the logs of `dir`, with a cache folder there too.
pub(crate) fn command(dir: &Path, command: &str, args: &[&str]) -> Command {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_weir-agent"));
    agent.arg(command).arg("--logs-dir").arg(dir.join("logs")).arg("--cache-dir").arg(dir.join("cache"));
    agent.args(["--health-listen", "127.0.0.1:0"]).args(args);
    // Figures of memory are to be the agent's, and not those of glibc, which keeps an arena for each of many threads.
    agent.env("MALLOC_ARENA_MAX", "1");
    agent
}

/// A command that another program starts.
fn under(wrapper: &[&str], agent: Command) -> Command {
    let [program, args @ ..] = wrapper else { return agent };
    let mut command = Command::new(program);
    command.args(args).arg(agent.get_program()).args(agent.get_args());
    command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// A figure of `/proc/PID/status`.
fn figure(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("our child's figures");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()).expect("a figure");
    number.parse().expect("a number")
}

/// Waits until something is so, looking again and again; else says what is wrong.
pub(crate) async fn until(is_so: impl Fn() -> bool, wrong: impl Fn() -> String) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "{}", wrong());
        tokio::time::sleep(LOOK).await;
    }
}

impl Agent {
    /// Starts an agent on the logs of `dir`, on a free loopback port unless `args` say otherwise, with `config`
    /// as its config file.
    pub(crate) fn start(dir: TempDir, args: &[&str], config: &str) -> Agent {
        Agent::start_under(&[], dir, args, config)
    }

    /// The same, started by another program: its name and arguments, which the agent's come behind.
    pub(crate) fn start_under(wrapper: &[&str], dir: TempDir, args: &[&str], config: &str) -> Agent {
        let file = dir.path().join("agent.yaml");
        fs::write(&file, format!("listen: 127.0.0.1:0\n{config}")).expect("a config");
        let file = file.to_str().expect("a path of ours").to_owned();
        let agent = command(dir.path(), "serve", &[&["--config", &file], args].concat());
        let mut child = under(wrapper, agent)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("agent.log")).expect("a file"))
            .spawn()
            .expect("the agent's binary");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the ready line");
        let place = |key: &str| {
            let words = line.split_whitespace().find_map(|word| word.strip_prefix(key));
            words.unwrap_or_else(|| panic!("no {key} in '{line}'")).to_owned()
        };
        assert!(line.starts_with("listening "), "{line}");
        Agent { grpc: place("grpc="), health: place("health="), child, dir }
    }

    /// An agent on the same folder, after this one has ended.
    pub(crate) fn start_again(mut self, config: &str) -> Agent {
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a folder"));
        Agent::start(dir, &[], config)
    }

    /// An agent over a small tree.
    pub(crate) fn small(config: &str) -> Agent {
        let dir = folder();
        crate::logs::small(&logs(&dir));
        Agent::start(dir, &[], config)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Our own client, over plain text.
    pub(crate) async fn client(&self) -> Client {
        let url = format!("http://{}", self.grpc);
        Client::connect(&Endpoint { url, ..Endpoint::default() }).await.expect("the agent")
    }

    /// A bare channel, for what our client doesn't do.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint =
            tonic::transport::Endpoint::from_shared(format!("http://{}", self.grpc)).expect("a URL");
        endpoint.connect().await.expect("the agent")
    }

    /// Status and body of a page on the plain port.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.health).await.expect("the plain port");
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let status =
            answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status, body.expect("a body"))
    }

    /// The value of one metric, labels included in its name; 0 before it is counted first.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (status, text) = self.page("/metrics").await;
        assert_eq!(status, 200);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Bytes that the process has read so far, from whatever: the system's own count.
    pub(crate) fn read_bytes(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id())).expect("our child's figures");
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a figure");
        read.parse().expect("a number")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("agent.log")).expect("its log")
    }

    /// Waits until a line of its log has all these words.
    pub(crate) async fn logs(&self, words: &[&str]) {
        let is_there = || self.log().lines().any(|line| words.iter().all(|word| line.contains(word)));
        until(is_there, || format!("{words:?} in\n{}", self.log())).await;
    }

    /// Sockets that it has open.
    pub(crate) fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("our child's files");
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Waits until it has no more than so many sockets open.
    pub(crate) async fn sockets_become(&self, count: usize) {
        until(|| self.sockets() <= count, || format!("{} sockets are open, not {count}", self.sockets()))
            .await;
    }

    /// A figure of `/proc/PID/status`, such as `Threads` or, in KiB, `RssAnon`.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        figure(self.child.id(), name)
    }

    /// Waits until it has no more than so many threads.
    pub(crate) async fn threads_become(&self, count: u64) {
        until(|| self.figure("Threads") <= count, || format!("{} threads run", self.figure("Threads"))).await;
    }

    /// Waits until it has read so many bytes.
    pub(crate) async fn reads_more_than(&self, bytes: u64) {
        until(|| self.read_bytes() >= bytes, || "nothing is read".to_owned()).await;
    }

    /// Processes that it has started and that run.
    pub(crate) fn children(&self) -> usize {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("our child's threads");
        // A thread may end while they are listed.
        let children =
            threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
        children.map(|children| children.split_whitespace().count()).sum()
    }

    /// Waits until it has so many.
    pub(crate) async fn children_become(&self, count: usize) {
        until(|| self.children() == count, || format!("{} children run, not {count}", self.children())).await;
    }

    /// What the process holds now.
    pub(crate) fn figures(&self) -> Figures {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("our child's figures");
        Figures {
            threads: self.figure("Threads"),
            descriptors: descriptors.count() as u64,
            anonymous: self.figure("RssAnon") << 10,
        }
    }

    /// What it holds once threads without work have ended and connections are closed.
    pub(crate) async fn figures_at_rest(&self) -> Figures {
        let start = Instant::now();
        let (mut last, mut same) = (self.figures(), 0);
        while same < 320 {
            tokio::time::sleep(LOOK).await;
            let now = self.figures();
            let rests = now.threads == last.threads && now.descriptors == last.descriptors;
            same = if rests { same + 1 } else { 0 };
            last = now;
            assert!(start.elapsed() < DEADLINE, "it doesn't come to rest");
        }
        last
    }

    /// Memory of its own that is in use, in bytes, as often as the returned function is called.
    pub(crate) fn anonymous_bytes(&self) -> impl Fn() -> u64 + Send + 'static {
        let pid = self.child.id();
        move || figure(pid, "RssAnon") << 10
    }

    /// Waits until a metric has a value.
    pub(crate) async fn metric_becomes(&self, name: &str, value: u64) {
        let start = Instant::now();
        loop {
            let now = self.metric(name).await;
            if now == value {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "{name} is {now}, not {value}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a metric has stopped to grow, and gives its value.
    pub(crate) async fn metric_rests(&self, name: &str) -> u64 {
        let start = Instant::now();
        let (mut last, mut same) = (0, 0);
        while same < 25 {
            let now = self.metric(name).await;
            same = if now == last && now > 0 { same + 1 } else { 0 };
            last = now;
            assert!(start.elapsed() < DEADLINE, "{name} is {now} and still grows");
            tokio::time::sleep(LOOK).await;
        }
        last
    }

    /// Waits until a page has a status.
    pub(crate) async fn page_becomes(&self, path: &str, status: u16) {
        let start = Instant::now();
        while self.page(path).await.0 != status {
            assert!(start.elapsed() < DEADLINE, "{path} is not {status}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid");
        kill_process(pid, Signal::TERM).expect("the agent runs");
    }

    /// Waits for the process to end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the agent doesn't end");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("the agent is left behind: {error}");
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("agent.log"));
            eprintln!("the agent's log:\n{}", log.unwrap_or_else(|error| error.to_string()));
        }
    }
}
