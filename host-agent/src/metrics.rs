//! What the agent counts, in the form that Prometheus scrapes. `docs/agent.md` lists the names.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use weir_cluster::{Review, Verdict};
use weir_query::{FilterStatus, PolicyStatus};
use weir_rpc::{Observer, Outcome};

/// Stands for every filter that a query brings itself: its name is the client's choice, and each would be a
/// time series of its own. Also for filters that are installed beyond the first [`OWN_NAMES`].
const OTHER_FILTER: &str = "other";

/// Filters of the folder, and installed ones, that have time series of their own, as long as they are loaded.
const OWN_NAMES: usize = 64;

/// What may come of a record that reaches a filter.
const VERDICTS: [&str; 7] = ["skipped", "kept", "dropped", "replaced", "withheld", "failed", "paused"];

/// What may come of a record that a shadow is compared on.
const SHADOW_RESULTS: [&str; 3] = ["same", "differ", "left_out"];

/// Whether a filter's machine code was there.
const CACHE: [&str; 2] = ["hit", "miss"];

/// Upper bounds of the buckets of query times, in seconds.
const SECONDS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// The agent's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    filters: Vec<&'static str>,
    /// Filters of the folder, and installed ones, that are loaded now, no more than [`OWN_NAMES`].
    own: RwLock<BTreeSet<String>>,
    queries: Family<OutcomeLabel, Counter>,
    refusals: Family<LimitLabel, Counter>,
    running: Gauge,
    queued: Gauge,
    seconds: HistogramWithExemplars<TraceLabel>,
    reloads: Family<ResultLabel, Counter>,
    uploads: Family<ResultLabel, Counter>,
    folder_files: Family<ResultLabel, Counter>,
    pulls: Family<ResultLabel, Counter>,
    denials: Family<ReasonLabel, Counter>,
    reviews: Family<ReviewLabels, Counter>,
    known_reviews: Family<ReviewLabel, Counter>,
    audit_lost: Counter,
    policies: Family<ResultLabel, Gauge>,
    policy_records: Family<PolicyLabels, Counter>,
    read: Counter,
    sent: Counter,
    filter_records: Family<FilterLabels, Counter>,
    filter_seconds: Family<FilterLabel, Counter<f64, AtomicU64>>,
    filter_breaker: Family<FilterLabel, Counter>,
    filter_memory: Family<FilterLabel, Gauge>,
    filter_compiles: Family<CompileLabels, Counter>,
    filter_compile_seconds: Family<FilterLabel, Counter<f64, AtomicU64>>,
    shadow_records: Family<ShadowLabels, Counter>,
    shadow_seconds: Family<FilterLabel, Counter<f64, AtomicU64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Limits have names of ours, so that there are not many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

