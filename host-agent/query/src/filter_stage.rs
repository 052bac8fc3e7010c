//! One filter at work on the batches of a query: picks the records that must enter the sandbox, hands them
//! over without copying where it can, and carries the verdicts out on the batch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use weir_sandbox::{
    Binding, Columns, GuestCall, Kind, Session, SourceMeta, SourceVerdict, Verdict, Verdicts,
};
use weir_scan::{Flags, MessageRegex, Record, RecordBatch, Source};

use crate::call::{CALL_BYTES, CALL_RECORDS, CallRecords};
use crate::event::{FilterFailure, FilterStatus};
use crate::shadow::{Done, Shadow, ShadowPlan};
use crate::spec::OnFailure;

/// Bytes of a batch from which on those of replaced and dropped messages are given back.
pub(crate) const COMPACT_BYTES: usize = 1 << 20;

/// What the stage knows about its filter before the query runs.
pub(crate) struct StagePlan {
    pub(crate) binding: Binding,
    pub(crate) prefilter: Option<Prefilter>,
    pub(crate) on_failure: OnFailure,
    pub(crate) shadow: Option<ShadowPlan>,
    /// It is a policy's: it sees neighbours of matches too, adds no fields, withholds what it fails on, and says nothing of
    /// what it was handed.
    pub(crate) of_policy: bool,
}

/// Where the filter's own regular expression is matched.
pub(crate) enum Prefilter {
    /// In the scanner's candidate pass: what reaches the stage as a match has passed it.
    InScan,
    /// Here, on what the filters before this one left.
    Here(Arc<MessageRegex>),
}

/// One filter of a running query.
pub(crate) struct FilterStage {
    session: Session,
    kind: Kind,
    columns: Columns,
    prefilter: Option<Prefilter>,
    on_failure: OnFailure,
    status: FilterStatus,
    /// Whether a record that a select drops is still of use as some match's neighbour.
    neighbours: bool,
    of_policy: bool,
    /// Sources of which the filter takes nothing.
    skips: BTreeSet<u32>,
    /// Sources that policies cover: where their records lie isn't told.
    covered: BTreeSet<u32>,
    call: Call,
    verdicts: Verdicts,
    /// Of the batch at hand: which records leave it.
    gone: Vec<bool>,
    /// [`QueryLimits::batch_bytes`](crate::QueryLimits::batch_bytes).
    batch_bytes: usize,
    /// Records whose new message was over it.
    too_large: u64,
    /// The filter beside it, and what it compares with.
    shadow: Option<Shadow>,
    done: Vec<Done>,
    stopped: bool,
    /// It stopped because of a failure.
    ended: bool,
}

/// What is lent to the guest in one call; kept for its allocations.
#[derive(Default)]
struct Call {
    picked: Vec<usize>,
    records: CallRecords,
}

impl FilterStage {
    /// A stage that has seen nothing yet. With `neighbours`, records that a select drops stay in the batch,
    /// marked as context.
    pub(crate) fn new(index: u32, plan: StagePlan, neighbours: bool, batch_bytes: usize) -> FilterStage {
        let kind = plan.binding.kind();
        let status = FilterStatus::of(index, &plan.binding.filter());
        FilterStage {
            session: plan.binding.session(),
            kind,
            columns: plan.binding.plan().columns,
            prefilter: plan.prefilter,
            on_failure: plan.on_failure,
            status,
            neighbours,
            of_policy: plan.of_policy,
            skips: BTreeSet::new(),
            covered: BTreeSet::new(),
            call: Call::default(),
            verdicts: Verdicts::default(),
            gone: Vec::new(),
            batch_bytes,
            too_large: 0,
            shadow: plan.shadow.map(|shadow| Shadow::new(index, shadow)),
            done: Vec::new(),
            stopped: false,
            ended: false,
        }
    }

    /// Announces source number `id`, which policies cover or don't. Whether any of its records could be kept.
    pub(crate) fn begin_source(&mut self, id: u32, source: &Source, node: &str, covered: bool) -> bool {
        let meta = SourceMeta {
            namespace: source.namespace.clone(),
            pod: source.pod.clone(),
            container: source.container.clone(),
            node: node.to_owned(),
            restart: source.restart,
            labels: Vec::new(),
        };
        let skip = self.session.begin_source(id, &meta) == SourceVerdict::Skip;
        if skip {
            self.skips.insert(id);
        }
        if covered {
            self.covered.insert(id);
        }
        let shadowed = self.shadow.as_mut().is_some_and(|shadow| shadow.begin_source(id, &meta));
        !skip || self.kind == Kind::Aggregate || shadowed
    }

