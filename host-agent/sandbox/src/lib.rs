//! The sandbox: runs log filters, WebAssembly components of the contract `weir:filter`, under limits.
//!
//! It owns admission, compiling (in a child process), the cache of compiled components, the limits on
//! memory, time and output, and the check of every answer. It does not read logs, does not parse the
//! prefilters it hands out, and does not decide what a failure means for a record: its caller does.
//!
//! ```text
//! component --admit--> Admission --compile--> Filter --open(params)--> Binding --session--> Session
//! ```
//!
//! A guest can't reach anything: it imports no function. What it can do is trap, loop, grow, and lie;
//! each ends that one call, is told in [`SessionStats`], and leaves the host as it was.

mod abi;
mod admit;
mod batch;
mod breaker;
mod cache;
mod compile;
mod description;
mod engine;
mod failure;
mod filter;
mod guest;
mod json;
mod limits;
mod needs;
mod pace;
mod sandbox;
mod session;
mod signature;
mod stats;
mod store;
mod text;
mod ticker;
pub mod verdicts;

pub use admit::{Admission, AdmissionError, admit, digest};
pub use batch::Batch;
pub use cache::CacheError;
pub use compile::{CompileError, Compiler, compile_child_main};
pub use description::{Columns, Description, Kind, Plan, SourceMeta, SourceVerdict};
pub use failure::{FailureReason, FilterFailure, GuestCall};
pub use filter::{Binding, CompileInfo, Filter, OpenError};
pub use limits::{FilterLimits, NamedLimit, SandboxLimits};
pub use needs::Needs;
pub use sandbox::{KnownComponent, LoadError, Sandbox, SandboxConfig, SandboxError};
pub use session::Session;
pub use stats::{Failure, Paused, SessionStats};
pub use verdicts::{Verdict, Verdicts};
