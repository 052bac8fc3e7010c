//! What is asked of each agent, so that their answers can be made one.

use weir_query::{CollectorConfig, Context, Direction, Limit, Output, QueryLimits, QuerySpec};

/// How the answers to one query are made one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// There is more than one agent. The answer of a single one is passed on as it is.
    pub(crate) several: bool,
    pub(crate) follow: bool,
    pub(crate) has_filters: bool,
    /// Selectors that all agents are asked; each agent's own are numbered behind them.
    pub(crate) selectors: usize,
    pub(crate) output: Output,
    pub(crate) limit: Limit,
    pub(crate) context: Context,
    /// Order in which records are to be given.
    order: Direction,
    /// Order in which the past is merged: that in which a limit counts.
    pub(crate) direction: Direction,
    /// The agents count, and their numbers are added up.
    pub(crate) adds_up: bool,
    /// The past comes oldest first, but is to be merged newest first: it is held until an agent has given it whole.
    pub(crate) holds_past: bool,
}

impl Rules {
    pub(crate) fn new(spec: &QuerySpec, several: bool) -> Rules {
        let (limit, direction) = spec.limit_in_scan_order();
        Rules {
            several,
            follow: spec.follow,
            has_filters: !spec.filters.is_empty(),
            selectors: spec.sources.len(),
            output: spec.output,
            limit,
            context: spec.context,
            order: spec.direction,
            direction,
            adds_up: spec.output != Output::Records && limit == Limit::All,
            holds_past: spec.follow && direction == Direction::Backward,
        }
    }

    /// What an agent is asked that gave `skipped` matches before, which it will give again.
    pub(crate) fn asked(&self, spec: &QuerySpec, skipped: u64) -> QuerySpec {
        let mut asked = spec.clone();
        if !self.several {
            return asked;
        }
        asked.limit = match spec.limit {
            Limit::All => Limit::All,
            Limit::Head(count) => Limit::Head(count.saturating_add(skipped)),
            Limit::Tail(count) => Limit::Tail(count.saturating_add(skipped)),
        };
        if !spec.follow {
            asked.direction = self.direction;
        }
        if spec.output != Output::Records && !self.adds_up {
            // Which matches count shows only when they are merged.
            asked.output = Output::Records;
        }
        asked
    }

    /// Whether an agent that was asked so can go on where it stood: one that is followed, when its connection was lost;
    /// one of several, when it was held back for longer than it waits.
    pub(crate) fn goes_on(&self, asked: &QuerySpec) -> bool {
        self.follow || (self.several && asked.output == Output::Records)
    }

    /// How merged records become an answer.
    pub(crate) fn collector(&self, limits: &QueryLimits) -> CollectorConfig {
        let (lead, trail) = self.context.in_scan_order(self.direction);
        CollectorConfig {
            output: self.output,
            limit: self.limit,
            lead,
            trail,
            reverse: self.direction != self.order,
            held_bytes: limits.held_bytes,
            histogram_buckets: limits.histogram_buckets,
            // The agents tell.
            timed: false,
            sources: 0,
            single: false,
        }
    }
}
