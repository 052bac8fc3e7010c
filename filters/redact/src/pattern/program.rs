//! Compiles a parsed pattern into a program for the machine in [`vm`](super::vm).

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};
use regex_syntax::utf8::Utf8Sequences;
use weir_sdk::bytes::Finder;

/// Most instructions of a program. Each costs the machine a step per byte at worst.
const MOST_INSTRUCTIONS: usize = 10_000;

/// One instruction; numbers are places in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Takes one byte of the set with this index, and goes on behind.
    Bytes(usize),
    /// Goes on at the first, and at the second if that leads nowhere.
    Split(usize, usize),
    /// Goes on there.
    Jump(usize),
    /// Goes on behind, if this holds here.
    Assert(Look),
    /// Notes this place as the start or end of the first group.
    GroupStart,
    GroupEnd,
    /// The pattern has matched.
    Match,
}

/// A set of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn add(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }

    /// The byte that it holds, if it is one alone.
    fn single(&self) -> Option<u8> {
        let mut members = (0..=u8::MAX).filter(|&byte| self.has(byte));
        members.next().filter(|_| members.next().is_none())
    }

    fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) instructions: Vec<Instruction>,
    pub(super) sets: Vec<ByteSet>,
    /// The bytes that a match can start with.
    pub(super) first: ByteSet,
    /// What every match starts with, where that is more than one byte.
    pub(super) prefix: Option<Finder>,
}

impl Program {
    /// Compiles `hir`, which doesn't match the empty text. An error says what is wrong with it.
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        let (instructions, sets, first) = Default::default();
        let mut program = Self { instructions, sets, first, prefix: None };
        program.compile(hir)?;
        program.push(Instruction::Match)?;
        program.first = program.first_bytes();
        let prefix = program.prefix();
        program.prefix = (prefix.len() > 1).then(|| Finder::new(prefix));
        Ok(program)
    }

    fn push(&mut self, instruction: Instruction) -> Result<usize, String> {
        if self.instructions.len() == MOST_INSTRUCTIONS {
            return Err(format!(
                "is too large: it compiles to more than {MOST_INSTRUCTIONS} steps; shorten its repetitions"
            ));
        }
        self.instructions.push(instruction);
        Ok(self.instructions.len() - 1)
    }

    fn next(&self) -> usize {
        self.instructions.len()
    }

    fn compile(&mut self, hir: &Hir) -> Result<(), String> {
        match hir.kind() {
            HirKind::Empty => Ok(()),
            HirKind::Literal(literal) => literal.0.iter().try_for_each(|&byte| self.range(byte, byte)),
            HirKind::Class(Class::Bytes(class)) => {
                let mut set = ByteSet::default();
                class.iter().for_each(|range| set.add(range.start(), range.end()));
                self.set(set)
            }
            HirKind::Class(Class::Unicode(class)) => {
                let mut sequences =
                    class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end())).peekable();
                if sequences.peek().is_none() {
                    return self.set(ByteSet::default());
                }
                let parts: Vec<_> = sequences.collect();
                self.branches(&parts, |program, sequence| {
                    sequence.as_slice().iter().try_for_each(|range| program.range(range.start, range.end))
                })
            }
            HirKind::Look(look) => match look {
                Look::WordUnicode
                | Look::WordUnicodeNegate
                | Look::WordStartUnicode
                | Look::WordEndUnicode
                | Look::WordStartHalfUnicode
                | Look::WordEndHalfUnicode => {
                    Err("has a Unicode word boundary; only ASCII is known here, so leave out `(?u)`"
                        .to_owned())
                }
                look => self.push(Instruction::Assert(*look)).map(drop),
            },
            HirKind::Repetition(repetition) => self.repeat(repetition),
            HirKind::Capture(capture) if capture.index == 1 => {
                self.push(Instruction::GroupStart)?;
                self.compile(&capture.sub)?;
                self.push(Instruction::GroupEnd).map(drop)
            }
            HirKind::Capture(capture) => self.compile(&capture.sub),
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.compile(part)),
            HirKind::Alternation(parts) => self.branches(parts, Self::compile),
        }
    }

    fn range(&mut self, first: u8, last: u8) -> Result<(), String> {
        let mut set = ByteSet::default();
        set.add(first, last);
        self.set(set)
    }

    fn set(&mut self, set: ByteSet) -> Result<(), String> {
        let index = match self.sets.iter().position(|known| *known == set) {
            Some(index) => index,
            None => {
                self.sets.push(set);
                self.sets.len() - 1
            }
        };
        self.push(Instruction::Bytes(index)).map(drop)
    }

    /// The first of `parts` that leads to a match.
    fn branches<T>(
        &mut self,
        parts: &[T],
        compile: impl Fn(&mut Self, &T) -> Result<(), String>,
    ) -> Result<(), String> {
        let Some((last, others)) = parts.split_last() else {
            return Ok(());
        };
        let mut jumps = Vec::new();
        for part in others {
            let split = self.push(Instruction::Split(0, 0))?;
            compile(self, part)?;
            jumps.push(self.push(Instruction::Jump(0))?);
            self.instructions[split] = Instruction::Split(split + 1, self.next());
        }
        compile(self, last)?;
        let end = self.next();
        jumps.into_iter().for_each(|jump| self.instructions[jump] = Instruction::Jump(end));
        Ok(())
    }

    fn repeat(&mut self, repetition: &Repetition) -> Result<(), String> {
        let choice = |into: usize, out: usize| match repetition.greedy {
            true => Instruction::Split(into, out),
            false => Instruction::Split(out, into),
        };
        for _ in 0..repetition.min {
            self.compile(&repetition.sub)?;
        }
        match repetition.max {
            None => {
                let split = self.push(Instruction::Split(0, 0))?;
                self.compile(&repetition.sub)?;
                self.push(Instruction::Jump(split))?;
                self.instructions[split] = choice(split + 1, self.next());
            }
            Some(max) => {
                let mut splits = Vec::new();
                for _ in repetition.min..max {
                    splits.push(self.push(Instruction::Split(0, 0))?);
                    self.compile(&repetition.sub)?;
                }
                let end = self.next();
                splits.into_iter().for_each(|split| self.instructions[split] = choice(split + 1, end));
            }
        }
        Ok(())
    }

    /// The single bytes that the program takes one after the other before anything else. Nothing leads back among them:
    /// a repetition begins with a split.
    fn prefix(&self) -> Vec<u8> {
        let single = |instruction: &Instruction| match instruction {
            Instruction::Bytes(set) => self.sets[*set].single(),
            _ => None,
        };
        self.instructions.iter().map_while(single).collect()
    }

    fn first_bytes(&self) -> ByteSet {
        let mut first = ByteSet::default();
        let mut seen = vec![false; self.instructions.len()];
        let mut stack = vec![0];
        while let Some(at) = stack.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match self.instructions[at] {
                Instruction::Bytes(set) => first.join(&self.sets[set]),
                Instruction::Split(one, other) => stack.extend([one, other]),
                Instruction::Jump(to) => stack.push(to),
                Instruction::Assert(_) | Instruction::GroupStart | Instruction::GroupEnd => {
                    stack.push(at + 1)
                }
                Instruction::Match => {}
            }
        }
        first
    }
}
