//! What the pass over a raw block searches for: ripgrep's matcher, led by the literal that narrows most.

use std::sync::OnceLock;

use grep_matcher::{LineMatchKind, Matcher, NoError};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use memchr::{memchr, memmem, memrchr};
use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind};

use crate::candidates::Candidate;
use crate::dfa_lanes::DfaLanes;
use crate::superset;
use crate::trial::{Run, Trial};

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
    rival: Option<Rival>,
}

/// What may be faster than the expression where no literal narrows the search.
#[derive(Debug)]
struct Rival {
    hir: Hir,
    lanes: OnceLock<Option<DfaLanes>>,
    trial: Trial,
}

/// A line that matches, by its place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Where the line starts.
    pub(crate) start: usize,
    /// Where the next one starts, or the block ends.
    pub(crate) next: usize,
    /// Where some match in the line ends.
    pub(crate) match_end: usize,
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
        let leading = leading.and_then(|run| Leading::new(&run));
        let is_narrow = superset::selectivity(hir) >= LEADING_MIN;
        let rival = || Rival { hir: hir.clone(), lanes: OnceLock::new(), trial: Trial::default() };
        Some(LineMatcher { regex, leading, rival: (!is_narrow).then(rival) })
    }

    /// Calls `found` with each line of `block` that may match, in no particular order. What is done with
    /// them is part of what the way of searching costs: the run ends behind it.
    pub(crate) fn each_line(&self, block: &[u8], mut found: impl FnMut(Candidate)) -> Option<Run<'_>> {
        let run = self.rival.as_ref().map(|rival| (rival, rival.trial.begin(block.len())));
        if let Some((rival, run)) = &run
            && run.is_second()
            && let Some(lanes) = rival.lanes.get_or_init(|| DfaLanes::new(&rival.hir))
        {
            lanes.each_line(block, |start| found(Candidate::Unjudged(start)));
        } else {
            let mut from = 0;
            while let Some(hit) = self.next_line(block, from) {
                found(Candidate::Match(hit));
                from = hit.next;
            }
        }
        run.map(|(_, run)| run)
    }

    /// The first line of `block` from `from` on, the start of a line, that matches.
    ///
    /// Measured against grep-searcher over the same matcher, this loop costs the same, be it 7 lines of a
    /// million that match or four of five; it also tells where the match ends.
    fn next_line(&self, block: &[u8], from: usize) -> Option<Hit> {
        let mut from = from;
        loop {
            let rest = block.get(from..).filter(|rest| !rest.is_empty())?;
            let (near, is_end) = match &self.leading {
                Some(leading) => (leading.find(rest)?, false),
                None => match infallible(self.regex.find_candidate_line(rest))? {
                    LineMatchKind::Confirmed(end) => (end, true),
                    LineMatchKind::Candidate(near) => (near, false),
                },
            };
            let start = from + memrchr(b'\n', &rest[..near]).map_or(0, |newline| newline + 1);
            let line_end = memchr(b'\n', &rest[near..]).map_or(block.len(), |newline| from + near + newline);
            let match_end = match is_end {
                true => Some(from + near),
                false => {
                    let end = infallible(self.regex.shortest_match(&block[start..line_end]));
                    end.map(|end| start + end)
                }
            };
            let next = block.len().min(line_end + 1);
            match match_end {
                Some(match_end) => return Some(Hit { start, next, match_end }),
                None => from = next,
            }
        }
    }
}

fn infallible<T>(result: Result<T, NoError>) -> T {
    result.expect("NoError is never made")
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
