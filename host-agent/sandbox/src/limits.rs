//! The limits of the sandbox: one set for all components, one set for each bound filter.

use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Limits on components, on compiling them and on what all filters share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Size of a component in bytes; default 4 MiB. Does not bound the machine code made of it: see
    /// [`SandboxLimits::artifact_bytes`].
    pub component_bytes: usize,
    /// Address space of the compiling child in bytes; default 512 MiB. Bounds reservations, not
    /// resident memory, which stays well below. Not applied to [`Compiler::InProcess`](crate::Compiler).
    pub compile_memory_bytes: u64,
    /// CPU time of the compiling child in whole seconds; default 20. The child is also killed after
    /// three times as much wall time, so a busy machine has room. Not applied to
    /// [`Compiler::InProcess`](crate::Compiler).
    pub compile_seconds: u64,
    /// Size of a compiled component in bytes; default 64 MiB. Does not bound what it maps at run time.
    pub artifact_bytes: usize,
    /// Sum of the sizes of all compiled components kept on disk, in bytes; default 256 MiB. The least
    /// recently loaded ones go first. Does not bound a single one, nor those mapped while deleted.
    pub cache_bytes: u64,
    /// Linear memories alive at once over all sessions; default 256. Each reserves 4 GiB of address
    /// space (not of memory) when the engine starts. A session beyond it fails with
    /// [`FailureReason::Capacity`](crate::FailureReason). Not applied where the pool can't be made.
    pub instances: u32,
    /// Components that may wait to be compiled, behind the one that is; default 8. One more is refused. Does not
    /// bound how long they wait: each before them may take [`SandboxLimits::compile_seconds`], three times over.
    pub compile_queue: usize,
    /// Filters that stay loaded after their last use, so that the next query needn't check and map them again; default
    /// 8. Each takes some 100 KiB besides its code, which is pages of a file. Does not bound those in use.
    pub loaded_filters: usize,
    /// Length of a filter's parameter schema in bytes; default 64 KiB.
    pub schema_bytes: usize,
}

impl Default for SandboxLimits {
    fn default() -> SandboxLimits {
        SandboxLimits {
            component_bytes: 4 * MIB,
            compile_memory_bytes: 512 << 20,
            compile_seconds: 20,
            artifact_bytes: 64 * MIB,
            cache_bytes: 256 << 20,
            instances: 256,
            compile_queue: 8,
            loaded_filters: 8,
            schema_bytes: 64 * KIB,
        }
    }
}

