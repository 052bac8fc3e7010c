//! The golden cases of every filter that ships with Weir, `filters/*/tests/*.yaml`, as components in the real
//! sandbox. The filters' own tests run the same files natively.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use weir_sandbox::{
    Batch, Compiler, FilterLimits, OpenError, Sandbox, SandboxConfig, SandboxLimits, Session, SourceMeta,
    Verdict, Verdicts,
};

/// The form is `weir_sdk::golden_tests`'s; see there.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    name: String,
    #[serde(default)]
    params: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    lines: Vec<Line>,
    #[serde(default)]
    expect: Vec<Expected>,
    finish: Option<Vec<serde_json::Value>>,
    error: Option<Refusal>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
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
enum Line {
    Message(String),
    Full {
        message: String,
        time: Option<String>,
        #[serde(default)]
        stream: String,
        #[serde(default)]
        truncated: bool,
        #[serde(default)]
        malformed: bool,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Plain(String),
    Replace { replace: String, fields: Option<serde_json::Value> },
    Keep { keep: serde_json::Value },
    Fail { fail: String },
}

#[derive(Deserialize)]
struct Refusal {
    field: String,
    #[serde(default)]
    message: String,
}

/// Lines of a case as the sandbox takes them.
#[derive(Default)]
struct Lines {
    block: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    attrs: Vec<u8>,
}

impl Lines {
    fn of(lines: &[Line]) -> Lines {
        let mut all = Lines::default();
        for line in lines {
            let (message, time, attrs) = match line {
                Line::Message(message) => (message, None, 0),
                Line::Full { message, time, stream, truncated, malformed } => {
                    let time = time.as_ref().map(|time| time.parse::<jiff::Timestamp>().expect("a time"));
                    let attrs =
                        u8::from(stream == "stderr") | u8::from(*truncated) << 1 | u8::from(*malformed) << 2;
                    (message, time, attrs)
                }
            };
            all.starts.push(u32::try_from(all.block.len()).expect("small"));
            all.block.extend_from_slice(message.as_bytes());
            all.ends.push(u32::try_from(all.block.len()).expect("small"));
            all.timestamps
                .push(time.map_or(-1, |time| i64::try_from(time.as_nanosecond()).expect("in range")));
            all.attrs.push(attrs);
        }
        all
    }

    fn batch(&self, range: std::ops::Range<usize>) -> Batch<'_> {
        Batch {
            block: &self.block,
            starts: &self.starts[range.clone()],
            ends: &self.ends[range.clone()],
            timestamps: &self.timestamps[range.clone()],
            attrs: &self.attrs[range],
        }
    }
}

#[test]
fn golden_cases_as_components() {
    let sandbox = Sandbox::new(SandboxConfig {
        compiler: Compiler::InProcess,
        cache_dir: None,
        limits: SandboxLimits::default(),
    })
    .expect("a sandbox");
    let mut run = 0;
    for bundled in weir_filters::all() {
        let filter = sandbox.load(&bundled.component()).expect(bundled.name);
        assert_eq!(filter.description().name, bundled.name);
        for file in case_files(bundled.name) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let cases: Vec<Case> =
                serde_norway::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            for case in &cases {
                let place = format!("{}: {}", file.display(), case.name);
                for step in [case.lines.len().max(1), 1] {
                    case.run(&filter, &place, step);
                }
                run += 1;
            }
        }
    }
    assert!(run > 50, "only {run} cases were found");
}

impl Case {
    fn run(&self, filter: &weir_sandbox::Filter, place: &str, step: usize) {
        let params = serde_json::to_string(&self.params).expect("JSON");
        let binding = match (filter.open(&params, &FilterLimits::default()), &self.error) {
            (Ok(binding), None) => binding,
            (Err(OpenError::Params { field, message, .. }), Some(expected)) => {
                assert_eq!(field, expected.field, "{place}");
                assert!(message.contains(&expected.message), "{place}: {message}");
                return;
            }
            (Ok(_), Some(_)) => panic!("{place}: the parameters should be refused"),
            (Err(error), _) => panic!("{place}: {error}"),
        };
        let mut session = binding.session();
        session.begin_source(0, &self.source.meta());
        let lines = Lines::of(&self.lines);
        let mut first = 0;
        while first < self.lines.len() {
            let end = self.lines.len().min(first + step);
            let mut verdicts = Verdicts::new();
            session.process(0, &lines.batch(first..end), &mut verdicts);
            for index in first..end {
                self.check(
                    index,
                    &verdicts,
                    index - first,
                    &session,
                    &format!("{place}, line {}", index + 1),
                );
            }
            first = end;
        }
        if let Some(expected) = &self.finish {
            let summary: Vec<serde_json::Value> =
                session.finish().iter().map(|item| serde_json::from_str(item).expect("an object")).collect();
            assert_eq!(&summary, expected, "{place}");
        }
    }

    fn check(&self, index: usize, verdicts: &Verdicts, at: usize, session: &Session, place: &str) {
        let found = &verdicts.as_slice()[at];
        let fields: Option<serde_json::Value> =
            verdicts.fields(at).map(|fields| serde_json::from_slice(fields).expect("an object"));
        match &self.expect[index] {
            Expected::Plain(word) => {
                let wanted = match word.as_str() {
                    "keep" => Verdict::Keep,
                    "drop" => Verdict::Drop,
                    "stop" => Verdict::Stop,
                    other => panic!("{place}: '{other}' is no verdict"),
                };
                assert_eq!(*found, wanted, "{place}");
                assert_eq!(fields, None, "{place}");
            }
            Expected::Keep { keep } => {
                assert_eq!(*found, Verdict::Keep, "{place}");
                assert_eq!(fields.as_ref(), Some(keep), "{place}");
            }
            Expected::Replace { replace, fields: wanted } => {
                let Verdict::Replace(range) = found else { panic!("{place}: {found:?}, not replaced") };
                let message = String::from_utf8_lossy(verdicts.bytes(range.clone()));
                assert_eq!(message, replace.as_str(), "{place}");
                assert_eq!(fields, *wanted, "{place}");
            }
            Expected::Fail { fail } => {
                assert_eq!(*found, Verdict::Failed, "{place}");
                let told = session.stats().failures.iter().any(|failure| failure.detail.contains(fail));
                assert!(told, "{place}: {:?}", session.stats().failures);
            }
        }
    }
}

impl Source {
    fn meta(&self) -> SourceMeta {
        SourceMeta {
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            container: self.container.clone(),
            node: self.node.clone(),
            restart: self.restart,
            labels: self.labels.clone().into_iter().collect(),
        }
    }
}

fn case_files(filter: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filters").join(filter).join("tests");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}
