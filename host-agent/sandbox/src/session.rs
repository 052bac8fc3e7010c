//! One query's use of a binding: batches in, verdicts out, failures narrowed down to their record.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Layout, Lists};
use crate::description::{Kind, SourceMeta, SourceVerdict};
use crate::failure::{FailureReason, FilterFailure, GuestCall};
use crate::filter::BindingInner;
use crate::guest::{Guest, Processed};
use crate::pace::Pace;
use crate::stats::{Paused, SessionStats};
use crate::store::Spent;
use crate::verdicts::{RawVerdicts, Verdict, Verdicts, validate};

/// Time after which a session may spend [`FilterLimits::query_time`](crate::FilterLimits::query_time) anew.
const HOUR: Duration = Duration::from_secs(3600);

/// Stands for what a filter says of records that are confidential.
const CONFIDENTIAL: &str = "what it says is kept back, since it may hold what the filter was handed";

/// One worker's use of a filter in one query. Holds at most one instance, made when it is first needed,
/// kept over batches and sources, and replaced after a failure.
pub struct Session {
    binding: Arc<BindingInner>,
    guest: Option<Guest>,
    /// Sources that the present instance knows.
    begun: HashSet<u32>,
    sources: HashMap<u32, Source>,
    /// The filter said stop.
    stopped: bool,
    finished: bool,
    instances: u64,
    /// CPU time of calls that failed.
    failed_time: Duration,
    /// When the hour began that is running, and the CPU time spent before it.
    hour: (Instant, Duration),
    pace: Pace,
    layout: Layout,
    work: Vec<Step>,
    stats: SessionStats,
}

struct Source {
    meta: SourceMeta,
    /// The filter failed on its announcement, so it can't be asked about its records.
    failed: bool,
}

/// Part of a batch that is still to be answered.
enum Step {
    Run(Range<usize>),
    /// The record is at fault.
    Fail(usize, FilterFailure),
}

/// Why a part of a batch has no answer.
enum Fault {
    /// There is no instance to ask.
    NoInstance(FilterFailure),
    /// The instance would not take the source.
    Source(FilterFailure),
    /// Somewhere in it, or at that record.
    Records(FilterFailure, Option<usize>),
}

impl Session {
    pub(crate) fn new(binding: Arc<BindingInner>) -> Session {
        Session {
            binding,
            guest: None,
            begun: HashSet::new(),
            sources: HashMap::new(),
            stopped: false,
            finished: false,
            instances: 0,
            failed_time: Duration::ZERO,
            hour: (Instant::now(), Duration::ZERO),
            pace: Pace::default(),
            layout: Layout::default(),
            work: Vec::new(),
            stats: SessionStats::default(),
        }
    }

    /// The filter's kind, which decides what [`Verdict::Failed`] means.
    pub fn kind(&self) -> Kind {
        self.binding.filter.description.kind
    }

    /// Whether the filter wants no more records of the query.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Announces a source, once, before its first batch. When the filter fails on it, the failure is
    /// counted, the answer is [`SourceVerdict::Scan`], and its records will come out as
    /// [`Verdict::Failed`].
    pub fn begin_source(&mut self, id: u32, meta: &SourceMeta) -> SourceVerdict {
        self.sources.insert(id, Source { meta: meta.clone(), failed: false });
        if self.stopped {
            return SourceVerdict::Skip;
        }
        // Not worth a trial: it is announced before its first batch.
        if !self.binding.breaker.is_closed() || self.out_of_time() {
            return SourceVerdict::Scan;
        }
        let answer = self.ensure_guest().and_then(|()| self.tell_source(id));
        match answer {
            Ok(verdict) => verdict,
            Err(fault) => {
                self.note_source_fault(id, fault);
                SourceVerdict::Scan
            }
        }
    }

    /// Filters one batch of a source. Never fails as a whole: a batch that the filter fails on is handed
    /// over again in halves until the record at fault stands alone; that one, and all while the breaker is
    /// open or [`FilterLimits::query_time`](crate::FilterLimits::query_time) is used up, come out as
    /// [`Verdict::Failed`]. After the call `out` has one verdict per record.
    ///
    /// # Panics
    /// When the lists of the batch do not fit together, or a column that the plan asks for is missing.
    pub fn process(&mut self, source: u32, batch: &Batch<'_>, out: &mut Verdicts) {
        batch.check(self.binding.plan.columns);
        out.clear();
        self.work.clear();
        if !batch.is_empty() {
            self.work.push(Step::Run(0..batch.len()));
        }
        while let Some(step) = self.work.pop() {
            match step {
                Step::Fail(index, failure) => self.fail_record(source, index, failure, out),
                Step::Run(range) => self.run(source, batch, range, out),
            }
        }
        self.stats.count(out.as_slice());
    }

