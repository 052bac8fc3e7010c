//! An expression bound to logfmt lines: `key=value key2="quoted \"x\"" flag`. Every value is text; every
//! line is logfmt, if need be without a single pair.

use weir_sdk::bytes;

use crate::block::{self, Block};
use crate::syntax::{Expr, Literal, Node, Predicate, Step, SyntaxError, Test};
use crate::text::{self, Text, Unknown};
use crate::{number, prefilter};

/// An expression, ready for lines of logfmt.
#[derive(Debug)]
pub struct LogfmtExpr {
    root: Node,
    predicates: Vec<Predicate>,
    /// The slot of each predicate's key.
    places: Vec<usize>,
    /// The keys looked for, one per slot.
    keys: Vec<Box<[u8]>>,
    slots: Vec<Option<Slot>>,
    scratch: Vec<u8>,
}

/// Where a value was found.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: usize,
    end: usize,
    escaped: bool,
}

impl LogfmtExpr {
    /// Parses an expression. A path of several keys means the one key with dots in it:
    /// `http.status` finds `http.status=200`.
    ///
    /// # Errors
    /// If it breaks the grammar or one of the limits at this crate's top, or asks for what logfmt does
    /// not have: array elements, null, or `contains` of anything but text.
    pub fn parse(source: &str) -> Result<LogfmtExpr, SyntaxError> {
        let Expr { root, predicates } = Expr::parse(source)?;
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        let mut places = Vec::with_capacity(predicates.len());
        for predicate in &predicates {
            let wrong = |at, message: &str| Err(SyntaxError::new(source, at, message));
            let Some(key) = dotted(&predicate.path) else {
                return wrong(predicate.path_at, "logfmt has no arrays: a field is a key");
            };
            let nulls = match &predicate.test {
                Test::Equal(literal) => *literal == Literal::Null,
                Test::OneOf(list) => list.contains(&Literal::Null),
                Test::Contains(literal) if !matches!(literal, Literal::Text(_)) => {
                    return wrong(
                        predicate.operand_at,
                        "logfmt has no arrays: `contains` takes text in quotes",
                    );
                }
                _ => false,
            };
            if nulls {
                return wrong(predicate.operand_at, "logfmt has no null; a missing field is `!field exists`");
            }
            let slot = keys.iter().position(|known| **known == *key.as_bytes());
            places.push(slot.unwrap_or(keys.len()));
            if slot.is_none() {
                keys.push(key.into_bytes().into());
            }
        }
        let slots = vec![None; keys.len()];
        Ok(LogfmtExpr { root, predicates, places, keys, slots, scratch: Vec::new() })
    }

    /// Whether the expression holds on one line. Takes time linear in the line's length, and allocates
    /// nothing once the longest escaped text was seen.
    pub fn holds(&mut self, line: &[u8]) -> bool {
        let LogfmtExpr { root, predicates, places, keys, slots, scratch } = self;
        slots.fill(None);
        scan(line, keys, slots);
        let verdict = root.holds(&mut |index| {
            let Some(slot) = slots[places[index]] else {
                return Ok(false);
            };
            let text = Text { raw: &line[slot.start..slot.end], escaped: slot.escaped };
            let text = text.decode(scratch, Unknown::Kept)?;
            Ok(passes(text, &mut predicates[index].test))
        });
        // Nothing in logfmt is malformed: unknown escapes are kept.
        verdict.unwrap_or(false)
    }

    /// A regular expression, in Rust's syntax and for bytes, that matches every line on which the
    /// expression holds. None where nothing can be promised.
    pub fn prefilter(&self) -> Option<String> {
        prefilter::logfmt(&self.root, &self.predicates)
    }
}

/// The key that a path of keys means.
pub(crate) fn dotted(path: &[Step]) -> Option<String> {
    let keys: Option<Vec<&str>> = path
        .iter()
        .map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) | Step::Each => None,
        })
        .collect();
    keys.map(|keys| keys.join("."))
}

/// Fills the slots of the keys found; the last of equal keys counts.
fn scan(line: &[u8], keys: &[Box<[u8]>], slots: &mut [Option<Slot>]) {
    let ends_key = |b: Block| b.at_most(b' ').or(b.eq(b'=')).or(b.eq(b'"'));
    let mut at = 0;
    while at < line.len() {
        let start = at;
        at = block::find(line, at, ends_key).unwrap_or(line.len());
        let key = &line[start..at];
        let mut slot = Slot { start: at, end: at, escaped: false };
        match line.get(at) {
            Some(b'=') if line.get(at + 1) == Some(&b'"') => (slot, at) = quoted(line, at + 2),
            Some(b'=') => {
                slot.start = at + 1;
                at = block::find(line, at + 1, |b| b.at_most(b' ')).unwrap_or(line.len());
                slot.end = at;
            }
            // A quoted text that belongs to no key.
            Some(b'"') => (_, at) = quoted(line, at + 1),
            Some(_) => at += 1,
            None => {}
        }
        if !key.is_empty()
            && let Some(index) = keys.iter().position(|known| bytes::same(known, key))
        {
            slots[index] = Some(slot);
        }
    }
}

