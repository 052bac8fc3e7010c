//! From what was typed to what can run: every check that a query has to pass, in one place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use weir_sandbox::{Binding, FilterLimits, Kind};
use weir_scan::{
    Direction, LogSet, Matcher, MessageRegex, PatternError, Position, ScanLimits, Search, Source,
};

use crate::engine::Engine;
use crate::filter_stage::{Prefilter, StagePlan};
use crate::follow::{FollowPlan, Instance};
use crate::installed::InstalledSet;
use crate::params::check_within;
use crate::policing::Policing;
use crate::policy::PolicySet;
use crate::resume::{self, ResumeKey};
use crate::scope::{Right, Scope};
use crate::seats::Seats;
use crate::selection::Selection;
use crate::shadow::ShadowPlan;
use crate::spec::{FilterRef, FilterSpec, OnFailure, ShadowSpec};
use crate::watch::Watcher;
use crate::{Cancel, Limit, Output, QueryError, QuerySpec};

/// Bytes of records that a source gives at a time when it is merged: the least, however many there are, and the most.
const BATCH_BYTES: (usize, usize) = (2 << 10, 64 << 10);

/// A query that has passed every check. [`Plan::run`] runs it.
pub struct Plan {
    pub(crate) sets: Vec<LogSet>,
    /// For each of the sets, where the search goes on.
    pub(crate) resume: Vec<Option<Position>>,
    /// Sources that an earlier search stood in and that aren't here any more.
    pub(crate) gone: Vec<(Source, Position)>,
    pub(crate) follow: Option<FollowPlan>,
    /// Signs where the search stands.
    pub(crate) key: ResumeKey,
    pub(crate) search: Arc<Search>,
    pub(crate) policing: Policing,
    pub(crate) stages: Vec<StagePlan>,
    pub(crate) limit: Limit,
    /// Order in which records are given; the scan's order is in `search`.
    pub(crate) direction: Direction,
    pub(crate) output: Output,
    pub(crate) held_bytes: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) histogram_buckets: usize,
    pub(crate) node: String,
    /// Threads that search, the one that runs the plan included.
    pub(crate) threads: usize,
    /// What they take for each piece, as all queries of the engine do.
    pub(crate) seats: Arc<Seats>,
    /// Whether pieces of one file may be searched at once: where sources are merged, each holds the records of
    /// one piece.
    pub(crate) stripes: bool,
    /// Whether the order of the records shows in the answer.
    pub(crate) ordered: bool,
}

impl Plan {
    /// How many sources will be searched.
    pub fn source_count(&self) -> usize {
        self.sets.len()
    }

    /// Name and digest of each filter that records pass through, in order.
    pub fn filters(&self) -> Vec<(String, String)> {
        let filters = self.stages.iter().map(|stage| stage.binding.filter());
        filters.map(|filter| (filter.description().name.clone(), filter.digest().to_owned())).collect()
    }

    /// Time that filters may take which run beside others: the query may last longer by that much.
    pub fn shadow_time(&self) -> Duration {
        self.stages.iter().filter_map(|stage| stage.shadow.as_ref()).map(|shadow| shadow.time).sum()
    }
}

/// Where an earlier search stood: for each set that is here, and in the sources that aren't any more.
type Resume = (Vec<Option<Position>>, Vec<(Source, Position)>);

/// A spec on its way to a [`Plan`].
pub(crate) struct Planner<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) spec: &'a QuerySpec,
    /// What whoever asks may read.
    pub(crate) scope: &'a Scope,
    /// Ends the wait for filters to compile.
    pub(crate) cancel: &'a Cancel,
    /// The filters that are installed.
    pub(crate) installed: Arc<InstalledSet>,
}

