//! What `weir` answers, read back from its JSON lines.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use jiff::Timestamp;
use serde_json::Value;
use weir_e2e_writer::Stream;

use crate::disk::{Record, Source};

/// `weir logs` with one target.
pub(crate) struct Weir {
    binary: PathBuf,
    /// `--dir` or `--agent`, with its value; nothing for the default folder.
    target: Vec<String>,
    cache: PathBuf,
}

/// Everything that one search told.
#[derive(Default)]
pub(crate) struct Answer {
    /// In the order in which they came.
    pub(crate) records: Vec<(Source, Record)>,
    pub(crate) gaps: Vec<Gap>,
    /// Sources whose last line was seen so early that not even its time was there.
    pub(crate) torn: BTreeSet<Source>,
    /// Other objects: counts, and the summary last.
    pub(crate) others: Vec<Value>,
    /// The newest resume token.
    pub(crate) token: Option<String>,
    /// How many records and gaps came before it.
    before_token: (usize, usize),
    /// Records that a follow gave behind newer ones of other sources.
    pub(crate) late: usize,
}

/// A hole in an answer that the answer tells of.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) source: Option<Source>,
    /// File, reason and detail, for reports.
    #[expect(dead_code, reason = "shown by Debug alone")]
    what: String,
    /// Open where it isn't known.
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl Weir {
    /// A command line that searches `target`.
    pub(crate) fn new(binary: PathBuf, target: Vec<String>, cache: PathBuf) -> Weir {
        Weir { binary, target, cache }
    }

    /// `weir logs` of the workload with these further flags, as JSON lines with everything it has to tell.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("logs").args(&self.target).args(["-o", "jsonl", "--stats"]).args(flags);
        if !flags.iter().any(|flag| flag.starts_with("e2e:")) {
            command.arg("e2e:");
        }
        command.env("XDG_CACHE_HOME", &self.cache).env_remove("WEIR_AGENT").stdin(Stdio::null());
        command
    }

    /// Searches, and demands an answer with a summary. Incomplete ones are for the caller to judge.
    pub(crate) fn logs(&self, flags: &[&str]) -> Result<Answer> {
        let mut command = self.command(flags);
        let output = command.output().with_context(|| format!("{command:?} could not be started"))?;
        let mut answer = Answer::default();
        for line in output.stdout.split_inclusive(|&byte| byte == b'\n') {
            answer.push(line).with_context(|| format!("{command:?}"))?;
        }
        let code = output.status.code();
        let complete = answer.complete()?;
        let expected = if complete { 0 } else { 3 };
        if code != Some(expected) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!(
                "{command:?} ended with {code:?} though its answer is complete: {complete}; it said: {said}"
            );
        }
        Ok(answer)
    }

    /// Like [`Weir::logs`], where nothing may be missing.
    pub(crate) fn whole(&self, flags: &[&str]) -> Result<Answer> {
        let answer = self.logs(flags)?;
        ensure!(
            answer.complete()?,
            "{flags:?}: the answer is incomplete: {:?} {:?}",
            answer.others,
            answer.gaps
        );
        Ok(answer)
    }
}

impl Answer {
    /// Takes one line of output.
    pub(crate) fn push(&mut self, line: &[u8]) -> Result<()> {
        let shown =
            || format!("not a line of ours: '{}'", String::from_utf8_lossy(&line[..line.len().min(200)]));
        ensure!(line.ends_with(b"\n"), "cut off: {}", shown());
        let object: Value = serde_json::from_slice(line).with_context(shown)?;
        match object["type"].as_str() {
            None if object["malformed"] == true && object["unfinished"] == true => {
                let source = source(&object).with_context(shown)?;
                ensure!(self.torn.insert(source), "a second line that is still being written: {}", shown());
            }
            None => {
                let (source, record) = record(&object).with_context(shown)?;
                ensure!(
                    !self.torn.contains(&source),
                    "comes after a line that is still being written: {}",
                    shown()
                );
                self.late += usize::from(object["late"] == true);
                self.records.push((source, record));
            }
            Some("resume") => {
                self.token = object["token"].as_str().map(str::to_owned);
                self.before_token = (self.records.len(), self.gaps.len());
            }
            Some("gap") => self.gaps.push(Gap {
                source: source(&object),
                what: format!("{} {} {}", object["file"], object["reason"], object["detail"]),
                from: time(&object["from"])?,
                to: time(&object["to"])?,
            }),
            Some(_) => self.others.push(object),
        }
        Ok(())
    }

    /// Forgets what came behind the newest token.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        ensure!(self.token.is_some(), "no token was shown");
        self.records.truncate(self.before_token.0);
        self.gaps.truncate(self.before_token.1);
        Ok(())
    }

    /// What the summary, which must be the last object, says.
    pub(crate) fn complete(&self) -> Result<bool> {
        let last = self.others.last().filter(|last| last["type"] == "summary");
        last.and_then(|summary| summary["complete"].as_bool()).context("the answer ends without a summary")
    }

    /// All sources that records came from.
    pub(crate) fn sources(&self) -> BTreeSet<&Source> {
        self.records.iter().map(|(source, _)| source).collect()
    }

    /// Records of one source, in order.
    pub(crate) fn of<'a>(&'a self, source: &'a Source) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |(of, _)| of == source).map(|(_, record)| record)
    }
}

fn record(object: &Value) -> Result<(Source, Record)> {
    let source = source(object).context("no source")?;
    let stream = object["stream"].as_str().context("no stream")?;
    let message = match (object["message"].as_str(), object["message_base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD.decode(text)?,
        _ => bail!("no message"),
    };
    ensure!(
        object["truncated"].is_null() && object["malformed"].is_null(),
        "a mark that nothing here deserves"
    );
    let record = Record {
        time: time(&object["time"])?.context("no time")?,
        stream: Stream::from_str(stream).map_err(anyhow::Error::msg)?,
        message,
        unfinished: object["unfinished"] == true,
    };
    Ok((source, record))
}

fn source(object: &Value) -> Option<Source> {
    Some(Source {
        pod: object["pod"].as_str()?.to_owned(),
        container: object["container"].as_str()?.to_owned(),
        restart: object["restart"].as_u64()?.try_into().ok()?,
    })
}

fn time(value: &Value) -> Result<Option<Timestamp>> {
    value.as_str().map(|text| Ok(text.parse()?)).transpose()
}
