//! The golden cases of a filter, run: each in one batch, and line by line.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_golden::{Answer, Case, Opened as _, Subject as _};

use super::trial::Trial;
use crate::failure::Failure;

/// A case, where it stands, and what is wrong with it.
pub(super) struct Checked {
    /// Its file.
    pub(super) file: PathBuf,
    /// Its place in the file, from 0.
    pub(super) index: usize,
    /// The case.
    pub(super) case: Case,
    /// What the filter made of it in one batch.
    pub(super) answer: Answer,
    /// What is not as it says; empty when it passed.
    pub(super) problems: Vec<String>,
    /// Whether the filter's answer could be what was meant: it didn't fail, nor break a promise.
    pub(super) is_sound: bool,
}

/// Reads the cases of a folder and runs them.
pub(super) fn cases(trial: &Trial<'_>, folder: &Path) -> Result<Vec<Checked>, Failure> {
    let refused = |error: weir_golden::GoldenError| Failure::refused(error.to_string());
    let mut checked = Vec::new();
    for file in weir_golden::files(folder).map_err(refused)? {
        for (index, case) in weir_golden::read(&file).map_err(refused)?.into_iter().enumerate() {
            checked.push(run(trial, file.clone(), index, case));
        }
    }
    Ok(checked)
}

fn run(trial: &Trial<'_>, file: PathBuf, index: usize, case: Case) -> Checked {
    let answer = case.answer(trial, usize::MAX);
    let mut problems: Vec<String> = case.mismatches(&answer).iter().map(ToString::to_string).collect();
    let alone = case.answer(trial, 1);
    // Where both are wrong, one of them is enough.
    let dependent = problems.is_empty() && alone != answer;
    if dependent {
        let mismatches = case.mismatches(&alone);
        problems.extend(mismatches.iter().map(|mismatch| format!("in batches of one line, {mismatch}")));
    }
    let (broken, failed) = faults(trial, &case);
    let is_sound = broken.is_empty() && !dependent && !failed;
    problems.extend(broken);
    Checked { file, index, case, answer, problems, is_sound }
}

/// Lines that a prefilter rejects and that come out otherwise than it promises; and whether the filter fails on the case
/// other than by giving lines up.
fn faults(trial: &Trial<'_>, case: &Case) -> (Vec<String>, bool) {
    let Ok(mut run) = trial.open(&Value::Object(case.params.clone()).to_string()) else {
        return (Vec::new(), false);
    };
    run.begin_source(&case.source);
    let records = case.records();
    let outcomes = run.run(&records);
    let broken = records.iter().zip(&outcomes).enumerate().filter_map(|(at, (record, outcome))| {
        let problem = run.broken_promise(record, outcome)?;
        let line = String::from_utf8_lossy(&record.message);
        Some(format!("line {}: {problem}; the line is {line:?}", at + 1))
    });
    (broken.collect(), run.failure().is_some())
}
