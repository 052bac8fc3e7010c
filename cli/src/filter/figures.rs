//! What a filter costs, batch by batch: its records are handed over from memory, again and again, with the sizes of
//! batches that queries use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_query::{
    Binding, CALL_RECORDS, CallRecords, Engine, FilterLimits, FilterSpec, MessageRegex, RecordBatch, Session,
    SourceMeta, Verdicts,
};

use crate::failure::Failure;

/// Calls that are timed at the least, so that a hundredth part of them is some.
const CALLS: usize = 300;

/// Times of calls of one filter, and what it took.
pub(super) struct CallFigures {
    /// Times of the calls, the shortest first.
    pub(super) times: Vec<Duration>,
    /// Records that were looked at in each pass over the log.
    pub(super) records: u64,
    /// Those of them that the prefilter decided.
    pub(super) skipped: u64,
    /// Time for one pass, the prefilter's included: the best of all.
    pub(super) pass: Duration,
    /// Most linear memory, in bytes.
    pub(super) peak_memory: u64,
    /// Records that it failed on in the first pass.
    pub(super) failed: u64,
}

impl CallFigures {
    /// The time that this share of all calls took at the most.
    pub(super) fn percentile(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// A filter that is measured.
struct Subject {
    binding: Binding,
    prefilter: Option<Arc<MessageRegex>>,
    figures: CallFigures,
    /// Whether another pass tells more.
    goes_on: bool,
}

/// Hands the records of `batches` over to each of some filters for some time, by turns, so that what else the machine
/// does meets all alike.
pub(super) fn measure(
    engine: &Engine,
    specs: &[FilterSpec],
    batches: &[RecordBatch],
    time: Duration,
) -> Result<Vec<CallFigures>, Failure> {
    let mut subjects = specs.iter().map(|spec| Subject::open(engine, spec)).collect::<Result<Vec<_>, _>>()?;
    let end = Instant::now() + time;
    while subjects.iter().any(|subject| subject.goes_on) {
        for subject in subjects.iter_mut().filter(|subject| subject.goes_on) {
            let calls = subject.figures.times.len();
            pass(&subject.binding, subject.prefilter.as_deref(), batches, &mut subject.figures);
            let made = subject.figures.times.len();
            // Where nothing passes the prefilter, no number of passes gives a call.
            subject.goes_on = made > calls && (made < CALLS || Instant::now() < end);
        }
    }
    let figures = subjects.into_iter().map(|mut subject| {
        subject.figures.times.sort_unstable();
        subject.figures
    });
    Ok(figures.collect())
}

impl Subject {
    fn open(engine: &Engine, spec: &FilterSpec) -> Result<Subject, Failure> {
        let filter = engine.load(&spec.filter)?;
        let failed = |error: String| Failure::refused(format!("{}: {error}", spec.filter.name()));
        let mut limits = FilterLimits::default();
        for (name, value) in &spec.limits {
            FilterLimits::named(name).and_then(|limit| limit.set(&mut limits, *value)).map_err(failed)?;
        }
        let binding = filter.open(&spec.params, &limits).map_err(|error| failed(error.to_string()))?;
        let prefilter = engine.prefilter(&binding).map_err(|error| failed(error.to_string()))?;
        let figures = CallFigures {
            times: Vec::new(),
            records: 0,
            skipped: 0,
            pass: Duration::MAX,
            peak_memory: 0,
            failed: 0,
        };
        Ok(Subject { binding, prefilter, figures, goes_on: true })
    }
}

/// Hands all records over once, to a session of its own, as a query has.
fn pass(
    binding: &Binding,
    prefilter: Option<&MessageRegex>,
    batches: &[RecordBatch],
    figures: &mut CallFigures,
) {
    let mut session = binding.session();
    session.begin_source(0, &SourceMeta::default());
    let mut verdicts = Verdicts::new();
    let (mut call, columns) = (CallRecords::default(), binding.plan().columns);
    (figures.records, figures.skipped) = (0, 0);
    let started = Instant::now();
    for batch in batches {
        for record in &batch.records {
            figures.records += 1;
            if prefilter.is_some_and(|prefilter| !prefilter.is_match(batch.message(record))) {
                figures.skipped += 1;
                continue;
            }
            call.push(record, columns);
            if call.len() == CALL_RECORDS {
                figures.times.push(hand_over(&mut call, &mut session, batch, &mut verdicts));
            }
        }
        if !call.is_empty() {
            figures.times.push(hand_over(&mut call, &mut session, batch, &mut verdicts));
        }
    }
    session.finish();
    figures.pass = figures.pass.min(started.elapsed());
    figures.peak_memory = figures.peak_memory.max(session.stats().peak_memory_bytes);
    figures.failed = session.stats().failed;
}

/// Makes one call, after which there is nothing to hand over, and gives the time that it took.
fn hand_over(
    call: &mut CallRecords,
    session: &mut Session,
    batch: &RecordBatch,
    verdicts: &mut Verdicts,
) -> Duration {
    let started = Instant::now();
    session.process(0, &call.batch(&batch.bytes), verdicts);
    let time = started.elapsed();
    call.clear();
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let times = (1..=101).map(Duration::from_millis).collect();
        let figures =
            CallFigures { times, records: 0, skipped: 0, pass: Duration::ZERO, peak_memory: 0, failed: 0 };
        assert_eq!(figures.percentile(0.5), Duration::from_millis(51));
        assert_eq!(figures.percentile(0.99), Duration::from_millis(100));
        assert_eq!(figures.percentile(1.0), Duration::from_millis(101));
    }
}
