//! The user's own regular expressions.
//!
//! They are matched on bytes with ASCII classes: `\w`, `\d`, `\s`, `\b` and `(?i)` know ASCII only, which
//! keeps Unicode's tables out of the component. A lazy DFA over all of them tells whether any is in a
//! line; only then each is asked where.

use regex_automata::hybrid::dfa;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM};
use regex_automata::{Anchored, Input, hybrid::regex::Regex, nfa::thompson::pikevm};
use regex_syntax::hir::{Hir, HirKind, print::Printer};
use std::ops::Range;

/// Most patterns.
pub(crate) const MOST_PATTERNS: usize = 32;
/// Most bytes of one compiled pattern.
const NFA_BYTES: usize = 1 << 20;
/// Most bytes that the lazy tables of one pattern may take. Beyond it they are thrown away and begun
/// anew, which costs time, not correctness.
const TABLE_BYTES: usize = 1 << 20;

/// Deepest nesting of groups, which bounds every recursion over a pattern.
const DEEPEST: u32 = 64;

/// The label where the user chose none.
const UNNAMED: &str = "pattern";

/// The user's patterns, compiled.
pub(crate) struct Patterns {
    any: dfa::DFA,
    any_cache: dfa::Cache,
    each: Vec<Pattern>,
    prefilter: String,
}

struct Pattern {
    regex: Regex,
    cache: regex_automata::hybrid::regex::Cache,
    /// Where the part to hide is a group of its own.
    group: Option<(PikeVM, pikevm::Cache)>,
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
            return Err((
                MOST_PATTERNS,
                format!("are more than {MOST_PATTERNS} patterns; join some with `|`"),
            ));
        }
        let mut hirs = Vec::new();
        let mut each = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let hir = parse(pattern).map_err(|error| (index, error))?;
            each.push(Pattern::new(&hir).map_err(|error| (index, error))?);
            hirs.push(hir);
        }
        let last = patterns.len() - 1;
        let nfa = nfa(&hirs, false, WhichCaptures::None).map_err(|error| (last, error))?;
        let any = lazy(nfa).map_err(|error| (last, error))?;
        let mut prefilter = String::new();
        for hir in hirs {
            if !prefilter.is_empty() {
                prefilter.push('|');
            }
            Printer::new()
                .print(&hir, &mut prefilter)
                .map_err(|_| (last, "can't be printed; simplify it".to_owned()))?;
        }
        Ok(Some(Self {
            any_cache: any.create_cache(),
            any,
            each,
            prefilter,
        }))
    }

    /// The labels, in the order of the patterns.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.each.iter().map(|pattern| pattern.label.as_str())
    }

    /// Matches every line in which a pattern is found.
    pub(crate) fn pattern(&self) -> &str {
        &self.prefilter
    }

    /// Reports what the patterns hide in `text`, with the index of each.
    pub(crate) fn find(&mut self, text: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
        let input = Input::new(text).earliest(true);
        // An error means that the automaton gave up; then the patterns decide one by one.
        if matches!(
            self.any.try_search_fwd(&mut self.any_cache, &input),
            Ok(None)
        ) {
            return;
        }
        for (index, pattern) in self.each.iter_mut().enumerate() {
            pattern.find(text, |range| found(index, range));
        }
    }
}

impl Pattern {
    fn new(hir: &Hir) -> Result<Self, String> {
        let forward = lazy(nfa(std::slice::from_ref(hir), false, WhichCaptures::None)?)?;
        let reverse = lazy(nfa(std::slice::from_ref(hir), true, WhichCaptures::None)?)?;
        let regex = Regex::builder().build_from_dfas(forward, reverse);
        let (group, name) = if hir.properties().explicit_captures_len() > 0 {
            let nfa = nfa(std::slice::from_ref(hir), false, WhichCaptures::All)?;
            let vm = PikeVM::new_from_nfa(nfa).map_err(|error| error.to_string())?;
            (Some((vm.create_cache(), vm)), first_group_name(hir))
        } else {
            (None, None)
        };
        let label = match name {
            Some(name) => label(name)?,
            None => UNNAMED.to_owned(),
        };
        Ok(Self {
            cache: regex.create_cache(),
            regex,
            group: group.map(|(c, v)| (v, c)),
            label,
        })
    }

    fn find(&mut self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut at = 0;
        while at <= text.len() {
            let input = Input::new(text).range(at..);
            let range = match self.regex.try_search(&mut self.cache, &input) {
                Ok(Some(hit)) => hit.range(),
                Ok(None) => return,
                // What can't be searched can't be shown.
                Err(_) => at..text.len(),
            };
            at = range.end.max(at + 1);
            let hidden = self.hidden(text, range);
            if !hidden.is_empty() {
                found(hidden);
            }
        }
    }

