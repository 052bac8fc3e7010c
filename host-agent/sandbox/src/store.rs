//! The host's side of one instance: a store with its limits, and the one way to call into it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, UpdateDeadline};

use crate::engine::Runtime;
use crate::failure::{FailureReason, FilterFailure, GuestCall};
use crate::limits::FilterLimits;
use crate::text::one_line;
use crate::ticker::TICK;

/// Wall time that a call gets, as a multiple of its CPU time.
const WALL_FACTOR: u32 = 20;

/// Time spent in a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// A store under limits, with nothing in it.
pub(crate) fn new_store(runtime: &Runtime, limits: &FilterLimits) -> Store<HostState> {
    let mut store = Store::new(&runtime.engine, HostState::new(limits));
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(limits.output_bytes);
    store.epoch_deadline_callback(|mut context| Ok(context.data_mut().clock.at_deadline()));
    store
}

/// What every call needs, whether there is an instance yet or not.
pub(crate) struct Caller<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) filter: &'a str,
    pub(crate) limits: &'a FilterLimits,
}

impl Caller<'_> {
    /// The one way into a guest: the clock runs, the deadline is set, time is counted, a failure named.
    pub(crate) fn call<R>(
        &self,
        call: GuestCall,
        store: &mut Store<HostState>,
        spent: &mut Spent,
        body: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, FilterFailure> {
        let (budget, limit) = match call {
            GuestCall::Process | GuestCall::BeginSource | GuestCall::Diagnostics => {
                (self.limits.batch_time, "batch_ms")
            }
            _ => (self.limits.setup_time, "setup_ms"),
        };
        let failure = |reason, detail| FilterFailure { filter: self.filter.to_owned(), call, reason, detail };
        let running =
            self.runtime.ticker.run().map_err(|error| {
                failure(FailureReason::Capacity, format!("no thread for the clock: {error}"))
            })?;
        let state = store.data_mut();
        state.memory.refused = None;
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
            FailureReason::Time,
            format!("it ran longer than the limit {limit} ({})", budget.as_millis()),
        );
    }
    if let Some((limit, value)) = state.memory.refused {
        return (FailureReason::Memory, format!("it needs more than the limit {limit} ({value})"));
    }
    if let Some(limit) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return (FailureReason::Capacity, one_line(&limit.to_string()));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => (FailureReason::Stack, Trap::StackOverflow.to_string()),
        Some(trap) => (FailureReason::Trap, trap.to_string()),
        None => {
            let detail = one_line(&format!("{error:#}"));
            // wasmtime's errors for these have no public type.
            if detail.contains("fuel allocated for hostcalls") {
                let bytes = limits.output_bytes;
                return (
                    FailureReason::Output,
                    format!("its result is over the limit output_bytes ({bytes})"),
                );
            }
            let counts = [
                ("instance count too high", "core_instances", limits.core_instances),
                ("memory count too high", "memories", limits.memories),
                ("table count too high", "tables", limits.tables),
            ];
            match counts.iter().find(|(words, ..)| detail.contains(words)) {
                Some((_, limit, value)) => {
                    (FailureReason::Memory, format!("it has more than the limit {limit} ({value})"))
                }
                None => (FailureReason::Contract, detail),
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
    /// The most linear memory that the instance ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        self.memory.peak
    }

    fn new(limits: &FilterLimits) -> HostState {
        HostState {
            memory: MemoryGuard { limits: limits.clone(), used: 0, peak: 0, elements: 0, refused: None },
            clock: CallClock::start(Duration::ZERO),
        }
    }
}

/// Counts what a store's memories and tables grow to.
struct MemoryGuard {
    limits: FilterLimits,
    used: usize,
    peak: usize,
    /// Of all tables.
    elements: usize,
    /// The limit for whose sake something was refused during the current call.
    refused: Option<(&'static str, usize)>,
}

impl ResourceLimiter for MemoryGuard {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limits.memory_bytes {
            // The guest sees a failed `memory.grow` and may cope; most then trap.
            self.refused = Some(("memory_bytes", self.limits.memory_bytes));
            return Ok(false);
        }
        self.used = used;
        self.peak = self.peak.max(used);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        if elements > self.limits.table_elements {
            self.refused = Some(("table_elements", self.limits.table_elements));
            return Ok(false);
        }
        self.elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.core_instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
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
        CallClock { budget, cpu_start: thread_cpu(), wall_start: Instant::now(), expired: false }
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
    u64::try_from(ticks).unwrap_or(u64::MAX >> 1).saturating_add(1).min(u64::MAX >> 1)
}

fn thread_cpu() -> Duration {
    // The clock of the calling thread always exists and never is negative.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
