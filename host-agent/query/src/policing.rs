//! The policies of one query at work: which of them cover a source, and what becomes of its records before anything else
//! of the query sees them.
//!
//! The scan gives each record of a covered source that a policy may change, whatever the query's pattern says, and leaves out others that
//! the pattern doesn't want. All that it gives goes through the policies' filters; only then the pattern decides. What is
//! handed on is a batch of its own, in which no byte is left of what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_scan::{Flags, Record, RecordBatch, Rewrites, ScanLimits, Search, Source};

use crate::filter_stage::{COMPACT_BYTES, FilterStage, Prefilter, StagePlan, retain};
use crate::policy::{LoadedFilter, NotLoaded, PolicyFailure, PolicySet};
use crate::policy_status::PolicyStatus;
use crate::spec::OnFailure;

/// Most bytes of a line that policies look at. A longer one is withheld.
const POLICED_LINE_BYTES: usize = 1 << 20;

/// Most bytes of a covered source's records that wait to become context of a match.
const POLICED_CONTEXT_BYTES: usize = 64 << 10;

/// The policies of a query.
pub(crate) struct Policing {
    set: Arc<PolicySet>,
    /// Places of policies in it that the caller may leave out and does.
    bypassed: Vec<usize>,
    /// How sources are searched that no policy covers.
    search: Arc<Search>,
    /// [`QueryLimits::batch_bytes`](crate::QueryLimits::batch_bytes).
    batch_bytes: usize,
    /// Each set of policies that covers some source.
    covers: Vec<Cover>,
    /// By place in the set: the policies that cover some source.
    at_work: BTreeMap<usize, AtWork>,
    /// What is handed on, while it is made.
    clean: RecordBatch,
    /// A message was longer than the query's limit.
    met_long_line: bool,
}

/// Policies that cover sources together.
struct Cover {
    policies: Vec<usize>,
    search: Arc<Search>,
}

/// One policy at work.
struct AtWork {
    name: String,
    stages: Vec<FilterStage>,
    redacted: u64,
    /// Records that were cut, or have no end.
    parts: u64,
}

/// What policies have to say about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing.
    Open,
    /// Its records go through those of this cover.
    Covered(usize),
    /// Nothing may be given of it.
    Refused,
}

/// How a source is searched.
pub(crate) struct Covered {
    pub(crate) rule: Rule,
    pub(crate) search: Arc<Search>,
}

impl Policing {
    pub(crate) fn new(
        set: Arc<PolicySet>,
        bypassed: Vec<usize>,
        search: Arc<Search>,
        batch_bytes: usize,
    ) -> Policing {
        Policing {
            set,
            bypassed,
            search,
            batch_bytes,
            covers: Vec::new(),
            at_work: BTreeMap::new(),
            clean: RecordBatch::default(),
            met_long_line: false,
        }
    }

    /// Has sources that no policy covers searched in another way.
    #[cfg(test)]
    pub(crate) fn search_otherwise(&mut self, search: Arc<Search>) {
        self.search = search;
    }

    /// Whether it is known which policies there are.
    ///
    /// # Errors
    /// It isn't.
    pub(crate) fn check_known(&self) -> Result<(), NotLoaded> {
        self.set.known().map(drop)
    }

    /// How a source is to be searched.
    ///
    /// # Errors
    /// Nothing may be given of it.
    pub(crate) fn cover(&mut self, source: &Source) -> Result<Covered, NotLoaded> {
        let policies = self.set.covering(source, &self.bypassed)?;
        if policies.is_empty() {
            return Ok(Covered { rule: Rule::Open, search: Arc::clone(&self.search) });
        }
        let known = self.covers.iter().position(|cover| cover.policies == policies);
        let cover = known.unwrap_or_else(|| {
            let search = Arc::new(self.covered_search(&policies));
            policies.iter().for_each(|policy| self.put_to_work(*policy));
            self.covers.push(Cover { policies, search });
            self.covers.len() - 1
        });
        Ok(Covered { rule: Rule::Covered(cover), search: Arc::clone(&self.covers[cover].search) })
    }

    /// The query's search, of what policies may change before the pattern decides.
    fn covered_search(&self, policies: &[usize]) -> Search {
        let limits = self.search.limits;
        // Nothing that the caller chooses says how long a line may be before the policies: else they could find out how
        // long one is.
        let own =
            ScanLimits { line_bytes: POLICED_LINE_BYTES, context_bytes: POLICED_CONTEXT_BYTES, ..limits };
        let rewrites = Rewrites::new(self.set.changed_by(policies), limits.line_bytes);
        Search { rewrites: Some(rewrites), messages: true, limits: own, ..Search::clone(&self.search) }
    }

    fn put_to_work(&mut self, place: usize) {
        let Some(policy) = self.set.policies().get(place) else { return };
        let Some(loaded) = policy.loaded().filter(|_| !self.at_work.contains_key(&place)) else { return };
        let on_failure = match loaded.on_failure {
            PolicyFailure::Withhold => OnFailure::Drop,
            PolicyFailure::Refuse => OnFailure::End,
        };
        let stage = |(index, filter): (u32, &LoadedFilter)| {
            let plan = StagePlan {
                binding: filter.binding.confidential(),
                prefilter: filter.prefilter.clone().map(Prefilter::Here),
                on_failure,
                shadow: None,
                of_policy: true,
            };
            FilterStage::new(index, plan, false, self.batch_bytes)
        };
        let stages = (0..).zip(&loaded.filters).map(stage).collect();
        let at_work = AtWork { name: policy.name().to_owned(), stages, redacted: 0, parts: 0 };
        self.at_work.insert(place, at_work);
    }