    /// The filter's kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the filter's prefilter runs in the scanner.
    pub(crate) fn prefilter_in_scan(&self) -> bool {
        matches!(self.prefilter, Some(Prefilter::InScan))
    }

    /// Lines that the scanner's candidate pass rejected for this filter's sake.
    pub(crate) fn skipped_in_scan(&mut self, lines: u64) {
        self.status.skipped_by_prefilter += lines;
        self.status.records_in += lines;
    }

    /// Whether the filter has asked to end the query.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the query is to end since the filter failed.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Filters the records of one source, in place.
    pub(crate) fn apply(&mut self, source: u32, batch: &mut RecordBatch) {
        if self.stopped {
            batch.records.clear();
        }
        let skip = self.skips.contains(&source);
        if skip {
            self.compare_skipped(source, batch);
        }
        if skip && self.kind != Kind::Aggregate {
            batch.records.clear();
        }
        if skip || batch.records.is_empty() {
            return;
        }
        let records = batch.records.len();
        self.gone.clear();
        self.gone.resize(records, false);
        let mut first = 0;
        while first < records {
            let from = first;
            first = self.pick(batch, from);
            if !self.call.picked.is_empty() {
                self.hand_over(source, batch);
            }
            if let Some(shadow) = &mut self.shadow {
                shadow.compare(source, batch, from, &self.done, &self.verdicts);
            }
            if !self.call.picked.is_empty() {
                self.carry_out(batch);
            }
            if self.stopped {
                self.gone[first..].fill(true);
                break;
            }
        }
        self.take_out(batch);
    }

    /// The filter takes none of a source's records; the one beside it may.
    fn compare_skipped(&mut self, source: u32, batch: &RecordBatch) {
        if self.shadow.is_none() {
            return;
        }
        let done = if self.kind == Kind::Aggregate { Done::Kept } else { Done::Dropped };
        let of = |record: &Record| if self.passes_by(record) { Done::Unseen } else { done };
        let all: Vec<Done> = batch.records.iter().map(of).collect();
        self.done = all;
        let Some(shadow) = &mut self.shadow else { return };
        shadow.compare(source, batch, 0, &self.done, &self.verdicts);
    }

    /// Time that the filter beside it took so far.
    pub(crate) fn shadow_time(&self) -> Duration {
        self.shadow.as_ref().map(Shadow::time).unwrap_or_default()
    }

    /// Takes the records that are gone out of the batch, and bytes that no record needs, once they are many.
    fn take_out(&mut self, batch: &mut RecordBatch) {
        retain(&mut batch.records, |index, _| !self.gone[index]);
        if batch.bytes.len() > COMPACT_BYTES {
            let mut compact = RecordBatch::default();
            for record in &batch.records {
                compact.push_from(batch, record);
            }
            *batch = compact;
        }
    }

    /// Collects the records of the next call, from `first` on, and settles those that the prefilter
    /// decides. Returns the first record that was not looked at.
    fn pick(&mut self, batch: &mut RecordBatch, first: usize) -> usize {
        self.call.picked.clear();
        self.done.clear();
        let mut bytes = 0;
        let mut index = first;
        while index < batch.records.len() && self.call.picked.len() < CALL_RECORDS {
            let record = batch.records[index];
            if self.passes_by(&record) {
                self.note(Done::Unseen);
                index += 1;
                continue;
            }
            let length = (record.end - record.start) as usize;
            if !self.call.picked.is_empty() && bytes + length > CALL_BYTES {
                break;
            }
            self.status.records_in += 1;
            if self.must_enter(batch, &record) {
                bytes += length;
                self.note(Done::Verdict(self.call.picked.len()));
                self.call.picked.push(index);
            } else {
                self.status.skipped_by_prefilter += 1;
                let drops = self.kind == Kind::Select;
                self.note(if drops { Done::Dropped } else { Done::Kept });
                if drops {
                    self.drop_record(batch, index);
                }
            }
            index += 1;
        }
        index
    }

    /// Notes what becomes of the next record, for the filter beside this one.
    fn note(&mut self, done: Done) {
        if self.shadow.is_some() {
            self.done.push(done);
        }
    }

