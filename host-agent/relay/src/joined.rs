//! What is made one of numbers: counts, histograms, what filters did, progress, summaries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weir_query::{
    Bucket, Count, Event, FilterStatus, Output, PolicyStatus, Progress, ShadowStatus, Summary,
    merge_summaries,
};

/// Failures and diagnostics that are kept of one filter: as many as of one on a single agent.
const FAILURES: usize = 16;
const DIAGNOSTICS: usize = 100;
/// Samples of records that two filters differ about: likewise.
const SAMPLES: usize = 16;

/// Least time between two progress events.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Numbers that agents gave for their parts.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    counts: BTreeMap<Option<u32>, u64>,
    buckets: BTreeMap<(Option<u32>, Option<i64>), u64>,
    filters: Vec<FilterStatus>,
    policies: BTreeMap<String, PolicyStatus>,
    progress_at: Option<Instant>,
}

impl Joined {
    pub(crate) fn counts(&mut self, counts: &[Count]) {
        counts.iter().for_each(|count| *self.counts.entry(count.source).or_default() += count.matched);
    }

    pub(crate) fn histogram(&mut self, buckets: &[Bucket]) {
        for bucket in buckets {
            *self.buckets.entry((bucket.source, bucket.start)).or_default() += bucket.matched;
        }
    }

    /// Numbers of matches, as one agent gives them.
    pub(crate) fn take_matches(&mut self, output: Output) -> Option<Event> {
        let counts = std::mem::take(&mut self.counts).into_iter();
        let buckets = std::mem::take(&mut self.buckets).into_iter();
        match output {
            Output::Records => None,
            Output::Count { per_source: true } => {
                Some(Event::Counts(counts.map(|(source, matched)| Count { source, matched }).collect()))
            }
            Output::Count { per_source: false } => {
                let matched = counts.map(|(_, matched)| matched).sum();
                Some(Event::Counts(vec![Count { source: None, matched }]))
            }
            Output::Histogram { .. } => {
                let bucket = |((source, start), matched)| Bucket { source, start, matched };
                Some(Event::Histogram(buckets.map(bucket).collect()))
            }
        }
    }

    /// Adds what a filter did on one more agent. Another version of it is another filter.
    pub(crate) fn filter(&mut self, status: FilterStatus) {
        let key = |status: &FilterStatus| {
            let beside = status.shadow.as_ref().map(|shadow| shadow.status.digest.clone());
            (status.index, status.name.clone(), status.digest.clone(), beside)
        };
        match self.filters.iter_mut().find(|known| key(known) == key(&status)) {
            Some(known) => join_filter(known, status),
            None => self.filters.push(status),
        }
    }

    /// What each filter did, in the query's order.
    pub(crate) fn take_filters(&mut self) -> Vec<FilterStatus> {
        let mut filters = std::mem::take(&mut self.filters);
        filters.sort_by_key(|status| status.index);
        filters
    }

    /// Adds what a policy did on one more agent: of one name, they are taken for one.
    pub(crate) fn policy(&mut self, status: PolicyStatus) {
        match self.policies.get_mut(&status.name) {
            Some(known) => known.add(status),
            None => drop(self.policies.insert(status.name.clone(), status)),
        }
    }

    /// What each policy did, by name.
    pub(crate) fn take_policies(&mut self) -> impl Iterator<Item = PolicyStatus> + use<> {
        std::mem::take(&mut self.policies).into_values()
    }

    /// The sum of the agents' progress, when it is time for one.
    pub(crate) fn progress(&mut self, of: impl Iterator<Item = Progress>) -> Option<Progress> {
        let now = Instant::now();
        if self.progress_at.is_some_and(|at| now < at) {
            return None;
        }
        self.progress_at = Some(now + PROGRESS_EVERY);
        Some(of.fold(Progress::default(), |sum, one| Progress {
            bytes_read: sum.bytes_read + one.bytes_read,
            bytes_total: sum.bytes_total + one.bytes_total,
            matched: sum.matched + one.matched,
        }))
    }
}

fn join_filter(into: &mut FilterStatus, status: FilterStatus) {
    into.records_in += status.records_in;
    into.skipped_by_prefilter += status.skipped_by_prefilter;
    into.kept += status.kept;
    into.dropped += status.dropped;
    into.replaced += status.replaced;
    into.withheld += status.withheld;
    into.failed += status.failed;
    into.paused += status.paused;
    into.breaker_opened += status.breaker_opened;
    into.time += status.time;
    into.peak_memory = into.peak_memory.max(status.peak_memory);
    into.compile_cached &= status.compile_cached;
    into.compile_time = into.compile_time.max(status.compile_time);
    into.failures.extend(status.failures);
    into.failures.truncate(FAILURES);
    for text in status.diagnostics {
        if into.diagnostics.len() < DIAGNOSTICS && !into.diagnostics.contains(&text) {
            into.diagnostics.push(text);
        }
    }
    into.summaries = merge_summaries(std::mem::take(&mut into.summaries).into_iter().chain(status.summaries));
    match (&mut into.shadow, status.shadow) {
        (Some(into), Some(shadow)) => join_shadow(into, *shadow),
        (into, shadow) => *into = into.take().or(shadow),
    }
}

