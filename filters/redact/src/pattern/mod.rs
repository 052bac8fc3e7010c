//! The user's own regular expressions.
//!
//! `regex-syntax` reads them, so that their syntax is that of Rust's `regex`; they are matched on bytes with ASCII
//! classes: `\w`, `\d`, `\s`, `\b` and `(?i)` know ASCII only, which keeps Unicode's tables out of the component.
//! The machine is our own: `regex-automata` is 90 KB on wasm32, which doesn't fit into a component of 350 KB beside
//! the detectors.

mod program;
mod vm;

use program::Program;
use regex_syntax::hir::{Hir, HirKind, print::Printer};
use std::ops::Range;
use vm::{Hit, Memory};

/// Most patterns.
pub(crate) const MOST_PATTERNS: usize = 32;
/// Deepest nesting of groups, which bounds every recursion over a pattern.
const DEEPEST: u32 = 64;
/// The label where the user chose none.
const UNNAMED: &str = "pattern";

/// The user's patterns, compiled.
#[derive(Debug)]
pub(crate) struct Patterns {
    each: Vec<Pattern>,
    memory: Memory,
    prefilter: String,
}

#[derive(Debug)]
struct Pattern {
    program: Program,
    label: String,
}

impl Patterns {
    /// Compiles the patterns; `None` if there are none. An error has the pattern's index and what is wrong
    /// with it.
    pub(crate) fn new(patterns: &[String]) -> Result<Option<Self>, (usize, String)> {
        if patterns.is_empty() {
            return Ok(None);
        }
        if patterns.len() > MOST_PATTERNS {
            let message = format!("are more than {MOST_PATTERNS} patterns; join some with `|`");
            return Err((MOST_PATTERNS, message));
        }
        let mut each = Vec::new();
        let mut prefilter = String::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let hir = parse(pattern).map_err(|error| (index, error))?;
            each.push(Pattern::new(&hir).map_err(|error| (index, error))?);
            if index > 0 {
                prefilter.push('|');
            }
            Printer::new().print(&hir, &mut prefilter).expect("writing to a string can't fail");
        }
        Ok(Some(Self { each, memory: Memory::default(), prefilter }))
    }

    /// The labels, in the order of the patterns.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.each.iter().map(|pattern| pattern.label.as_str())
    }

    /// Matches every line in which a pattern is found.
    pub(crate) fn pattern(&self) -> &str {
        &self.prefilter
    }

    /// Reports what the patterns hide in `text`, with the index of each: what the first group matched, or the
    /// whole match if there is no group or it took no part.
    pub(crate) fn find(&mut self, text: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
        for (index, pattern) in self.each.iter().enumerate() {
            let mut at = 0;
            while let Some(Hit { whole, group }) = pattern.program.find(&mut self.memory, text, at) {
                at = whole.end;
                let hidden = group.unwrap_or(whole);
                if !hidden.is_empty() {
                    found(index, hidden);
                }
            }
        }
    }
}

impl Pattern {
    fn new(hir: &Hir) -> Result<Self, String> {
        let label = match first_group_name(hir) {
            Some(name) => label(name)?,
            None => UNNAMED.to_owned(),
        };
        Ok(Self { program: Program::new(hir)?, label })
    }
}

fn parse(pattern: &str) -> Result<Hir, String> {
    let mut parser =
        regex_syntax::ParserBuilder::new().unicode(false).utf8(false).nest_limit(DEEPEST).build();
    let hir = parser.parse(pattern).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "is no regular expression".to_owned(),
    })?;
    match hir.properties().minimum_len() {
        Some(0) => Err("matches the empty text; it must match at least one character".to_owned()),
        None => Err("can't match anything; correct it or leave it out".to_owned()),
        Some(_) if needs_line_end(&hir) => {
            Err("needs a line's end, but a message is one line; leave it out".to_owned())
        }
        Some(_) => Ok(hir),
    }
}