    /// Ends the filter's work and gives its summary records, each a JSON object. A second call gives
    /// none. After a restart, they speak of the records since: see [`SessionStats::restarts`].
    pub fn finish(&mut self) -> Vec<String> {
        let done = std::mem::replace(&mut self.finished, true);
        // Without an instance nothing was seen; an aggregate may still have to say so.
        let silent = self.guest.is_none() && self.kind() != Kind::Aggregate;
        if done || silent || !self.binding.breaker.is_closed() || self.out_of_time() {
            return Vec::new();
        }
        if let Err(Fault::NoInstance(failure) | Fault::Source(failure) | Fault::Records(failure, _)) =
            self.ensure_guest()
        {
            self.no_instance(failure);
            return Vec::new();
        }
        match self.call(Guest::finish) {
            Ok((records, breach)) => {
                if let Some(breach) = breach {
                    self.tell(breach, None, None);
                }
                records
            }
            Err(failure) => {
                self.tell(failure, None, None);
                Vec::new()
            }
        }
    }

    /// What the filter wants to tell its author since the last call: bounded in number and length.
    pub fn diagnostics(&mut self) -> Vec<String> {
        if self.guest.is_none() {
            return Vec::new();
        }
        self.call(Guest::diagnostics).unwrap_or_else(|failure| {
            self.tell(failure, None, None);
            Vec::new()
        })
    }

    /// The counts so far.
    pub fn stats(&self) -> &SessionStats {
        &self.stats
    }

    /// Answers one part of a batch, or leaves smaller parts to do.
    fn run(&mut self, source: u32, batch: &Batch<'_>, range: Range<usize>, out: &mut Verdicts) {
        if self.stopped {
            return out.extend_with(&Verdict::Stop, range.len());
        }
        if self.sources.get(&source).is_some_and(|source| source.failed) {
            return out.extend_with(&Verdict::Failed, range.len());
        }
        if !self.may_call() {
            self.stats.paused += range.len() as u64;
            return out.extend_with(&Verdict::Failed, range.len());
        }
        let part = range.start + self.pace.part(range.len());
        self.push_run(part..range.end);
        let range = range.start..part;
        let is_fresh = self.guest.as_ref().is_none_or(Guest::is_fresh);
        let answer = self.attempt(source, batch, range.clone(), out);
        match &answer {
            Ok(_) => {
                self.binding.breaker.succeeded();
                self.pace.good(range.len());
            }
            Err(Fault::Records(failure, None)) => self.pace.failed(range.len(), failure.reason),
            Err(_) => {}
        }
        match answer {
            Ok(stopped) => self.stopped |= stopped,
            // What the instance has been through may be at fault, and not the record.
            Err(Fault::Records(_, None)) if range.len() == 1 && !is_fresh => self.push_run(range),
            Err(Fault::Records(failure, None)) if range.len() == 1 => {
                self.fail_record(source, range.start, failure, out);
            }
            Err(Fault::Records(failure, None)) if !self.may_call() => {
                // Not narrowed down, but the reason must not be lost.
                self.note(failure, Some(source), None);
                self.stats.paused += range.len() as u64;
                out.extend_with(&Verdict::Failed, range.len());
            }
            Err(Fault::Records(failure, Some(index))) => {
                self.push_run(index + 1..range.end);
                self.work.push(Step::Fail(index, failure));
                self.push_run(range.start..index);
            }
            Err(Fault::Records(_, None)) => {
                let middle = range.start + range.len() / 2;
                self.push_run(middle..range.end);
                self.push_run(range.start..middle);
            }
            Err(fault) => {
                self.note_source_fault(source, fault);
                out.extend_with(&Verdict::Failed, range.len());
            }
        }
    }

    /// One call of `process`; true when the filter said stop.
    fn attempt(
        &mut self,
        source: u32,
        batch: &Batch<'_>,
        range: Range<usize>,
        out: &mut Verdicts,
    ) -> Result<bool, Fault> {
        self.ensure_guest()?;
        if self.sources.contains_key(&source) && !self.begun.contains(&source) {
            self.tell_source(source)?;
        }
        let first = range.start;
        let mut layout = std::mem::take(&mut self.layout);
        let lists = layout.lay_out(batch, range, self.binding.plan.columns);
        let answer = self.ask(source, &lists, out);
        self.layout = layout;
        match answer {
            Ok(Answer::Verdicts { stopped }) => Ok(stopped),
            Ok(Answer::Failed { index, failure }) => Err(Fault::Records(failure, Some(first + index))),
            Err(failure) => Err(Fault::Records(failure, None)),
        }
    }