impl ResultLabel {
    fn of(is_ok: bool) -> ResultLabel {
        ResultLabel { result: if is_ok { "ok" } else { "refused" } }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    review: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabel {
    review: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabel {
    trace_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FilterLabel {
    filter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FilterLabels {
    filter: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShadowLabels {
    filter: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CompileLabels {
    filter: String,
    cache: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
}

impl Metrics {
    /// Metrics that know the agent's own filters by name.
    pub(crate) fn new(filters: Vec<&'static str>) -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("weir");
        let metrics = Metrics {
            filters,
            own: RwLock::default(),
            queries: Family::default(),
            refusals: Family::default(),
            running: Gauge::default(),
            queued: Gauge::default(),
            seconds: HistogramWithExemplars::new(SECONDS.into_iter()),
            reloads: Family::default(),
            uploads: Family::default(),
            folder_files: Family::default(),
            pulls: Family::default(),
            denials: Family::default(),
            reviews: Family::default(),
            known_reviews: Family::default(),
            audit_lost: Counter::default(),
            policies: Family::default(),
            policy_records: Family::default(),
            read: Counter::default(),
            sent: Counter::default(),
            filter_records: Family::default(),
            filter_seconds: Family::default(),
            filter_breaker: Family::default(),
            filter_memory: Family::default(),
            filter_compiles: Family::default(),
            filter_compile_seconds: Family::default(),
            shadow_records: Family::default(),
            shadow_seconds: Family::default(),
            registry: Registry::default(),
        };
        registry.register(
            "build",
            "Version of the agent",
            Info::new(BuildLabel { version: env!("CARGO_PKG_VERSION") }),
        );
        registry.register("queries", "Queries that ended, by outcome", metrics.queries.clone());
        registry.register(
            "queries_over_limit",
            "Queries that were refused because of a limit, by its name",
            metrics.refusals.clone(),
        );
        registry.register("queries_running", "Queries that run now", metrics.running.clone());
        registry.register("queries_queued", "Searches that wait for their turn", metrics.queued.clone());
        registry.register(
            "tls_reloads",
            "Changes of the certificates' files: ok, or refused, so that the old ones are used on",
            metrics.reloads.clone(),
        );
        registry.register(
            "filter_uploads",
            "Filters that clients uploaded: ok, or refused",
            metrics.uploads.clone(),
        );
        registry.register(
            "folder_files",
            "New or changed files of the folder of filters: ok, or refused",
            metrics.folder_files.clone(),
        );
        registry.register(
            "pulls",
            "Attempts to pull a filter from a registry: ok, or failed",
            metrics.pulls.clone(),
        );
        registry.register(
            "denials",
            "Calls refused or ended for what their callers are or may: unauthenticated, denied, unavailable",
            metrics.denials.clone(),
        );
        registry.register(
            "access_reviews",
            "Reviews that the Kubernetes API server was asked for, by what came of them",
            metrics.reviews.clone(),
        );
        registry.register(
            "access_reviews_known",
            "Reviews whose answer was known already, or on its way",
            metrics.known_reviews.clone(),
        );
        registry.register("audit_lost", "Audit records that were not written", metrics.audit_lost.clone());
        registry.register(
            "policies",
            "Policies: ok, or refused, so that all that they may cover is",
            metrics.policies.clone(),
        );
        registry.register(
            "policy_records",
            "Records that a policy let through rewritten, or withheld",
            metrics.policy_records.clone(),
        );
        registry.register_with_unit(
            "query_duration",
            "Time from a query's start to its end",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "bytes_read",
            "Log bytes read, decompressed, but for those that policies cover",
            metrics.read.clone(),
        );
        registry.register("records_sent", "Records handed to connections", metrics.sent.clone());
        registry.register(
            "filter_records",
            "Records that reached a filter, by what came of them",
            metrics.filter_records.clone(),
        );
        registry.register_with_unit(
            "filter_time",
            "Time spent in a filter's sandbox",
            Unit::Seconds,
            metrics.filter_seconds.clone(),
        );
        registry.register(
            "filter_breaker_opened",
            "How often a filter failed so often that it was not called for a while",
            metrics.filter_breaker.clone(),
        );
        registry.register_with_unit(
            "filter_peak_memory",
            "Most memory that one use of a filter had",
            Unit::Bytes,
            metrics.filter_memory.clone(),
        );
        registry.register(
            "filter_loads",
            "Uses of a filter, by whether its machine code was there already",
            metrics.filter_compiles.clone(),
        );
        registry.register_with_unit(
            "filter_load_time",
            "Time until a filter's machine code was there",
            Unit::Seconds,
            metrics.filter_compile_seconds.clone(),
        );
        registry.register(
            "shadow_records",
            "Records that a filter beside another one was compared on, or left out of, by what came of it",
            metrics.shadow_records.clone(),
        );
        registry.register_with_unit(
            "shadow_time",
            "Time spent in the sandbox of a filter beside another one",
            Unit::Seconds,
            metrics.shadow_seconds.clone(),
        );
        Arc::new(Metrics { registry, ..metrics })
    }

    /// The metrics as text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a new or changed file of the folder of filters.
    pub(crate) fn folder_file(&self, is_loaded: bool) {
        self.folder_files.get_or_create(&ResultLabel::of(is_loaded)).inc();
    }

    /// Counts an attempt to pull a filter from a registry.
    pub(crate) fn pull(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.pulls.get_or_create(&ResultLabel { result }).inc();
    }

    /// Counts an audit record that is lost.
    pub(crate) fn audit_lost(&self) {
        self.audit_lost.inc();
    }

    /// Notes how many policies are loaded, and how many can't be.
    pub(crate) fn policies(&self, loaded: usize, refused: usize) {
        for (is_loaded, count) in [(true, loaded), (false, refused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.policies.get_or_create(&ResultLabel::of(is_loaded)).set(count);
        }
    }

    /// Takes note of the filters that there are now besides those that ship with Weir. With one that is gone go its time
    /// series, so that there are never many.
    pub(crate) fn own_filters(&self, names: Vec<String>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<String> = names.into_iter().take(OWN_NAMES).collect();
        own.difference(&names).for_each(|gone| self.forget(gone));
        *own = names;
    }

    fn forget(&self, filter: &str) {
        let filter = filter.to_owned();
        for verdict in VERDICTS {
            self.filter_records.remove(&FilterLabels { filter: filter.clone(), verdict });
        }
        for cache in CACHE {
            self.filter_compiles.remove(&CompileLabels { filter: filter.clone(), cache });
        }
        for result in SHADOW_RESULTS {
            self.shadow_records.remove(&ShadowLabels { filter: filter.clone(), result });
        }
        let label = FilterLabel { filter };
        self.filter_seconds.remove(&label);
        self.filter_breaker.remove(&label);
        self.filter_memory.remove(&label);
        self.filter_compile_seconds.remove(&label);
        self.shadow_seconds.remove(&label);
    }

    fn count(&self, outcome: &'static str) {
        self.queries.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

impl Observer for Metrics {
    fn started(&self) {
        self.running.inc();
    }

    fn read(&self, bytes: u64) {
        self.read.inc_by(bytes);
    }

    fn sent(&self, records: u64) {
        self.sent.inc_by(records);
    }

    fn filter(&self, status: &FilterStatus) {
        // Held until all is counted: what goes meanwhile is forgotten after that.
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let name = status.name.as_str();
        let is_known = self.filters.contains(&name) || own.contains(name);
        let filter = if is_known { name } else { OTHER_FILTER }.to_owned();
        let records = [
            status.skipped_by_prefilter,
            status.kept,
            status.dropped,
            status.replaced,
            status.withheld,
            status.failed,
            status.paused,
        ];
        for (verdict, records) in VERDICTS.into_iter().zip(records) {
            let labels = FilterLabels { filter: filter.clone(), verdict };
            self.filter_records.get_or_create(&labels).inc_by(records);
        }
        let label = FilterLabel { filter: filter.clone() };
        self.filter_seconds.get_or_create(&label).inc_by(status.time.as_secs_f64());
        self.filter_breaker.get_or_create(&label).inc_by(status.breaker_opened);
        let peak = i64::try_from(status.peak_memory).unwrap_or(i64::MAX);
        self.filter_memory.get_or_create(&label).inner().fetch_max(peak, Ordering::Relaxed);
        let cache = CACHE[usize::from(!status.compile_cached)];
        self.filter_compiles.get_or_create(&CompileLabels { filter: filter.clone(), cache }).inc();
        self.filter_compile_seconds.get_or_create(&label).inc_by(status.compile_time.as_secs_f64());
        let Some(shadow) = &status.shadow else { return };
        self.shadow_seconds.get_or_create(&label).inc_by(shadow.status.time.as_secs_f64());
        let differ = shadow.differing();
        let records = [shadow.compared - differ, differ, shadow.left_out];
        for (result, records) in SHADOW_RESULTS.into_iter().zip(records) {
            let labels = ShadowLabels { filter: filter.clone(), result };
            self.shadow_records.get_or_create(&labels).inc_by(records);
        }
    }

    fn policy(&self, status: &PolicyStatus) {
        for (result, records) in [("redacted", status.redacted), ("withheld", status.withheld)] {
            let labels = PolicyLabels { policy: status.name.clone(), result };
            self.policy_records.get_or_create(&labels).inc_by(records);
        }
    }

    fn ended(&self, outcome: Outcome, elapsed: Duration, trace_id: &str) {
        self.running.dec();
        let trace = TraceLabel { trace_id: trace_id.to_owned() };
        self.seconds.observe(elapsed.as_secs_f64(), Some(trace), Some(SystemTime::now()));
        self.count(outcome.name());
    }

    fn refused(&self, limit: Option<&str>) {
        self.count("refused");
        if let Some(limit) = limit {
            self.refusals.get_or_create(&LimitLabel { limit: limit.to_owned() }).inc();
        }
    }

    fn queued(&self, waits: bool) {
        if waits {
            self.queued.inc()
        } else {
            self.queued.dec()
        };
    }

    fn uploaded(&self, taken: bool) {
        self.uploads.get_or_create(&ResultLabel::of(taken)).inc();
    }

    fn denied(&self, reason: &'static str) {
        self.denials.get_or_create(&ReasonLabel { reason }).inc();
    }

    fn certificates(&self, usable: bool) {
        self.reloads.get_or_create(&ResultLabel::of(usable)).inc();
    }
}

impl weir_cluster::Observer for Metrics {
    fn reviewed(&self, review: Review, verdict: Verdict) {
        let labels = ReviewLabels { review: review.name(), result: verdict.name() };
        self.reviews.get_or_create(&labels).inc();
    }

    fn known(&self, review: Review) {
        self.known_reviews.get_or_create(&ReviewLabel { review: review.name() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_scraped() {
        let metrics = Metrics::new(vec!["redact"]);
        metrics.started();
        metrics.started();
        metrics.read(10);
        metrics.sent(3);
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        metrics.ended(Outcome::Complete, Duration::from_millis(20), trace);
        metrics.refused(Some("max_queued"));
        metrics.queued(true);
        metrics.certificates(false);
        metrics.denied("denied");
        weir_cluster::Observer::reviewed(&*metrics, Review::Token, Verdict::Failed);
        weir_cluster::Observer::known(&*metrics, Review::Access);
        metrics.audit_lost();
        let text = metrics.text().expect("text");
        for line in [
            "weir_queries_total{outcome=\"complete\"} 1",
            "weir_queries_total{outcome=\"refused\"} 1",
            "weir_queries_running 1",
            "weir_queries_queued 1",
            "weir_queries_over_limit_total{limit=\"max_queued\"} 1",
            "weir_tls_reloads_total{result=\"refused\"} 1",
            "weir_denials_total{reason=\"denied\"} 1",
            "weir_access_reviews_total{review=\"token\",result=\"failed\"} 1",
            "weir_access_reviews_known_total{review=\"access\"} 1",
            "weir_audit_lost_total 1",
            "weir_bytes_read_total 10",
            "weir_records_sent_total 3",
            "weir_query_duration_seconds_count 1",
            concat!("weir_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let exemplar = format!("{{le=\"0.025\"}} 1 # {{trace_id=\"{trace}\"}} 0.02 ");
        assert!(text.contains(&exemplar), "{exemplar} in\n{text}");
    }
}