    /// Announces a source.
    pub(crate) fn begin_source(&mut self, rule: Rule, id: u32, source: &Source, node: &str) {
        let Rule::Covered(cover) = rule else { return };
        for policy in &self.covers[cover].policies {
            for stage in self.at_work.get_mut(policy).into_iter().flat_map(|policy| &mut policy.stages) {
                stage.begin_source(id, source, node, true);
            }
        }
    }

    /// Has the records of a source go through its policies, and then leaves those that the pattern wants. With
    /// `keep_others`, the others stay too, marked as neighbours.
    pub(crate) fn apply(&mut self, rule: Rule, source: u32, batch: &mut RecordBatch, keep_others: bool) {
        let cover = match rule {
            Rule::Open => return,
            Rule::Covered(cover) => cover,
            Rule::Refused => return batch.clear(),
        };
        let policies = &self.covers[cover].policies;
        if let Some(first) = policies.first().and_then(|first| self.at_work.get_mut(first)) {
            first.withhold_parts(batch);
        }
        for policy in policies {
            if let Some(policy) = self.at_work.get_mut(policy) {
                policy.apply(source, batch);
            }
        }
        self.confirm(batch, keep_others);
    }

    /// Leaves the records that the pattern wants as they are now, cut to the query's limit, in a buffer that holds nothing else.
    fn confirm(&mut self, batch: &mut RecordBatch, keep_others: bool) {
        let (matcher, most) = (self.search.matcher.as_deref(), self.search.limits.line_bytes);
        let mut clean = std::mem::take(&mut self.clean);
        clean.clear();
        for record in &batch.records {
            let message = batch.message(record);
            let seen = &message[..message.len().min(most)];
            let is_wanted =
                record.flags.has(Flags::CONTEXT) || matcher.is_none_or(|matcher| matcher.is_match(seen));
            if !is_wanted && !keep_others {
                continue;
            }
            let mut record = *record;
            record.flags.clear(Flags::REWRITTEN);
            if !is_wanted {
                record.flags.set(Flags::CONTEXT);
            }
            if seen.len() < message.len() {
                record.flags.set(Flags::TRUNCATED);
                self.met_long_line = true;
            }
            (record.start, record.end) = clean.append(seen);
            (record.fields_start, record.fields_end) = (record.end, record.end);
            clean.records.push(record);
        }
        std::mem::swap(batch, &mut clean);
        if clean.capacity_bytes() <= COMPACT_BYTES {
            self.clean = clean;
        }
    }

    /// Names of the policies that cover some source, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        let places: BTreeSet<usize> =
            self.covers.iter().flat_map(|cover| cover.policies.iter().copied()).collect();
        let all = self.set.policies();
        places.into_iter().filter_map(|place| Some(all.get(place)?.name().to_owned())).collect()
    }

    /// Whether a policy has the query end.
    pub(crate) fn has_ended(&self) -> bool {
        self.at_work.values().flat_map(|policy| &policy.stages).any(FilterStage::has_ended)
    }

    /// Whether a message was longer than the query's limit, and so cut.
    pub(crate) fn met_long_line(&self) -> bool {
        self.met_long_line
    }

    /// Ends the policies' part: what each did, and why the answer is incomplete for their sake.
    pub(crate) fn finish(&mut self) -> (Vec<PolicyStatus>, Vec<String>) {
        let at_work = std::mem::take(&mut self.at_work).into_values();
        let (statuses, incomplete): (Vec<_>, Vec<_>) = at_work.map(AtWork::finish).unzip();
        (statuses, incomplete.concat())
    }
}

impl AtWork {
    /// Takes out records of which a part is missing: what a filter would find in the whole may be cut in two.
    fn withhold_parts(&mut self, batch: &mut RecordBatch) {
        let is_part =
            |record: &Record| record.flags.has(Flags::TRUNCATED) || record.flags.has(Flags::UNFINISHED);
        self.parts += batch.records.iter().filter(|record| is_part(record)).count() as u64;
        retain(&mut batch.records, |_, record| !is_part(record));
    }

    fn apply(&mut self, source: u32, batch: &mut RecordBatch) {
        batch.records.iter_mut().for_each(|record| record.flags.clear(Flags::REWRITTEN));
        self.stages.iter_mut().for_each(|stage| stage.apply(source, batch));
        self.redacted +=
            batch.records.iter().filter(|record| record.flags.has(Flags::REWRITTEN)).count() as u64;
    }

    fn finish(self) -> (PolicyStatus, Vec<String>) {
        let AtWork { name, stages, redacted, parts } = self;
        let mut incomplete = Vec::new();
        if parts > 0 {
            incomplete.push(format!(
                "policy '{name}': withheld {parts} records that have no end yet or are longer than {POLICED_LINE_BYTES} bytes: what \
                 it hides may be cut in two there"
            ));
        }
        let (filters, reasons): (Vec<_>, Vec<_>) = stages.into_iter().map(FilterStage::finish).unzip();
        incomplete.extend(reasons.into_iter().flatten().map(|why| format!("policy '{name}': {why}")));
        let withheld = parts + filters.iter().map(|filter| filter.withheld).sum::<u64>();
        let filters = filters.into_iter().map(Into::into).collect();
        (PolicyStatus { name, redacted, withheld, filters }, incomplete)
    }
}
