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
mod catalog;
mod collect;
mod crew;
mod engine;
mod error;
mod event;
mod feed;
mod filter_stage;
mod folder;
mod folder_file;
mod follow;
mod gate;
mod installed;
mod job;
mod labels;
mod lane;
mod lateness;
mod limits;
mod live;
mod neighbours;
mod params;
mod passed;
mod plan;
mod policing;
mod policy;
mod policy_status;
mod polled;
mod prefilters;
mod resume;
mod run;
mod schema;
mod scope;
mod seats;
mod selection;
mod selector;
mod shadow;
mod shadow_status;
mod spares;
mod spec;
mod table;
pub mod time;
mod watch;

pub use budget::Budget;
pub use builtin::Builtin;
pub use call::{CALL_RECORDS, CallRecords};
pub use cancel::{Cancel, CancelWhenDropped};
pub use catalog::{FilterInfo, FilterList};
pub use collect::{Collector, CollectorConfig, Live, turn_round};
pub use engine::{Engine, EngineConfig, FileInfo, Inputs, SourceInfo};
pub use error::QueryError;
pub use event::{
    Bucket, Count, Event, FilterFailure, FilterStatus, Flow, Gap, Progress, SourceStatus, Summary,
};
pub use folder::{FolderChange, FolderConfig, FolderFile, FolderLimits};
pub use installed::{Installation, InstalledSpec};
pub use labels::{KnownLabels, LabelRequirement, LabelSelector, LabelValue, Labels};
pub use lateness::Lateness;
pub use limits::{QueryLimits, available_threads};
pub use params::check_params;
pub use plan::Plan;
pub use policy::{Policy, PolicyFailure, PolicyFilter, PolicyScope, PolicySet, PolicySpec};
pub use policy_status::{PolicyFilterStatus, PolicyStatus};
pub use resume::{NotAToken, ResumeKey, ResumeToken, SourcePosition};
pub use run::{Going, Running};
pub use schema::type_name;
pub use scope::{Place, Right, Scope};
pub use shadow_status::{Difference, Outcome, SampleSide, ShadowSample, ShadowStatus};
pub use spec::{FilterRef, FilterSpec, Limit, OnFailure, Output, QuerySpec, ShadowSpec, UploadedComponent};
pub use table::{Table, merge_summaries};

pub use weir_sandbox::{
    Batch, Binding, Compiler, Description, FailureReason, Filter, FilterLimits, Kind, Needs, OpenError,
    SandboxLimits, Session, SourceMeta, SourceVerdict, Verdict, Verdicts, compile_child_main, digest,
};
pub use weir_scan::{
    Case, Context, Direction, Flags, LogRoot, Matcher, MessageRegex, PatternError, PatternLimits,
    PatternSpec, Record, RecordBatch, ScanLimits, Source, Stream, raise_open_file_limit,
};
