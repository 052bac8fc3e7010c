//! Regular expressions of `=~`. `regex-syntax` reads them, so that syntax and Unicode classes are those of
//! Rust's `regex`; the automaton is our own, since `regex-automata` (62 KB of code on wasm32, 10 KB more with the
//! engine that a Unicode `\b` needs) would not fit into a component of 350 KB beside the rest. It answers one
//! question only, whether there is a match, in time linear in the text.

mod dfa;
mod nfa;
mod syntax;
mod unicode;

use regex_syntax::hir::{Hir, HirKind};

use self::{dfa::Dfa, nfa::Nfa};
use crate::block;

/// A compiled pattern and what its searches reuse.
#[derive(Debug)]
pub(crate) struct Pattern {
    hir: Hir,
    search: Search,
}

#[derive(Debug)]
enum Search {
    /// The whole pattern is one plain text.
    Plain(Box<[u8]>),
    Automaton(Box<Dfa>),
}

impl Pattern {
    /// Compiles `source`, or says what is wrong with it.
    pub(crate) fn new(source: &str) -> Result<Pattern, String> {
        let hir = syntax::parse(source)?;
        let search = match hir.kind() {
            HirKind::Literal(literal) => Search::Plain(literal.0.clone()),
            _ => Search::Automaton(Box::new(Dfa::new(Nfa::new(&hir)?))),
        };
        Ok(Pattern { hir, search })
    }

    /// The syntax tree, from which the prefilter is derived.
    pub(crate) fn hir(&self) -> &Hir {
        &self.hir
    }

    /// Whether the pattern matches somewhere in `text`.
    pub(crate) fn is_match(&mut self, text: &[u8]) -> bool {
        match &mut self.search {
            Search::Plain(literal) => block::contains(text, literal),
            Search::Automaton(dfa) => dfa.is_match(text),
        }
    }
}

#[cfg(test)]
mod tests;
