//! Regular expressions of `=~`. The lazy DFA keeps a component small and its search linear; the Pike VM
//! takes over where a Unicode word boundary meets text that is not ASCII, which no DFA can decide.

use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::{self, pikevm};
use regex_automata::{Input, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{Hir, HirKind};

use crate::{MAX_PATTERN_SIZE, block};

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
    Automaton(Box<Automaton>),
}

#[derive(Debug)]
struct Automaton {
    dfa: DFA,
    cache: dfa::Cache,
    fallback: pikevm::PikeVM,
    /// Made when it is first needed.
    fallback_cache: Option<pikevm::Cache>,
}

/// Memory for the states that one pattern's DFA keeps; when it is full they are dropped and made anew.
const STATE_CACHE: usize = 256 * 1024;
/// Deepest nesting of groups.
const MAX_NESTING: u32 = 64;

impl Pattern {
    /// Compiles `source`, or says what is wrong with it.
    pub(crate) fn new(source: &str) -> Result<Pattern, String> {
        let mut parser = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .nest_limit(MAX_NESTING)
            .build();
        let hir = parser.parse(source).map_err(|error| match error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        })?;
        let search = match hir.kind() {
            HirKind::Literal(literal) => Search::Plain(literal.0.clone()),
            _ => Search::Automaton(Box::new(Automaton::new(&hir)?)),
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
            Search::Automaton(automaton) => automaton.is_match(text),
        }
    }
}

impl Automaton {
    fn new(hir: &Hir) -> Result<Automaton, String> {
        let config = thompson::Config::new()
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(MAX_PATTERN_SIZE));
        let nfa = thompson::Compiler::new()
            .configure(config)
            .build_from_hir(hir)
            .map_err(|error| match error.size_limit() {
                Some(limit) => format!("it needs more than {limit} bytes once compiled"),
                None => error.to_string(),
            })?;
        let config = dfa::Config::new()
            .unicode_word_boundary(true)
            .cache_capacity(STATE_CACHE)
            .skip_cache_capacity_check(true);
        let dfa = dfa::Builder::new()
            .configure(config)
            .build_from_nfa(nfa.clone())
            .map_err(|error| error.to_string())?;
        let fallback = pikevm::PikeVM::new_from_nfa(nfa).map_err(|error| error.to_string())?;
        let cache = dfa.create_cache();
        Ok(Automaton {
            dfa,
            cache,
            fallback,
            fallback_cache: None,
        })
    }

    fn is_match(&mut self, text: &[u8]) -> bool {
        let input = Input::new(text).earliest(true);
        match self.dfa.try_search_fwd(&mut self.cache, &input) {
            Ok(found) => found.is_some(),
            Err(_) => {
                let cache = self
                    .fallback_cache
                    .get_or_insert_with(|| self.fallback.create_cache());
                self.fallback.is_match(cache, input)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_meta_engine() {
        let patterns = [
            "err",
            "(?i)err",
            "^a",
            "a$",
            r"\bfoo\b",
            r"\w+\s\d{3}",
            "[^a-z]",
            "(?i)straße",
            "a|b.c",
            "",
            "^$",
            r"x*",
            r"(?-u:\xff)",
            r"\Ba\B",
            "(?s).a",
            "(?m)^b$",
            "é+",
        ];
        let texts: [&[u8]; 14] = [
            b"",
            b"a",
            b"err",
            b"ERROR",
            b"foo bar",
            "foö foo".as_bytes(),
            "föo".as_bytes(),
            "STRASSE STRAßE".as_bytes(),
            b"id 123",
            b"\xff\xfe",
            b"x\nb\ny",
            b"bac",
            "éé".as_bytes(),
            "abc 12\u{3000}999".as_bytes(),
        ];
        for source in patterns {
            let config = regex_automata::meta::Config::new().utf8_empty(false);
            let meta = regex_automata::meta::Regex::builder()
                .configure(config)
                .syntax(regex_automata::util::syntax::Config::new().utf8(false))
                .build(source)
                .expect(source);
            let mut ours = Pattern::new(source).expect(source);
            for text in texts {
                assert_eq!(
                    ours.is_match(text),
                    meta.is_match(text),
                    "{source} on {text:?}"
                );
            }
        }
    }

    #[test]
    fn refusals_are_plain() {
        let message = |source: &str| Pattern::new(source).map(|_| ()).expect_err(source);
        assert_eq!(message("a{2"), "unclosed counted repetition");
        assert!(message("(?=a)").contains("look-around"));
        let nested = message(&format!("{}a{}", "(".repeat(100), ")".repeat(100)));
        assert!(nested.contains("nest"), "{nested}");
    }
}
