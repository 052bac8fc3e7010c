//! A second filter beside one of a query: it sees the same records, and what it would have done is compared with what the
//! other did. It changes nothing: not the batch, not the answer, not the time that the query may take.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use weir_sandbox::{Binding, Kind, Session, SourceMeta, SourceVerdict, Verdict, Verdicts};
use weir_scan::{MessageRegex, Record, RecordBatch};

use crate::call::{CALL_BYTES, CALL_RECORDS, CallRecords};
use crate::event::FilterStatus;
use crate::shadow_status::{Difference, Outcome, SampleSide, ShadowSample, ShadowStatus};

/// Samples that are told of one shadow.
const SAMPLES: usize = 16;

/// Bytes of a message, and of fields, that a sample has.
const SAMPLE_BYTES: usize = 256;

/// What is known of a shadow before the query runs.
pub(crate) struct ShadowPlan {
    pub(crate) binding: Binding,
    pub(crate) prefilter: Option<Arc<MessageRegex>>,
    /// [`QueryLimits::shadow_time`](crate::QueryLimits::shadow_time).
    pub(crate) time: Duration,
}

/// What the filter beside it has done with a record, before that takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It isn't the filter's: a neighbour of a match.
    Unseen,
    /// Kept without entering the guest.
    Kept,
    /// Dropped likewise.
    Dropped,
    /// What the verdict at this place says.
    Verdict(usize),
}

/// A shadow at work.
pub(crate) struct Shadow {
    session: Session,
    plan: ShadowPlan,
    /// Sources of which it takes nothing.
    skips: BTreeSet<u32>,
    picked: Vec<usize>,
    records: CallRecords,
    verdicts: Verdicts,
    found: ShadowStatus,
    /// Time it took, that of the comparison included.
    time: Duration,
}

/// What comes out of a filter for one record.
#[derive(Clone, Copy)]
struct Came<'a> {
    outcome: Outcome,
    /// Of a record that stays: its message and what was added to it.
    message: &'a [u8],
    fields: &'a [u8],
}

impl Shadow {
    /// A shadow of the filter at place `index`.
    pub(crate) fn new(index: u32, plan: ShadowPlan) -> Shadow {
        Shadow {
            session: plan.binding.session(),
            found: ShadowStatus::of(FilterStatus::of(index, &plan.binding.filter())),
            plan,
            skips: BTreeSet::new(),
            picked: Vec::new(),
            records: CallRecords::default(),
            verdicts: Verdicts::default(),
            time: Duration::ZERO,
        }
    }

    /// Announces a source. Whether it cares for the source's records.
    pub(crate) fn begin_source(&mut self, id: u32, meta: &SourceMeta) -> bool {
        let start = Instant::now();
        let skip = self.is_spent() || self.session.begin_source(id, meta) == SourceVerdict::Skip;
        if skip {
            self.skips.insert(id);
        }
        self.time += start.elapsed();
        !skip
    }

    /// Time it took so far.
    pub(crate) fn time(&self) -> Duration {
        self.time
    }

    fn is_spent(&self) -> bool {
        self.time >= self.plan.time
    }

    /// Compares, for the records of a source from `first` on, what the filter has `done`, whose verdicts these are.
    pub(crate) fn compare(
        &mut self,
        source: u32,
        batch: &RecordBatch,
        first: usize,
        done: &[Done],
        verdicts: &Verdicts,
    ) {
        let mut at = 0;
        while at < done.len() {
            if self.is_spent() {
                let left = done[at..].iter().filter(|done| **done != Done::Unseen).count();
                self.found.left_out += left as u64;
                return;
            }
            let start = Instant::now();
            let end = self.call(source, batch, first, done, at);
            let mut picked = self.picked.iter().enumerate().peekable();
            for (offset, done) in done.iter().enumerate().take(end).skip(at) {
                let record = &batch.records[first + offset];
                let place = picked.next_if(|(_, picked)| **picked == offset).map(|(place, _)| place);
                let message = batch.message(record);
                let Some(ours) = Came::of(*done, verdicts, message) else { continue };
                let unseen = if self.drops_unseen(source) { Done::Dropped } else { Done::Kept };
                let theirs = place.map_or(unseen, Done::Verdict);
                let Some(theirs) = Came::of(theirs, &self.verdicts, message) else { continue };
                self.found.compared += 1;
                if let Some(difference) = ours.differs(&theirs) {
                    // Of a redaction, what the other one leaves in must not be seen.
                    let told =
                        if self.plan.binding.kind() == Kind::Redact { theirs.without_text() } else { theirs };
                    note(&mut self.found, source, record, difference, [ours, told]);
                }
            }
            at = end;
            self.time += start.elapsed();
        }
    }

    /// What becomes of a record that doesn't enter the guest.
    fn drops_unseen(&self, source: u32) -> bool {
        match self.plan.binding.kind() {
            Kind::Select => true,
            Kind::Aggregate => false,
            Kind::Transform | Kind::Redact => self.skips(source),
        }
    }

    fn skips(&self, source: u32) -> bool {
        self.skips.contains(&source)
    }

