//! Records, gaps, filters and the summary as JSON, one object a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_query::{
    FilterFailure, FilterStatus, Flags, Gap, Kind, PolicyFilterStatus, PolicyStatus, Record, RecordBatch,
    ResumeToken, Stream, Summary,
};

use super::label::Label;
use crate::json::{self, Object};
use crate::timestamp::TimeWriter;

/// Marks of a record that are told when set.
const MARKS: [(Flags, &[u8]); 6] = [
    (Flags::TRUNCATED, b",\"truncated\":true"),
    (Flags::MALFORMED, b",\"malformed\":true"),
    (Flags::UNFINISHED, b",\"unfinished\":true"),
    (Flags::UNFILTERED, b",\"unfiltered\":true"),
    (Flags::CONTEXT, b",\"context\":true"),
    (Flags::LATE, b",\"late\":true"),
];

/// Appends the line that tells with which token a search goes on from there.
pub(crate) fn push_token(out: &mut Vec<u8>, token: &ResumeToken) {
    // A token has no character that JSON would escape.
    out.extend_from_slice(format!("{{\"type\":\"resume\",\"token\":\"{token}\"}}\n").as_bytes());
}

/// Writes records as JSON.
#[derive(Default)]
pub(crate) struct RecordJson {
    time: TimeWriter,
    base64: String,
}

impl RecordJson {
    /// Appends one record's line.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, label: &Label, batch: &RecordBatch, record: &Record) {
        out.extend_from_slice(b"{\"time\":");
        json::push_time(out, &mut self.time, record.time);
        out.push(b',');
        out.extend_from_slice(&label.json);
        out.extend_from_slice(match record.stream {
            Stream::Stdout => b",\"stream\":\"stdout\",",
            Stream::Stderr => b",\"stream\":\"stderr\",",
        });
        let message = batch.message(record);
        match std::str::from_utf8(message) {
            Ok(text) => {
                out.extend_from_slice(b"\"message\":");
                json::push_string(out, text);
            }
            Err(_) => {
                self.base64.clear();
                STANDARD.encode_string(message, &mut self.base64);
                out.extend_from_slice(b"\"message_base64\":\"");
                out.extend_from_slice(self.base64.as_bytes());
                out.push(b'"');
            }
        }
        let fields = batch.fields(record);
        if !fields.is_empty() {
            out.extend_from_slice(b",\"fields\":");
            json::push_json(out, fields);
        }
        for (flag, member) in MARKS {
            if record.flags.has(flag) {
                out.extend_from_slice(member);
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends a gap.
pub(crate) fn push_gap(out: &mut Vec<u8>, gap: &Gap, label: Option<&Label>) {
    let object = Object::new(out).string("type", "gap");
    let object = match label {
        Some(label) => object.members(&label.json),
        None => object,
    };
    object
        .string("file", &gap.file)
        .string("reason", &gap.reason)
        .string("detail", &gap.detail)
        .time("from", gap.from)
        .time("to", gap.to)
        .end();
}

/// Appends what one filter did. `name` gives a source's name by its number.
pub(crate) fn push_filter(out: &mut Vec<u8>, status: &FilterStatus, name: impl Fn(u32) -> Option<String>) {
    Object::new(out)
        .string("type", "filter")
        .value("index", status.index)
        .string("name", &status.name)
        .string("version", &status.version)
        .string("digest", &status.digest)
        .string("kind", kind_name(status.kind))
        .value("records_in", status.records_in)
        .value("skipped_by_prefilter", status.skipped_by_prefilter)
        .value("kept", status.kept)
        .value("dropped", status.dropped)
        .value("replaced", status.replaced)
        .value("withheld", status.withheld)
        .value("failed", status.failed)
        .value("time_ns", status.time.as_nanos())
        .value("peak_memory", status.peak_memory)
        .value("compile_cached", status.compile_cached)
        .value("compile_ns", status.compile_time.as_nanos())
        .value("paused", status.paused)
        .value("breaker_opened", status.breaker_opened)
        .json("failures", failures(&status.failures, name).to_string().as_bytes())
        .strings("diagnostics", &status.diagnostics)
        .end();
}

/// Appends what one policy did.
pub(crate) fn push_policy(out: &mut Vec<u8>, status: &PolicyStatus) {
    let filter = |filter: &PolicyFilterStatus| {
        json!({
            "name": filter.name,
            "version": filter.version,
            "digest": filter.digest,
            "kind": kind_name(filter.kind),
            "records_in": filter.records_in,
            "replaced": filter.replaced,
            "dropped": filter.dropped,
            "withheld": filter.withheld,
        })
    };
    let filters: Value = status.filters.iter().map(filter).collect();
    Object::new(out)
        .string("type", "policy")
        .string("name", &status.name)
        .value("redacted", status.redacted)
        .value("withheld", status.withheld)
        .json("filters", filters.to_string().as_bytes())
        .end();
}

fn failures(failures: &[FilterFailure], name: impl Fn(u32) -> Option<String>) -> Value {
    let member = |failure: &FilterFailure| {
        let FilterFailure { call, reason, detail, source, place } = failure;
        json!({
            "call": call,
            "reason": reason,
            "detail": detail,
            "source": source.and_then(&name),
            "file": place.map(|(file, _)| file),
            "offset": place.map(|(_, offset)| offset),
        })
    };
    failures.iter().map(member).collect()
}

/// Appends the summary.
pub(crate) fn push_summary(out: &mut Vec<u8>, summary: &Summary) {
    let object = Object::new(out)
        .string("type", "summary")
        .value("complete", summary.is_complete())
        .strings("incomplete", &summary.incomplete)
        .value("matched", summary.matched)
        .value("records", summary.records)
        .value("limited", summary.limited)
        .value("sources", summary.sources)
        .value("bytes_read", summary.bytes_read)
        .value("malformed", summary.malformed)
        .value("truncated", summary.truncated)
        .time("oldest", summary.oldest)
        .value("elapsed_ns", summary.elapsed.as_nanos());
    let object = match summary.trace_id.as_str() {
        // Searched here, by no agent.
        "" => object,
        id => object.string("trace_id", id),
    };
    object.end();
}

/// A filter kind's name as the contract spells it.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Select => "select",
        Kind::Transform => "transform",
        Kind::Redact => "redact",
        Kind::Aggregate => "aggregate",
    }
}
