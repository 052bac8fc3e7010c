//! The expression language of the filters `json-match` and `logfmt-match`: parsing, evaluation on one
//! log line without allocating, and the prefilter that the host runs natively. It knows nothing of the
//! filter contract; the two filter crates wire it to the SDK. The language's reference for users is
//! `json-match/README.md`.
//!
//! ```
//! use weir_match_expr::{JsonExpr, Verdict};
//!
//! let mut expr = JsonExpr::parse(r#"level == "error" && status >= 500"#)?;
//! assert_eq!(expr.verdict(br#"{"level":"error","status":503}"#), Verdict::True);
//! assert_eq!(expr.verdict(br#"{"level":"info"}"#), Verdict::False);
//! assert_eq!(expr.verdict(b"panic: oh no"), Verdict::NotJson);
//! # Ok::<(), weir_match_expr::SyntaxError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

pub use crate::{
    json::{JsonExpr, Verdict},
    logfmt::LogfmtExpr,
    syntax::SyntaxError,
};

/// Longest expression, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024;
/// Deepest nesting of parentheses and `!`.
pub const MAX_DEPTH: usize = 64;
/// Most comparisons in one expression.
pub const MAX_PREDICATES: usize = 256;
/// Most steps in one path: keys, indices and `[*]`.
pub const MAX_STEPS: usize = 32;
/// Most values in one `in` list.
pub const MAX_LIST: usize = 1024;
/// Most regular expressions in one expression.
pub const MAX_PATTERNS: usize = 32;
/// Largest compiled automaton of one regular expression, in bytes. It does not bound the search cache.
pub const MAX_PATTERN_SIZE: usize = 2 << 20;

mod block;
mod json;
mod logfmt;
mod number;
mod pattern;
mod prefilter;
mod syntax;
mod text;