/// Limits on one use of a filter, and on all of its uses under one binding.
///
/// Time is CPU time of the calling thread, looked at every 10 ms, so a call may overrun by that much;
/// twenty times as much wall time ends it too. Memory and output are counted per session.
/// [`FilterLimits::NAMED`] lists those that a binding may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Linear memory of one instance in bytes, all of its memories together; default 64 MiB. Does not bound
    /// the host's copy of a batch's output (see [`FilterLimits::output_bytes`]), nor the compiled code,
    /// which all share.
    pub memory_bytes: usize,
    /// Linear memories of one instance; default 4. Does not bound their size.
    pub memories: usize,
    /// Tables of one instance; default 8. Does not bound their size.
    pub tables: usize,
    /// Elements in all tables of one instance; default 20,000. Does not bound the functions that a component has.
    pub table_elements: usize,
    /// Core instances that one instance of a component is made of; default 16. Does not bound instances over all
    /// sessions: see [`SandboxLimits::instances`].
    pub core_instances: usize,
    /// CPU time of one call of `process`, `begin-source` or `diagnostics`; default 100 ms. Does not
    /// bound the whole of a query: see [`FilterLimits::query_time`].
    pub batch_time: Duration,
    /// CPU time of one instantiation, `describe`, `open` or `finish`; default 1 s. Does not bound compiling.
    pub setup_time: Duration,
    /// CPU time in the guest over one session, in each hour that it lasts; default 10 minutes. Does not bound
    /// what the host spends on handing records over and checking verdicts.
    pub query_time: Duration,
    /// Bytes that one call may hand to the host, all lists and strings together; default 16 MiB. A
    /// filter that needs more for one batch fails on it, and succeeds on the halves.
    pub output_bytes: usize,
    /// How many times its message bytes a batch may come out as, in replaced messages and annotations
    /// together, on top of 1 KiB per record; default 16. Does not bound summaries and diagnostics.
    pub output_growth: u32,
    /// How many times its message bytes one record may come out as, in its new message and its annotation
    /// together, on top of 64 KiB; default 64. Does not bound a batch of many such: see
    /// [`FilterLimits::output_growth`].
    pub record_growth: u32,
    /// Size of the parameter object in bytes; default 64 KiB. Does not bound what the filter makes of it.
    pub params_bytes: usize,
    /// Length of a plan's prefilter in bytes; default 64 KiB. Does not bound what it compiles to: see
    /// [`FilterLimits::prefilter_compiled_bytes`].
    pub prefilter_bytes: usize,
    /// Memory that a plan's prefilter may take once it is compiled, in bytes; default 1 MiB. Applied by whoever
    /// compiles it. Does not bound the lazily built table of a search, which has a bound of its own.
    pub prefilter_compiled_bytes: usize,
    /// Summary records from one `finish`; default 10,000.
    pub summaries: usize,
    /// Bytes of all summary records from one `finish`; default 1 MiB.
    pub summary_bytes: usize,
    /// Lines kept of one `diagnostics`; default 100. Later ones are dropped.
    pub diagnostics: usize,
    /// Bytes kept of one such line; default 1 KiB. The rest of the line is cut.
    pub diagnostic_bytes: usize,
    /// Failures (records found at fault, sources not begun, broken summaries) in ten seconds, over all sessions of
    /// a binding, after which the breaker opens; default 8. Does not count the calls that narrowed a failure down.
    pub failures: usize,
    /// CPU time lost in failed calls of one session after which the breaker opens; default 3 s. A quarter of the
    /// time of good calls comes on top, so that a slow filter may find its pace.
    pub failed_time: Duration,
    /// How long the breaker stays open at first; default 1 s. Each failure of the trial that follows doubles it, up to
    /// sixty times as long. Meanwhile no record enters the guest.
    pub breaker_pause: Duration,
}

impl Default for FilterLimits {
    fn default() -> FilterLimits {
        FilterLimits {
            memory_bytes: 64 * MIB,
            memories: 4,
            tables: 8,
            table_elements: 20_000,
            core_instances: 16,
            batch_time: Duration::from_millis(100),
            setup_time: Duration::from_secs(1),
            query_time: Duration::from_secs(600),
            output_bytes: 16 * MIB,
            output_growth: 16,
            record_growth: 64,
            params_bytes: 64 * KIB,
            prefilter_bytes: 64 * KIB,
            prefilter_compiled_bytes: MIB,
            summaries: 10_000,
            summary_bytes: MIB,
            diagnostics: 100,
            diagnostic_bytes: KIB,
            failures: 8,
            failed_time: Duration::from_secs(3),
            breaker_pause: Duration::from_secs(1),
        }
    }
}

/// What one component may be made of at the most, whatever its limits are: so many slots the pool lends it. What a
/// language's own runtime is made of has to fit, such as CPython, whose libraries are modules of their own.
pub(crate) const CORE_INSTANCES: usize = 64;
pub(crate) const MEMORIES: usize = 4;
pub(crate) const TABLES: usize = 8;
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

impl FilterLimits {
    /// Those under which a filter describes itself, before anything says what its limits are: the defaults, for what it
    /// does, and as many parts as there are slots for.
    pub(crate) fn for_describing() -> FilterLimits {
        FilterLimits {
            core_instances: CORE_INSTANCES,
            memories: MEMORIES,
            tables: TABLES,
            table_elements: TABLE_ELEMENTS,
            ..FilterLimits::default()
        }
    }
}

/// A limit that can be set by its name.
#[derive(Debug)]
#[non_exhaustive]
pub struct NamedLimit {
    /// Its name; times are in milliseconds and end in `_ms`.
    pub name: &'static str,
    /// The least and the most that make sense anywhere.
    pub range: RangeInclusive<u64>,
    get: fn(&FilterLimits) -> u64,
    set: fn(&mut FilterLimits, u64),
}

impl NamedLimit {
    /// Its value.
    pub fn get(&self, limits: &FilterLimits) -> u64 {
        (self.get)(limits)
    }

