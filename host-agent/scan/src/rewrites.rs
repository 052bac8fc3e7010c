//! Messages that are rewritten behind the scan before the pattern may decide on them.
//!
//! Whoever rewrites says which messages it may change. The scan leaves a message out only when it can't be changed and
//! the pattern doesn't want it as it is; all others it gives. Both are asked of the raw lines in one pass.

use std::sync::{Arc, OnceLock};

use regex_syntax::hir::Hir;

use crate::line_matcher::LineMatcher;
use crate::pattern::{Matcher, MessageRegex};
use crate::source::Format;
use crate::superset;

/// What is rewritten behind a scan, and so given whether or not the search's matcher wants it as it is.
#[derive(Debug)]
pub struct Rewrites {
    /// A message that matches none of these isn't changed; `None` when any message may be.
    changed: Option<Vec<Arc<MessageRegex>>>,
    /// Bytes of a message that isn't changed which the matcher is asked about.
    line_bytes: usize,
    /// Every raw line that holds a message to be given matches it; `None` when any line may.
    narrowing: Option<Hir>,
    compiled_bytes: usize,
    verbatim: OnceLock<Option<LineMatcher>>,
    json: OnceLock<Option<LineMatcher>>,
}

impl Rewrites {
    /// Of what changes no message that matches none of `changed` (`None`: any may be changed), before `matcher`
    /// decides. Of a message that isn't changed, the matcher is asked about the first `line_bytes`. The expression that
    /// both make together on raw lines is used if it compiles to `compiled_bytes` at the most; else every line is
    /// looked at.
    pub fn new(
        changed: Option<Vec<Arc<MessageRegex>>>,
        matcher: Option<&Matcher>,
        line_bytes: usize,
        compiled_bytes: usize,
    ) -> Rewrites {
        let wanted = matcher.and_then(Matcher::narrowing);
        let narrowing = wanted.zip(changed.as_ref()).map(|(wanted, changed)| {
            let changed = changed.iter().map(|regex| regex.hir().clone());
            Hir::alternation([wanted.clone()].into_iter().chain(changed).collect())
        });
        let (verbatim, json) = (OnceLock::new(), OnceLock::new());
        Rewrites { changed, line_bytes, narrowing, compiled_bytes, verbatim, json }
    }

    /// Whether a message may be changed.
    pub(crate) fn may_change(&self, message: &[u8]) -> bool {
        self.changed.as_ref().is_none_or(|changed| changed.iter().any(|regex| regex.is_match(message)))
    }

    /// Bytes of a message that the matcher is asked about.
    pub(crate) fn line_bytes(&self) -> usize {
        self.line_bytes
    }

    /// What finds the raw lines of a format that may hold a message to be given; `None` when every line may.
    pub(crate) fn raw_line(&self, format: Format) -> Option<&LineMatcher> {
        let narrowing = self.narrowing.as_ref()?;
        let (cell, rewrite): (_, fn(&Hir) -> Hir) = match format {
            Format::Cri | Format::Plain => (&self.verbatim, superset::of_verbatim_line),
            Format::JsonFile => (&self.json, superset::of_json_line),
        };
        cell.get_or_init(|| LineMatcher::new(&rewrite(narrowing), self.compiled_bytes)).as_ref()
    }
}
