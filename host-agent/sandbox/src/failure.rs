//! What a guest's failure is: which call, why, and in what words.

use std::fmt;

/// The export during which a filter failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuestCall {
    /// Making the instance, which runs the component's start functions.
    Instantiate,
    /// `describe`
    Describe,
    /// `open`
    Open,
    /// `begin-source`
    BeginSource,
    /// `process`
    Process,
    /// `finish`
    Finish,
    /// `diagnostics`
    Diagnostics,
}

impl GuestCall {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            GuestCall::Instantiate => "instantiate",
            GuestCall::Describe => "describe",
            GuestCall::Open => "open",
            GuestCall::BeginSource => "begin-source",
            GuestCall::Process => "process",
            GuestCall::Finish => "finish",
            GuestCall::Diagnostics => "diagnostics",
        }
    }
}

impl fmt::Display for GuestCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call failed. Each limit has a reason of its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// The guest trapped, as a panic does.
    Trap,
    /// The call used up its CPU time (`batch_time` or `setup_time`).
    Time,
    /// The guest was refused memory over `memory_bytes` and gave up, or is made of more than `memories`, `tables`,
    /// `table_elements` or `core_instances`.
    Memory,
    /// The guest ran out of stack.
    Stack,
    /// The result was over `output_bytes`, `output_growth`, `record_growth`, `summaries` or `summary_bytes`.
    Output,
    /// The result broke the contract.
    Contract,
    /// The filter itself reported that it could not filter a record.
    Reported,
    /// The host had no free instance, no memory or no thread for the filter.
    Capacity,
}

impl FailureReason {
    /// A short stable name, for summaries and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureReason::Trap => "trap",
            FailureReason::Time => "time",
            FailureReason::Memory => "memory",
            FailureReason::Stack => "stack",
            FailureReason::Output => "output",
            FailureReason::Contract => "contract",
            FailureReason::Reported => "reported",
            FailureReason::Capacity => "capacity",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            FailureReason::Trap | FailureReason::Stack => {
                "run the filter on this input by itself to find the fault"
            }
            FailureReason::Time => "make the filter do less per record, or raise its time limit",
            FailureReason::Memory => "make the filter hold less, or raise the limit",
            FailureReason::Output => "make the filter write less, or raise the limit",
            FailureReason::Contract => "rebuild the filter with the SDK of this version",
            FailureReason::Reported => "see the filter's documentation",
            FailureReason::Capacity => "run fewer queries with filters at once, or raise `instances`",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One failed call of a filter: the instance is gone, the host goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter `{filter}` failed in `{call}` ({reason}): {detail}; {}", .reason.advice())]
#[non_exhaustive]
pub struct FilterFailure {
    /// The filter's name, or its digest before it has told its name.
    pub filter: String,
    /// The export that was called.
    pub call: GuestCall,
    /// Why it failed.
    pub reason: FailureReason,
    /// What happened, in one line; parts of it may be the filter's own words.
    pub detail: String,
}
