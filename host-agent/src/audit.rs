//! The `audit` section: one line of JSON for each query, to standard output or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_query::{Case, Direction, Limit, Output, PatternSpec};
use weir_rpc::{Audit, QueryRecord, Question};

use crate::ConfigError;
use crate::metrics::Metrics;

/// Records that wait to be written. What comes while they do is lost, and counted.
const WAITING: usize = 1024;

/// Texts of one list that a record holds; how many there were, it tells.
const TEXTS: usize = 100;

/// Bytes of one text that a record holds.
const TEXT_BYTES: usize = 1024;

/// How long the last records may take to be written when the agent ends.
const LAST: Duration = Duration::from_secs(2);

/// The `audit` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// `off`, `stdout` or a file's path.
    pub output: Option<String>,
    /// `text` or `hash`.
    pub pattern: Option<String>,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AuditOutput {
    Off,
    Stdout,
    File(PathBuf),
}

/// How queries are recorded.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    output: AuditOutput,
    /// Patterns are recorded as a hash.
    hashes: bool,
}

impl AuditConfig {
    /// Checks settings, and makes the file if it isn't there.
    ///
    /// # Errors
    /// A value that isn't known, a file that can't be written to.
    pub(crate) fn new(settings: &AuditSettings) -> Result<AuditConfig, ConfigError> {
        let output = match settings.output.as_deref() {
            None | Some("off") => AuditOutput::Off,
            Some("stdout") => AuditOutput::Stdout,
            Some(path) if path.contains('/') => {
                open(Path::new(path))
                    .map_err(|error| ConfigError::value("audit.output", format!("{path}: {error}")))?;
                AuditOutput::File(path.into())
            }
            Some(other) => {
                let reason =
                    format!("'{other}' is not off, stdout or a path such as /var/log/weir/audit.jsonl");
                return Err(ConfigError::value("audit.output", reason));
            }
        };
        let hashes = match settings.pattern.as_deref() {
            None | Some("text") => false,
            Some("hash") => true,
            Some(other) => {
                return Err(ConfigError::value("audit.pattern", format!("'{other}' is not text or hash")));
            }
        };
        Ok(AuditConfig { output, hashes })
    }

    /// The settings that make this.
    pub(crate) fn settings(&self) -> AuditSettings {
        let output = match &self.output {
            AuditOutput::Off => "off".to_owned(),
            AuditOutput::Stdout => "stdout".to_owned(),
            AuditOutput::File(path) => path.display().to_string(),
        };
        let pattern = if self.hashes { "hash" } else { "text" };
        AuditSettings { output: Some(output), pattern: Some(pattern.to_owned()) }
    }
}

/// The file, to be added to: only its owner reads it.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Writes records, on a thread of its own: what reads standard output may be slow.
pub(crate) struct AuditLog {
    /// `None` where nothing is written, or not any more.
    lines: Mutex<Option<SyncSender<String>>>,
    /// Told when the last record is written.
    written: Mutex<Receiver<()>>,
    /// Hashes patterns; new with each start.
    key: Option<hmac::Key>,
    metrics: Arc<Metrics>,
}