    fn must_enter(&self, batch: &RecordBatch, record: &Record) -> bool {
        match &self.prefilter {
            Some(Prefilter::Here(regex)) => regex.is_match(batch.message(record)),
            Some(Prefilter::InScan) | None => true,
        }
    }

    fn hand_over(&mut self, source: u32, batch: &RecordBatch) {
        let call = &mut self.call;
        call.records.clear();
        for &index in &call.picked {
            call.records.push(&batch.records[index], self.columns);
        }
        let before = self.session.stats().records_in;
        self.session.process(source, &call.records.batch(&batch.bytes), &mut self.verdicts);
        let picked = &self.call.picked;
        self.status.note_failures(self.session.stats(), before, |index| {
            let record = &batch.records[*picked.get(index)?];
            Some((record.file, record.offset))
        });
    }

    fn carry_out(&mut self, batch: &mut RecordBatch) {
        for place in 0..self.call.picked.len() {
            let index = self.call.picked[place];
            if self.ended {
                self.gone[index] = true;
                continue;
            }
            match self.verdicts.as_slice()[place].clone() {
                Verdict::Keep => {}
                Verdict::Drop => self.drop_record(batch, index),
                Verdict::Stop => {
                    self.stopped = true;
                    self.gone[index] = true;
                }
                Verdict::Replace(range) if batch.bytes.len() + range.len() > self.batch_bytes => {
                    self.too_large += 1;
                    self.fail(batch, index);
                }
                Verdict::Replace(range) => {
                    let (start, end) = batch.append(self.verdicts.bytes(range));
                    let record = &mut batch.records[index];
                    (record.start, record.end) = (start, end);
                    if self.of_policy {
                        record.flags.set(Flags::REWRITTEN);
                    }
                }
                Verdict::Failed => self.fail(batch, index),
            }
            if let Some(fields) = self.verdicts.fields(place).filter(|_| !self.of_policy)
                && batch.bytes.len() + fields.len() <= self.batch_bytes
            {
                let (start, end) = merge_fields(batch, index, fields);
                (batch.records[index].fields_start, batch.records[index].fields_end) = (start, end);
            }
        }
    }

    /// A record that the filter failed on. A redaction withholds it, whatever else becomes of the query.
    fn fail(&mut self, batch: &mut RecordBatch, index: usize) {
        self.status.withheld += u64::from(self.withholds());
        match self.on_failure {
            OnFailure::Kind if self.withholds() => self.gone[index] = true,
            OnFailure::Kind | OnFailure::Pass => batch.records[index].flags.set(Flags::UNFILTERED),
            OnFailure::Drop => self.gone[index] = true,
            OnFailure::End => {
                self.gone[index] = true;
                self.stopped = true;
                self.ended = true;
            }
        }
    }

    /// Whether a record that it fails on is withheld.
    fn withholds(&self) -> bool {
        self.kind == Kind::Redact || self.of_policy
    }

    /// Whether a record passes the filter by: a neighbour of a match is shown whether or not a filter of the query would keep
    /// it, and counts nowhere.
    fn passes_by(&self, record: &Record) -> bool {
        let is_all_the_same = matches!(self.kind, Kind::Select | Kind::Aggregate) && !self.of_policy;
        record.flags.has(Flags::CONTEXT) && is_all_the_same
    }

    fn drop_record(&mut self, batch: &mut RecordBatch, index: usize) {
        if self.kind == Kind::Select && self.neighbours {
            batch.records[index].flags.set(Flags::CONTEXT);
        } else {
            self.gone[index] = true;
        }
    }

    /// Ends the filter's part in the query. Says what it did and, where that makes the answer incomplete, why.
    pub(crate) fn finish(mut self) -> (FilterStatus, Option<String>) {
        if !self.of_policy {
            self.status.summaries = self.session.finish();
            self.status.diagnostics = self.session.diagnostics();
        }
        self.status.note(self.session.stats());
        self.status.replaced -= self.too_large;
        self.status.failed += self.too_large;
        if self.too_large > 0 {
            let (records, bytes) = (self.too_large, self.batch_bytes);
            self.status.failures.push(FilterFailure {
                call: GuestCall::Process.to_string(),
                reason: "batch_bytes".to_owned(),
                detail: format!("{records} new messages would have taken the batch over {bytes} bytes"),
                source: None,
                place: None,
            });
        }
        let shadow = self.shadow.take().map(|shadow| Box::new(shadow.finish(&self.status.summaries)));
        self.status.shadow = shadow;
        self.hide_places();
        let incomplete = self.incomplete();
        (self.status, incomplete)
    }

