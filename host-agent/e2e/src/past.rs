//! Searches of what was written so far, while kubelet rotates and when all is quiet.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use weir_e2e_writer::{Line, Parsed};

use crate::answer::{Answer, Weir};
use crate::disk::{self, Record, Records, Source};
use crate::node::LOGS;
use crate::trail::{Trails, trails};

/// Bytes after which containerd splits a line.
const SPLIT: usize = 16 * 1024;

/// Figures of searches during rotations.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) searches: u64,
    pub(crate) lines: u64,
    /// Lines in holes that were told.
    pub(crate) told: u64,
    pub(crate) incomplete: u64,
}

impl Live {
    /// Searches everything while it is written and rotated. What was on disk before and still is after must be in the
    /// answer, without a hole.
    pub(crate) fn search(&mut self, weir: &Weir) -> Result<()> {
        let before = on_disk()?;
        if before.is_empty() {
            // Nobody has written yet; what is asked for is not there.
            return Ok(());
        }
        let answer = weir.logs(&["--all"])?;
        let after = on_disk()?;
        let found = trails(&answer).with_context(|| format!("gaps: {:?}", answer.gaps))?;
        for (key, after) in &after {
            let Some(before) = before.get(key) else { continue };
            let source = &after.source;
            if let Some(trail) = found.get(key) {
                let first = trail.first() <= after.first();
                let last = trail.last_whole() >= before.last_whole();
                let told = answer.gaps.iter().any(|gap| gap.is_of(source));
                let (from, to) = (trail.first(), trail.last_whole());
                let expected = (after.first(), before.last_whole());
                ensure!(told || (first && last), "{key:?}: {from} to {to} in place of {expected:?}");
            } else {
                let told = answer.gaps.iter().any(|gap| gap.explains(source, None, None));
                ensure!(told, "{key:?}: nothing was found: {:?}", answer.gaps);
            }
        }
        self.searches += 1;
        self.lines += answer.records.len() as u64;
        self.told += found.values().map(|trail| trail.told).sum::<u64>();
        self.incomplete += u64::from(!answer.complete()?);
        Ok(())
    }
}

/// What our own reader finds, followed line by line.
pub(crate) fn on_disk() -> Result<Trails> {
    let read = || {
        let mut answer = Answer::default();
        for (source, of) in disk::read(Path::new(LOGS))? {
            answer.records.extend(of.into_iter().map(|record| (source.clone(), record)));
        }
        trails(&answer).context("our own reader")
    };
    // Once kubelet has it open a new file, the runtime needs a moment to write what it still holds to the old one.
    read().or_else(|_| read())
}

/// Searches of a folder that doesn't change, compared with what our own reader finds in it.
pub(crate) struct Quiet<'a> {
    pub(crate) weir: &'a Weir,
    pub(crate) records: &'a Records,
}

