//! Golden cases: what a log filter does, written down in `tests/*.yaml` and the same for every language.
//!
//! It owns the form of the files, and what it means that a case holds. It doesn't know what runs the filter: the SDK
//! runs it natively, `weir filter test` as a component, both through [`Subject`].
//!
//! A file is a list of cases:
//!
//! ```yaml
//! - name: what the case shows          # optional
//!   params: {word: error}              # optional, {} if missing
//!   source: {namespace: shop, pod: a-1, container: web, node: n1, restart: 0, labels: {app: web}}   # optional
//!   lines:
//!     - an error                       # short for {message: an error}
//!     - {message: fine, time: "2026-03-01T12:00:00Z", stream: stderr, truncated: true, malformed: true}
//!   expect: [keep, drop]               # one per line: keep, drop, stop, {replace: text}, {keep: {added: field}},
//!                                      # {replace: text, fields: {added: field}}, {fail: part of the message}
//!   output: [an error]                 # in place of `expect` or beside it: the messages that are left
//!   finish: [{lines: 2}]               # optional: the summary
//! - params: {wrd: error}
//!   error: {field: wrd, message: did you mean `word`}   # a refusal: the field, and a part of the message
//! ```

mod answer;
mod case;
mod record;

pub use answer::{Answer, Mismatch, Opened, Refusal, Subject, verdict_yaml};
pub use case::{Case, GoldenError, Source, files, read};
pub use record::{Outcome, Record, Verdict};
