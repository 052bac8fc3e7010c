//! Turns a log query into a plan and runs it: the only crate that joins scan and sandbox.
//!
//! An [`Engine`] knows where logs lie and which filters there are. [`Engine::plan`] checks a [`QuerySpec`]
//! and refuses what is wrong by the field's name; [`Plan::run`] gives [`Event`]s, the [`Summary`] last.
//! Everything here blocks: whoever serves many queries gives each a thread.
//!
//! What users of this crate need of `weir-scan` and `weir-sandbox` is re-exported, so that nobody above
//! depends on either.
#![forbid(unsafe_code)]

mod ahead;
mod budget;
mod builtin;
mod call;
mod cancel;
mod collect;
mod crew;
mod engine;
mod error;
mod event;
mod feed;
mod filter_stage;
mod follow;
mod job;
mod lane;
mod lateness;
mod limits;
mod live;
mod neighbours;
mod passed;
mod plan;
mod polled;
mod prefilters;
mod resume;
mod run;
mod selector;
mod spares;
mod spec;
pub mod time;
mod watch;

pub use budget::Budget;
pub use builtin::Builtin;
pub use call::{CALL_RECORDS, CallRecords};
pub use cancel::Cancel;
pub use collect::{Collector, CollectorConfig, Live, turn_round};
pub use engine::{Engine, EngineConfig, FileInfo, FilterInfo, Inputs, SourceInfo};
pub use error::QueryError;
pub use event::{
    Bucket, Count, Event, FilterFailure, FilterStatus, Flow, Gap, Progress, SourceStatus, Summary,
};
pub use lateness::Lateness;
pub use limits::{QueryLimits, available_threads};
pub use plan::Plan;
pub use resume::{NotAToken, ResumeKey, ResumeToken, SourcePosition};
pub use spec::{FilterRef, FilterSpec, Limit, OnFailure, Output, QuerySpec};

pub use weir_sandbox::{
    Batch, Binding, Compiler, Description, FailureReason, Filter, FilterLimits, Kind, OpenError,
    SandboxLimits, Session, SourceMeta, SourceVerdict, Verdict, Verdicts, compile_child_main,
};
pub use weir_scan::{
    Case, Context, Direction, Flags, Matcher, MessageRegex, PatternError, PatternLimits, PatternSpec, Record,
    RecordBatch, ScanLimits, Source, Stream, raise_open_file_limit,
};