impl Quiet<'_> {
    /// Every record of every source, in order, byte by byte.
    pub(crate) fn all(&self) -> Result<String> {
        let answer = self.weir.whole(&["--all"])?;
        let expected: Vec<&Source> =
            self.records.iter().filter(|(_, of)| !of.is_empty()).map(|(s, _)| s).collect();
        let sources: Vec<&Source> = answer.sources().into_iter().collect();
        ensure!(sources == expected, "sources {sources:?} in place of {expected:?}");
        for source in &sources {
            same(answer.of(source), &self.records[*source]).with_context(|| format!("{source:?}"))?;
        }
        trails(&answer)?;
        Ok(format!("{} records of {} sources", answer.records.len(), sources.len()))
    }

    /// The newest and the oldest of each container, forward and backward, over all its restarts.
    pub(crate) fn ends(&self) -> Result<String> {
        let containers = self.containers();
        for (pod, container, expected) in &containers {
            let selector = format!("e2e:{pod}/{container}");
            for count in [1, 7, 500] {
                let few = count.min(expected.len());
                let text = count.to_string();
                let (head, tail) = (&expected[..few], &expected[expected.len() - few..]);
                for (flag, part) in [("--head", head), ("--tail", tail)] {
                    let context = || format!("{selector} {flag} {count}");
                    let answer = self.weir.whole(&[&selector, flag, &text])?;
                    same(answer.records.iter().map(|(_, record)| record), part).with_context(context)?;
                    let answer = self.weir.whole(&[&selector, flag, &text, "--reverse"])?;
                    let backward = answer.records.iter().rev().map(|(_, record)| record);
                    same(backward, part).with_context(|| format!("{} --reverse", context()))?;
                }
            }
        }
        Ok(format!("{} containers", containers.len()))
    }

    /// Text that lies across the places where the runtime split lines.
    pub(crate) fn split_lines(&self) -> Result<String> {
        let long: Vec<(&Source, &Record)> =
            self.flat().filter(|(_, r)| r.message.len() > SPLIT + 12).collect();
        ensure!(long.len() > 20, "only {} lines were long enough to be split", long.len());
        for (_, record) in long.iter().step_by(long.len() / 8) {
            let across = std::str::from_utf8(&record.message[SPLIT - 12..SPLIT + 12])?;
            let expected: Vec<Record> = self
                .flat()
                .filter(|(_, r)| memchr::memmem::find(&r.message, across.as_bytes()).is_some())
                .map(|(_, r)| r.clone())
                .collect();
            let answer = self.weir.whole(&["-F", "-e", across])?;
            same(answer.records.iter().map(|(_, record)| record), &expected).context(across.to_owned())?;
        }
        Ok(format!("{} lines were split", long.len()))
    }

    /// A span of time in the middle of each source.
    pub(crate) fn windows(&self) -> Result<String> {
        let mut windows = 0;
        for (source, of) in self.records.iter().filter(|(_, of)| of.len() > 100) {
            let (since, until) = (of[of.len() / 3].time, of[of.len() * 2 / 3].time);
            let inside = |record: &&Record| record.time >= since && record.time < until;
            let expected: Vec<Record> = of.iter().filter(inside).cloned().collect();
            let (since, until) = (since.to_string(), until.to_string());
            let answer = self.weir.whole(&[
                &format!("e2e:{}/{}", source.pod, source.container),
                "--since",
                &since,
                "--until",
                &until,
            ])?;
            same(answer.of(source), &expected).with_context(|| format!("{source:?} {since} {until}"))?;
            windows += 1;
        }
        Ok(format!("{windows} windows"))
    }

    /// How many lines of each source have an odd number.
    pub(crate) fn counts(&self) -> Result<String> {
        let answer =
            self.weir.whole(&["--count", "--per-source", "-e", "^e2e \\S+ \\d+ std\\w+ \\d+[13579] "])?;
        let mut all = 0;
        for (source, of) in self.records {
            let odd = |record: &&Record| match Line::parse(&record.message) {
                Ok(Parsed::Whole(line) | Parsed::Start(line)) => line.number % 2 == 1,
                Err(_) => false,
            };
            let expected = of.iter().filter(odd).count() as u64;
            let told = answer.others.iter().find(|object| {
                object["type"] == "count"
                    && object["pod"] == source.pod.as_str()
                    && object["container"] == source.container.as_str()
                    && object["restart"] == source.restart
            });
            let told = told.and_then(|object| object["matched"].as_u64()).unwrap_or(0);
            ensure!(told == expected, "{source:?}: {told} in place of {expected}");
            all += expected;
        }
        Ok(format!("{all} matches"))
    }

    /// The log of the instance before the last, by its restart.
    pub(crate) fn previous(&self, pod: &str, container: &str) -> Result<String> {
        let of = |source: &&Source| source.pod == pod && source.container == container;
        let restarts: Vec<&Source> = self.records.keys().filter(of).collect();
        ensure!(restarts.len() >= 2, "{pod} left no log of a previous instance: {restarts:?}");
        let answer = self.weir.whole(&[&format!("e2e:{pod}/{container}"), "--all"])?;
        for source in &restarts {
            same(answer.of(source), &self.records[*source]).with_context(|| format!("{source:?}"))?;
        }
        let shown: Vec<u32> = restarts.iter().map(|source| source.restart).collect();
        Ok(format!("restarts {shown:?}"))
    }

    /// Pod, container and records over all restarts.
    fn containers(&self) -> Vec<(&str, &str, Vec<Record>)> {
        let mut containers: Vec<(&str, &str, Vec<Record>)> = Vec::new();
        for (source, of) in self.records {
            match containers.last_mut() {
                Some(last) if last.0 == source.pod && last.1 == source.container => {
                    last.2.extend(of.iter().cloned())
                }
                _ => containers.push((&source.pod, &source.container, of.clone())),
            }
        }
        containers
    }

    fn flat(&self) -> impl Iterator<Item = (&Source, &Record)> {
        self.records.iter().flat_map(|(source, of)| of.iter().map(move |record| (source, record)))
    }
}

/// Compares records one by one.
fn same<'a>(found: impl Iterator<Item = &'a Record>, expected: &[Record]) -> Result<()> {
    let found: Vec<&Record> = found.collect();
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        ensure!(*found == expected, "record {place} is {}, not {}", shown(found), shown(expected));
    }
    ensure!(found.len() == expected.len(), "{} records in place of {}", found.len(), expected.len());
    Ok(())
}

/// A record, short enough to be read.
fn shown(record: &Record) -> String {
    let start = String::from_utf8_lossy(&record.message[..record.message.len().min(60)]).into_owned();
    let Record { time, stream, message, unfinished } = record;
    format!("[{time} {stream} '{start}' {} bytes, unfinished: {unfinished}]", message.len())
}
