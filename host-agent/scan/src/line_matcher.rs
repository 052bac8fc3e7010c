//! What the pass over a raw block searches for: ripgrep's matcher, led by the literal that narrows most.

use std::sync::OnceLock;

use grep_matcher::{LineMatchKind, Matcher, NoError};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use memchr::{memchr, memrchr};
use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind};

use crate::candidates::Candidate;
use crate::dfa_lanes::DfaLanes;
use crate::literal::Literal;
use crate::superset;
use crate::tails::{self, Tails};
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

/// Another way to search, and what tells whether it is faster.
#[derive(Debug)]
struct Rival {
    way: Way,
    trial: Trial,
}

#[derive(Debug)]
enum Way {
    /// An automaton, where no literal narrows the search.
    Lanes(Hir, OnceLock<Option<DfaLanes>>),
    /// Led by what tells a few literals apart, one after the other: what they have in common may be on every
    /// line.
    Tails(Vec<Leading>),
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

/// What is searched for first, and is in every line that matches.
#[derive(Debug)]
enum Leading {
    /// The whole expression.
    Whole(Box<Literal>),
    Text(Box<Literal>),
    /// The end of a literal that is a match, and its start.
    Tail(Box<Literal>, Box<[u8]>),
    Regex(meta::Regex),
}

/// A place in a line that may match.
enum Near {
    /// Where a match ends.
    End(usize),
    /// Where the expression has to be asked.
    Inside(usize),
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
        let leading = match hir.kind() {
            HirKind::Literal(literal) => Some(Leading::Whole(boxed(&literal.0))),
            _ => superset::leading_run(hir, LEADING_MIN).and_then(|run| Leading::new(&run)),
        };
        let is_narrow = superset::selectivity(hir) >= LEADING_MIN;
        let way = match is_narrow {
            false => Some(Way::Lanes(hir.clone(), OnceLock::new())),
            true => tails::tails(hir, LEADING_MIN).map(|tails| Way::Tails(Leading::of_tails(&tails))),
        };
        let rival = way.map(|way| Rival { way, trial: Trial::default() });
        Some(LineMatcher { regex, leading, rival })
    }

