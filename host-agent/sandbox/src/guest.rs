//! One instance of a filter in its own store: calls into it, the limits on them, and what went wrong.
//!
//! After a failed call the instance is not to be used again; whoever holds it drops it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, UpdateDeadline};

use crate::abi::weir::filter::types as wire;
use crate::abi::{LogFilter, LogFilterPre};
use crate::batch::Lists;
use crate::description::{
    Description, Kind, Plan, SourceMeta, SourceVerdict, check_description, check_plan,
};
use crate::engine::Runtime;
use crate::failure::{FailureReason, FilterFailure, GuestCall};
use crate::json;
use crate::limits::FilterLimits;
use crate::text::{cut, one_line};
use crate::ticker::TICK;

/// Wall time that a call gets, as a multiple of its CPU time.
const WALL_FACTOR: u32 = 20;
/// Core instances, memories and tables of one store, whatever allocates them.
const STORE_INSTANCES: usize = 16;
const STORE_MEMORIES: usize = 4;
const STORE_TABLES: usize = 8;

/// Time spent in a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// A filter's answer to `open`.
pub(crate) enum Opened {
    Plan(Plan),
    Refused(wire::ParamError),
}

/// A filter's answer to `process`.
pub(crate) enum Processed {
    Verdicts(wire::Verdicts),
    /// It names the record that it could not filter; the instance lives on.
    Failed {
        index: u32,
        failure: FilterFailure,
    },
}

/// A live instance.
pub(crate) struct Guest {
    store: Store<HostState>,
    exports: LogFilter,
    runtime: Arc<Runtime>,
    filter: Arc<str>,
    limits: FilterLimits,
    spent: Spent,
}

