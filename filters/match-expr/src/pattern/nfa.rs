//! Thompson's construction over bytes.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look, Repetition};
use regex_syntax::utf8::{Utf8Range, Utf8Sequences};

use crate::MAX_PATTERN_SIZE;

/// Number of a state.
pub(super) type Id = u32;

#[derive(Debug)]
pub(super) enum State {
    /// Takes a byte of one of the ranges, which are sorted and disjoint.
    Bytes(Box<[Arc]>),
    /// Goes on in each of these.
    Split(Box<[Id]>),
    /// Goes on where the assertion holds.
    Look(Look, Id),
    Match,
}

/// From `first` to `last`, both included, to the state `next`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub(super) first: u8,
    pub(super) last: u8,
    pub(super) next: Id,
}

#[derive(Debug)]
pub(super) struct Nfa {
    pub(super) states: Vec<State>,
    pub(super) start: Id,
}

impl Nfa {
    /// Builds the automaton, or says that it is too large.
    pub(super) fn new(hir: &Hir) -> Result<Nfa, String> {
        let mut builder = Builder { states: vec![State::Match], budget: MAX_PATTERN_SIZE };
        match builder.compile(hir, 0) {
            Ok(start) => Ok(Nfa { states: builder.states, start }),
            Err(TooLarge) => Err(too_large()),
        }
    }
}

/// What is said of a pattern over the limit.
pub(super) fn too_large() -> String {
    format!("it needs more than {MAX_PATTERN_SIZE} bytes once compiled")
}

struct TooLarge;

/// Builds from the end, so that every state knows what follows it.
struct Builder {
    states: Vec<State>,
    /// Bytes left. Each step takes some, even one that adds nothing, so that it bounds the time too.
    budget: usize,
}

impl Builder {
    /// Adds what matches `hir` and goes on at `next`; returns where it begins.
    fn compile(&mut self, hir: &Hir, next: Id) -> Result<Id, TooLarge> {
        self.spend(size_of::<State>())?;
        match hir.kind() {
            HirKind::Empty => Ok(next),
            HirKind::Literal(literal) => literal
                .0
                .iter()
                .rev()
                .try_fold(next, |next, &byte| self.bytes(vec![Arc { first: byte, last: byte, next }])),
            HirKind::Class(Class::Unicode(class)) => {
                let trie = trie(class);
                self.trie(&trie, next)
            }
            HirKind::Class(Class::Bytes(class)) => {
                let arcs = class.iter().map(|r| Arc { first: r.start(), last: r.end(), next });
                self.bytes(arcs.collect())
            }
            HirKind::Look(look) => self.add(State::Look(*look, next)),
            HirKind::Repetition(repetition) => self.repetition(repetition, next),
            HirKind::Capture(capture) => self.compile(&capture.sub, next),
            HirKind::Concat(parts) => {
                parts.iter().rev().try_fold(next, |next, part| self.compile(part, next))
            }
            HirKind::Alternation(parts) => {
                let starts: Result<Vec<Id>, TooLarge> =
                    parts.iter().map(|part| self.compile(part, next)).collect();
                self.split(starts?)
            }
        }
    }

    fn repetition(&mut self, repetition: &Repetition, next: Id) -> Result<Id, TooLarge> {
        let Repetition { min, max, sub, .. } = repetition;
        let mut start = next;
        let mut copies = *min;
        match max {
            Some(max) => {
                for _ in *min..*max {
                    let once = self.compile(sub, start)?;
                    start = self.split(vec![once, next])?;
                }
            }
            None => {
                let split = self.split(vec![next, next])?;
                let once = self.compile(sub, split)?;
                self.states[split as usize] = State::Split([once, next].into());
                // The loop's own copy is the last of those that must be there.
                start = if copies == 0 { split } else { once };
                copies = copies.saturating_sub(1);
            }
        }
        for _ in 0..copies {
            start = self.compile(sub, start)?;
        }
        Ok(start)
    }

    fn trie(&mut self, nodes: &[Node], next: Id) -> Result<Id, TooLarge> {
        let mut arcs = Vec::with_capacity(nodes.len());
        for Node { range, below } in nodes {
            let next = if below.is_empty() { next } else { self.trie(below, next)? };
            arcs.push(Arc { first: range.start, last: range.end, next });
        }
        self.bytes(arcs)
    }

    fn bytes(&mut self, arcs: Vec<Arc>) -> Result<Id, TooLarge> {
        self.spend(arcs.len() * size_of::<Arc>())?;
        self.add(State::Bytes(arcs.into()))
    }

    fn split(&mut self, nexts: Vec<Id>) -> Result<Id, TooLarge> {
        self.spend(nexts.len() * size_of::<Id>())?;
        self.add(State::Split(nexts.into()))
    }

    fn add(&mut self, state: State) -> Result<Id, TooLarge> {
        self.spend(size_of::<State>())?;
        let id = Id::try_from(self.states.len()).map_err(|_| TooLarge)?;
        self.states.push(state);
        Ok(id)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.budget = self.budget.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }
}

/// Byte ranges by what follows them.
struct Node {
    range: Utf8Range,
    below: Vec<Node>,
}

/// The encodings of a class. Its ranges are sorted, and ranges of leading bytes that hold more than one byte
/// are followed by all continuations; so two encodings begin with equal or with disjoint ranges, and a new
/// one can share a node with the one before it only.
fn trie(class: &ClassUnicode) -> Vec<Node> {
    let mut root: Vec<Node> = Vec::new();
    for range in class.iter() {
        for sequence in Utf8Sequences::new(range.start(), range.end()) {
            let mut nodes = &mut root;
            for &range in sequence.as_slice() {
                if nodes.last().is_none_or(|last| last.range != range) {
                    nodes.push(Node { range, below: Vec::new() });
                }
                let last = nodes.len() - 1;
                nodes = &mut nodes[last].below;
            }
        }
    }
    root
}
