//! A filter at hand: opened with parameters, handed records batch by batch, under an agent's limits as a rule. What golden cases
//! and made-up lines are tried on.

use std::sync::Arc;

use weir_golden::{Opened, Outcome, Record, Refusal, Source, Subject, Verdict};
use weir_query::{
    Batch, Engine, FailureReason, Filter, FilterLimits, Kind, MessageRegex, OpenError, Session, SourceMeta,
    Verdicts,
};

/// The only source that a trial announces.
const SOURCE: u32 = 0;

/// A loaded filter.
pub(super) struct Trial<'a> {
    engine: &'a Engine,
    filter: Filter,
    limits: FilterLimits,
}

impl<'a> Trial<'a> {
    /// Trials of a filter that the engine has loaded, under these limits.
    pub(super) fn new(engine: &'a Engine, filter: Filter, limits: FilterLimits) -> Trial<'a> {
        Trial { engine, filter, limits }
    }
}

impl Subject for Trial<'_> {
    type Opened = Run;

    fn open(&self, params: &str) -> Result<Run, Refusal> {
        let failed = |message: String| Refusal { field: None, message };
        let binding = match self.filter.open(params, &self.limits) {
            Ok(binding) => binding,
            Err(OpenError::Params { field, message, .. }) => {
                return Err(Refusal { field: Some(field), message });
            }
            Err(other) => return Err(failed(other.to_string())),
        };
        let prefilter = self
            .engine
            .prefilter(&binding)
            .map_err(|error| failed(format!("the filter's own prefilter is refused: {error}")))?;
        Ok(Run {
            kind: binding.kind(),
            promised: binding.plan().prefilter.clone().unwrap_or_default(),
            session: binding.session(),
            prefilter,
            verdicts: Verdicts::new(),
            seen: 0,
            failure: None,
        })
    }
}

/// A filter that was opened for one run.
pub(super) struct Run {
    kind: Kind,
    session: Session,
    prefilter: Option<Arc<MessageRegex>>,
    /// The prefilter's text.
    promised: String,
    verdicts: Verdicts,
    /// Records handed over before this batch.
    seen: u64,
    failure: Option<Failure>,
}

/// The first time that the filter failed other than by giving a record up.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Which record it was, counted from 0 over the run; `None` when it was none's.
    pub(super) record: Option<u64>,
    /// What happened, with the limit's name where it was one.
    pub(super) what: String,
}

impl Run {
    /// The first failure that is the filter's own fault, if there was one.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// How an outcome breaks the promise of the prefilter, if it does.
    pub(super) fn broken_promise(&self, record: &Record, outcome: &Outcome) -> Option<String> {
        let rejected = self.prefilter.as_ref().is_some_and(|prefilter| !prefilter.is_match(&record.message));
        if !rejected || outcome.is_promised(self.kind == Kind::Select, &record.message) {
            return None;
        }
        let promise = match self.kind {
            Kind::Select => "is never kept",
            _ => "comes out unchanged",
        };
        Some(format!(
            "the prefilter's promise is broken: it says that a line without a match of `{}` {promise}",
            self.promised
        ))
    }

    /// Looks for failures that are new since it looked last.
    fn note_failure(&mut self) {
        let given_up = |reason| matches!(reason, FailureReason::Reported);
        let mut failures = self.session.stats().failures.iter().filter(|failure| !given_up(failure.reason));
        let Some(failure) = failures.next().filter(|_| self.failure.is_none()) else { return };
        let what = format!("{}: {}: {}", failure.call, failure.reason, failure.detail);
        self.failure = Some(Failure { record: failure.record, what });
    }

    /// Why a record came out as failed.
    fn reason(&self, record: u64) -> String {
        let stats = self.session.stats();
        let failure = stats.failures.iter().find(|failure| failure.record == Some(record));
        match (failure.or(stats.failures.last()), stats.pause) {
            (Some(failure), _) => format!("{}: {}", failure.reason, failure.detail),
            (None, Some(pause)) => format!("not handed over: {pause}"),
            (None, None) => "failed".to_owned(),
        }
    }
}

impl Opened for Run {
    fn begin_source(&mut self, source: &Source) {
        let labels = source.labels.clone().into_iter().collect();
        let Source { namespace, pod, container, node, restart, .. } = source.clone();
        self.session.begin_source(SOURCE, &SourceMeta { namespace, pod, container, node, restart, labels });
        self.note_failure();
    }

    fn run(&mut self, records: &[Record]) -> Vec<Outcome> {
        let columns = Columns::of(records);
        self.session.process(SOURCE, &columns.batch(), &mut self.verdicts);
        self.note_failure();
        let outcome = |(at, verdict): (usize, &weir_query::Verdict)| Outcome {
            verdict: match verdict {
                weir_query::Verdict::Keep => Verdict::Keep,
                weir_query::Verdict::Drop => Verdict::Drop,
                weir_query::Verdict::Stop => Verdict::Stop,
                weir_query::Verdict::Replace(range) => {
                    Verdict::Replace(self.verdicts.bytes(range.clone()).to_vec())
                }
                weir_query::Verdict::Failed => Verdict::Fail(self.reason(self.seen + at as u64)),
            },
            fields: self.verdicts.fields(at).map(|fields| String::from_utf8_lossy(fields).into_owned()),
        };
        let outcomes = self.verdicts.as_slice().iter().enumerate().map(outcome).collect();
        self.seen += records.len() as u64;
        outcomes
    }

    fn finish(&mut self) -> Vec<String> {
        let summary = self.session.finish();
        self.note_failure();
        summary
    }
}

/// Records laid out as a scanner has them, with bytes between messages that mean nothing.
#[derive(Default)]
struct Columns {
    block: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    attrs: Vec<u8>,
}

impl Columns {
    fn of(records: &[Record]) -> Columns {
        let mut columns = Columns::default();
        let place = |block: &[u8]| u32::try_from(block.len()).expect("records of a trial are small");
        for record in records {
            columns.block.extend_from_slice(b"2026-01-01T00:00:00Z stdout F ");
            columns.starts.push(place(&columns.block));
            columns.block.extend_from_slice(&record.message);
            columns.ends.push(place(&columns.block));
            columns.block.push(b'\n');
            columns.timestamps.push(record.time);
            columns.attrs.push(record.attrs);
        }
        columns
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            block: &self.block,
            starts: &self.starts,
            ends: &self.ends,
            timestamps: &self.timestamps,
            attrs: &self.attrs,
        }
    }
}