impl Guest {
    pub(crate) fn new(
        runtime: &Arc<Runtime>,
        pre: &LogFilterPre<HostState>,
        filter: &Arc<str>,
        limits: &FilterLimits,
    ) -> Result<Guest, FilterFailure> {
        let mut store = Store::new(&runtime.engine, HostState::new(limits));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits.output_bytes);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().clock.at_deadline()));
        let mut spent = Spent::default();
        let caller = Caller {
            runtime,
            filter,
            limits,
        };
        let instantiate = |store: &mut Store<HostState>| pre.instantiate(store);
        let exports = caller.call(GuestCall::Instantiate, &mut store, &mut spent, instantiate)?;
        Ok(Guest {
            store,
            exports,
            runtime: Arc::clone(runtime),
            filter: Arc::clone(filter),
            limits: limits.clone(),
            spent,
        })
    }

    pub(crate) fn describe(&mut self) -> Result<Description, FilterFailure> {
        let raw = self.call(GuestCall::Describe, |exports, store| {
            exports.weir_filter_filter().call_describe(store)
        })?;
        check_description(raw).map_err(|problem| self.breach(GuestCall::Describe, problem))
    }

    pub(crate) fn open(&mut self, params: &str, kind: Kind) -> Result<Opened, FilterFailure> {
        let answer = self.call(GuestCall::Open, |exports, store| {
            exports.weir_filter_filter().call_open(store, params)
        })?;
        match answer {
            Ok(plan) => check_plan(plan, kind)
                .map(Opened::Plan)
                .map_err(|problem| self.breach(GuestCall::Open, problem)),
            Err(refused) => Ok(Opened::Refused(wire::ParamError {
                field: one_line(&refused.field),
                message: one_line(&refused.message),
            })),
        }
    }

    pub(crate) fn begin_source(
        &mut self,
        id: u32,
        meta: &SourceMeta,
    ) -> Result<SourceVerdict, FilterFailure> {
        let meta = meta.to_wire();
        let verdict = self.call(GuestCall::BeginSource, |exports, store| {
            exports
                .weir_filter_filter()
                .call_begin_source(store, id, &meta)
        })?;
        Ok(match verdict {
            wire::SourceVerdict::Scan => SourceVerdict::Scan,
            wire::SourceVerdict::Skip => SourceVerdict::Skip,
        })
    }

    /// The verdicts are as they came: not yet checked, but for their size.
    pub(crate) fn process(
        &mut self,
        source: u32,
        lists: &Lists<'_>,
    ) -> Result<Processed, FilterFailure> {
        let Lists {
            block,
            starts,
            ends,
            timestamps,
            attrs,
            ..
        } = *lists;
        let answer = self.call(GuestCall::Process, |exports, store| {
            let filter = exports.weir_filter_filter();
            filter.call_process(store, source, block, starts, ends, timestamps, attrs)
        })?;
        match answer {
            Ok(verdicts) => {
                self.check_growth(&verdicts, lists)?;
                Ok(Processed::Verdicts(verdicts))
            }
            Err(wire::ProcessError { index, .. }) if index as usize >= lists.records => {
                let records = lists.records;
                Err(self.breach(
                    GuestCall::Process,
                    format!("the error names record {index} of a batch of {records}"),
                ))
            }
            Err(wire::ProcessError { index, message }) => {
                let failure = self.failure(
                    GuestCall::Process,
                    FailureReason::Reported,
                    one_line(&message),
                );
                Ok(Processed::Failed { index, failure })
            }
        }
    }

    /// Summary records, each a JSON object, and the failure of the first one that is not.
    pub(crate) fn finish(&mut self) -> Result<(Vec<String>, Option<FilterFailure>), FilterFailure> {
        let mut records = self.call(GuestCall::Finish, |exports, store| {
            exports.weir_filter_filter().call_finish(store)
        })?;
        let limit = self.limits.summaries;
        if records.len() > limit {
            let found = records.len();
            let detail = format!("{found} summary records; the limit summaries is {limit}");
            return Err(self.failure(GuestCall::Finish, FailureReason::Output, detail));
        }
        let mut breach = None;
        records.retain(|record| match json::check_object(record.as_bytes()) {
            Ok(()) => true,
            Err(problem) => {
                breach.get_or_insert(problem);
                false
            }
        });
        let breach = breach.map(|problem| {
            self.breach(GuestCall::Finish, format!("a summary record is {problem}"))
        });
        Ok((records, breach))
    }

    pub(crate) fn diagnostics(&mut self) -> Result<Vec<String>, FilterFailure> {
        let mut lines = self.call(GuestCall::Diagnostics, |exports, store| {
            exports.weir_filter_filter().call_diagnostics(store)
        })?;
        lines.truncate(self.limits.diagnostics);
        for line in &mut lines {
            cut(line, self.limits.diagnostic_bytes);
        }
        Ok(lines)
    }

    /// A failure of a call whose result broke the contract.
    pub(crate) fn breach(&self, call: GuestCall, detail: String) -> FilterFailure {
        self.failure(call, FailureReason::Contract, detail)
    }

    /// The time spent since this was last asked.
    pub(crate) fn take_spent(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }

    /// The most linear memory that the instance ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        self.store.data().memory.peak
    }

    fn failure(&self, call: GuestCall, reason: FailureReason, detail: String) -> FilterFailure {
        FilterFailure {
            filter: self.filter.to_string(),
            call,
            reason,
            detail,
        }
    }

    fn check_growth(
        &self,
        verdicts: &wire::Verdicts,
        lists: &Lists<'_>,
    ) -> Result<(), FilterFailure> {
        let growth = self.limits.output_growth;
        let found = verdicts.replaced_bytes.len() + verdicts.annotation_bytes.len();
        let allowed = lists
            .message_bytes
            .saturating_mul(growth as usize)
            .saturating_add(lists.records.saturating_mul(1024));
        if found <= allowed {
            return Ok(());
        }
        let detail = format!(
            "{found} bytes came out of {} bytes in {} records; the limit output_growth is {growth}",
            lists.message_bytes, lists.records
        );
        Err(self.failure(GuestCall::Process, FailureReason::Output, detail))
    }

    fn call<R>(
        &mut self,
        call: GuestCall,
        body: impl FnOnce(&LogFilter, &mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, FilterFailure> {
        let caller = Caller {
            runtime: &self.runtime,
            filter: &self.filter,
            limits: &self.limits,
        };
        let exports = &self.exports;
        caller.call(call, &mut self.store, &mut self.spent, |store| {
            body(exports, store)
        })
    }
}

/// What every call needs, whether there is an instance yet or not.
struct Caller<'a> {
    runtime: &'a Runtime,
    filter: &'a str,
    limits: &'a FilterLimits,
}

