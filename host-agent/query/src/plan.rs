//! From what was typed to what can run: every check that a query has to pass, in one place.

use std::collections::HashMap;
use std::sync::Arc;

use weir_sandbox::{FilterLimits, Kind};
use weir_scan::{
    Direction, LogSet, Matcher, MessageRegex, PatternError, Position, ScanLimits, Search, Source,
};

use crate::engine::{Engine, parse_selectors};
use crate::filter_stage::{Prefilter, StagePlan};
use crate::follow::{FollowPlan, Instance};
use crate::resume::{self, ResumeKey};
use crate::selector::{self, Selector};
use crate::spec::{FilterRef, FilterSpec, OnFailure};
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
}

/// Where an earlier search stood: for each set that is here, and in the sources that aren't any more.
type Resume = (Vec<Option<Position>>, Vec<(Source, Position)>);

/// A spec on its way to a [`Plan`].
pub(crate) struct Planner<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) spec: &'a QuerySpec,
    /// Ends the wait for filters to compile.
    pub(crate) cancel: &'a Cancel,
}

impl Planner<'_> {
    pub(crate) fn plan(self) -> Result<Plan, QueryError> {
        let (engine, spec) = (self.engine, self.spec);
        let selectors = parse_selectors(&spec.sources, &engine.config.limits)?;
        let time = self.time()?;
        self.check_context()?;
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
        let sets = engine.select(&selectors, &spec.sources, watcher.as_mut())?;
        watcher.iter_mut().for_each(Watcher::begin);
        let source_count = sets.len();
        // A filter may care for the order of what it sees, and a limit decides which matches count.
        let ordered = spec.output == Output::Records || spec.limit != Limit::All || !stages.is_empty();
        if ordered {
            let share = engine.config.limits.merge_bytes / source_count.max(1);
            limits.batch_bytes = share.clamp(BATCH_BYTES.0, BATCH_BYTES.1);
        }
        limits.context_bytes = (limits.context_bytes / source_count.max(1)).max(limits.line_bytes);
        // What was before a follow that is resumed was given then.
        let goes_on = spec.follow && !spec.resume.is_empty();
        let limit = if goes_on && matches!(spec.limit, Limit::Tail(_)) { Limit::All } else { spec.limit };
        let direction = match limit {
            Limit::All => spec.direction,
            Limit::Head(_) => Direction::Forward,
            Limit::Tail(_) => Direction::Backward,
        };
        let (resume, gone) = self.resume(&sets, &selectors, direction)?;
        let tail = spec.follow && direction == Direction::Backward;
        let direction = if tail { Direction::Forward } else { direction };
        let messages = spec.output == Output::Records || !stages.is_empty();
        let search = Search { matcher, time, direction, context: spec.context, messages, limits };
        let search = Arc::new(search);
        let follow = watcher.map(|watcher| FollowPlan {
            watcher,
            inputs: engine.config.inputs.clone(),
            selectors,
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
            stages,
            limit,
            direction: spec.direction,
            output: spec.output,
            held_bytes: engine.config.limits.held_bytes,
            batch_bytes: engine.config.limits.batch_bytes,
            histogram_buckets: engine.config.limits.histogram_buckets,
            node: engine.config.node.clone(),
            threads: engine.config.limits.threads.max(1),
            stripes: !ordered
                || BATCH_BYTES.1.saturating_mul(source_count) <= engine.config.limits.merge_bytes,
            ordered,
        })
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
        selectors: &[Selector],
        direction: Direction,
    ) -> Result<Resume, QueryError> {
        let known: HashMap<Instance, usize> =
            sets.iter().enumerate().map(|(index, set)| (Instance::of(&set.source), index)).collect();
        let mut resume = vec![None; sets.len()];
        let mut gone = Vec::new();
        for (source, sealed) in self.spec.resume.positions() {
            let position = resume::open(&self.engine.resume_key, &source, direction, sealed)?;
            match known.get(&Instance::of(&source)) {
                Some(&index) => resume[index] = Some(position),
                None if selector::take(selectors, &source) => {
                    gone.push((source, position));
                }
                None => {}
            }
        }
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
    /// they may depend on every record they are handed.
    fn stages(&self) -> Result<(Vec<StagePlan>, Option<Arc<MessageRegex>>), QueryError> {
        let limits = &self.engine.config.limits;
        if self.spec.filters.len() > limits.filters {
            let message = format!("{} filters", self.spec.filters.len());
            return Err(QueryError::limit("filters", "filters", limits.filters, message));
        }
        let mut stages = Vec::with_capacity(self.spec.filters.len());
        let mut required = None;
        for (index, spec) in self.spec.filters.iter().enumerate() {
            let field = format!("filters[{index}]");
            let mut stage = self.open(spec, &field)?;
            let prefilter = self.engine.prefilter(&stage.binding).map_err(|error| {
                QueryError::invalid(
                    format!("{field} ({})", spec.filter.name()),
                    format!("the filter's own prefilter is refused, tell its author: {error}"),
                )
            })?;
            if let Some(regex) = prefilter {
                if index == 0 && stage.binding.kind() == Kind::Select {
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
        if matches!(spec.filter, FilterRef::Component { .. }) && !self.engine.config.allow_components {
            return Err(QueryError::Refused {
                field: field.to_owned(),
                message: format!(
                    "'{name}' comes with the query, which this agent's config does not allow \
                     (allow-components); name one of its own filters"
                ),
            });
        }
        if let FilterRef::Component { bytes, .. } = &spec.filter {
            self.engine.config.trust.admits(bytes, None).map_err(|refused| QueryError::Refused {
                field: format!("{field} ({name})"),
                message: refused.to_string(),
            })?;
        }
        let filter = self.engine.load_as(&spec.filter, field, self.cancel)?;
        let params = if spec.params.trim().is_empty() { "{}" } else { &spec.params };
        let limits = self.filter_limits(spec, field)?;
        let binding = filter
            .open(params, &limits)
            .map_err(|error| QueryError::open(&format!("{field} ({name})"), &error))?;
        if spec.on_failure == OnFailure::Pass && binding.kind() == Kind::Redact {
            return Err(QueryError::invalid(
                format!("{field}.on_failure"),
                format!(
                    "'{name}' redacts: what it fails on can't be passed on; leave it out, or give drop or end"
                ),
            ));
        }
        let compile = filter.compile();
        Ok(StagePlan {
            binding,
            prefilter: None,
            on_failure: spec.on_failure,
            compile_cached: compile.cached,
            compile_time: compile.time,
        })
    }

    /// The engine's limits of a filter, with those that the query sets, within the engine's maxima.
    fn filter_limits(&self, spec: &FilterSpec, field: &str) -> Result<FilterLimits, QueryError> {
        let config = &self.engine.config;
        let mut limits = config.filter_limits.clone();
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

fn pattern_error(error: PatternError) -> QueryError {
    QueryError::pattern(&error)
}
