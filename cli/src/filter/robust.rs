//! Lines that nobody thought of: random bytes, pieces of the golden cases and of the sample log, empty and huge ones,
//! text that isn't UTF-8. Whatever they are, a filter must not fail on one, must keep its prefilter's promise, and must
//! give the same verdicts in batches of any size.

use std::collections::BTreeSet;

use fastrand::Rng;
use weir_golden::{Opened as _, Outcome, Record, Source, Subject as _, Verdict, verdict_yaml};

use super::trial::{Run, Trial};
use crate::visible;

/// Sizes of batches that are compared with all lines in one.
const BATCHES: [usize; 5] = [1, 2, 7, 64, 256];
/// Bytes of a made-up line, but for the huge ones.
const LINE_BYTES: usize = 300;
/// Bytes of the huge lines: the second is as long as a line may be by default.
const HUGE: [usize; 2] = [64 << 10, 1 << 20];
/// Bytes of a line that are shown.
const SHOWN: usize = 200;

/// What is to be tried.
pub(super) struct Robustness {
    /// Sets of parameters, as JSON.
    pub(super) params: BTreeSet<String>,
    /// Lines to make others of.
    pub(super) corpus: Vec<Vec<u8>>,
    /// Lines for each set of parameters.
    pub(super) lines: usize,
    /// What they are made from.
    pub(super) seed: u64,
}

impl Robustness {
    /// Tries all of it, and tells what is wrong first.
    pub(super) fn check(&self, trial: &Trial<'_>) -> Result<(), String> {
        for (index, params) in self.params.iter().enumerate() {
            let mut rng = Rng::with_seed(self.seed);
            // What makes lines huge for a filter is seldom its parameters, and they take longest.
            let mut records = self.records(&mut rng, index == 0);
            let told = |problem: String| format!("{problem}\nparameters: {params}");
            same_in_all_batches(trial, params, &records, &mut rng).map_err(told)?;
            rng.shuffle(&mut records);
            same_in_all_batches(trial, params, &records, &mut rng).map_err(told)?;
        }
        Ok(())
    }

    fn records(&self, rng: &mut Rng, with_huge: bool) -> Vec<Record> {
        let mut fixed = fixed();
        if with_huge {
            fixed.extend(HUGE.map(|length| vec![b'a'; length]));
        }
        (0..self.lines)
            .map(|at| {
                let message = fixed.get(at).cloned().unwrap_or_else(|| self.line(rng));
                let mut record = Record::new(message).at_ns(rng.i64(0..2_000_000_000_000_000_000));
                record.attrs = rng.u8(0..8);
                if rng.u8(..) == 0 {
                    record.time = -1;
                }
                record
            })
            .collect()
    }

    fn line(&self, rng: &mut Rng) -> Vec<u8> {
        if self.corpus.is_empty() || rng.u8(0..4) == 0 {
            return bytes(rng);
        }
        let mut line = self.corpus[rng.usize(..self.corpus.len())].clone();
        for _ in 0..rng.u8(0..4) {
            let other = &self.corpus[rng.usize(..self.corpus.len())];
            change(rng, &mut line, other);
        }
        line
    }
}

/// Lines that filters fall over most often.
fn fixed() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b" ",
        b"\r",
        b"\"",
        b"\\",
        b"{",
        b"{\"",
        b"{\"a\":",
        b"[[]",
        b"=",
        b"a=\"",
        b"a==b",
        b"%s%n%d",
        "\u{feff}é日本\u{1f600}\u{202e}".as_bytes(),
        b"\x1b[31mred\x1b[0m",
        b"-9223372036854775809e999",
        b"18446744073709551616",
    ]
    .iter()
    .map(|line| line.to_vec())
    .collect();
    lines.push(b"[".repeat(2000));
    lines.push(b"{\"a\":".repeat(2000));
    lines.push(b"\xff".repeat(2000));
    lines.push(b"a=b ".repeat(2000));
    lines
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    const TEXT: &[u8] = b"abcxyz ERROR0123456789 {}[]\":,=\\'./-_@\t";
    let length = rng.usize(..LINE_BYTES);
    let text = rng.bool();
    (0..length).map(|_| if text { TEXT[rng.usize(..TEXT.len())] } else { rng.u8(..) }).collect()
}

