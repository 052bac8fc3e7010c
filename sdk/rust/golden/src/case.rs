//! The form of a file of cases, and reading it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::record::{Record, parse_time};

/// One case: parameters, lines, and what comes of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows; may be empty.
    #[serde(default)]
    pub name: String,
    /// The parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Where its lines come from.
    #[serde(default)]
    pub source: Source,
    /// Its lines, in the file's form; see [`Case::records`].
    #[serde(default)]
    lines: Vec<Line>,
    /// One expectation for each line.
    pub(crate) expect: Option<Vec<Expected>>,
    /// The messages that are left.
    pub(crate) output: Option<Vec<String>>,
    /// The summary.
    pub(crate) finish: Option<Vec<Value>>,
    /// That the parameters are refused.
    pub(crate) error: Option<Error>,
}

/// Where the lines of a case come from; all of it may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Name of the node.
    pub node: String,
    /// The container's restart count.
    pub restart: u32,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
enum Line {
    Message(String),
    Full(FullLine),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FullLine {
    message: String,
    time: Option<String>,
    #[serde(default)]
    stream: Stream,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    malformed: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Stream {
    #[default]
    Stdout,
    Stderr,
}

/// What should become of a line.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum Expected {
    Plain(Plain),
    Replace(Replace),
    Keep(Keep),
    Fail(Fail),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Plain {
    Keep,
    Drop,
    Stop,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replace {
    pub(crate) replace: String,
    pub(crate) fields: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    pub(crate) keep: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fail {
    pub(crate) fail: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Error {
    pub(crate) field: String,
    #[serde(default)]
    pub(crate) message: String,
}

impl Case {
    /// Its lines.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.lines.iter().map(|line| line.record().expect("times are checked when a case is read")).collect()
    }

    /// Whether it says that its parameters are refused.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.error.is_some()
    }

    /// Whether it says what the summary is.
    #[must_use]
    pub fn has_summary(&self) -> bool {
        self.finish.is_some()
    }

    /// What can't be meant.
    fn check(&self) -> Result<(), String> {
        for (number, line) in self.lines.iter().enumerate() {
            line.record().map_err(|error| format!("line {}: {error}", number + 1))?;
        }
        let lines = self.lines.len();
        let said = self.expect.is_some() || self.output.is_some() || self.finish.is_some();
        match &self.expect {
            _ if self.error.is_some() && (lines > 0 || said) => Err(
                "refused parameters filter nothing: leave `lines`, `expect`, `output` and `finish` out, or `error`"
                    .to_owned(),
            ),
            Some(expect) if expect.len() != lines => Err(format!(
                "`expect` has {} entries for {lines} lines; give one for each line, or the lines that are left \
                 as `output`",
                expect.len()
            )),
            None if lines > 0 && !said => Err(
                "nothing says what comes of its lines; give `expect`, one entry for each line, or `output`, the \
                 lines that are left"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

impl TryFrom<Value> for Line {
    type Error = String;

    fn try_from(value: Value) -> Result<Line, String> {
        match value {
            Value::String(message) => Ok(Line::Message(message)),
            Value::Object(_) => read_as(value).map(Line::Full),
            other => Err(format!("{other} is no text; put it in quotes")),
        }
    }
}

impl TryFrom<Value> for Expected {
    type Error = String;

    fn try_from(value: Value) -> Result<Expected, String> {
        let has = |key: &str| value.get(key).is_some();
        if has("replace") {
            return read_as(value).map(Expected::Replace);
        }
        if has("keep") {
            return read_as(value).map(Expected::Keep);
        }
        if has("fail") {
            return read_as(value).map(Expected::Fail);
        }
        Plain::deserialize(&value).map(Expected::Plain).map_err(|_| {
            format!(
                "{value} is no verdict; give keep, drop, stop, {{replace: text}}, {{keep: {{added: field}}}}, \
                 {{replace: text, fields: {{added: field}}}} or {{fail: part of the message}}"
            )
        })
    }
}

/// An object in the form that it was told by a key of.
fn read_as<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    T::deserialize(&value).map_err(|error| format!("{value}: {error}"))
}

impl Line {
    fn record(&self) -> Result<Record, String> {
        let line = match self {
            Line::Message(message) => return Ok(Record::new(message)),
            Line::Full(line) => line,
        };
        let mut record = Record::new(&line.message);
        if let Some(time) = &line.time {
            record = record.at_ns(parse_time(time)?);
        }
        if line.stream == Stream::Stderr {
            record = record.stderr();
        }
        if line.truncated {
            record = record.truncated();
        }
        if line.malformed {
            record = record.malformed();
        }
        Ok(record)
    }
}

/// Why there are no cases to run.
#[derive(Debug)]
pub struct GoldenError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for GoldenError {}

/// The `*.yaml` and `*.yml` files of a folder, sorted; none where there is no folder.
///
/// # Errors
/// A folder that can't be listed.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, GoldenError> {
    let failed = |error: std::io::Error| GoldenError { path: folder.to_owned(), problem: error.to_string() };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a file of cases, at least one.
///
/// # Errors
/// A file that can't be read, or has another form; the error says where.
pub fn read(file: &Path) -> Result<Vec<Case>, GoldenError> {
    let failed = |problem: String| GoldenError { path: file.to_owned(), problem };
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let cases: Vec<Case> = serde_norway::from_str(&text).map_err(|error| failed(error.to_string()))?;
    if cases.is_empty() {
        return Err(failed("there is no case in it".to_owned()));
    }
    for (index, case) in cases.iter().enumerate() {
        case.check().map_err(|problem| failed(format!("case {} {}: {problem}", index + 1, case.name)))?;
    }
    Ok(cases)
}