impl Planner<'_> {
    pub(crate) fn plan(self) -> Result<Plan, QueryError> {
        let (engine, spec) = (self.engine, self.spec);
        let selection = Selection::new(&spec.sources, &engine.config.limits, self.scope)?;
        let time = self.time()?;
        self.check_context()?;
        self.check_rights()?;
        let mut limits = ScanLimits::default();
        if let Some(bytes) = spec.line_bytes {
            limits.line_bytes = self.line_bytes(bytes)?;
        }
        // The pattern alone first, so that its errors don't wait for filters to compile.
        let patterns = &engine.config.limits.patterns;
        let mut matcher = Matcher::new(&spec.pattern, patterns).map_err(pattern_error)?;
        let (stages, required) = self.stages()?;
        if let Some(prefilter) = required {
            let matching = matcher.unwrap_or_else(|| Matcher::everything(patterns));
            matcher = Some(matching.requiring(prefilter));
        }
        self.check_follow()?;
        let mut watcher = spec.follow.then(Watcher::new);
        let sets = engine.select(&selection, &spec.sources, watcher.as_mut())?;
        watcher.iter_mut().for_each(Watcher::begin);
        let source_count = sets.len();
        // A filter may care for the order of what it sees, and a limit decides which matches count.
        let ordered = spec.output == Output::Records || spec.limit != Limit::All || !stages.is_empty();
        if ordered {
            let share = engine.config.limits.merge_bytes / source_count.max(1);
            limits.batch_bytes = share.clamp(BATCH_BYTES.0, BATCH_BYTES.1);
        }
        limits.context_bytes = (limits.context_bytes / source_count.max(1)).max(limits.line_bytes);
        let (limit, direction) = spec.limit_in_scan_order();
        let (resume, gone) = self.resume(&sets, &selection, direction)?;
        let tail = spec.follow && direction == Direction::Backward;
        let direction = if tail { Direction::Forward } else { direction };
        let messages = spec.output == Output::Records || !stages.is_empty();
        let (context, rewrites) = (spec.context, None);
        let search =
            Search { matcher: matcher.map(Arc::new), rewrites, time, direction, context, messages, limits };
        let search = Arc::new(search);
        let batch_bytes = engine.config.limits.batch_bytes;
        let set = engine.policies();
        let bypassed = self.bypassed(&set)?;
        let mut policing = Policing::new(set, bypassed, Arc::clone(&search), batch_bytes);
        check_some_are_served(&mut policing, &sets)?;
        let follow = watcher.map(|watcher| FollowPlan {
            watcher,
            inputs: engine.config.inputs.clone(),
            selection,
            hold: engine.config.limits.follow_hold,
            tail,
        });
        Ok(Plan {
            sets,
            resume,
            gone,
            follow,
            key: engine.resume_key,
            search,
            policing,
            stages,
            limit,
            direction: spec.direction,
            output: spec.output,
            held_bytes: engine.config.limits.held_bytes,
            batch_bytes,
            histogram_buckets: engine.config.limits.histogram_buckets,
            node: engine.config.node.clone(),
            threads: engine.config.limits.threads.max(1),
            seats: Arc::clone(&engine.seats),
            stripes: !ordered
                || BATCH_BYTES.1.saturating_mul(source_count) <= engine.config.limits.merge_bytes,
            ordered,
        })
    }

    /// Refuses filters that the caller may not use, and policies that it may not leave out.
    fn check_rights(&self) -> Result<(), QueryError> {
        let refused =
            |field: &str, message: String| Err(QueryError::Refused { field: field.to_owned(), message });
        for filter in self.spec.filter_refs() {
            let (right, verb) = match filter {
                FilterRef::Name(name) if self.installed.contains_key(name) => {
                    (Right::UseFilter(name.clone()), "use")
                }
                FilterRef::Name(_) => continue,
                FilterRef::Component { .. } | FilterRef::Uploaded { .. } => (Right::UploadFilter, "upload"),
            };
            if !self.scope.may(&right)? {
                let name = filter.name();
                let message =
                    format!("'{name}' may not be used: that takes the verb '{verb}' on filters.weir.dev");
                return refused("filters", message);
            }
        }
        for name in &self.spec.bypass {
            if !self.scope.may(&Right::BypassPolicy(name.clone()))? {
                let message = format!(
                    "'{name}' may not be left out: that takes the verb 'bypass' on filterpolicies.weir.dev"
                );
                return refused("bypass_policies", message);
            }
        }
        Ok(())
    }

    /// Places of the policies that are left out.
    fn bypassed(&self, set: &PolicySet) -> Result<Vec<usize>, QueryError> {
        let place = |name: &String| {
            set.policies().iter().position(|policy| policy.name() == name).ok_or_else(|| {
                let message = format!(
                    "no policy is named '{name}'; its name is in the summary of a query that it covers"
                );
                QueryError::NotFound { field: "bypass_policies".to_owned(), message }
            })
        };
        // Which there are may not be known yet, which is told for itself.
        if !set.is_synced() {
            return Ok(Vec::new());
        }
        self.spec.bypass.iter().map(place).collect()
    }

    fn check_follow(&self) -> Result<(), QueryError> {
        let refused = |field: &str, message: &str| Err(QueryError::invalid(field, message));
        match self.spec {
            QuerySpec { follow: false, .. } => Ok(()),
            QuerySpec { until: Some(_), .. } => {
                refused("until", "a query that follows has no end in time; leave one of the two out")
            }
            QuerySpec { direction: Direction::Backward, .. } => refused(
                "direction",
                "what is still to be written can't come newest first; follow oldest first",
            ),
            QuerySpec { output: Output::Records, .. } => Ok(()),
            _ => refused("output", "only records can be followed, not counts of them"),
        }
    }

    /// Where the search goes on in each set, and in those that are gone.
    fn resume(
        &self,
        sets: &[LogSet],
        selection: &Selection,
        direction: Direction,
    ) -> Result<Resume, QueryError> {
        let known: HashMap<Instance, usize> =
            sets.iter().enumerate().map(|(index, set)| (Instance::of(&set.source), index)).collect();
        let mut resume = vec![None; sets.len()];
        let mut gone = Vec::new();
        let mut look = selection.look();
        let mut met = HashSet::new();
        for (source, sealed) in self.spec.resume.positions() {
            if !met.insert(Instance::of(&source)) {
                let Source { namespace, pod, container, .. } = source;
                let message = format!("two positions of the same source ({namespace}:{pod}/{container})");
                return Err(QueryError::invalid("resume", message));
            }
            let position = resume::open(&self.engine.resume_key, &source, direction, sealed)?;
            match known.get(&Instance::of(&source)) {
                Some(&index) => resume[index] = Some(position),
                None if look.takes(&source) => {
                    gone.push((source, position));
                }
                None => {}
            }
        }
        look.finish()?;
        Ok((resume, gone))
    }

    fn time(&self) -> Result<Option<std::ops::Range<i64>>, QueryError> {
        let (since, until) = (self.spec.since.or(self.spec.resume.since), self.spec.until);
        if since.is_none() && until.is_none() {
            return Ok(None);
        }
        let range = since.unwrap_or(i64::MIN)..until.unwrap_or(i64::MAX);
        if range.is_empty() {
            return Err(QueryError::invalid(
                "until",
                "the end of the time range is not after its start (since)",
            ));
        }
        Ok(Some(range))
    }

    fn check_context(&self) -> Result<(), QueryError> {
        let most = self.engine.config.limits.context_records;
        let context = self.spec.context;
        if context.before > most || context.after > most {
            let message = format!("{} records before and {} after a match", context.before, context.after);
            return Err(QueryError::limit("context", "context_records", most, message));
        }
        Ok(())
    }

    fn line_bytes(&self, bytes: u32) -> Result<usize, QueryError> {
        let most = self.engine.config.limits.line_bytes;
        match bytes as usize {
            0 => Err(QueryError::invalid(
                "line_bytes",
                "a line limit of 0 bytes keeps nothing; give at least 1",
            )),
            bytes if bytes > most => {
                Err(QueryError::limit("line_bytes", "line_bytes", most, format!("{bytes} bytes")))
            }
            bytes => Ok(bytes),
        }
    }

    /// Opens every filter. The first filter's prefilter is given back when the scanner can run it: only a
    /// select's, and only the first one's, since a later filter must see what those before it left, and
    /// they may depend on every record they are handed. So may one that runs beside it.
    fn stages(&self) -> Result<(Vec<StagePlan>, Option<Arc<MessageRegex>>), QueryError> {
        let limits = &self.engine.config.limits;
        let shadows = self.spec.filters.iter().filter(|spec| spec.shadow.is_some()).count();
        let filters = self.spec.filters.len() + shadows;
        if filters > limits.filters {
            let message = format!("{filters} filters, those that run beside others included");
            return Err(QueryError::limit("filters", "filters", limits.filters, message));
        }
        let mut stages = Vec::with_capacity(self.spec.filters.len());
        let mut required = None;
        for (index, spec) in self.spec.filters.iter().enumerate() {
            let field = format!("filters[{index}]");
            let mut stage = self.open(spec, &field)?;
            let prefilter = self.prefilter(&stage.binding, &format!("{field} ({})", spec.filter.name()))?;
            if let Some(regex) = prefilter {
                if index == 0 && stage.binding.kind() == Kind::Select && stage.shadow.is_none() {
                    required = Some(regex);
                    stage.prefilter = Some(Prefilter::InScan);
                } else {
                    stage.prefilter = Some(Prefilter::Here(regex));
                }
            }
            stages.push(stage);
        }
        Ok((stages, required))
    }

    fn open(&self, spec: &FilterSpec, field: &str) -> Result<StagePlan, QueryError> {
        let name = spec.filter.name();
        let (params, defaults) = self.engine.defaults(&spec.filter, &self.installed, &spec.params);
        let limits = self.filter_limits(spec, defaults, field)?;
        let binding = self.bind(&spec.filter, &params, &limits, field)?;
        if spec.on_failure == OnFailure::Pass && binding.kind() == Kind::Redact {
            return Err(QueryError::invalid(
                format!("{field}.on_failure"),
                format!(
                    "'{name}' redacts: what it fails on can't be passed on; leave it out, or give drop or end"
                ),
            ));
        }
        let shadow = spec.shadow.as_ref().map(|shadow| self.shadow(shadow, &binding, field)).transpose()?;
        let on_failure = spec.on_failure;
        Ok(StagePlan { binding, prefilter: None, on_failure, shadow, of_policy: false })
    }

    /// A filter with its parameters.
    fn bind(
        &self,
        filter: &FilterRef,
        params: &str,
        limits: &FilterLimits,
        field: &str,
    ) -> Result<Binding, QueryError> {
        let name = filter.name();
        if !matches!(filter, FilterRef::Name(_)) {
            self.engine.check_components_allowed(&format!("{field} ({name})"))?;
        }
        let loaded = self.engine.load_as(filter, &self.installed, field, self.cancel)?;
        let field = format!("{field} ({name})");
        check_within(&loaded, params, limits).map_err(|problem| QueryError::invalid(&field, problem))?;
        loaded.open(params, limits).map_err(|error| QueryError::open(&field, &error))
    }

    fn shadow(&self, spec: &ShadowSpec, beside: &Binding, field: &str) -> Result<ShadowPlan, QueryError> {
        let field = format!("{field}.shadow");
        let (params, _) = self.engine.defaults(&spec.filter, &self.installed, &spec.params);
        let binding = self.bind(&spec.filter, &params, beside.limits(), &field)?;
        let field = format!("{field} ({})", spec.filter.name());
        if binding.kind() != beside.kind() {
            let (own, other) = (binding.kind().as_str(), beside.kind().as_str());
            let message =
                format!("it is of kind {own}, and the filter that it runs beside is of kind {other}");
            return Err(QueryError::invalid(field, format!("{message}; give one of the same kind")));
        }
        let prefilter = self.prefilter(&binding, &field)?;
        Ok(ShadowPlan { binding, prefilter, time: self.engine.config.limits.shadow_time })
    }

    fn prefilter(&self, binding: &Binding, field: &str) -> Result<Option<Arc<MessageRegex>>, QueryError> {
        self.engine.prefilter(binding).map_err(|error| {
            let message = format!("the filter's own prefilter is refused, tell its author: {error}");
            QueryError::invalid(field, message)
        })
    }

    /// `limits` of a filter, with those that the query sets, within the engine's maxima.
    fn filter_limits(
        &self,
        spec: &FilterSpec,
        mut limits: FilterLimits,
        field: &str,
    ) -> Result<FilterLimits, QueryError> {
        let config = &self.engine.config;
        for (name, value) in &spec.limits {
            let field = format!("{field}.limits.{name}");
            let limit = FilterLimits::named(name).map_err(|reason| QueryError::invalid(&field, reason))?;
            let most = limit.get(&config.filter_maxima);
            if *value > most {
                return Err(QueryError::limit(field, name, most, format!("{value}")));
            }
            limit.set(&mut limits, *value).map_err(|reason| QueryError::invalid(field, reason))?;
        }
        Ok(limits)
    }
}

/// Refuses a query of which nothing may be given.
fn check_some_are_served(policing: &mut Policing, sets: &[LogSet]) -> Result<(), QueryError> {
    // Also where there is no source yet: those that come would be refused for as long as the query lasts.
    policing.check_known()?;
    let mut refused = None;
    for set in sets {
        match policing.cover(&set.source) {
            Ok(_) => return Ok(()),
            Err(why) => refused = Some(why),
        }
    }
    refused.map_or(Ok(()), |why| Err(why.into()))
}

fn pattern_error(error: PatternError) -> QueryError {
    QueryError::pattern(&error)
}