    /// Takes out where records lie of sources that policies cover: it tells how long those before them are.
    fn hide_places(&mut self) {
        let FilterStatus { failures, shadow, .. } = &mut self.status;
        let of_shadow = shadow.iter_mut().flat_map(|shadow| &mut shadow.status.failures);
        for failure in failures.iter_mut().chain(of_shadow) {
            if failure.source.is_some_and(|source| self.covered.contains(&source)) {
                failure.place = None;
            }
        }
        for sample in shadow.iter_mut().flat_map(|shadow| &mut shadow.samples) {
            if self.covered.contains(&sample.source) {
                sample.offset = 0;
            }
        }
    }

    fn incomplete(&self) -> Option<String> {
        let FilterStatus { name, failed, paused, failures, .. } = &self.status;
        if *failed == 0 && failures.is_empty() {
            return None;
        }
        let what = match (self.on_failure, self.kind) {
            (OnFailure::End, _) if self.ended => {
                "failed on a record, where the query ended as asked".to_owned()
            }
            _ if self.withholds() => format!("withheld {} records that it failed on", self.status.withheld),
            (OnFailure::Drop, _) => format!("dropped {failed} records that it failed on, as asked"),
            (_, Kind::Aggregate) => format!("left out {failed} records that it failed on"),
            (_, Kind::Select | Kind::Transform | Kind::Redact) => {
                format!("passed {failed} records on unfiltered, since it failed on them")
            }
        };
        let paused = match paused {
            0 => String::new(),
            paused => {
                let why = self.session.stats().pause.map(|why| format!(": {why}")).unwrap_or_default();
                format!("; {paused} of them were not handed to it{why}")
            }
        };
        let first = failures.first().map(|failure| format!("; first: {failure}")).unwrap_or_default();
        Some(format!("filter '{name}' {what}{paused}{first}"))
    }
}

/// Leaves the records that `stays` wants, by their place. A break before one that goes stands before the next one that
/// stays.
pub(crate) fn retain(records: &mut Vec<Record>, mut stays: impl FnMut(usize, &Record) -> bool) {
    let (mut broken, mut index) = (false, 0);
    records.retain_mut(|record| {
        broken |= record.flags.has(Flags::BREAK);
        let stays = stays(index, record);
        index += 1;
        if stays && std::mem::take(&mut broken) {
            record.flags.set(Flags::BREAK);
        }
        stays
    });
}

/// Appends the record's fields with those of this filter added; of equal keys, the later filter's stands.
/// The sandbox has checked that both are JSON objects.
fn merge_fields(batch: &mut RecordBatch, index: usize, added: &[u8]) -> (u32, u32) {
    let before = batch.fields(&batch.records[index]);
    if before.is_empty() {
        return batch.append(added);
    }
    let object = |bytes: &[u8]| -> Map<String, Value> { serde_json::from_slice(bytes).unwrap_or_default() };
    let mut fields = object(before);
    fields.extend(object(added));
    batch.append(Value::Object(fields).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use weir_scan::Stream;

    use super::*;

    #[test]
    fn fields_of_two_filters_are_one_object() {
        for (before, added, expected) in [
            ("", r#"{"a": 1}"#, r#"{"a": 1}"#),
            (r#"{"a":1}"#, r#"{"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{}"#, r#" {"b":2} "#, r#"{"b":2}"#),
            (r#"{"a":1,"b":1}"#, r#"{"a":2}"#, r#"{"a":2,"b":1}"#),
        ] {
            let mut batch = RecordBatch::default();
            let (start, end) = batch.append(before.as_bytes());
            batch.records.push(Record {
                start: 0,
                end: 0,
                fields_start: start,
                fields_end: end,
                time: None,
                source: 0,
                file: 0,
                offset: 0,
                stream: Stream::Stdout,
                flags: Flags::default(),
            });
            let (start, end) = merge_fields(&mut batch, 0, added.as_bytes());
            assert_eq!(&batch.bytes[start as usize..end as usize], expected.as_bytes());
        }
    }
}
