//! What a filter makes of a case, and whether that is what the case says.

use std::fmt;

use serde_json::Value;

use crate::case::{Case, Error, Expected, Plain, Source};
use crate::record::{Outcome, Record, Verdict};

/// A filter that cases are run on.
pub trait Subject {
    /// It, opened with a case's parameters.
    type Opened: Opened;

    /// Opens it with the text of a JSON object.
    ///
    /// # Errors
    /// Refused parameters, or that it failed otherwise.
    fn open(&self, params: &str) -> Result<Self::Opened, Refusal>;
}

/// A filter that was opened for one run.
pub trait Opened {
    /// Announces the source of the records that come.
    fn begin_source(&mut self, source: &Source);

    /// Filters one batch: one outcome for each record.
    fn run(&mut self, records: &[Record]) -> Vec<Outcome>;

    /// The summary, JSON objects.
    fn finish(&mut self) -> Vec<String>;
}

/// Why a filter was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The parameter at fault, empty for all together; `None` when it failed for another reason.
    pub field: Option<String>,
    /// What it said.
    pub message: String,
}

/// What a filter made of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It ran.
    Ran {
        /// One for each line.
        outcomes: Vec<Outcome>,
        /// The summary; `None` when the case doesn't ask for it.
        summary: Option<Vec<Value>>,
    },
    /// It was not opened.
    Refused(Refusal),
}

