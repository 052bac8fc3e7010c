//! Golden cases in YAML, and the golden schema: files in the filter's folder that say what it does, which the
//! host's own tests run again through the sandbox.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FilterTest, Outcome, Record, Verdict};
use crate::{Filter, Kind, Params, SourceMeta};

/// Set, `params_schema` writes the file instead of comparing it.
const UPDATE: &str = "WEIR_UPDATE_GOLDEN";

/// Makes the two tests that every filter has: [`golden`](crate::testing::golden) over `tests/*.yaml` and
/// [`params_schema`](crate::testing::params_schema) for `params.schema.json`.
///
/// A case file is a list of cases:
///
/// ```yaml
/// - name: what the case shows          # optional
///   params: {word: error}              # optional, {} if missing
///   source: {namespace: shop, pod: a-1, container: web, node: n1, restart: 0, labels: {app: web}}   # optional
///   lines:
///     - an error                       # short for {message: an error}
///     - {message: fine, time: "2026-03-01T12:00:00Z", stream: stderr, truncated: true, malformed: true}
///   expect: [keep, drop]               # one per line: keep, drop, stop, {replace: text}, {keep: {added: field}},
///                                      # {replace: text, fields: {added: field}}, {fail: message}
///   finish: [{lines: 2}]               # optional: the summary
/// - params: {wrd: error}
///   error: {field: wrd, message: did you mean `word`}   # a refusal: the field, and a part of the message
/// ```
#[macro_export]
macro_rules! golden_tests {
    ($filter:ty) => {
        #[test]
        fn golden_cases() {
            $crate::testing::golden::<$filter>(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/tests"));
        }

        #[test]
        fn golden_params_schema() {
            $crate::testing::params_schema::<$filter>(::core::concat!(
                ::core::env!("CARGO_MANIFEST_DIR"),
                "/params.schema.json"
            ));
        }
    };
}

/// Runs the cases of all `*.yaml` files in a folder, each in one batch and again line by line.
/// See [`golden_tests!`](crate::golden_tests) for their form.
///
/// # Panics
/// When there is no case, a file has another form, or a case comes out otherwise.
pub fn golden<F: Filter>(folder: impl AsRef<Path>) {
    let files = case_files(folder.as_ref());
    assert!(!files.is_empty(), "there is no *.yaml file in {}", folder.as_ref().display());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let cases: Vec<Case> =
            serde_norway::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(!cases.is_empty(), "{} has no case", file.display());
        for (i, case) in cases.iter().enumerate() {
            let place = format!("{}, case {} {}", file.display(), i + 1, case.name);
            case.run::<F>(&place, case.lines.len().max(1));
            case.run::<F>(&place, 1);
        }
    }
}