/// Whether every match has a line's end in it.
fn needs_line_end(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Capture(capture) => needs_line_end(&capture.sub),
        HirKind::Repetition(repetition) => repetition.min > 0 && needs_line_end(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().any(needs_line_end),
        HirKind::Alternation(parts) => parts.iter().all(needs_line_end),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

/// The name of the first group, if it has one.
fn first_group_name(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Capture(capture) if capture.index == 1 => capture.name.as_deref(),
        HirKind::Capture(capture) => first_group_name(&capture.sub),
        HirKind::Repetition(repetition) => first_group_name(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().find_map(first_group_name),
        _ => None,
    }
}

/// The label that a group's name stands for.
fn label(name: &str) -> Result<String, String> {
    let label = name.to_ascii_lowercase().replace(['_', '.'], "-");
    if crate::marker::is_label(label.as_bytes()) {
        return Ok(label);
    }
    let most = crate::marker::LABEL;
    Err(format!("names its group `{name}`; use letters, digits and `_`, at most {most}"))
}

#[cfg(test)]
mod tests {
    use super::Patterns;
    use proptest::prelude::*;

    fn compile(patterns: &[&str]) -> Result<Option<Patterns>, (usize, String)> {
        Patterns::new(&patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>())
    }

    fn hidden(patterns: &[&str], text: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut patterns = compile(patterns).expect("valid").expect("not empty");
        let mut found = Vec::new();
        patterns.find(text, |index, range| found.push((index, text[range].to_vec())));
        found
    }

    #[test]
    fn matches_and_groups() {
        let found = hidden(&["C-[0-9]+", "user=([a-z]+)"], b"C-12 user=bob C-3\xff");
        let expected = [(0, "C-12"), (0, "C-3"), (1, "bob")];
        assert_eq!(found, expected.map(|(index, text)| (index, text.as_bytes().to_vec())));
    }

    #[test]
    fn groups_name_labels() {
        let patterns = compile(&["a(?<Order_Id>b)", "b"]).expect("valid").expect("not empty");
        assert_eq!(patterns.labels().collect::<Vec<_>>(), ["order-id", "pattern"]);
    }

    #[test]
    fn the_prefilter_is_the_patterns() {
        let patterns = compile(&["(?xi) a # comment", "[^b]c\\b", "é"]).expect("valid").expect("some");
        let regex = regex::bytes::Regex::new(&format!("(?-u:{})", patterns.pattern())).expect("valid");
        for (text, matches) in [(&b"A"[..], true), (b"\xffc ", true), ("é".as_bytes(), true), (b"bc", false)]
        {
            assert_eq!(regex.is_match(text), matches, "{text:?} {}", patterns.pattern());
        }
    }

    #[test]
    fn refused_patterns_tell_why() {
        for (pattern, reason) in [
            ("a*", "matches the empty text"),
            ("[a&&b]", "can't match anything"),
            (r"(?:a\n|\nb)c", "a message is one line"),
            ("(", "unclosed group"),
            ("(?:a{1000}){1000}", "is too large"),
            (r"\p{Greek}", "Unicode"),
            (r"(?u:\ba)", "Unicode"),
        ] {
            let (index, error) = compile(&["x", pattern]).expect_err("refused");
            assert_eq!(index, 1);
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }

    /// What an assertion had refused at one place was taken for refused at the next place that was looked at.
    #[test]
    fn an_assertion_is_asked_anew_behind_what_was_skipped() {
        let mut compiled = compile(&[r"(?:\w)?\b{start}a"]).expect("valid").expect("one pattern");
        let mut found = Vec::new();
        compiled.find(b"b\xc3a", |_, range| found.push((range.start, range.end)));
        assert_eq!(found, [(2, 3)]);
    }

    fn any_pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            6 => prop::sample::select(vec!["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\W", r"\s", "é", "(?u:[é-ü])"]),
            1 => prop::sample::select(vec![r"\b", r"\B", "^", "$", "(?m:^)", "(?m:$)", r"\b{start}", r"\b{end-half}"]),
        ]
        .prop_map(str::to_owned);
        leaf.prop_recursive(4, 24, 4, |inner| {
            let quantifier = prop::sample::select(vec!["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?"]);
            prop_oneof![
                3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
                2 => (inner.clone(), quantifier).prop_map(|(part, quantifier)| format!("(?:{part}){quantifier}")),
                1 => inner.clone().prop_map(|part| format!("({part})")),
                1 => inner.prop_map(|part| format!("(?i:{part})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn the_machine_agrees_with_the_regex_crate(
            pattern in any_pattern(),
            text in prop::collection::vec(prop_oneof![
                4 => prop::sample::select(b"abcABC ".to_vec()), 1 => prop::sample::select(b"\xc3\xa9\xff\n_".to_vec()),
            ], 0..24),
        ) {
            let Ok(Some(mut ours)) = compile(&[&pattern]) else { return Ok(()) };
            let theirs = regex::bytes::RegexBuilder::new(&pattern).unicode(false).build().expect("ours is valid");
            let mut found = Vec::new();
            ours.find(&text, |_, range| found.push(range));
            let expected: Vec<_> = theirs
                .captures_iter(&text)
                .map(|captures| captures.get(1).filter(|_| captures.len() > 1).or(captures.get(0)).expect("the match").range())
                .filter(|range| !range.is_empty())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
