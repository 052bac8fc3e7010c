//! From what was typed to what can run: every check that a query has to pass, in one place.

use std::sync::Arc;

use weir_sandbox::Kind;
use weir_scan::{Direction, LogSet, Matcher, MessageRegex, PatternError, ScanLimits, Search};

use crate::engine::{Engine, parse_selectors};
use crate::filter_stage::{Prefilter, StagePlan};
use crate::spec::{FilterRef, FilterSpec};
use crate::{Limit, Output, QueryError, QuerySpec};

/// Least bytes that a source reads at a time when many are merged.
const MIN_BLOCK_BYTES: usize = 16 << 10;

/// A query that has passed every check. [`Plan::run`] runs it.
pub struct Plan {
    pub(crate) sets: Vec<LogSet>,
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
    /// Whether the order of the records shows in the answer.
    pub(crate) ordered: bool,
}

impl Plan {
    /// How many sources will be searched.
    pub fn source_count(&self) -> usize {
        self.sets.len()
    }
}

/// A spec on its way to a [`Plan`].
pub(crate) struct Planner<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) spec: &'a QuerySpec,
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
        let compile = |required: &[String]| {
            Matcher::new(&spec.pattern, required, &engine.config.limits.patterns).map_err(pattern_error)
        };
        let mut matcher = compile(&[])?;
        let (stages, required) = self.stages()?;
        if let Some(prefilter) = required {
            matcher = compile(&[prefilter])?;
        }
        let sets = engine.select(&selectors, &spec.sources)?;
        // A filter may care for the order of what it sees, and a limit decides which matches count.
        let ordered = spec.output == Output::Records || spec.limit != Limit::All || !stages.is_empty();
        if ordered {
            limits.block_bytes = (engine.config.limits.merge_bytes / sets.len().max(1))
                .clamp(MIN_BLOCK_BYTES, limits.block_bytes.max(MIN_BLOCK_BYTES));
        }
        limits.context_bytes = (limits.context_bytes / sets.len().max(1)).max(limits.line_bytes);
        let direction = match spec.limit {
            Limit::All => spec.direction,
            Limit::Head(_) => Direction::Forward,
            Limit::Tail(_) => Direction::Backward,
        };
        let search = Search { matcher, time, direction, context: spec.context, limits };
        Ok(Plan {
            sets,
            search: Arc::new(search),
            stages,
            limit: spec.limit,
            direction: spec.direction,
            output: spec.output,
            held_bytes: engine.config.limits.held_bytes,
            batch_bytes: engine.config.limits.batch_bytes,
            histogram_buckets: engine.config.limits.histogram_buckets,
            node: engine.config.node.clone(),
            threads: engine.config.limits.threads.max(1),
            ordered,
        })
    }

    fn time(&self) -> Result<Option<std::ops::Range<i64>>, QueryError> {
        let (since, until) = (self.spec.since, self.spec.until);
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
    fn stages(&self) -> Result<(Vec<StagePlan>, Option<String>), QueryError> {
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
            if let Some(prefilter) = stage.binding.plan().prefilter.clone() {
                // Also what the scanner is handed is compiled here once, so that a bad one is the filter's error.
                let regex = MessageRegex::new(&prefilter, &limits.patterns).map_err(|error| {
                    QueryError::invalid(
                        &field,
                        format!("the filter's own prefilter is refused, tell its author: {error}"),
                    )
                })?;
                if index == 0 && stage.binding.kind() == Kind::Select {
                    required = Some(prefilter);
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
        let (filter, name) = match &spec.filter {
            FilterRef::Name(name) => (self.engine.load_named(name, field)?, name),
            FilterRef::Component { label, bytes } => {
                if !self.engine.config.allow_components {
                    return Err(QueryError::Refused {
                        field: field.to_owned(),
                        message: format!(
                            "'{label}' comes with the query, which this agent's config does not allow \
                             (allow-components); name one of its own filters"
                        ),
                    });
                }
                let filter = self.engine.sandbox.load(bytes).map_err(|error| {
                    QueryError::invalid(
                        field,
                        format!("'{label}' is not a filter that can run here: {error}"),
                    )
                })?;
                (filter, label)
            }
        };
        let params = if spec.params.trim().is_empty() { "{}" } else { &spec.params };
        let binding = filter
            .open(params, &self.engine.config.filter_limits)
            .map_err(|error| QueryError::open(&format!("{field} ({name})"), &error))?;
        let compile = filter.compile();
        Ok(StagePlan { binding, prefilter: None, compile_cached: compile.cached, compile_time: compile.time })
    }
}

fn pattern_error(error: PatternError) -> QueryError {
    QueryError::pattern(&error)
}