    fn ask(&mut self, source: u32, lists: &Lists<'_>, out: &mut Verdicts) -> Result<Answer, FilterFailure> {
        self.stats.batches += 1;
        let kind = self.kind();
        self.call(|guest| match guest.process(source, lists)? {
            Processed::Failed { index, failure } => Ok(Answer::Failed { index: index as usize, failure }),
            Processed::Verdicts(verdicts) => {
                let raw = RawVerdicts {
                    codes: &verdicts.codes,
                    replaced_ends: &verdicts.replaced_ends,
                    replaced_bytes: &verdicts.replaced_bytes,
                    annotated: &verdicts.annotated,
                    annotation_ends: &verdicts.annotation_ends,
                    annotation_bytes: &verdicts.annotation_bytes,
                };
                validate(&raw, lists.records, kind)
                    .map_err(|error| guest.breach(GuestCall::Process, error.to_string()))?;
                guest.check_records(&raw, lists)?;
                let stopped = out.append(&raw).map_err(|full| FilterFailure {
                    reason: FailureReason::Output,
                    ..guest.breach(GuestCall::Process, full.to_string())
                })?;
                Ok(Answer::Verdicts { stopped })
            }
        })
    }

    /// Calls into the instance and counts the time. A failure costs the instance.
    fn call<R>(
        &mut self,
        body: impl FnOnce(&mut Guest) -> Result<R, FilterFailure>,
    ) -> Result<R, FilterFailure> {
        let guest = self.guest.as_mut().expect("callers make sure of an instance");
        let result = body(guest);
        let Spent { cpu, wall } = guest.take_spent();
        self.stats.cpu += cpu;
        self.stats.wall += wall;
        self.stats.peak_memory_bytes = self.stats.peak_memory_bytes.max(guest.peak_memory() as u64);
        if result.is_err() {
            self.guest = None;
            self.begun.clear();
            self.failed_time += cpu;
            let good = self.stats.cpu.saturating_sub(self.failed_time);
            if self.failed_time > self.binding.limits.failed_time + good / 4 {
                let opened = self.binding.breaker.trip(Instant::now());
                self.opened(opened, Paused::FailedTime);
            }
        }
        result
    }

    /// Whether the filter may be called now, be it as a trial.
    fn may_call(&mut self) -> bool {
        !self.out_of_time() && self.binding.breaker.allows(Instant::now())
    }

    fn out_of_time(&mut self) -> bool {
        if self.hour.0.elapsed() >= HOUR {
            self.hour = (Instant::now(), self.stats.cpu);
        }
        let out_of_time = self.stats.cpu - self.hour.1 >= self.binding.limits.query_time;
        if out_of_time {
            self.stats.pause = Some(Paused::QueryTime);
        }
        out_of_time
    }

    fn opened(&mut self, opened: bool, why: Paused) {
        if opened {
            self.stats.breaker_opened += 1;
            self.stats.pause = Some(why);
            tracing::warn!(filter = &*self.binding.filter.name, %why, "a filter is not called for a while");
        }
    }

    fn ensure_guest(&mut self) -> Result<(), Fault> {
        if self.guest.is_none() {
            self.guest = Some(self.binding.guest().map_err(Fault::NoInstance)?);
            self.stats.restarts += u64::from(self.instances > 0);
            self.instances += 1;
        }
        Ok(())
    }

    fn tell_source(&mut self, id: u32) -> Result<SourceVerdict, Fault> {
        let source = self.sources.remove(&id).expect("callers look it up");
        let answer = self.call(|guest| guest.begin_source(id, &source.meta));
        self.sources.insert(id, source);
        let verdict = answer.map_err(Fault::Source)?;
        self.begun.insert(id);
        Ok(verdict)
    }

    fn note_source_fault(&mut self, id: u32, fault: Fault) {
        match fault {
            Fault::NoInstance(failure) => self.no_instance(failure),
            Fault::Source(failure) | Fault::Records(failure, _) => {
                if let Some(source) = self.sources.get_mut(&id) {
                    source.failed = true;
                }
                self.note(failure, Some(id), None);
            }
        }
    }

    fn fail_record(&mut self, source: u32, index: usize, failure: FilterFailure, out: &mut Verdicts) {
        let record = self.stats.records_in + index as u64;
        self.note(failure, Some(source), Some(record));
        out.extend_with(&Verdict::Failed, 1);
    }

    fn note(&mut self, failure: FilterFailure, source: Option<u32>, record: Option<u64>) {
        self.tell(failure, source, record);
        let opened = self.binding.breaker.failed(Instant::now());
        self.opened(opened, Paused::Failures);
    }

    fn tell(&mut self, failure: FilterFailure, source: Option<u32>, record: Option<u64>) {
        let of_records = !matches!(failure.call, GuestCall::Instantiate | GuestCall::Open);
        let detail = match self.binding.is_confidential && of_records {
            true => CONFIDENTIAL.to_owned(),
            false => failure.detail,
        };
        self.stats.note(FilterFailure { detail, ..failure }, source, record);
    }

    fn no_instance(&mut self, failure: FilterFailure) {
        self.tell(failure, None, None);
        let opened = self.binding.breaker.trip(Instant::now());
        self.opened(opened, Paused::NoInstance);
    }

    fn push_run(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.work.push(Step::Run(range));
        }
    }
}

/// A checked answer to one call.
enum Answer {
    Verdicts { stopped: bool },
    Failed { index: usize, failure: FilterFailure },
}
