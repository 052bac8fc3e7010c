//! What the author of a Weir log filter imports.
//!
//! A filter is a pure function of the lines it is handed: it has no files, no network and no clock. Its smallest
//! form is one function:
//!
//! ```
//! use weir_sdk::prelude::*;
//!
//! /// Keeps lines that mention an error
//! #[filter(name = "errors")]
//! fn errors(line: Line<'_>) -> bool {
//!     line.message_contains("error")
//! }
//!
//! # fn main() -> Result<(), ParamError> {
//! // With the feature `testing`:
//! use weir_sdk::testing::{FilterTest, Outcome};
//! let outcomes = FilterTest::<Errors>::open("{}")?.run(&["an error", "all is well"]);
//! assert_eq!(outcomes, [Outcome::keep(), Outcome::dropped()]);
//! # Ok(())
//! # }
//! ```
//!
//! One that takes parameters, compiles something once and promises the host a prefilter is a struct with one of
//! the traits [`Select`], [`Transform`] (also for redaction) or [`Aggregate`]:
//!
//! ```
//! use weir_sdk::prelude::*;
//!
//! #[derive(Params)]
//! struct Args {
//!     /// The word to look for.
//!     word: String,
//!     /// How often it has to be there.
//!     #[param(default = 1, min = 1, max = 100)]
//!     times: u32,
//! }
//!
//! struct Words(Args);
//!
//! /// Keeps lines that hold a word often enough
//! #[filter(name = "words")]
//! impl Select for Words {
//!     type Params = Args;
//!
//!     fn open(args: Args) -> Result<Words, ParamError> {
//!         if args.word.is_empty() {
//!             return Err(ParamError::new("word", "is empty; give the word to look for"));
//!         }
//!         Ok(Words(args))
//!     }
//!
//!     fn keep(&mut self, line: Line<'_>) -> bool {
//!         bytes::find_iter(line.message(), self.0.word.as_bytes()).count() >= self.0.times as usize
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! The crate around it is a `cdylib`; `weir filter new` makes it, and `weir filter build` a component of it. Batches,
//! memory and the encoding of verdicts are this crate's business and never the author's.
//!
//! What it does not own: the contract itself (`wit/filter.wit`), and every limit, which is the host's.

mod columns;
mod driver;
mod filter;
mod line;
mod out;
mod source;
mod verdicts;

pub mod bytes;
#[cfg(feature = "dfa")]
pub mod dfa;
pub mod json;
pub mod params;
pub mod table;
pub mod time;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod glue;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub mod testing;

mod export;

pub use columns::Columns;
pub use driver::{Driver, Plan};
pub use filter::{
    Aggregate, AggregateKind, Filter, Kind, KindName, RedactKind, Select, SelectKind, Transform,
    TransformKind,
};
pub use line::{Batch, Line, Lines, Stream};
pub use out::{Out, WriteJson};
#[doc(inline)]
pub use params::{ParamError, Params};
pub use source::{SourceMeta, SourceVerdict};
pub use verdicts::{ProcessError, Verdicts};
pub use weir_sdk_macros::filter;

/// All that a filter's source file usually needs: `use weir_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Aggregate, Columns, Filter, Line, Out, ParamError, Params, Select, SourceMeta, SourceVerdict, Stream,
        Transform, bytes, filter, json,
    };
}

// The macros name this crate by its own name, within it too.
extern crate self as weir_sdk;