    /// Sets it.
    ///
    /// # Errors
    /// A value outside of the range, which the message gives.
    pub fn set(&self, limits: &mut FilterLimits, value: u64) -> Result<(), String> {
        if !self.range.contains(&value) {
            let (least, most) = (self.range.start(), self.range.end());
            return Err(format!("{value} is out of range; give {least} to {most}"));
        }
        (self.set)(limits, value);
        Ok(())
    }
}

/// A number of bytes or things, whose range is within the type's.
macro_rules! number {
    ($name:ident, $range:expr) => {
        NamedLimit {
            name: stringify!($name),
            range: $range,
            get: |limits| limits.$name as u64,
            set: |limits, value| limits.$name = value as _,
        }
    };
}

/// A time in milliseconds.
macro_rules! milliseconds {
    ($field:ident, $name:literal, $range:expr) => {
        NamedLimit {
            name: $name,
            range: $range,
            get: |limits| limits.$field.as_millis() as u64,
            set: |limits, value| limits.$field = Duration::from_millis(value),
        }
    };
}

impl FilterLimits {
    /// Every limit by name.
    pub const NAMED: &'static [NamedLimit] = &[
        number!(memory_bytes, 64 << 10..=4 << 30),
        number!(memories, 1..=MEMORIES as u64),
        number!(tables, 0..=TABLES as u64),
        number!(table_elements, 0..=TABLE_ELEMENTS as u64),
        number!(core_instances, 1..=CORE_INSTANCES as u64),
        milliseconds!(batch_time, "batch_ms", 1..=60_000),
        milliseconds!(setup_time, "setup_ms", 1..=60_000),
        milliseconds!(query_time, "query_ms", 1..=3_600_000),
        number!(output_bytes, 1024..=256 << 20),
        number!(output_growth, 0..=1_000_000),
        number!(record_growth, 0..=1_000_000),
        number!(params_bytes, 2..=1 << 20),
        number!(prefilter_bytes, 0..=1 << 20),
        number!(prefilter_compiled_bytes, 0..=64 << 20),
        number!(summaries, 0..=1_000_000),
        number!(summary_bytes, 0..=64 << 20),
        number!(diagnostics, 0..=10_000),
        number!(diagnostic_bytes, 0..=64 << 10),
        number!(failures, 0..=1_000_000),
        milliseconds!(failed_time, "failed_ms", 0..=3_600_000),
        milliseconds!(breaker_pause, "breaker_pause_ms", 1..=3_600_000),
    ];

    /// The most of each that makes sense anywhere: the ends of their ranges.
    pub fn maxima() -> FilterLimits {
        let mut maxima = FilterLimits::default();
        Self::NAMED.iter().for_each(|limit| (limit.set)(&mut maxima, *limit.range.end()));
        maxima
    }

    /// These limits, each at most as large as in `maxima`.
    #[must_use]
    pub fn within(mut self, maxima: &FilterLimits) -> FilterLimits {
        for limit in Self::NAMED {
            let value = limit.get(&self).min(limit.get(maxima));
            (limit.set)(&mut self, value);
        }
        self
    }

    /// The limit of that name.
    ///
    /// # Errors
    /// There is none; the message gives the names that there are.
    pub fn named(name: &str) -> Result<&'static NamedLimit, String> {
        Self::NAMED.iter().find(|limit| limit.name == name).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMED.iter().map(|limit| limit.name).collect();
            format!("there is no such limit; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_name_within_its_range() {
        let defaults = FilterLimits::default();
        for limit in FilterLimits::NAMED {
            assert!(limit.range.contains(&limit.get(&defaults)), "{}: the default is in range", limit.name);
            let mut limits = defaults.clone();
            let other = if limit.get(&defaults) == *limit.range.start() {
                limit.range.end()
            } else {
                limit.range.start()
            };
            limit.set(&mut limits, *other).expect("in range");
            assert_eq!(limit.get(&limits), *other, "{}", limit.name);
            assert_ne!(limits, defaults, "{}", limit.name);
            let error = limit.set(&mut limits, limit.range.end() + 1).expect_err("out of range");
            assert!(error.contains("give "), "{error}");
        }
        let page = include_str!("../../../docs/limits.md");
        for limit in FilterLimits::NAMED {
            assert!(page.contains(&format!("\n| `{}` |", limit.name)), "{} is documented", limit.name);
        }
        assert!(FilterLimits::named("memory_bytes").is_ok() && FilterLimits::named("memory").is_err());
    }
}
