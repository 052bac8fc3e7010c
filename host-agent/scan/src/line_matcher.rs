//! What the pass over a raw block searches for: ripgrep's matcher, led by the literal that narrows most.

use grep_matcher::{ByteSet, LineMatchKind, LineTerminator, Match, Matcher, NoCaptures, NoError};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use memchr::memmem;
use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind};

use crate::superset;

/// Shortest literal that leads, in bytes. A shorter one would be met on most lines.
const LEADING_MIN: usize = 3;

/// Finds raw lines that may hold a wanted message.
///
/// grep-regex looks for an inner literal only when an expression doesn't start with one. Of `POST.*"status":500`
/// it takes `POST` and runs the expression on every fifth line of a usual log (135 ms of CPU time for
/// 256 MiB where the longer literal takes 60), so the literal is chosen here.
#[derive(Debug)]
pub(crate) struct LineMatcher {
    regex: RegexMatcher,
    leading: Option<Leading>,
}

#[derive(Debug)]
enum Leading {
    Text(Box<memmem::Finder<'static>>),
    Regex(meta::Regex),
}

impl LineMatcher {
    /// `None` when the expression can match an empty text, and so any line, or can't be compiled in
    /// `size_limit` bytes: then every line is looked at, which is slower and as right.
    pub(crate) fn new(hir: &Hir, size_limit: usize) -> Option<LineMatcher> {
        if hir.properties().minimum_len() == Some(0) {
            return None;
        }
        let regex = RegexMatcherBuilder::new()
            .line_terminator(Some(b'\n'))
            .size_limit(size_limit)
            .dfa_size_limit(size_limit)
            .build(&hir.to_string())
            .ok()?;
        let leading = superset::leading_run(hir, LEADING_MIN);
        Some(LineMatcher { regex, leading: leading.and_then(|run| Leading::new(&run)) })
    }
}

impl Leading {
    fn new(run: &Hir) -> Option<Leading> {
        if let HirKind::Literal(literal) = run.kind() {
            return Some(Leading::Text(Box::new(memmem::Finder::new(&literal.0).into_owned())));
        }
        let config = meta::Regex::config().utf8_empty(false);
        let regex = meta::Regex::builder().configure(config).build_from_hir(run).ok()?;
        Some(Leading::Regex(regex))
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Leading::Text(finder) => finder.find(text),
            // The end of a match is in its line too, and cheaper to find than its start.
            Leading::Regex(regex) => {
                regex.search_half(&regex_automata::Input::new(text)).map(|half| half.offset())
            }
        }
    }
}

impl Matcher for LineMatcher {
    type Captures = NoCaptures;
    type Error = NoError;

    fn find_at(&self, text: &[u8], at: usize) -> Result<Option<Match>, NoError> {
        self.regex.find_at(text, at)
    }

    fn new_captures(&self) -> Result<NoCaptures, NoError> {
        Ok(NoCaptures::new())
    }

    fn shortest_match_at(&self, text: &[u8], at: usize) -> Result<Option<usize>, NoError> {
        self.regex.shortest_match_at(text, at)
    }

    fn non_matching_bytes(&self) -> Option<&ByteSet> {
        self.regex.non_matching_bytes()
    }

    fn line_terminator(&self) -> Option<LineTerminator> {
        self.regex.line_terminator()
    }

    fn find_candidate_line(&self, text: &[u8]) -> Result<Option<LineMatchKind>, NoError> {
        match &self.leading {
            Some(leading) => Ok(leading.find(text).map(LineMatchKind::Candidate)),
            None => self.regex.find_candidate_line(text),
        }
    }
}
