//! The limits of the sandbox: one set for all components, one set for each bound filter.

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
        }
    }
}

/// Limits on one use of a filter.
///
/// Time is CPU time of the calling thread, looked at every 10 ms, so a call may overrun by that much;
/// twenty times as much wall time ends it too. Memory and output are counted per session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Linear memory of one instance in bytes; default 64 MiB. Does not bound the host's copy of a
    /// batch's output (see [`FilterLimits::output_bytes`]), nor the compiled code, which all share.
    pub memory_bytes: usize,
    /// Elements in all tables of one instance; default 20,000, also the most that the pool allows.
    pub table_elements: usize,
    /// CPU time of one call of `process`, `begin-source` or `diagnostics`; default 100 ms. Does not
    /// bound the whole of a query: see [`FilterLimits::failed_time`] for the part lost to failures.
    pub batch_time: Duration,
    /// CPU time of one instantiation, `describe`, `open` or `finish`; default 1 s.
    pub setup_time: Duration,
    /// Bytes that one call may hand to the host, all lists and strings together; default 16 MiB. A
    /// filter that needs more for one batch fails on it, and succeeds on the halves.
    pub output_bytes: usize,
    /// How many times its message bytes a batch may come out as, in replaced messages and annotations
    /// together, on top of 1 KiB per record; default 16. Does not bound summaries and diagnostics.
    pub output_growth: u32,
    /// Size of the parameter object in bytes; default 64 KiB.
    pub params_bytes: usize,
    /// Summary records from one `finish`; default 10,000. Their size falls under `output_bytes`.
    pub summaries: usize,
    /// Lines kept of one `diagnostics`; default 100. Later ones are dropped.
    pub diagnostics: usize,
    /// Bytes kept of one such line; default 1 KiB. The rest of the line is cut.
    pub diagnostic_bytes: usize,
    /// Failures (records found at fault, sources not begun, broken summaries) after which a session is
    /// given up; default 8. Does not count the calls that narrowed a failure down.
    pub failures: usize,
    /// CPU time lost in failed calls after which a session is given up; default 3 s. A quarter of the
    /// time of good calls comes on top, so that a slow filter may find its pace.
    pub failed_time: Duration,
}

impl Default for FilterLimits {
    fn default() -> FilterLimits {
        FilterLimits {
            memory_bytes: 64 * MIB,
            table_elements: 20_000,
            batch_time: Duration::from_millis(100),
            setup_time: Duration::from_secs(1),
            output_bytes: 16 * MIB,
            output_growth: 16,
            params_bytes: 64 * KIB,
            summaries: 10_000,
            diagnostics: 100,
            diagnostic_bytes: KIB,
            failures: 8,
            failed_time: Duration::from_secs(3),
        }
    }
}