/// One thing that is not as a case says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Number of the line, from 0; `None` when it is about the case as a whole.
    pub line: Option<usize>,
    /// What the case says.
    pub expected: String,
    /// What there is.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {}: ", line + 1)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl Case {
    /// Runs it with at most `batch` records at a time.
    pub fn answer<S: Subject>(&self, subject: &S, batch: usize) -> Answer {
        let params = Value::Object(self.params.clone()).to_string();
        let mut opened = match subject.open(&params) {
            Ok(opened) => opened,
            Err(refusal) => return Answer::Refused(refusal),
        };
        opened.begin_source(&self.source);
        let mut outcomes: Vec<Outcome> = Vec::new();
        for chunk in self.records().chunks(batch.max(1)) {
            if outcomes.last().is_some_and(|last| last.verdict == Verdict::Stop) {
                outcomes.extend(chunk.iter().map(|_| Outcome::stop()));
            } else {
                outcomes.extend(opened.run(chunk));
            }
        }
        let parse = |item: &String| serde_json::from_str(item).unwrap_or_else(|_| Value::from(item.as_str()));
        let summary = self.has_summary().then(|| opened.finish().iter().map(parse).collect());
        Answer::Ran { outcomes, summary }
    }

    /// What of an answer is not as the case says.
    #[must_use]
    pub fn mismatches(&self, answer: &Answer) -> Vec<Mismatch> {
        match (answer, &self.error) {
            (Answer::Refused(refusal), Some(error)) => {
                let fits =
                    refusal.field.as_ref() == Some(&error.field) && refusal.message.contains(&error.message);
                if fits {
                    return Vec::new();
                }
                vec![Mismatch { line: None, expected: error.to_string(), found: refusal.to_string() }]
            }
            (Answer::Refused(refusal), None) => vec![Mismatch {
                line: None,
                expected: "its parameters to be accepted".to_owned(),
                found: refusal.to_string(),
            }],
            (Answer::Ran { .. }, Some(error)) => vec![Mismatch {
                line: None,
                expected: error.to_string(),
                found: "the parameters accepted".to_owned(),
            }],
            (Answer::Ran { outcomes, summary }, None) => self.differences(outcomes, summary.as_deref()),
        }
    }

    fn differences(&self, outcomes: &[Outcome], summary: Option<&[Value]>) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for (line, (expected, outcome)) in self.expect.iter().flatten().zip(outcomes).enumerate() {
            if !expected.is_met(outcome) {
                found.push(Mismatch {
                    line: Some(line),
                    expected: expected.yaml(),
                    found: verdict_yaml(outcome),
                });
            }
        }
        if let Some(expected) = &self.output {
            let left = self.left(outcomes);
            let first = (0..expected.len().max(left.len())).find(|&at| expected.get(at) != left.get(at));
            if let Some(first) = first {
                // A line that the filter failed on is one of those that are missing.
                let failed = outcomes.iter().enumerate().find_map(|(line, outcome)| match &outcome.verdict {
                    Verdict::Fail(message) => Some(format!("; line {} failed: {message}", line + 1)),
                    _ => None,
                });
                let shown = |lines: &[String]| {
                    lines.get(first).map_or_else(|| "no more lines".to_owned(), |line| quoted(line))
                };
                found.push(Mismatch {
                    line: None,
                    expected: format!("output line {} to be {}", first + 1, shown(expected)),
                    found: shown(&left) + failed.as_deref().unwrap_or_default(),
                });
            }
        }
        if let (Some(expected), Some(summary)) = (&self.finish, summary)
            && expected != summary
        {
            found.push(Mismatch {
                line: None,
                expected: format!("the summary {}", Value::from(expected.clone())),
                found: Value::from(summary.to_vec()).to_string(),
            });
        }
        found
    }

    /// The messages that are left; what isn't UTF-8 in them is replaced.
    #[must_use]
    pub fn left(&self, outcomes: &[Outcome]) -> Vec<String> {
        let records = self.records();
        let left =
            records.iter().zip(outcomes).filter_map(|(record, outcome)| outcome.message(&record.message));
        left.map(|message| String::from_utf8_lossy(message).into_owned()).collect()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{field}` refused: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` refused", self.field)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl Expected {
    fn is_met(&self, outcome: &Outcome) -> bool {
        let added = || outcome.fields.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        match (self, &outcome.verdict) {
            (Expected::Plain(Plain::Keep), Verdict::Keep)
            | (Expected::Plain(Plain::Drop), Verdict::Drop)
            | (Expected::Plain(Plain::Stop), Verdict::Stop) => outcome.fields.is_none(),
            (Expected::Keep(expected), Verdict::Keep) => added().as_ref() == Some(&expected.keep),
            (Expected::Replace(expected), Verdict::Replace(message)) => {
                *message == *expected.replace.as_bytes() && added() == expected.fields
            }
            (Expected::Fail(expected), Verdict::Fail(message)) => message.contains(&expected.fail),
            _ => false,
        }
    }

    fn yaml(&self) -> String {
        match self {
            Expected::Plain(Plain::Keep) => "keep".to_owned(),
            Expected::Plain(Plain::Drop) => "drop".to_owned(),
            Expected::Plain(Plain::Stop) => "stop".to_owned(),
            Expected::Keep(expected) => format!("{{keep: {}}}", expected.keep),
            Expected::Replace(expected) => replaced(&expected.replace, expected.fields.as_ref()),
            Expected::Fail(expected) => format!("{{fail: {}}}", quoted(&expected.fail)),
        }
    }
}

/// An outcome as an entry of `expect`, in YAML on one line. What isn't UTF-8 is replaced.
#[must_use]
pub fn verdict_yaml(outcome: &Outcome) -> String {
    let fields =
        outcome.fields.as_deref().map(|text| serde_json::from_str(text).unwrap_or(Value::from(text)));
    match &outcome.verdict {
        Verdict::Keep => fields.map_or_else(|| "keep".to_owned(), |fields| format!("{{keep: {fields}}}")),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Stop => "stop".to_owned(),
        Verdict::Replace(message) => replaced(&String::from_utf8_lossy(message), fields.as_ref()),
        Verdict::Fail(message) => format!("{{fail: {}}}", quoted(message)),
    }
}

fn replaced(message: &str, fields: Option<&Value>) -> String {
    let fields = fields.map(|fields| format!(", fields: {fields}")).unwrap_or_default();
    format!("{{replace: {}{fields}}}", quoted(message))
}

/// A string of JSON is one of YAML too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