/// Adds what the filter beside another one would have done on one more agent.
fn join_shadow(into: &mut ShadowStatus, shadow: ShadowStatus) {
    join_filter(&mut into.status, shadow.status);
    into.compared += shadow.compared;
    into.failed += shadow.failed;
    into.dropped += shadow.dropped;
    into.messages += shadow.messages;
    into.fields += shadow.fields;
    into.summaries += shadow.summaries;
    into.left_out += shadow.left_out;
    into.spent |= shadow.spent;
    into.samples.extend(shadow.samples);
    into.samples.truncate(SAMPLES);
}

/// Adds an agent's figures to those of the whole; all searched under one trace id. Of `incomplete`, `sources` and `records` the merge knows itself.
pub(crate) fn join_summary(whole: &mut Summary, part: &Summary, counted_there: bool) {
    whole.bytes_read += part.bytes_read;
    whole.elapsed = whole.elapsed.max(part.elapsed);
    whole.oldest = whole.oldest.into_iter().chain(part.oldest).min();
    if !part.trace_id.is_empty() {
        whole.trace_id.clone_from(&part.trace_id);
    }
    if counted_there {
        whole.matched += part.matched;
        whole.malformed += part.malformed;
        whole.truncated += part.truncated;
    }
}

#[cfg(test)]
mod tests {
    use weir_query::{FilterFailure, Kind};

    use super::*;

    fn status(digest: &str, number: u64) -> FilterStatus {
        FilterStatus {
            index: 0,
            name: "f".to_owned(),
            version: "1.0.0".to_owned(),
            digest: digest.to_owned(),
            kind: Kind::Aggregate,
            records_in: number,
            skipped_by_prefilter: number,
            kept: number,
            dropped: number,
            replaced: number,
            withheld: number,
            failed: number,
            time: Duration::from_secs(number),
            peak_memory: number,
            compile_cached: number != 2,
            compile_time: Duration::from_secs(number),
            paused: number,
            breaker_opened: number,
            failures: vec![FilterFailure::default(); 10],
            diagnostics: vec!["same".to_owned(), format!("of {number}")],
            summaries: vec![
                format!("{{\"n\":{number}}}"),
                format!(
                    r#"{{"table":{{"keys":[],"values":[{{"name":"n","merge":"sum"}}],"rows":[[{number}]]}}}}"#
                ),
            ],
            shadow: None,
        }
    }

    #[test]
    fn what_one_filter_did_on_several_agents_is_one() {
        let mut joined = Joined::default();
        [status("a", 1), status("b", 5), status("a", 2)].into_iter().for_each(|one| joined.filter(one));
        let filters = joined.take_filters();
        assert_eq!(filters.iter().map(|filter| filter.digest.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let of_a = &filters[0];
        assert_eq!((of_a.records_in, of_a.breaker_opened, of_a.withheld), (3, 3, 3));
        assert_eq!((of_a.time, of_a.compile_time), (Duration::from_secs(3), Duration::from_secs(2)));
        assert_eq!((of_a.peak_memory, of_a.compile_cached, of_a.failures.len()), (2, false, FAILURES));
        assert_eq!(of_a.diagnostics, ["same", "of 1", "of 2"]);
        let sum = r#"{"table":{"keys":[],"values":[{"name":"n","merge":"sum"}],"rows":[[3]]}}"#;
        assert_eq!(of_a.summaries, [sum, "{\"n\":1}", "{\"n\":2}"]);
    }

    #[test]
    fn steps_of_histograms_are_added_up() {
        let mut joined = Joined::default();
        let bucket = |start, matched| Bucket { source: None, start: Some(start), matched };
        joined.histogram(&[bucket(10, 1), bucket(30, 2)]);
        joined.histogram(&[bucket(20, 4), bucket(30, 8)]);
        let step = std::num::NonZeroU64::new(10).expect("not zero");
        let Some(Event::Histogram(buckets)) =
            joined.take_matches(Output::Histogram { step, per_source: false })
        else {
            panic!("a histogram was asked for")
        };
        assert_eq!(buckets, [bucket(10, 1), bucket(20, 4), bucket(30, 10)]);
    }

    #[test]
    fn summaries_are_added_up() {
        let mut whole = Summary::default();
        let part = |oldest, seconds| Summary {
            matched: 2,
            bytes_read: 5,
            oldest,
            elapsed: Duration::from_secs(seconds),
            ..Summary::default()
        };
        join_summary(&mut whole, &part(Some(9), 2), true);
        join_summary(&mut whole, &part(None, 1), true);
        join_summary(&mut whole, &part(Some(7), 1), false);
        assert_eq!((whole.matched, whole.bytes_read), (4, 15));
        assert_eq!((whole.oldest, whole.elapsed), (Some(7), Duration::from_secs(2)));
    }
}