    /// Hands the guest the records of one call, and says which was not looked at.
    fn call(&mut self, source: u32, batch: &RecordBatch, first: usize, done: &[Done], from: usize) -> usize {
        self.picked.clear();
        self.records.clear();
        let (mut at, mut bytes) = (from, 0);
        let columns = self.plan.binding.plan().columns;
        while at < done.len() && self.picked.len() < CALL_RECORDS {
            let record = &batch.records[first + at];
            let length = (record.end - record.start) as usize;
            if !self.picked.is_empty() && bytes + length > CALL_BYTES {
                break;
            }
            if done[at] != Done::Unseen && !self.skips(source) {
                self.found.status.records_in += 1;
                let prefilter = self.plan.prefilter.as_ref();
                if prefilter.is_none_or(|prefilter| prefilter.is_match(batch.message(record))) {
                    bytes += length;
                    self.picked.push(at);
                    self.records.push(record, columns);
                } else {
                    self.found.status.skipped_by_prefilter += 1;
                }
            }
            at += 1;
        }
        if !self.picked.is_empty() {
            let before = self.session.stats().records_in;
            self.session.process(source, &self.records.batch(&batch.bytes), &mut self.verdicts);
            let picked = &self.picked;
            self.found.status.note_failures(self.session.stats(), before, |index| {
                let record = &batch.records[first + picked.get(index)?];
                Some((record.file, record.offset))
            });
        }
        at
    }

    /// Ends it. `summaries` are those of the filter beside it.
    pub(crate) fn finish(mut self, summaries: &[String]) -> ShadowStatus {
        if self.is_spent() {
            self.found.spent = true;
        } else {
            self.found.status.summaries = self.session.finish();
            self.found.status.diagnostics = self.session.diagnostics();
            let theirs = &self.found.status.summaries;
            let pairs = (0..theirs.len().max(summaries.len())).map(|at| (summaries.get(at), theirs.get(at)));
            self.found.summaries = pairs.filter(|(ours, theirs)| ours != theirs).count() as u64;
        }
        self.found.status.note(self.session.stats());
        self.found
    }
}

impl<'a> Came<'a> {
    /// What comes of a record with this message; `None` when it isn't the filter's.
    fn of(done: Done, verdicts: &'a Verdicts, message: &'a [u8]) -> Option<Came<'a>> {
        let kept = |outcome| Came { outcome, message, fields: b"" };
        let none = |outcome| Came { outcome, message: b"", fields: b"" };
        let place = match done {
            Done::Unseen => return None,
            Done::Kept => return Some(kept(Outcome::Kept)),
            Done::Dropped => return Some(none(Outcome::Dropped)),
            Done::Verdict(place) => place,
        };
        let fields = verdicts.fields(place).unwrap_or_default();
        Some(match &verdicts.as_slice()[place] {
            Verdict::Keep => Came { fields, ..kept(Outcome::Kept) },
            Verdict::Drop | Verdict::Stop => none(Outcome::Dropped),
            Verdict::Replace(range) => {
                Came { outcome: Outcome::Replaced, message: verdicts.bytes(range.clone()), fields }
            }
            Verdict::Failed => none(Outcome::Failed),
        })
    }

    fn without_text(self) -> Came<'a> {
        Came { message: b"", fields: b"", ..self }
    }

    fn differs(&self, other: &Came<'_>) -> Option<Difference> {
        let is = |outcome: Outcome| (self.outcome == outcome, other.outcome == outcome);
        match (is(Outcome::Failed), is(Outcome::Dropped)) {
            ((true, true), _) => None,
            ((true, false) | (false, true), _) => Some(Difference::Failed),
            (_, (true, true)) => None,
            (_, (true, false) | (false, true)) => Some(Difference::Dropped),
            _ if self.message != other.message => Some(Difference::Message),
            _ if !is_same_object(self.fields, other.fields) => Some(Difference::Fields),
            _ => None,
        }
    }
}

/// Whether two JSON objects, which the sandbox has checked, say the same. No bytes are an empty one.
fn is_same_object(one: &[u8], other: &[u8]) -> bool {
    let object = |bytes: &[u8]| -> Map<String, Value> { serde_json::from_slice(bytes).unwrap_or_default() };
    one == other || object(one) == object(other)
}

fn note(found: &mut ShadowStatus, source: u32, record: &Record, difference: Difference, came: [Came<'_>; 2]) {
    *match difference {
        Difference::Failed => &mut found.failed,
        Difference::Dropped => &mut found.dropped,
        Difference::Message => &mut found.messages,
        Difference::Fields => &mut found.fields,
    } += 1;
    if found.samples.len() < SAMPLES {
        let [filter, shadow] = came.map(|came| SampleSide {
            outcome: came.outcome,
            message: came.message[..came.message.len().min(SAMPLE_BYTES)].to_vec(),
            fields: came.fields[..came.fields.len().min(SAMPLE_BYTES)].to_vec(),
        });
        let (file, offset) = (record.file, record.offset);
        found.samples.push(ShadowSample { source, file, offset, difference, filter, shadow });
    }
}
