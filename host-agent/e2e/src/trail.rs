//! Whether an answer holds each writer's lines whole, once, in order, and without a hole that wasn't told.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use weir_e2e_writer::{Line, Parsed, Stream};

use crate::answer::{Answer, Gap};
use crate::disk::{Record, Source};

/// One line of a writer in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) number: u64,
    time: Timestamp,
    /// False for the start of a line, told as unfinished.
    pub(crate) whole: bool,
}

/// What an answer holds of one stream of one run.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) source: Source,
    pub(crate) steps: Vec<Step>,
    /// Lines that are missing between others, within gaps that were told.
    pub(crate) told: u64,
}

/// Trails by writer, run and stream.
pub(crate) type Trails = BTreeMap<(String, u32, Stream), Trail>;

impl Trail {
    /// The first line.
    pub(crate) fn first(&self) -> u64 {
        self.steps.first().map_or(u64::MAX, |step| step.number)
    }

    /// The last line that is there to its end.
    pub(crate) fn last_whole(&self) -> u64 {
        self.steps.iter().rev().find(|step| step.whole).map_or(0, |step| step.number)
    }
}

/// Follows every line of an answer.
///
/// The oldest record of a log can be the end of a line whose start was in a file that is gone: it must then be the end
/// of the line before the next one.
///
/// # Errors
///
/// Names the first line that is damaged, doubled, out of order, cut without being marked, or missing between others
/// outside of the gaps.
pub(crate) fn trails(answer: &Answer) -> Result<Trails> {
    let mut trails = Trails::new();
    let mut seen: BTreeMap<(&Source, Stream), Option<&Record>> = BTreeMap::new();
    let mut torn: BTreeSet<(&Source, Stream)> = BTreeSet::new();
    for (source, record) in &answer.records {
        let at = || format!("{source:?} {} {}", record.stream, record.time);
        let (line, whole) = match (line(record), seen.entry((source, record.stream))) {
            (Ok(line), Entry::Vacant(first)) => {
                first.insert(None);
                line
            }
            (Ok((line, whole)), Entry::Occupied(mut earlier)) => {
                if let Some(end) = earlier.get_mut().take() {
                    let before = Line { number: line.number.saturating_sub(1), ..line.clone() };
                    ensure!(
                        before.ends_with(&end.message),
                        "{}: the record before is no end of {before:?}",
                        at()
                    );
                }
                (line, whole)
            }
            // Seen while it was being written, with only a part of its header: the stream's last record.
            (Err(_), _) if record.unfinished => {
                ensure!(torn.insert((source, record.stream)), "{}: a second line that has no end", at());
                continue;
            }
            (Err(_), Entry::Vacant(first)) => {
                first.insert(Some(record));
                continue;
            }
            (Err(error), Entry::Occupied(_)) => return Err(error.context(at())),
        };
        ensure!(!torn.contains(&(source, record.stream)), "{} comes after a line that has no end", at());
        ensure!(line.stream == record.stream, "{line:?} is said to be of {}", record.stream);
        let expected = source.pod.strip_suffix("-node").map(|pod| format!("{pod}-{}", source.container));
        ensure!(expected.as_ref() == Some(&line.writer), "{line:?} is said to be of {source:?}");
        let step = Step { number: line.number, time: record.time, whole };
        let trail = trails.entry((line.writer, line.run, line.stream));
        let trail = trail.or_insert_with(|| Trail { source: source.clone(), steps: Vec::new(), told: 0 });
        ensure!(trail.source == *source, "{} is also in {:?}", at(), trail.source);
        trail.step(step, &answer.gaps).with_context(at)?;
    }
    Ok(trails)
}

impl Trail {
    /// Appends a line, which must be the next one unless a gap tells of what is between.
    fn step(&mut self, step: Step, gaps: &[Gap]) -> Result<()> {
        if let Some(last) = self.steps.last() {
            let Step { number, time, .. } = *last;
            ensure!(number < step.number, "line {} comes after line {number} of {time}", step.number);
            ensure!(
                last.whole,
                "line {} comes after the start of line {number}, which has no end",
                step.number
            );
            if step.number > number + 1 {
                let told = gaps.iter().any(|gap| gap.explains(&self.source, Some(time), Some(step.time)));
                ensure!(told, "after line {number} comes {} and no gap tells of it: {gaps:?}", step.number);
                self.told += step.number - 1 - number;
            }
        }
        self.steps.push(step);
        Ok(())
    }
}

impl Gap {
    /// Whether it tells of this source.
    pub(crate) fn is_of(&self, source: &Source) -> bool {
        self.source.as_ref() == Some(source)
    }

    /// Whether this gap reaches into a source's time between two records.
    pub(crate) fn explains(
        &self,
        source: &Source,
        after: Option<Timestamp>,
        before: Option<Timestamp>,
    ) -> bool {
        let starts = self.from.zip(before).is_none_or(|(from, before)| from <= before);
        let ends = self.to.zip(after).is_none_or(|(to, after)| to >= after);
        self.is_of(source) && starts && ends
    }
}

/// Which line a record is, and whether it is whole.
fn line(record: &Record) -> Result<(Line, bool)> {
    match (Line::parse(&record.message)?, record.unfinished) {
        // A writer can die between its last byte and the newline.
        (Parsed::Whole(line), false) => Ok((line, true)),
        (Parsed::Whole(line) | Parsed::Start(line), true) => Ok((line, false)),
        (Parsed::Start(line), false) => bail!("only the start of {line:?}, {} bytes", record.message.len()),
    }
}