/// Changes a line in one place.
fn change(rng: &mut Rng, line: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=line.len());
    let end = rng.usize(at..=line.len());
    match rng.u8(0..6) {
        0 => line.truncate(at),
        1 => drop(line.drain(at..end)),
        2 => {
            let again = line[at..end].to_vec();
            line.splice(at..at, again);
        }
        3 => {
            let from = rng.usize(..=other.len());
            line.splice(at..end, other[from..].iter().copied());
        }
        4 => line.insert(at, rng.u8(..)),
        _ if at < line.len() => line[at] ^= 1 << rng.u8(0..8),
        _ => line.push(rng.u8(..)),
    }
}

/// Runs the lines in one batch, and in many of each size.
fn same_in_all_batches(
    trial: &Trial<'_>,
    params: &str,
    records: &[Record],
    rng: &mut Rng,
) -> Result<(), String> {
    let open = || trial.open(params).map_err(|refusal| format!("it opened before, and now: {refusal}"));
    let mut whole = open()?;
    let expected = outcomes(&mut whole, records, |_| records.len())?;
    for (record, outcome) in records.iter().zip(&expected) {
        if let Some(problem) = whole.broken_promise(record, outcome) {
            return Err(format!(
                "{problem}\n{}\ncomes out as {}",
                shown(record),
                cut(&verdict_yaml(outcome))
            ));
        }
    }
    let random: Vec<usize> = (0..records.len()).map(|_| rng.usize(1..=records.len())).collect();
    for size in BATCHES.map(Some).into_iter().chain([None]) {
        let found = outcomes(&mut open()?, records, |at| size.unwrap_or_else(|| random[at]))?;
        let Some(at) = (0..records.len()).find(|&at| found[at] != expected[at]) else { continue };
        let batches =
            size.map_or_else(|| "batches of random sizes".to_owned(), |n| format!("batches of {n}"));
        return Err(format!(
            "the verdict on a line depends on how lines are batched, which no two runs do alike\n{}\nin {batches} it \
             comes out as {}, in one batch of {} as {}",
            shown(&records[at]),
            cut(&verdict_yaml(&found[at])),
            records.len(),
            cut(&verdict_yaml(&expected[at]))
        ));
    }
    Ok(())
}

/// What becomes of the records, in batches whose sizes `size` gives by their first record.
fn outcomes(
    run: &mut Run,
    records: &[Record],
    size: impl Fn(usize) -> usize,
) -> Result<Vec<Outcome>, String> {
    run.begin_source(&Source::default());
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(records.len());
    while outcomes.len() < records.len() && run.failure().is_none() {
        let first = outcomes.len();
        let end = records.len().min(first + size(first).max(1));
        outcomes.extend(run.run(&records[first..end]));
        if outcomes.last().is_some_and(|last| last.verdict == Verdict::Stop) {
            outcomes.resize(records.len(), Outcome::stop());
        }
    }
    if run.failure().is_none() {
        run.finish();
    }
    let Some(failure) = run.failure() else { return Ok(outcomes) };
    let record = failure.record.and_then(|record| records.get(usize::try_from(record).ok()?));
    let line = record.map(|record| format!("\n{}", shown(record))).unwrap_or_default();
    Err(format!("it fails: {}{line}", failure.what))
}

/// A line, or its beginning.
fn shown(record: &Record) -> String {
    let mut text = Vec::new();
    let start = &record.message[..record.message.len().min(SHOWN)];
    visible::for_each_piece(start, |piece| piece.push_to(&mut text));
    let rest = if start.len() < record.message.len() { "…" } else { "" };
    format!("line of {} bytes: '{}{rest}'", record.message.len(), String::from_utf8_lossy(&text))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