impl AuditLog {
    /// Begins to write.
    ///
    /// # Errors
    /// The system gives no random bytes, or no thread.
    pub(crate) fn start(config: &AuditConfig, metrics: Arc<Metrics>) -> io::Result<AuditLog> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let (sender, lines) = mpsc::sync_channel::<String>(WAITING);
        let (told, written) = mpsc::channel();
        let sender = match config.output.clone() {
            AuditOutput::Off => None,
            output => {
                let counted = Arc::clone(&metrics);
                thread::Builder::new().name("weir-audit".to_owned()).spawn(move || {
                    for line in lines {
                        if let Err(error) = write(&output, &line) {
                            lost(&counted, &error.to_string());
                        }
                    }
                    drop(told);
                })?;
                Some(sender)
            }
        };
        let key = config.hashes.then_some(key);
        Ok(AuditLog { lines: Mutex::new(sender), written: Mutex::new(written), key, metrics })
    }

    /// Writes what still waits, and nothing after that.
    pub(crate) fn end(&self) {
        drop(self.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.recv_timeout(LAST) == Err(mpsc::RecvTimeoutError::Timeout) {
            lost(&self.metrics, "the last records are not written in time");
        }
    }

    fn line(&self, record: &QueryRecord) -> Value {
        let QueryRecord { lines, bytes, outcome, way, .. } = *record;
        let user = record.user.as_deref();
        let filters = record.filters.iter().map(|(name, digest)| json!({"name": name, "digest": digest}));
        let refusal = record.refusal.as_ref();
        let mut line = json!({
            "time": time(record.time),
            "trace_id": record.trace_id,
            "user": user.map(|user| json!({"name": user.name, "uid": user.uid, "groups": user.groups})),
            "way": way,
            "relay": record.relay.as_deref(),
            "peer": record.peer,
            "filters": filters.collect::<Vec<_>>(),
            "policies": record.policies,
            "lines": lines,
            "bytes": bytes,
            "outcome": outcome,
            "refusal": refusal.map(|(status, field)| json!({"status": status, "field": field})),
            "seconds": record.elapsed.as_secs_f64(),
        });
        line["query"] = record.question.as_ref().map_or(Value::Null, |question| self.question(question));
        line
    }

    fn question(&self, question: &Question) -> Value {
        let PatternSpec { patterns, and, not, fixed, case, word, line, invert } = &question.pattern;
        let texts = |list: &[String]| -> Vec<String> {
            list.iter().take(TEXTS).map(|text| self.pattern(text)).collect()
        };
        let limit = match question.limit {
            Limit::All => Value::Null,
            Limit::Head(count) => json!({"head": count}),
            Limit::Tail(count) => json!({"tail": count}),
        };
        json!({
            "selectors": question.selectors.iter().take(TEXTS).map(|text| cut(text)).collect::<Vec<_>>(),
            "pattern": {
                "patterns": texts(patterns), "and": texts(and), "not": texts(not),
                "count": patterns.len() + and.len() + not.len(),
                "fixed": fixed, "word": word, "line": line, "invert": invert,
                "case": match case {
                    Case::Sensitive => "sensitive",
                    Case::Insensitive => "insensitive",
                    Case::Smart => "smart",
                },
            },
            "since": question.since.and_then(nanoseconds),
            "until": question.until.and_then(nanoseconds),
            "order": match question.direction {
                Direction::Forward => "oldest_first",
                Direction::Backward => "newest_first",
            },
            "limit": limit,
            "output": match question.output {
                Output::Records => "records",
                Output::Count { .. } => "count",
                Output::Histogram { .. } => "histogram",
            },
            "follow": question.follow,
            "bypass": question.bypass.iter().take(TEXTS).map(|text| cut(text)).collect::<Vec<_>>(),
        })
    }

    /// A pattern as it is recorded.
    fn pattern(&self, text: &str) -> String {
        let Some(key) = &self.key else { return cut(text) };
        let tag = hmac::sign(key, text.as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("hmac-sha256:{hex}")
    }
}

impl Audit for AuditLog {
    fn record(&self, record: &QueryRecord) {
        let Some(lines) = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        match lines.try_send(format!("{}\n", self.line(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => lost(&self.metrics, "more come than can be written"),
            Err(TrySendError::Disconnected(_)) => lost(&self.metrics, "its thread has ended"),
        }
    }
}

/// Writes one line. The file is opened for each, so that whoever rotates it need not tell.
fn write(output: &AuditOutput, line: &str) -> io::Result<()> {
    match output {
        AuditOutput::Off => Ok(()),
        AuditOutput::Stdout => {
            let mut out = io::stdout().lock();
            out.write_all(line.as_bytes())?;
            out.flush()
        }
        AuditOutput::File(path) => open(path)?.write_all(line.as_bytes()),
    }
}

fn lost(metrics: &Metrics, reason: &str) {
    metrics.audit_lost();
    tracing::error!(reason, "an audit record is lost");
}

/// The beginning of a text that is too long for a record.
fn cut(text: &str) -> String {
    match text.len() <= TEXT_BYTES {
        true => text.to_owned(),
        false => format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES)]),
    }
}

/// A time in RFC 3339; `None` outside of what that can tell.
fn time(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|time| time.to_string())
}