    /// Calls `found` with each line of `block` that may match, in no particular order, with some more than once.
    /// What is done with them is part of what the way of searching costs: the run ends behind it.
    pub(crate) fn each_line(&self, block: &[u8], mut found: impl FnMut(Candidate)) -> Option<Run<'_>> {
        let run = self.rival.as_ref().map(|rival| (&rival.way, rival.trial.begin(block.len())));
        let second = run.as_ref().filter(|(_, run)| run.is_second()).map(|(way, _)| *way);
        match second {
            Some(Way::Tails(tails)) => {
                tails.iter().for_each(|tail| self.each_led_by(Some(tail), block, &mut found))
            }
            Some(Way::Lanes(hir, lanes)) => match lanes.get_or_init(|| DfaLanes::new(hir)) {
                Some(lanes) => lanes.each_line(block, |start| found(Candidate::Unjudged(start))),
                None => self.each_led_by(self.leading.as_ref(), block, &mut found),
            },
            None => self.each_led_by(self.leading.as_ref(), block, &mut found),
        }
        run.map(|(_, run)| run)
    }

    fn each_led_by(&self, leading: Option<&Leading>, block: &[u8], found: &mut impl FnMut(Candidate)) {
        let absent = leading.map_or(0, |leading| leading.absent_before(block));
        let mut from = memrchr(b'\n', &block[..absent]).map_or(0, |newline| newline + 1);
        while let Some(hit) = self.next_line(leading, block, from) {
            found(Candidate::Match(hit));
            from = hit.next;
        }
    }

    /// The first line of `block` from `from` on, the start of a line, that matches.
    ///
    /// Measured against grep-searcher over the same matcher, this loop costs the same, be it 7 lines of a
    /// million that match or four of five; it also tells where the match ends.
    fn next_line(&self, leading: Option<&Leading>, block: &[u8], from: usize) -> Option<Hit> {
        let mut from = from;
        loop {
            let rest = block.get(from..).filter(|rest| !rest.is_empty())?;
            let near = match leading {
                Some(leading) => leading.find(rest)?,
                None => match infallible(self.regex.find_candidate_line(rest))? {
                    LineMatchKind::Confirmed(end) => Near::End(end),
                    LineMatchKind::Candidate(near) => Near::Inside(near),
                },
            };
            let (Near::End(place) | Near::Inside(place)) = near;
            let start = from + memrchr(b'\n', &rest[..place]).map_or(0, |newline| newline + 1);
            let line_end =
                memchr(b'\n', &rest[place..]).map_or(block.len(), |newline| from + place + newline);
            let match_end = match near {
                Near::End(end) => Some(from + end),
                Near::Inside(_) => {
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

fn boxed(literal: &[u8]) -> Box<Literal> {
    Box::new(Literal::new(literal))
}

fn infallible<T>(result: Result<T, NoError>) -> T {
    result.expect("NoError is never made")
}

impl Leading {
    fn new(run: &Hir) -> Option<Leading> {
        if let HirKind::Literal(literal) = run.kind() {
            return Some(Leading::Text(boxed(&literal.0)));
        }
        let config = meta::Regex::config().utf8_empty(false);
        let regex = meta::Regex::builder().configure(config).build_from_hir(run).ok()?;
        Some(Leading::Regex(regex))
    }

    fn of_tails(tails: &Tails) -> Vec<Leading> {
        let tail = |tail: &Vec<u8>| match tails.is_whole {
            true => Leading::Tail(boxed(tail), tails.common.as_slice().into()),
            false => Leading::Text(boxed(tail)),
        };
        tails.each.iter().map(tail).collect()
    }

    /// A place of `text` before which no match has what is searched for.
    fn absent_before(&self, text: &[u8]) -> usize {
        match self {
            Leading::Whole(literal) | Leading::Text(literal) | Leading::Tail(literal, _) => {
                literal.absent_before(text)
            }
            Leading::Regex(_) => 0,
        }
    }

    fn find(&self, text: &[u8]) -> Option<Near> {
        match self {
            Leading::Whole(literal) => {
                literal.find(text).map(|start| Near::End(start + literal.bytes().len()))
            }
            Leading::Text(literal) => literal.find(text).map(Near::Inside),
            Leading::Tail(tail, start) => tail.find(text).map(|at| match text[..at].ends_with(start) {
                true => Near::End(at + tail.bytes().len()),
                false => Near::Inside(at),
            }),
            // The end of a match is in its line too, and cheaper to find than its start.
            Leading::Regex(regex) => {
                let half = regex.search_half(&regex_automata::Input::new(text));
                half.map(|half| Near::Inside(half.offset()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_same_lines_whatever_leads() {
        let lines = [
            "GET /about",
            "about",
            "",
            "about GET /contact about",
            "GET /cart",
            "contact GET /aboutx",
            "GET /contac",
            "GET /GET /contact7",
        ];
        let block = lines.join("\n");
        for (pattern, expected) in [
            ("GET /(about|contact)", &[0, 3, 5, 7][..]),
            (r"GET /(about|contact)\b", &[0, 3]),
            (r"GET /(about|contact)\d", &[7]),
        ] {
            let matcher = LineMatcher::new(&regex_syntax::parse(pattern).unwrap(), 1 << 20).unwrap();
            let Some(Rival { way: Way::Tails(tails), .. }) = &matcher.rival else {
                panic!("{pattern} has tails");
            };
            let regex = meta::Regex::new(pattern).unwrap();
            for leading in [vec![None], vec![matcher.leading.as_ref()], tails.iter().map(Some).collect()] {
                let mut found = Vec::new();
                for leading in leading {
                    matcher.each_led_by(leading, block.as_bytes(), &mut |candidate| {
                        let Candidate::Match(hit) = candidate else { panic!("{candidate:?}") };
                        let mut ends = regex.find_iter(&block).map(|found| found.end());
                        assert!(ends.any(|end| end == hit.match_end), "{pattern}: {hit:?}");
                        found.push(block[..hit.start].matches('\n').count());
                    });
                }
                found.sort_unstable();
                found.dedup();
                assert_eq!(found, expected, "{pattern}");
            }
        }
    }
}
