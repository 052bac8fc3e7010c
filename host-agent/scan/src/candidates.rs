//! The pass over a raw block: which of its lines may hold a wanted message.
//!
//! It may name lines in vain and never misses one. The expression of the matcher is run over the
//! whole block at once; lines that it can't judge are added: parts of joined lines, lines with escape
//! sequences in them, lines that are cut.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem, memrchr};

use crate::line_matcher::{Hit, LineMatcher};
use crate::source::Format;
use crate::trial::Run;
use crate::{cri, json_guard};

/// A line that may hold a wanted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// The line that starts at this place of the block: something in it keeps the expression from judging
    /// it, or nothing was asked for.
    Unjudged(usize),
    /// The expression matches the raw line, and the line is whole, holds no escape character and isn't too
    /// long.
    Match(Hit),
}

impl Candidate {
    /// Where in the block the line starts.
    pub(crate) fn start(&self) -> usize {
        match self {
            Candidate::Unjudged(start) => *start,
            Candidate::Match(hit) => hit.start,
        }
    }

    /// Takes the block to start at byte `from` of what it was.
    fn shift(&mut self, from: usize) {
        match self {
            Candidate::Unjudged(start) => *start -= from,
            Candidate::Match(hit) => {
                hit.start -= from;
                hit.next -= from;
                hit.match_end -= from;
            }
        }
    }
}

/// What finds raw lines that may hold a message to be given.
#[derive(Clone, Copy)]
pub(crate) struct RawLines<'m> {
    /// Those that may hold a wanted one.
    pub(crate) wanted: &'m LineMatcher,
    /// Those that may hold one that is rewritten before that is decided.
    pub(crate) changed: Option<&'m LineMatcher>,
}

/// The pass, with its buffers.
pub(crate) struct Candidates {
    partial: memmem::Finder<'static>,
    escape: memmem::Finder<'static>,
    found: Vec<Candidate>,
}

impl Candidates {
    pub(crate) fn new() -> Candidates {
        let (partial, escape) = (cri::partial_finder(), json_guard::escape_finder());
        Candidates { partial, escape, found: Vec::new() }
    }

    /// Finds the lines of `block`, a run of whole lines, that may hold a message to be given, which `lines` finds, or
    /// nothing narrows down: [`Candidates::found`], ascending.
    /// [`Run::end`] is to be called when they have been looked at.
    pub(crate) fn find<'m>(
        &mut self,
        lines: Option<RawLines<'m>>,
        format: Format,
        block: &[u8],
        line_bytes: usize,
    ) -> Option<Run<'m>> {
        let found = &mut self.found;
        found.clear();
        let Some(lines) = lines else {
            found.extend((!block.is_empty()).then_some(Candidate::Unjudged(0)));
            found.extend(memchr_iter(b'\n', block).map(|newline| Candidate::Unjudged(newline + 1)));
            found.pop_if(|last| last.start() == block.len());
            return None;
        };
        if let Some(changed) = lines.changed {
            let run = changed.each_line(block, |candidate| found.push(candidate));
            run.into_iter().for_each(Run::end);
        }
        let run = lines.wanted.each_line(block, |candidate| found.push(candidate));
        let mut add = |start| found.push(Candidate::Unjudged(start));
        match format {
            Format::Plain => cri::each_escape(block, 0, &mut add),
            Format::Cri => cri::each_unjudged(&self.partial, block, &mut add),
            Format::JsonFile => json_guard::each_unjudged(&self.escape, block, &mut add),
        }
        // What is written so far of a line may not match yet.
        if !block.is_empty() && !block.ends_with(b"\n") {
            add(memrchr(b'\n', block).map_or(0, |newline| newline + 1));
        }
        // A cut message ends where its line doesn't.
        if block.len() > line_bytes {
            each_longer(block, line_bytes, &mut add);
        }
        let is_ascending = found.is_sorted_by(|one, next| one.start() < next.start());
        if !is_ascending {
            // Of equal places the unjudged ones first, which are those that stay. What was found comes in
            // ascending runs, which this way of sorting makes use of.
            found.sort_by_key(|candidate| (candidate.start(), matches!(candidate, Candidate::Match(_))));
            found.dedup_by_key(|candidate| candidate.start());
        }
        run
    }

    /// Drops those beyond the first in scan order that hold `most` bytes together: at least one is left. Returns the
    /// part of `block` that none of the dropped is in; what is left is found in that.
    pub(crate) fn cut(&mut self, block: &[u8], most: usize, backward: bool) -> Range<usize> {
        let all = 0..block.len();
        if block.len() <= most {
            return all;
        }
        let end = |candidate: &Candidate| match candidate {
            Candidate::Match(hit) => hit.next,
            Candidate::Unjudged(start) => {
                memchr(b'\n', &block[*start..]).map_or(block.len(), |newline| start + newline + 1)
            }
        };
        let mut bytes = 0;
        let mut fits = |candidate: &Candidate| {
            let is_first = bytes == 0;
            bytes += end(candidate) - candidate.start();
            is_first || bytes <= most
        };
        if backward {
            let Some(dropped) = self.found.iter().rposition(|candidate| !fits(candidate)) else { return all };
            let from = end(&self.found[dropped]);
            self.found.drain(..=dropped);
            self.found.iter_mut().for_each(|candidate| candidate.shift(from));
            return from..block.len();
        }
        let Some(dropped) = self.found.iter().position(|candidate| !fits(candidate)) else { return all };
        let to = self.found[dropped].start();
        self.found.truncate(dropped);
        0..to
    }

    /// What [`Candidates::find`] found.
    pub(crate) fn found(&self) -> &[Candidate] {
        &self.found
    }
}

fn each_longer(block: &[u8], limit: usize, mut found: impl FnMut(usize)) {
    let mut start = 0;
    while start < block.len() {
        let end = memchr(b'\n', &block[start..]).map_or(block.len(), |newline| start + newline);
        if end - start > limit {
            found(start);
        }
        start = end + 1;
    }
}
