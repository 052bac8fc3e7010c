//! One record for each query, however it ends.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tonic::Status;
use weir_query::{Direction, Limit, Output, PatternSpec, QuerySpec};

use crate::access::User;
use crate::caller::Peer;
use crate::identity::{Identity, Way};
use crate::observer::Outcome;
use crate::status;
use crate::trace_id::TraceId;

/// Records queries. Called from the threads that run them, and from the network's: don't block.
pub trait Audit: Send + Sync + 'static {
    /// A query has ended, or was refused.
    fn record(&self, record: &QueryRecord);
}

/// Records nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unaudited;

impl Audit for Unaudited {
    fn record(&self, _record: &QueryRecord) {}
}

/// Who asked what, and what came of it.
#[derive(Clone, Debug)]
pub struct QueryRecord {
    /// When it was asked.
    pub time: SystemTime,
    /// The query's id in logs, metrics and answers, 32 hex digits.
    pub trace_id: String,
    /// How it is known who asks: `open` (it isn't asked), `token` or `relay`; empty when that failed.
    pub way: &'static str,
    /// Who asks, where that is known.
    pub user: Option<Arc<User>>,
    /// Name of the certificate of the relay that passed the user on.
    pub relay: Option<Arc<str>>,
    /// Where the call came from: an address and port, or `uid:N` of a Unix socket, and the beginning of the SHA-256 of the
    /// client's certificate, if it had one.
    pub peer: String,
    /// What was asked, where the request could be read.
    pub question: Option<Question>,
    /// Name and digest of each filter that records passed through, in order.
    pub filters: Vec<(String, String)>,
    /// Names of the policies that they passed through before.
    pub policies: Vec<String>,
    /// Records that were given to be sent.
    pub lines: u64,
    /// Bytes of their messages.
    pub bytes: u64,
    /// How it ended, in one lower-case word: an [`Outcome`], or `unauthenticated`, `denied`, `unavailable` or `refused`
    /// of a query that didn't begin.
    pub outcome: &'static str,
    /// The gRPC status of a query that was refused, such as `PermissionDenied`, and the field that it is about.
    pub refusal: Option<(String, String)>,
    /// From the call to its end.
    pub elapsed: Duration,
}

/// What was asked: the parts of a [`QuerySpec`] that say what is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The selectors as typed.
    pub selectors: Vec<String>,
    /// The pattern.
    pub pattern: PatternSpec,
    /// First time of interest in nanoseconds since the epoch, inclusive.
    pub since: Option<i64>,
    /// End of the time of interest in nanoseconds since the epoch, exclusive.
    pub until: Option<i64>,
    /// Order in which records are given.
    pub direction: Direction,
    /// How many records.
    pub limit: Limit,
    /// What is given back.
    pub output: Output,
    /// Whether it follows.
    pub follow: bool,
    /// Names of policies that it leaves out, or would if it may.
    pub bypass: Vec<String>,
}

impl Question {
    fn of(spec: &QuerySpec) -> Question {
        Question {
            selectors: spec.sources.clone(),
            pattern: spec.pattern.clone(),
            since: spec.since.or(spec.resume.since),
            until: spec.until,
            direction: spec.direction,
            limit: spec.limit,
            output: spec.output,
            follow: spec.follow,
            bypass: spec.bypass.clone(),
        }
    }
}

/// The record of one query on its way. One that is dropped before its end was cancelled.
pub(crate) struct Entry {
    audit: Arc<dyn Audit>,
    record: QueryRecord,
    began: Instant,
    is_over: bool,
}

impl Entry {
    pub(crate) fn new(audit: Arc<dyn Audit>, peer: Peer, trace: TraceId) -> Entry {
        let record = QueryRecord {
            time: SystemTime::now(),
            trace_id: trace.to_string(),
            way: "",
            user: None,
            relay: None,
            peer: peer.to_string(),
            question: None,
            filters: Vec::new(),
            policies: Vec::new(),
            lines: 0,
            bytes: 0,
            outcome: Outcome::Cancelled.name(),
            refusal: None,
            elapsed: Duration::ZERO,
        };
        Entry { audit, record, began: Instant::now(), is_over: false }
    }

    pub(crate) fn identified(&mut self, identity: &Identity) {
        let (way, relay) = match &identity.way {
            Way::Open => ("open", None),
            Way::Token(_) => ("token", None),
            Way::Relay(name) => ("relay", Some(Arc::clone(name))),
        };
        (self.record.way, self.record.relay, self.record.user) = (way, relay, identity.user.clone());
    }

    pub(crate) fn asked(&mut self, spec: &QuerySpec) {
        self.record.question = Some(Question::of(spec));
    }

    pub(crate) fn planned(&mut self, filters: Vec<(String, String)>) {
        self.record.filters = filters;
    }

    /// It didn't begin.
    pub(crate) fn refuse(mut self, status: &Status) {
        self.record.outcome = status::denial(status).unwrap_or("refused");
        self.record.refusal = Some((format!("{:?}", status.code()), status::field_of(status)));
        self.end();
    }

    /// It has ended, with so many records given, of so many bytes, behind these policies.
    pub(crate) fn over(mut self, outcome: Outcome, lines: u64, bytes: u64, policies: Vec<String>) {
        self.record.policies = policies;
        (self.record.outcome, self.record.lines, self.record.bytes) = (outcome.name(), lines, bytes);
        self.end();
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.record.elapsed = self.began.elapsed();
            self.audit.record(&self.record);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end();
    }
}