    /// The part of a match to hide: its first group, if it has groups and that one took part.
    fn hidden(&mut self, text: &[u8], range: Range<usize>) -> Range<usize> {
        let Some((vm, cache)) = &mut self.group else {
            return range;
        };
        let input = Input::new(text)
            .range(range.start..)
            .anchored(Anchored::Yes);
        // Slots 0 and 1 are the match's, 2 and 3 the first group's.
        let mut slots = [None; 4];
        vm.search_slots(cache, &input, &mut slots);
        match (slots[2], slots[3]) {
            (Some(start), Some(end)) => start.get()..end.get(),
            _ => range,
        }
    }
}

fn parse(pattern: &str) -> Result<Hir, String> {
    let mut parser = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(DEEPEST)
        .build();
    let hir = parser.parse(pattern).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "is no regular expression".to_owned(),
    })?;
    if hir
        .properties()
        .minimum_len()
        .is_none_or(|length| length == 0)
    {
        return Err("matches the empty text; it must match at least one character".to_owned());
    }
    Ok(hir)
}

fn nfa(hirs: &[Hir], reverse: bool, captures: WhichCaptures) -> Result<NFA, String> {
    let config = thompson::Config::new()
        .utf8(false)
        .reverse(reverse)
        .nfa_size_limit(Some(NFA_BYTES))
        .which_captures(captures);
    thompson::Compiler::new()
        .configure(config)
        .build_many_from_hir(hirs)
        .map_err(|_| {
            format!("is larger than {NFA_BYTES} bytes when compiled; shorten its repetitions")
        })
}

fn lazy(nfa: NFA) -> Result<dfa::DFA, String> {
    let config = dfa::Config::new()
        .cache_capacity(TABLE_BYTES)
        .skip_cache_capacity_check(true);
    dfa::Builder::new()
        .configure(config)
        .build_from_nfa(nfa)
        .map_err(|error| error.to_string())
}

/// The name of the first group, if it has one.
fn first_group_name(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Capture(capture) if capture.index == 1 => capture.name.as_deref(),
        HirKind::Capture(capture) => first_group_name(&capture.sub),
        HirKind::Repetition(repetition) => first_group_name(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().find_map(first_group_name)
        }
        _ => None,
    }
}

/// The label that a group's name stands for.
fn label(name: &str) -> Result<String, String> {
    let label = name.to_ascii_lowercase().replace(['_', '.'], "-");
    if crate::marker::is_label(label.as_bytes()) {
        Ok(label)
    } else {
        Err(format!(
            "names its group `{name}`; a name must be letters, digits and `_`, at most {}",
            crate::marker::LABEL
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Patterns;

    fn compile(patterns: &[&str]) -> Result<Option<Patterns>, (usize, String)> {
        Patterns::new(
            &patterns
                .iter()
                .map(|&pattern| pattern.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    fn hidden(patterns: &[&str], text: &[u8]) -> Vec<(usize, String)> {
        let mut patterns = compile(patterns).expect("valid").expect("not empty");
        let mut found = Vec::new();
        patterns.find(text, |index, range| {
            found.push((index, String::from_utf8_lossy(&text[range]).into_owned()));
        });
        found
    }

    #[test]
    fn matches_and_groups() {
        let found = hidden(&["C-[0-9]+", "user=([a-z]+)"], b"C-12 user=bob C-3\xff");
        let expected = [(0, "C-12"), (0, "C-3"), (1, "bob")];
        assert_eq!(
            found,
            expected.map(|(index, text)| (index, text.to_owned()))
        );
    }

    #[test]
    fn groups_name_labels() {
        let patterns = compile(&["a(?<Order_Id>b)", "b"])
            .expect("valid")
            .expect("not empty");
        assert_eq!(
            patterns.labels().collect::<Vec<_>>(),
            ["order-id", "pattern"]
        );
    }

    #[test]
    fn the_prefilter_is_the_patterns() {
        let patterns = compile(&["(?xi) a # comment", "[^b]c\\b", "é"])
            .expect("valid")
            .expect("some");
        let regex =
            regex::bytes::Regex::new(&format!("(?-u:{})", patterns.pattern())).expect("valid");
        for (text, matches) in [
            (&b"A"[..], true),
            (b"\xffc ", true),
            ("é".as_bytes(), true),
            (b"bc", false),
        ] {
            assert_eq!(
                regex.is_match(text),
                matches,
                "{text:?} {}",
                patterns.pattern()
            );
        }
    }

    #[test]
    fn refused_patterns_tell_why() {
        for (pattern, reason) in [
            ("a*", "matches the empty text"),
            ("(", "unclosed group"),
            ("(?:a{1000}){1000}", "is larger than"),
            ("\\p{Greek}", "Unicode"),
        ] {
            let (index, error) = compile(&["x", pattern]).err().expect("refused");
            assert_eq!(index, 1);
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}
