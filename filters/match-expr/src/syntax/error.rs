//! What is wrong with an expression, shown at its place.

use std::fmt;

/// An expression that cannot be used: where, why, and what would be right. `Display` gives three lines:
/// the message, the expression (or the part around the place) and a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyntaxError {
    /// Column of the first character that does not fit, counted in characters from 1.
    pub column: usize,
    /// What was expected and what was found.
    pub message: String,
    excerpt: String,
    indent: usize,
}

impl SyntaxError {
    /// An error at byte `at` of `source`.
    pub(crate) fn new(source: &str, at: usize, message: impl Into<String>) -> SyntaxError {
        let before = source[..at].chars().count();
        let first = before.saturating_sub(SHOWN_BEFORE);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let excerpt = source.chars().skip(first).take(SHOWN_BEFORE + SHOWN_AFTER).map(printable).collect();
        SyntaxError { column: before + 1, message: message.into(), excerpt, indent: before - first }
    }
}

/// Characters of the expression that are shown before and after the place.
const SHOWN_BEFORE: usize = 48;
const SHOWN_AFTER: usize = 24;

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyntaxError { column, message, excerpt, indent } = self;
        write!(f, "column {column}: {message}\n  {excerpt}\n  {:indent$}^", "")
    }
}

impl std::error::Error for SyntaxError {}