impl Caller<'_> {
    /// The one way into a guest: the clock runs, the deadline is set, time is counted, a failure named.
    fn call<R>(
        &self,
        call: GuestCall,
        store: &mut Store<HostState>,
        spent: &mut Spent,
        body: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, FilterFailure> {
        let (budget, limit) = match call {
            GuestCall::Process | GuestCall::BeginSource | GuestCall::Diagnostics => {
                (self.limits.batch_time, "batch_time")
            }
            _ => (self.limits.setup_time, "setup_time"),
        };
        let failure = |reason, detail| FilterFailure {
            filter: self.filter.to_owned(),
            call,
            reason,
            detail,
        };
        let running = self.runtime.ticker.run().map_err(|error| {
            failure(
                FailureReason::Capacity,
                format!("no thread for the clock: {error}"),
            )
        })?;
        let state = store.data_mut();
        state.memory.refused = false;
        state.clock = CallClock::start(budget);
        let clock = state.clock.clone();
        store.set_epoch_deadline(ticks(budget));
        let result = body(store);
        drop(running);
        spent.cpu += clock.cpu();
        spent.wall += clock.wall();
        result.map_err(|error| {
            let (reason, detail) = classify(&error, store.data(), budget, limit, self.limits);
            failure(reason, detail)
        })
    }
}

fn classify(
    error: &wasmtime::Error,
    state: &HostState,
    budget: Duration,
    limit: &str,
    limits: &FilterLimits,
) -> (FailureReason, String) {
    if state.clock.expired {
        return (
            FailureReason::BatchTime,
            format!("it ran longer than the limit {limit} ({budget:?})"),
        );
    }
    if state.memory.refused {
        let detail = format!(
            "it needs more than the limit memory_bytes ({})",
            limits.memory_bytes
        );
        return (FailureReason::Memory, detail);
    }
    if let Some(limit) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return (FailureReason::Capacity, one_line(&limit.to_string()));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => (FailureReason::Stack, Trap::StackOverflow.to_string()),
        Some(trap) => (FailureReason::Trap, trap.to_string()),
        None => {
            let detail = one_line(&format!("{error:#}"));
            // wasmtime's error for this has no public type.
            if detail.contains("fuel allocated for hostcalls") {
                let bytes = limits.output_bytes;
                (
                    FailureReason::Output,
                    format!("its result is over the limit output_bytes ({bytes})"),
                )
            } else {
                (FailureReason::Contract, detail)
            }
        }
    }
}

/// The host's side of a store.
pub(crate) struct HostState {
    memory: MemoryGuard,
    clock: CallClock,
}

impl HostState {
    fn new(limits: &FilterLimits) -> HostState {
        HostState {
            memory: MemoryGuard {
                limit: limits.memory_bytes,
                table_limit: limits.table_elements,
                used: 0,
                peak: 0,
                tables: 0,
                refused: false,
            },
            clock: CallClock::start(Duration::ZERO),
        }
    }
}

/// Counts what a store's memories and tables grow to.
struct MemoryGuard {
    limit: usize,
    table_limit: usize,
    used: usize,
    peak: usize,
    tables: usize,
    /// Something was refused during the current call.
    refused: bool,
}

impl ResourceLimiter for MemoryGuard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            // The guest sees a failed `memory.grow` and may cope; most then trap.
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        self.peak = self.peak.max(used);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let tables = self.tables.saturating_add(desired.saturating_sub(current));
        if tables > self.table_limit {
            self.refused = true;
            return Ok(false);
        }
        self.tables = tables;
        Ok(true)
    }

    fn instances(&self) -> usize {
        STORE_INSTANCES
    }

    fn tables(&self) -> usize {
        STORE_TABLES
    }

    fn memories(&self) -> usize {
        STORE_MEMORIES
    }
}

/// Time of one call. CPU time decides, so that a busy machine fails no filter.
#[derive(Clone)]
struct CallClock {
    budget: Duration,
    cpu_start: Duration,
    wall_start: Instant,
    expired: bool,
}

impl CallClock {
    fn start(budget: Duration) -> CallClock {
        CallClock {
            budget,
            cpu_start: thread_cpu(),
            wall_start: Instant::now(),
            expired: false,
        }
    }

    fn cpu(&self) -> Duration {
        thread_cpu().saturating_sub(self.cpu_start)
    }

    fn wall(&self) -> Duration {
        self.wall_start.elapsed()
    }

    fn at_deadline(&mut self) -> UpdateDeadline {
        let left = self.budget.saturating_sub(self.cpu());
        if left.is_zero() || self.wall() >= self.budget * WALL_FACTOR {
            self.expired = true;
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(ticks(left))
        }
    }
}

/// Ticks after which `time` has surely passed, if the machine is not busy.
fn ticks(time: Duration) -> u64 {
    let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
    u64::try_from(ticks)
        .unwrap_or(u64::MAX >> 1)
        .saturating_add(1)
        .min(u64::MAX >> 1)
}

fn thread_cpu() -> Duration {
    // The clock of the calling thread always exists and never is negative.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
