//! `weir filter test`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_golden::Subject as _;
use weir_query::{Engine, Inputs, QueryError};

use super::args::TestArgs;
use super::check::{self, Checked};
use super::golden_file;
use super::project::Project;
use super::robust::Robustness;
use super::subject::Subject;
use super::trial::Trial;
use crate::failure::{Exit, Failure};
use crate::output::Out;
use crate::units;
use crate::visible;

/// Sets of parameters that made-up lines are tried with, at most.
const PARAMETER_SETS: usize = 4;

/// What is said of a folder without golden cases.
const NO_CASES: &str = "there is no file *.yaml with cases";

/// Runs golden cases and made-up lines.
pub(super) fn run(args: &TestArgs) -> Result<Exit, Failure> {
    let subject = Subject::choose(&args.filter, &[])?;
    if !subject.params.is_empty() {
        return Err(Failure::refused(format!("'{}': parameters stand in the golden cases", args.filter)));
    }
    if let Some(folder) = &args.cases
        && weir_golden::files(folder).map_err(|error| Failure::refused(error.to_string()))?.is_empty()
    {
        return Err(Failure::refused(format!("--cases {}: {NO_CASES}", folder.display())));
    }
    let engine = subject.engine(Inputs::Files(Vec::new()))?;
    let plan = TestPlan {
        cases: args.cases.clone().or_else(|| subject.project.as_ref().map(Project::cases)),
        sample: subject.project.as_ref().map(Project::sample),
        update: args.update,
        lines: args.fuzz,
        seed: args.seed.unwrap_or_else(|| u64::from(fastrand::u32(..))),
    };
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let passed = plan.run(&engine, &subject, &mut out.buffer);
    out.flush().map_err(Failure::Output)?;
    passed.map(|passed| if passed { Exit::Complete } else { Exit::NotPassed })
}

/// What is tested.
pub(super) struct TestPlan {
    /// Folder of golden cases.
    pub(super) cases: Option<PathBuf>,
    /// A log whose lines are varied.
    pub(super) sample: Option<PathBuf>,
    /// Whether what comes out is written into cases that fail.
    pub(super) update: bool,
    /// Made-up lines for each set of parameters.
    pub(super) lines: usize,
    /// What they are made from.
    pub(super) seed: u64,
}

impl TestPlan {
    /// Tests a filter, and writes how that went. Whether everything passed.
    pub(super) fn run(&self, engine: &Engine, subject: &Subject, out: &mut Vec<u8>) -> Result<bool, Failure> {
        let loaded = engine.load(&subject.filter).map_err(|error| match error {
            QueryError::Invalid { .. } | QueryError::LimitExceeded { .. } => {
                Failure::NotPassed(error.to_string())
            }
            other => other.into(),
        })?;
        let trial = Trial::new(engine, loaded, subject.excess.filter_limits());
        let mut checked = self.check(&trial)?;
        if self.update && self.write(&checked, out)? > 0 {
            checked = self.check(&trial)?;
        }
        for case in checked.iter().filter(|case| !case.problems.is_empty()) {
            let place = format!("{}, case {} {}", shown(&case.file), case.index + 1, case.case.name);
            say(out, &format!("FAILED {}", place.trim_end()));
            case.problems.iter().for_each(|problem| say(out, &format!("    {problem}")));
        }
        let failed = checked.iter().filter(|case| !case.problems.is_empty()).count();
        if checked.is_empty() {
            let folder = self.cases.as_deref().and_then(Path::file_name).unwrap_or("tests".as_ref());
            say(out, &format!("no golden cases in {}/: {NO_CASES}", folder.display()));
        } else {
            let passed = units::count((checked.len() - failed) as u64, "golden case");
            say(out, &format!("{passed} passed, {failed} failed"));
        }
        let robust = self.lines == 0 || self.robust(&trial, &checked, out)?;
        Ok(failed == 0 && robust)
    }

    fn check(&self, trial: &Trial<'_>) -> Result<Vec<Checked>, Failure> {
        self.cases.as_deref().map_or(Ok(Vec::new()), |folder| check::cases(trial, folder))
    }

    /// Writes what came out into the cases that failed, and says how many that were.
    fn write(&self, checked: &[Checked], out: &mut Vec<u8>) -> Result<usize, Failure> {
        let stale = |case: &&Checked| !case.problems.is_empty() && case.is_sound;
        let files: BTreeSet<&Path> = checked.iter().filter(stale).map(|case| case.file.as_path()).collect();
        let mut written = 0;
        for file in files {
            let cases: Vec<_> = checked
                .iter()
                .filter(stale)
                .filter(|case| case.file == file)
                .map(|case| (case.index, &case.case, &case.answer))
                .collect();
            golden_file::update(file, &cases)
                .map_err(|problem| Failure::NotPassed(format!("{}: {problem}", shown(file))))?;
            say(out, &format!("updated {} in {}", units::count(cases.len() as u64, "case"), shown(file)));
            written += cases.len();
        }
        Ok(written)
    }

    /// Tries made-up lines, with the parameters of the cases and with none.
    fn robust(&self, trial: &Trial<'_>, checked: &[Checked], out: &mut Vec<u8>) -> Result<bool, Failure> {
        let sets = checked.iter().filter(|case| !case.case.is_refusal());
        let sets = sets.map(|case| Value::Object(case.case.params.clone()).to_string());
        let mut params = BTreeSet::new();
        let mut refused = None;
        for set in ["{}".to_owned()].into_iter().chain(sets) {
            match trial.open(&set) {
                _ if params.len() == PARAMETER_SETS => break,
                Ok(_) => drop(params.insert(set)),
                Err(refusal) if refusal.field.is_none() => {
                    say(out, &format!("FAILED it can't be opened with the parameters {set}\n    {refusal}"));
                    return Ok(false);
                }
                Err(refusal) => refused = Some(refusal),
            }
        }
        if params.is_empty() {
            let why = refused.map(|refusal| format!(": {refusal}")).unwrap_or_default();
            let what = "no made-up lines, since neither no parameters nor those of any case are accepted";
            say(out, &format!("{what}{why}"));
            // Cases that say what is refused are a test; none at all is not.
            return Ok(!checked.is_empty());
        }
        let mut corpus: Vec<Vec<u8>> =
            checked.iter().flat_map(|case| case.case.records()).map(|record| record.message).collect();
        if let Some(sample) = self.sample.as_deref().filter(|sample| sample.is_file()) {
            let log = std::fs::read(sample)
                .map_err(|error| Failure::refused(format!("{}: {error}", sample.display())))?;
            corpus.extend(log.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        }
        let robustness = Robustness { params, corpus, lines: self.lines, seed: self.seed };
        let sets = units::count(robustness.params.len() as u64, "set");
        let what = format!("{} made-up lines with {sets} of parameters, seed {}", self.lines, self.seed);
        match robustness.check(trial) {
            Ok(()) => say(out, &format!("{what}: passed")),
            Err(problem) => {
                say(out, &format!("FAILED {what}"));
                problem.lines().for_each(|line| say(out, &format!("    {line}")));
                say(out, &format!("    to repeat it: --fuzz {} --seed {}", self.lines, self.seed));
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A file by its last two names, as `tests/cases.yaml`.
fn shown(file: &Path) -> String {
    let names: Vec<_> = file.iter().collect();
    let last: PathBuf = names[names.len().saturating_sub(2)..].iter().collect();
    last.display().to_string()
}

fn say(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(visible::message(text).as_bytes());
    out.push(b'\n');
}