/// Compares the schema of the filter's parameters with a file. To write the file, run the test with
/// `WEIR_UPDATE_GOLDEN=1`.
///
/// # Panics
/// When they differ.
pub fn params_schema<F: Filter>(file: impl AsRef<Path>) {
    let file = file.as_ref();
    let schema = <<F::Kind as Kind<F>>::Params as Params>::json_schema();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("the derived schema is JSON");
    let schema = format!("{schema:#}\n");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(file, schema).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        return;
    }
    let golden = std::fs::read_to_string(file)
        .unwrap_or_else(|e| panic!("{}: {e}; {UPDATE}=1 writes it", file.display()));
    assert_eq!(
        golden,
        schema,
        "{} is not the schema of the parameters; {UPDATE}=1 writes it",
        file.display()
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    name: String,
    #[serde(default)]
    params: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    lines: Vec<LineCase>,
    #[serde(default)]
    expect: Vec<Expected>,
    finish: Option<Vec<serde_json::Value>>,
    error: Option<ExpectedError>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Source {
    namespace: String,
    pod: String,
    container: String,
    node: String,
    restart: u32,
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LineCase {
    Message(String),
    Full(FullLine),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullLine {
    message: String,
    time: Option<String>,
    #[serde(default)]
    stream: StreamCase,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    malformed: bool,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum StreamCase {
    #[default]
    Stdout,
    Stderr,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Plain(PlainVerdict),
    Replace(ExpectedReplace),
    Keep(ExpectedKeep),
    Fail(ExpectedFail),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlainVerdict {
    Keep,
    Drop,
    Stop,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedReplace {
    replace: String,
    fields: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedKeep {
    keep: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFail {
    fail: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    field: String,
    #[serde(default)]
    message: String,
}

impl Case {
    fn run<F: Filter>(&self, place: &str, batch: usize) {
        let params = serde_json::to_string(&self.params).expect("a JSON object is JSON");
        let mut test = match (FilterTest::<F>::open(&params), &self.error) {
            (Ok(test), None) => test,
            (Err(error), Some(expected)) => {
                let fits = error.field == expected.field && error.message.contains(&expected.message);
                assert!(fits, "{place}: the parameters are refused otherwise: {error}");
                return;
            }
            (Ok(_), Some(_)) => panic!("{place}: the parameters are accepted, but should not be"),
            (Err(error), None) => panic!("{place}: the parameters are refused: {error}"),
        };
        assert_eq!(self.lines.len(), self.expect.len(), "{place}: as many expectations as lines are needed");
        test.begin_source(self.source.meta());
        let records: Vec<Record> = self.lines.iter().map(LineCase::record).collect();
        let mut outcomes = Vec::new();
        for chunk in records.chunks(batch) {
            if outcomes.last().is_some_and(|last: &Outcome| last.verdict == Verdict::Stop) {
                outcomes.extend(chunk.iter().map(|_| Outcome::stop()));
            } else {
                outcomes.extend(test.run_records(chunk));
            }
        }
        for (i, (outcome, expected)) in outcomes.iter().zip(&self.expect).enumerate() {
            expected.check(outcome, &format!("{place}, line {} ({batch} a batch)", i + 1));
        }
        if let Some(expected) = &self.finish {
            let summary: Vec<serde_json::Value> = test
                .finish()
                .iter()
                .map(|item| serde_json::from_str(item).expect("checked to be an object"))
                .collect();
            assert_eq!(summary, *expected, "{place}: the summary");
        }
    }
}

impl Source {
    fn meta(&self) -> SourceMeta {
        SourceMeta {
            id: 0,
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            container: self.container.clone(),
            node: self.node.clone(),
            restart: self.restart,
            labels: self.labels.clone().into_iter().collect(),
        }
    }
}

impl LineCase {
    fn record(&self) -> Record {
        let line = match self {
            LineCase::Message(message) => return Record::new(message),
            LineCase::Full(line) => line,
        };
        let mut record = Record::new(&line.message);
        if let Some(time) = &line.time {
            record = record.at(time);
        }
        if line.stream == StreamCase::Stderr {
            record = record.stderr();
        }
        if line.truncated {
            record = record.truncated();
        }
        if line.malformed {
            record = record.malformed();
        }
        record
    }
}

impl Expected {
    fn check(&self, outcome: &Outcome, place: &str) {
        let (verdict, fields) = match self {
            Expected::Plain(PlainVerdict::Keep) => (Verdict::Keep, None),
            Expected::Plain(PlainVerdict::Drop) => (Verdict::Drop, None),
            Expected::Plain(PlainVerdict::Stop) => (Verdict::Stop, None),
            Expected::Replace(e) => (Verdict::Replace(e.replace.clone().into_bytes()), e.fields.clone()),
            Expected::Keep(e) => (Verdict::Keep, Some(e.keep.clone())),
            Expected::Fail(e) => (Verdict::Fail(e.fail.clone()), None),
        };
        if outcome.verdict != verdict {
            panic!("{place}: is {}, not {}", shown(&outcome.verdict), shown(&verdict));
        }
        let added: Option<serde_json::Value> =
            outcome.fields.as_deref().map(|f| serde_json::from_str(f).expect("checked to be an object"));
        assert_eq!(added, fields, "{place}: the added fields");
    }
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Replace(message) => format!("replaced by {:?}", String::from_utf8_lossy(message)),
        other => format!("{other:?}"),
    }
}

fn case_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    files.sort();
    files
}
