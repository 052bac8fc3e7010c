//! Searches that follow from before the first line to behind the last, whatever happens to the logs, to the search
//! and to its agent meanwhile.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use weir_e2e_writer::Stream;

use crate::answer::{Answer, Weir};
use crate::node::Run;
use crate::process::Daemon;
use crate::trail::trails;
use crate::wait;

/// How long a follow may be behind the writers.
const BEHIND: Duration = Duration::from_secs(30);

/// What a shell tells of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// One `weir logs --follow`, perhaps over several processes that go on where the one before stood.
pub(crate) struct Following<'a> {
    pub(crate) name: &'static str,
    weir: &'a Weir,
    dir: PathBuf,
    answer: Arc<Mutex<Answer>>,
    /// The running process, and who reads what it shows.
    process: Option<(Daemon, JoinHandle<Result<()>>)>,
}

impl<'a> Following<'a> {
    /// Starts to follow everything there is and will be.
    pub(crate) fn start(name: &'static str, weir: &'a Weir, dir: &Path) -> Result<Following<'a>> {
        let answer = Arc::default();
        let mut following = Following { name, weir, dir: dir.to_owned(), answer, process: None };
        following.spawn(&[])?;
        Ok(following)
    }

    /// Kills the process in the middle of its work. What it showed behind its last token is forgotten: the next
    /// process shows it again.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let (mut daemon, reader) = self.process.take().context("it runs")?;
        daemon.end(Signal::KILL)?;
        joined(reader)?;
        self.answer().rewind()
    }

    /// Goes on with the last token that was shown.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let token = self.answer().token.clone().context("a token was shown")?;
        let file = self.dir.join("token");
        fs::write(&file, token)?;
        self.spawn(&["--resume", &format!("@{}", file.display())])
    }

    /// Fails when the process has ended by itself.
    pub(crate) fn alive(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), |(daemon, _)| daemon.alive())
    }

    /// Waits until everything was shown that the writers wrote, ends the process with Ctrl-C, and checks what it
    /// showed.
    pub(crate) fn end(&mut self, runs: &[Run]) -> Result<String> {
        wait::until("a follow shows the newest lines", BEHIND, || {
            self.alive()?;
            Ok(missing(&self.answer(), runs)?.is_none().then_some(()))
        })
        .with_context(|| {
            let answer = self.answer();
            format!("{}; gaps: {:?}", missing(&answer, runs).ok().flatten().unwrap_or_default(), answer.gaps)
        })?;
        let (mut daemon, reader) = self.process.take().context("it runs")?;
        let status = daemon.end(Signal::INT)?;
        joined(reader)?;
        ensure!(
            status.code() == Some(INTERRUPTED),
            "Ctrl-C ended it with {status}: {}",
            daemon.last_words()?
        );
        self.answer().every_line(runs)
    }

    fn spawn(&mut self, flags: &[&str]) -> Result<()> {
        let mut command = self.weir.command(&[&["--all", "--follow", "--show-token"], flags].concat());
        let mut daemon = Daemon::start(self.name, &self.dir, &mut command, true)?;
        let (mut stdout, answer) = (BufReader::new(daemon.stdout()?), Arc::clone(&self.answer));
        let reader = thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
                answer.lock().expect("nobody panics with it").push(&line)?;
                line.clear();
            }
            // What is cut off here was shown by a process that was killed.
            Ok(())
        });
        self.process = Some((daemon, reader));
        Ok(())
    }

    fn answer(&self) -> std::sync::MutexGuard<'_, Answer> {
        self.answer.lock().expect("nobody panics with it")
    }
}

fn joined(reader: JoinHandle<Result<()>>) -> Result<()> {
    reader.join().map_err(|_| anyhow!("the reader panicked"))?
}

/// The first line that was written and isn't shown yet, among the newest of each run.
fn missing(answer: &Answer, runs: &[Run]) -> Result<Option<String>> {
    let found = trails(answer)?;
    for run in runs {
        for (stream, progress) in Stream::BOTH.into_iter().zip(&run.account) {
            let trail = found.get(&(run.writer.clone(), run.number, stream));
            let last = trail.map_or(0, |trail| trail.last_whole());
            let told = trail.is_some_and(|trail| answer.gaps.iter().any(|gap| gap.is_of(&trail.source)));
            if last < progress.done && !told {
                let Run { writer, number, .. } = run;
                return Ok(Some(format!(
                    "{writer} {number} {stream}: {last} of {} lines came",
                    progress.done
                )));
            }
        }
    }
    Ok(None)
}

impl Answer {
    /// Checks that every line that was written was shown once, whole and in order, or was told to be missing.
    fn every_line(&self, runs: &[Run]) -> Result<String> {
        let found = trails(self)?;
        let (mut lines, mut told) = (0, 0);
        for run in runs {
            for (stream, progress) in Stream::BOTH.into_iter().zip(&run.account) {
                let Some(trail) = found.get(&(run.writer.clone(), run.number, stream)) else {
                    ensure!(progress.done == 0, "{run:?}: nothing of {stream} was shown: {:?}", self.gaps);
                    continue;
                };
                let gap = self.gaps.iter().any(|gap| gap.is_of(&trail.source));
                let (first, last) = (trail.first(), trail.last_whole());
                ensure!(first == 1 || gap, "{run:?}: {stream} begins with line {first}");
                ensure!(last >= progress.done || gap, "{run:?}: {stream} ends with line {last}");
                let newest = trail.steps.last().map_or(0, |step| step.number);
                ensure!(newest <= progress.begun, "{run:?}: {stream} has line {newest}, which nobody wrote");
                lines += trail.steps.len();
                told += trail.told;
            }
        }
        let runs = runs.len();
        Ok(format!(
            "{lines} lines of {runs} runs, {told} in told gaps, {} gaps, late {}",
            self.gaps.len(),
            self.late
        ))
    }
}
