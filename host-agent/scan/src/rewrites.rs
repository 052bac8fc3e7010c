//! Messages that are rewritten behind the scan before the pattern may decide on them.
//!
//! Whoever rewrites says which messages it may change. The scan leaves a message out only when it can't be changed and
//! the pattern doesn't want it as it is; all others it gives. Both are asked of a raw block in one pass, while it is in the
//! processor's cache.

use std::sync::{Arc, OnceLock};

use regex_syntax::hir::Hir;

use crate::line_matcher::LineMatcher;
use crate::pattern::MessageRegex;
use crate::source::Format;
use crate::superset;
use crate::trial::Trial;

/// What is rewritten behind a scan, and so given whether or not the search's matcher wants it as it is.
#[derive(Clone, Debug)]
pub struct Rewrites {
    /// A message that matches none of these isn't changed; `None` when any message may be.
    pub changed: Option<Arc<AnyOf>>,
    /// Bytes of a message that isn't changed which the matcher is asked about.
    pub line_bytes: usize,
    /// Whether to look for raw lines first, or to look at every message.
    pub(crate) trial: Arc<Trial>,
}

impl Rewrites {
    /// Of messages that match `changed`, or of any; the matcher is asked about the first `line_bytes` bytes of others.
    pub fn new(changed: Option<Arc<AnyOf>>, line_bytes: usize) -> Rewrites {
        Rewrites { changed, line_bytes, trial: Arc::default() }
    }

    /// Whether a message may be changed.
    pub(crate) fn may_change(&self, message: &[u8]) -> bool {
        self.changed.as_ref().is_none_or(|changed| changed.is_match(message))
    }
}

/// Several expressions on messages of which one is to match. Whoever makes many searches with them shares it, since what finds
/// raw lines takes a while to compile.
#[derive(Debug)]
pub struct AnyOf {
    each: Vec<Arc<MessageRegex>>,
    compiled_bytes: usize,
    verbatim: OnceLock<Option<LineMatcher>>,
    json: OnceLock<Option<LineMatcher>>,
}

impl AnyOf {
    /// Of these. The expression that they make together on raw lines is used if it compiles to `compiled_bytes` at the
    /// most; else every line is looked at.
    pub fn new(each: Vec<Arc<MessageRegex>>, compiled_bytes: usize) -> AnyOf {
        AnyOf { each, compiled_bytes, verbatim: OnceLock::new(), json: OnceLock::new() }
    }

    fn is_match(&self, message: &[u8]) -> bool {
        self.each.iter().any(|regex| regex.is_match(message))
    }

    /// What finds the raw lines of a format that may hold a message that matches; `None` when every line may.
    pub(crate) fn raw_line(&self, format: Format) -> Option<&LineMatcher> {
        let (cell, rewrite): (_, fn(&Hir) -> Hir) = match format {
            Format::Cri | Format::Plain => (&self.verbatim, superset::of_verbatim_line),
            Format::JsonFile => (&self.json, superset::of_json_line),
        };
        let compile = || {
            let each = self.each.iter().map(|regex| rewrite(regex.hir())).collect();
            LineMatcher::new(&Hir::alternation(each), self.compiled_bytes)
        };
        cell.get_or_init(compile).as_ref()
    }
}
