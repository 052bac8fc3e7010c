//! Runs a program over a text: all ways at once, in time linear in the text (Pike's machine). Of several
//! matches the leftmost counts, and of those at one place the one that the pattern prefers, as in Rust's `regex`.

use super::program::{Instruction, Program};
use regex_syntax::hir::Look;
use std::ops::Range;

/// A match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) whole: Range<usize>,
    /// What the first group matched last, if it took part.
    pub(super) group: Option<Range<usize>>,
}

/// The memory of the machine, used again from search to search.
#[derive(Debug, Default)]
pub(super) struct Memory {
    now: Threads,
    next: Threads,
    stack: Vec<(usize, Notes)>,
}

/// What a thread has noted on its way.
#[derive(Debug, Clone, Copy)]
struct Notes {
    start: usize,
    group_start: usize,
    group: Option<(usize, usize)>,
}

/// Threads in their order of preference, at most one per instruction.
#[derive(Debug, Default)]
struct Threads {
    list: Vec<(usize, Notes)>,
    /// For each instruction, the step at which it was last listed.
    listed: Vec<usize>,
    step: usize,
}

impl Threads {
    /// Empties the list.
    fn begin(&mut self) {
        self.list.clear();
        self.step += 1;
    }
}

impl Program {
    /// The first match in `text` that starts at `from` or later.
    pub(super) fn find(&self, memory: &mut Memory, text: &[u8], from: usize) -> Option<Hit> {
        let Memory { now, next, stack } = memory;
        for threads in [&mut *now, &mut *next] {
            threads.listed.resize(self.instructions.len(), 0);
            threads.begin();
        }
        let mut found = None;
        let mut at = from;
        loop {
            if now.list.is_empty() {
                if found.is_some() {
                    return found;
                }
                at += match &self.prefix {
                    Some(prefix) => prefix.find(&text[at..])?,
                    None => text[at..].iter().position(|&byte| self.first.has(byte))?,
                };
                // What was listed, and led nowhere, was so at another place.
                now.begin();
            }
            if found.is_none() && text.get(at).is_some_and(|&byte| self.first.has(byte)) {
                self.add(now, stack, text, at, 0, Notes { start: at, group_start: 0, group: None });
            }
            next.begin();
            for &(place, notes) in &now.list {
                match self.instructions[place] {
                    Instruction::Match => {
                        let group = notes.group.map(|(start, end)| start..end);
                        found = Some(Hit { whole: notes.start..at, group });
                        // What comes behind is preferred less.
                        break;
                    }
                    Instruction::Bytes(set) if text.get(at).is_some_and(|&byte| self.sets[set].has(byte)) => {
                        self.add(next, stack, text, at + 1, place + 1, notes);
                    }
                    _ => {}
                }
            }
            std::mem::swap(now, next);
            if at == text.len() {
                return found;
            }
            at += 1;
        }
    }

    /// Lists the threads that a thread at `place` becomes without taking a byte.
    fn add(
        &self,
        threads: &mut Threads,
        stack: &mut Vec<(usize, Notes)>,
        text: &[u8],
        at: usize,
        place: usize,
        notes: Notes,
    ) {
        // Most of the time there is no way but one.
        if matches!(self.instructions[place], Instruction::Bytes(_) | Instruction::Match) {
            if std::mem::replace(&mut threads.listed[place], threads.step) != threads.step {
                threads.list.push((place, notes));
            }
            return;
        }
        stack.push((place, notes));
        while let Some((place, mut notes)) = stack.pop() {
            if std::mem::replace(&mut threads.listed[place], threads.step) == threads.step {
                continue;
            }
            match self.instructions[place] {
                Instruction::Bytes(_) | Instruction::Match => threads.list.push((place, notes)),
                Instruction::Split(one, other) => stack.extend([(other, notes), (one, notes)]),
                Instruction::Jump(to) => stack.push((to, notes)),
                Instruction::Assert(look) => {
                    if holds(look, text, at) {
                        stack.push((place + 1, notes));
                    }
                }
                Instruction::GroupStart => {
                    notes.group_start = at;
                    stack.push((place + 1, notes));
                }
                Instruction::GroupEnd => {
                    notes.group = Some((notes.group_start, at));
                    stack.push((place + 1, notes));
                }
            }
        }
    }
}

fn holds(look: Look, text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|index| text[index]);
    let behind = text.get(at).copied();
    let word = |byte: Option<u8>| byte.is_some_and(crate::text::is_word);
    match look {
        Look::Start => before.is_none(),
        Look::End => behind.is_none(),
        Look::StartLF => before.is_none_or(|byte| byte == b'\n'),
        Look::EndLF => behind.is_none_or(|byte| byte == b'\n'),
        Look::StartCRLF => match before {
            Some(b'\r') => behind != Some(b'\n'),
            before => before.is_none_or(|byte| byte == b'\n'),
        },
        Look::EndCRLF => match behind {
            Some(b'\n') => before != Some(b'\r'),
            behind => behind.is_none_or(|byte| byte == b'\r'),
        },
        Look::WordAscii => word(before) != word(behind),
        Look::WordAsciiNegate => word(before) == word(behind),
        Look::WordStartAscii => !word(before) && word(behind),
        Look::WordEndAscii => word(before) && !word(behind),
        Look::WordStartHalfAscii => !word(before),
        Look::WordEndHalfAscii => !word(behind),
        // Refused when the pattern was compiled.
        Look::WordUnicode
        | Look::WordUnicodeNegate
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => false,
    }
}