fn nanoseconds(time: i64) -> Option<String> {
    Timestamp::from_nanosecond(i128::from(time)).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use weir_rpc::User;

    use super::*;

    fn record() -> QueryRecord {
        let user = User {
            name: "jane".to_owned(),
            uid: "u-1".to_owned(),
            groups: vec!["dev".to_owned()],
            ..User::default()
        };
        QueryRecord {
            time: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            way: "relay",
            user: Some(Arc::new(user)),
            relay: Some("relay.weir.svc".into()),
            peer: "10.0.0.1:1".to_owned(),
            question: Some(Question {
                selectors: vec!["prod:".to_owned()],
                pattern: PatternSpec { patterns: vec!["4111".to_owned()], ..PatternSpec::default() },
                since: Some(0),
                until: None,
                direction: Direction::Forward,
                limit: Limit::Tail(10),
                output: Output::Records,
                follow: false,
                bypass: vec!["keys".to_owned()],
            }),
            filters: vec![("redact".to_owned(), "sha256:12".to_owned())],
            policies: vec!["cards".to_owned()],
            lines: 3,
            bytes: 70,
            outcome: "complete",
            refusal: None,
            elapsed: Duration::from_millis(20),
        }
    }

    /// What is written of records with this config.
    fn written(dir: &Path, pattern: &str, records: &[QueryRecord]) -> Vec<Value> {
        let path = dir.join(format!("{pattern}.jsonl"));
        let output = Some(path.display().to_string());
        let config = AuditConfig::new(&AuditSettings { output, pattern: Some(pattern.to_owned()) });
        let log = AuditLog::start(&config.expect("a config"), Metrics::new(Vec::new())).expect("a thread");
        records.iter().for_each(|record| log.record(record));
        log.end();
        log.record(&record());
        let text = fs::read_to_string(path).expect("the file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn a_record_is_a_line_that_says_who_asked_what() {
        let dir = tempfile::tempdir().expect("a folder");
        let lines = written(dir.path(), "text", &[record(), record()]);
        assert_eq!(lines.len(), 2);
        let line = &lines[0];
        assert_eq!(line["time"], "1970-01-01T00:00:01.5Z");
        assert_eq!(line["user"], json!({"name": "jane", "uid": "u-1", "groups": ["dev"]}));
        assert_eq!((&line["relay"], &line["way"]), (&json!("relay.weir.svc"), &json!("relay")));
        assert_eq!(line["query"]["selectors"], json!(["prod:"]));
        assert_eq!(line["query"]["pattern"]["patterns"], json!(["4111"]));
        assert_eq!(line["query"]["since"], "1970-01-01T00:00:00Z");
        assert_eq!(line["query"]["limit"], json!({"tail": 10}));
        assert_eq!(line["filters"], json!([{"name": "redact", "digest": "sha256:12"}]));
        assert_eq!(line["policies"], json!(["cards"]));
        assert_eq!(line["query"]["bypass"], json!(["keys"]));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(dir.path().join("text.jsonl")).expect("the file").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_hashed_pattern_is_not_told_but_equal_ones_are_equal() {
        let dir = tempfile::tempdir().expect("a folder");
        let other = {
            let mut other = record();
            other.question.as_mut().expect("a question").pattern.patterns = vec!["4112".to_owned()];
            other
        };
        let lines = written(dir.path(), "hash", &[record(), other, record()]);
        let told: Vec<&Value> = lines.iter().map(|line| &line["query"]["pattern"]["patterns"][0]).collect();
        assert!(told[0].as_str().expect("a text").starts_with("hmac-sha256:"), "{told:?}");
        assert!(told[0] == told[2] && told[0] != told[1], "{told:?}");
        assert!(!lines[0].to_string().contains("4111"));
    }

    #[test]
    fn a_record_is_bounded() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut large = record();
        let question = large.question.as_mut().expect("a question");
        question.pattern.patterns = vec!["ä".repeat(10_000); 10_000];
        let lines = written(dir.path(), "text", &[large]);
        let text = lines[0].to_string();
        assert!(text.len() < 2 * TEXTS * (TEXT_BYTES + 10), "{}", text.len());
        assert_eq!(lines[0]["query"]["pattern"]["count"], 10_000);
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        for (output, pattern, field) in [
            ("nowhere", "text", "audit.output"),
            ("/nowhere/audit.jsonl", "text", "audit.output"),
            ("off", "md5", "audit.pattern"),
        ] {
            let settings = AuditSettings { output: Some(output.into()), pattern: Some(pattern.into()) };
            let error = AuditConfig::new(&settings).expect_err(output).to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
    }
}