/// The text that begins at `start` and the place after its closing quote, or to the end of the line.
fn quoted(line: &[u8], start: usize) -> (Slot, usize) {
    match text::closing_quote(line, start) {
        Some((end, escaped)) => (Slot { start, end, escaped }, end + 1),
        None => {
            let escaped = line[start..].contains(&b'\\');
            (Slot { start, end: line.len(), escaped }, line.len())
        }
    }
}

fn passes(text: &[u8], test: &mut Test) -> bool {
    match test {
        Test::Exists => true,
        Test::Equal(literal) => equal(text, literal),
        Test::OneOf(list) => list.iter().any(|literal| equal(text, literal)),
        Test::Order(order, Literal::Number(right, _)) => {
            number::parse(text).is_some_and(|left| order.holds(&left, right))
        }
        Test::Order(order, Literal::Text(right)) => order.holds(text, right.as_bytes()),
        Test::Contains(Literal::Text(part)) => block::contains(text, part.as_bytes()),
        Test::StartsWith(part) => text.starts_with(part.as_bytes()),
        Test::EndsWith(part) => text.ends_with(part.as_bytes()),
        Test::Matches(pattern) => pattern.is_match(text),
        // The parser refuses these.
        Test::Order(..) | Test::Contains(_) => false,
    }
}

fn equal(text: &[u8], literal: &Literal) -> bool {
    match literal {
        Literal::Text(right) => text == right.as_bytes(),
        Literal::Number(right, _) => number::parse(text) == Some(*right),
        Literal::Bool(right) => text == if *right { &b"true"[..] } else { b"false" },
        Literal::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(line: &str, sources: &[&str]) {
        for source in sources {
            let mut expr = LogfmtExpr::parse(source).expect(source);
            assert!(expr.holds(line.as_bytes()), "{source} on {line}");
            let mut negated = LogfmtExpr::parse(&format!("!({source})")).expect(source);
            assert!(!negated.holds(line.as_bytes()), "!({source}) on {line}");
        }
    }

    #[test]
    fn bare_quoted_and_flag_values() {
        holds(
            r#"ts=2026-01-02T03:04:05Z level=error msg="it said \"no\"\n" cached dur=12.5ms n=5e2 empty= q="" ok=true http.status=503 path=/a=b?c"#,
            &[
                "level == 'error'",
                "level != \"warn\"",
                r#"msg == "it said \"no\"\n""#,
                "cached exists",
                "cached == ''",
                "empty == ''",
                "q == ''",
                "ok == true",
                "ok == 'true'",
                "n == 500",
                "n == '5e2'",
                "n != '500'",
                "n > 499",
                "http.status >= 500",
                "\"http.status\" == 503",
                "!dur > 1",
                "dur =~ 'ms$'",
                "ts >= '2026-01-02'",
                "path == '/a=b?c'",
                "!said exists",
                "!missing exists",
                "missing != 1",
                "level in ['warn', 'error']",
                "path contains '=b'",
                "path startswith '/a'",
                "path endswith '?c'",
                "n in [1, 500]",
            ],
        );
    }

    #[test]
    fn odd_lines() {
        holds("", &["!a exists"]);
        holds("=b a=1", &["a == 1", "!b exists"]);
        holds("a=1 a=2\ta=3", &["a == 3"]);
        holds("a=\"open b=2", &["a == 'open b=2'", "!b exists"]);
        holds("a=\"open\\", &["a == 'open\\'"]);
        holds("\"a=1 b=2\" c=3", &["!a exists", "!b exists", "c == 3"]);
        holds("a=\"x\"b=y", &["a == 'x'", "b == 'y'"]);
        holds(
            r#"dir="C:\logs\new" u="\u0065\x41""#,
            &[
                r"dir == 'C:\logs
ew'",
                r"u == 'e\x41'",
            ],
        );
        holds("a=b\"c d\"", &["a == 'b\"c'"]);
        holds("plain words only", &["words exists", "plain == ''"]);
    }

    #[test]
    fn keys_and_values_at_every_offset_of_a_block() {
        for before in 0..40 {
            for length in 1..40 {
                let (pad, text) = ("x".repeat(before), "y".repeat(length));
                let line = format!("{pad} {text}=\"{text} {text}\" k={text}");
                holds(&line, &[&format!("{text} == '{text} {text}' && k == '{text}'")]);
            }
        }
    }

    #[test]
    fn what_logfmt_does_not_have_is_refused() {
        for (source, column, part) in [
            ("a[0] == 1", 1, "no arrays"),
            ("x exists && a[*] == 1", 13, "no arrays"),
            ("a == null", 6, "no null"),
            ("a in [1, null]", 6, "no null"),
            ("a contains 1", 12, "takes text"),
        ] {
            let error = LogfmtExpr::parse(source).expect_err(source);
            assert_eq!(error.column, column, "{source}: {error}");
            assert!(error.message.contains(part), "{source}: {error}");
        }
    }
}
