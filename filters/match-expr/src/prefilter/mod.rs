//! The prefilter: a regular expression that every line on which an expression holds must match, cheap
//! enough to pay. It is a superset by construction, for every spelling that the format allows:
//!
//! - a conjunction needs only the best of its parts, a disjunction one of all of them, a negation nothing;
//! - a text is found by a run of characters that have no short escape: then the line holds either the run
//!   as it is, or one of the run's characters as `\uXXXX`, which becomes an alternative;
//! - a number can be written in many ways, so the key is looked for, and with `==` what follows it.

mod run;

use self::run::Run;
use crate::logfmt::dotted;
use crate::syntax::{Literal, Node, Predicate, Step, Test};

/// Longest prefilter, in bytes; a longer one would cost the host more than it saves.
const MAX_PREFILTER: usize = 8 * 1024;

/// The prefilter for lines of JSON.
pub(crate) fn json(root: &Node, predicates: &[Predicate]) -> Option<String> {
    need(root, false, &|index| json_predicate(&predicates[index]))?.render()
}

/// The prefilter for lines of logfmt.
pub(crate) fn logfmt(root: &Node, predicates: &[Predicate]) -> Option<String> {
    need(root, false, &|index| logfmt_predicate(&predicates[index]))?.render()
}

/// What a line must hold: one of `parts`, or a character of `escapes` written as `\uXXXX`.
#[derive(Debug)]
struct Need {
    /// Sorted, without duplicates, as is `escapes`.
    parts: Vec<String>,
    /// UTF-16 units.
    escapes: Vec<u16>,
    /// How few lines are likely to have it.
    score: usize,
}

/// Scores. A key is on nearly every line of its format, a text of a few characters is not.
const KEY: usize = 10;
const KEY_AND_VALUE: usize = 60;
const TEXT: usize = 100;
/// Characters that a text needs to be rarer than a key.
const TELLING: usize = 3;

impl Need {
    fn new(part: String, escapes: Vec<u16>, score: usize) -> Need {
        Need { parts: vec![part], escapes, score }
    }

    fn or(mut self, other: Need) -> Need {
        other.parts.into_iter().for_each(|part| add(&mut self.parts, part));
        other.escapes.into_iter().for_each(|unit| add(&mut self.escapes, unit));
        self.score = self.score.min(other.score);
        self
    }

    fn render(self) -> Option<String> {
        let mut out = self.parts.join("|");
        for (i, unit) in self.escapes.iter().enumerate() {
            out.push_str(if i == 0 { r"|\\u(?:" } else { "|" });
            write_unit(&mut out, *unit);
        }
        if !self.escapes.is_empty() {
            out.push(')');
        }
        (out.len() <= MAX_PREFILTER).then_some(out)
    }
}

/// Adds to a sorted list without duplicates.
fn add<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(place) = list.binary_search(&item) {
        list.insert(place, item);
    }
}

/// The four hexadecimal digits of a unit, in either case.
fn write_unit(out: &mut String, unit: u16) {
    for shift in [12, 8, 4, 0] {
        let digit = char::from_digit(u32::from(unit >> shift & 0xf), 16).unwrap_or('0');
        match digit {
            '0'..='9' => out.push(digit),
            _ => out.extend(['[', digit, digit.to_ascii_uppercase(), ']']),
        }
    }
}

/// What the tree needs when it must hold, or when it must not.
fn need(node: &Node, negated: bool, of: &impl Fn(usize) -> Option<Need>) -> Option<Need> {
    match (node, negated) {
        (Node::Predicate(index), false) => of(*index),
        (Node::Predicate(_), true) => None,
        (Node::Not(inner), _) => need(inner, !negated, of),
        (Node::And(parts), false) | (Node::Or(parts), true) => {
            parts.iter().filter_map(|part| need(part, negated, of)).max_by_key(|need| need.score)
        }
        (Node::Or(parts), false) | (Node::And(parts), true) => {
            one_of(parts.iter().map(|part| need(part, negated, of)))
        }
    }
}

/// One of several needs; none if one of them is none.
fn one_of(needs: impl Iterator<Item = Option<Need>>) -> Option<Need> {
    needs.collect::<Option<Vec<Need>>>()?.into_iter().reduce(Need::or)
}

fn json_predicate(predicate: &Predicate) -> Option<Need> {
    let Predicate { path, test, .. } = predicate;
    let of_literal = |literal: &Literal| match literal {
        Literal::Text(text) => Run::of_text(text).map(|run| text_need(run, "\"", "\"")),
        Literal::Number(value, written) => json_value(path, &number_pattern(*value, written)?),
        Literal::Bool(true) => json_value(path, "true"),
        Literal::Bool(false) => json_value(path, "false"),
        Literal::Null => json_value(path, "null"),
    };
    let of_test = match test {
        Test::Exists | Test::Order(..) => None,
        Test::Equal(literal) => of_literal(literal),
        Test::OneOf(list) => one_of(list.iter().map(of_literal)),
        Test::Contains(Literal::Text(text)) => Run::of_text(text).map(|run| text_need(run, "", "")),
        Test::Contains(_) => None,
        Test::StartsWith(text) => Run::of_text(text).map(|run| text_need(run, "\"", "")),
        Test::EndsWith(text) => Run::of_text(text).map(|run| text_need(run, "", "\"")),
        Test::Matches(pattern) => matched(pattern.hir()),
    };
    better(of_test, json_key(path))
}

fn logfmt_predicate(predicate: &Predicate) -> Option<Need> {
    let key = regex_syntax::escape(&dotted(&predicate.path)?);
    let of_literal = |literal: &Literal| match literal {
        Literal::Text(text) => Run::of_text(text).map(|run| text_need(run, LOGFMT_START, "")),
        Literal::Bool(value) => Run::of_text(&value.to_string()).map(|run| text_need(run, LOGFMT_START, "")),
        Literal::Number(value, written) => {
            let value = number_pattern(*value, written)?;
            // A digit may be written as an escape in a quoted value.
            let part = format!(r#"{key}="?(?:{value}|[-+0-9.eE]*\\)"#);
            Some(Need::new(part, Vec::new(), KEY_AND_VALUE))
        }
        Literal::Null => None,
    };
    let of_test = match &predicate.test {
        Test::Exists | Test::Order(..) => None,
        Test::Equal(literal) => of_literal(literal),
        Test::OneOf(list) => one_of(list.iter().map(of_literal)),
        Test::Contains(Literal::Text(text)) => Run::of_text(text).map(|run| text_need(run, "", "")),
        Test::Contains(_) => None,
        Test::StartsWith(text) => Run::of_text(text).map(|run| text_need(run, LOGFMT_START, "")),
        Test::EndsWith(text) => Run::of_text(text).map(|run| text_need(run, "", "")),
        Test::Matches(pattern) => matched(pattern.hir()),
    };
    // A key is written as it is, without quotes or escapes.
    let score = KEY + key.len().min(20);
    better(of_test, (!key.is_empty()).then(|| Need::new(key, Vec::new(), score)))
}

/// What comes before a value in logfmt.
const LOGFMT_START: &str = "=\"?";

fn better(one: Option<Need>, other: Option<Need>) -> Option<Need> {
    [one, other].into_iter().flatten().max_by_key(|need| need.score)
}

/// The need of a run; `start` and `end` stand around it where it begins or ends the whole text.
fn text_need(run: Run, start: &str, end: &str) -> Need {
    let start = if run.leads { start } else { "" };
    let end = if run.trails { end } else { "" };
    let telling = run.len() + usize::from(!start.is_empty()) + usize::from(!end.is_empty());
    let score = if telling < TELLING { telling } else { TEXT + telling };
    Need::new(format!("{start}{}{end}", run.pattern()), run.units(), score)
}

/// The need of a text that a regular expression matches.
fn matched(hir: &regex_syntax::hir::Hir) -> Option<Need> {
    one_of(run::required(hir)?.into_iter().map(|run| Some(text_need(run, "", ""))))
}

/// The longest key of a path, in its quotes.
fn json_key(path: &[Step]) -> Option<Need> {
    let runs = path.iter().filter_map(|step| match step {
        Step::Key(key) => Run::of_text(key),
        Step::Index(_) | Step::Each => None,
    });
    let run = runs.max_by_key(Run::len)?;
    let score = KEY + run.len().min(20);
    Some(Need { score, ..text_need(run, "\"", "\"") })
}

/// The last key of a path with this value after it.
fn json_value(path: &[Step], value: &str) -> Option<Need> {
    let Some(Step::Key(key)) = path.last() else {
        return None;
    };
    let run = Run::of_text(key).filter(|run| run.leads && run.trails)?;
    let part = format!(r#""{}"[ \t\r\n]*:[ \t\r\n]*{value}"#, run.pattern());
    Some(Need::new(part, run.units(), KEY_AND_VALUE))
}

/// Significant digits up to which equal numbers have equal digits.
const EXACT_DIGITS: usize = 15;

/// How a number that equals `value` can begin: with its digits, or it has an exponent or so many digits
/// that rounding may hide a difference.
fn number_pattern(value: f64, written: &str) -> Option<String> {
    let digits = match written.split_once('.') {
        Some((whole, fraction)) => {
            format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        None => written.to_owned(),
    };
    if digits.contains(['e', 'E']) || digits.len() > EXACT_DIGITS {
        return None;
    }
    let first = if value == 0.0 { "-?0".to_owned() } else { regex_syntax::escape(&digits) };
    Some(format!("(?:{first}|-?[0-9.]{{{}}}|-?[0-9.]+[eE])", EXACT_DIGITS + 1))
}

#[cfg(test)]
mod tests {
    use crate::{JsonExpr, LogfmtExpr};

    fn json(source: &str) -> String {
        JsonExpr::parse(source).expect(source).prefilter().unwrap_or_default()
    }

    fn logfmt(source: &str) -> String {
        LogfmtExpr::parse(source).expect(source).prefilter().unwrap_or_default()
    }

    #[test]
    fn texts_keys_and_numbers_of_json() {
        assert_eq!(json("level == 'no'"), r#""no"|\\u(?:006[eE]|006[fF])"#);
        assert_eq!(json("a contains 'x/yz\"'"), r#""a"|\\u(?:0061)"#);
        assert_eq!(json("path startswith '/11/222'"), r"222|\\u(?:0032)");
        assert_eq!(json("e endswith 'éé'"), "éé\"|\\\\u(?:00[eE]9)");
        assert_eq!(json("a.b11.c >= 5"), r#""b11"|\\u(?:0031|0062)"#);
        let value = r"(?:5\.1|-?[0-9.]{16}|-?[0-9.]+[eE])";
        let want = format!(r#""b"[ \t\r\n]*:[ \t\r\n]*{value}|\\u(?:0062)"#);
        assert_eq!(json("a.b == 5.10"), want);
        assert!(json("z == 0").contains("(?:-?0|"));
        assert_eq!(json("zz == 1e3"), r#""zz"|\\u(?:007[aA])"#);
        assert!(json("z[0] == true").starts_with("\"z\"|"));
        assert!(json("z == null").starts_with(r#""z"[ \t\r\n]*:[ \t\r\n]*null|"#));
    }

    #[test]
    fn the_tree_decides_what_is_needed() {
        assert_eq!(json("a != 'xyz'"), "");
        assert_eq!(json("!(a == 'xyz' && b == 1)"), "");
        assert_eq!(json("a == 'xyz' || b !~ 'q'"), "");
        assert_eq!(json("!(a !~ '111')"), json("a =~ '111'"));
        assert_eq!(json("b exists && !a == 1 && x == '111'"), json("x == '111'"));
        assert_eq!(json("a == '111' || b == '222'"), r#""111"|"222"|\\u(?:0031|0032)"#);
        assert_eq!(json("!(a != '111' && b != '222')"), json("a == '111' || b == '222'"));
        assert_eq!(json("x in ['111', '222']"), json("a == '111' || b == '222'"));
        assert_eq!(json("x in ['111', 1e9]"), r#""x"|\\u(?:0078)"#);
    }

    #[test]
    fn regular_expressions_give_their_required_text() {
        let literal = |source: &str| json(&format!("x =~ '{source}'")).split('|').next().map(str::to_owned);
        for (source, want) in [
            ("^err(or)?$", "err"),
            (r"a+\bbcd\b.*ef", "bcd"),
            ("(?:xyz){2,}", "xyz"),
            ("(?i)no1", "[Nn][Oo]1"),
            ("[0-9]+", "\"x\""),
            ("(abc)?", "\"x\""),
            ("(?-u:\\xff)abc", "abc"),
            ("a\\\\bcd", "bcd"),
        ] {
            assert_eq!(literal(source).as_deref(), Some(want), "{source}");
        }
        assert!(json("x =~ 'abc|def'").starts_with("abc|def|"));
        assert!(json("x =~ 'abc|d*'").starts_with("\"x\""));
    }

    #[test]
    fn logfmt_has_keys_without_quotes() {
        assert_eq!(logfmt("a.b exists"), r"a\.b");
        assert_eq!(logfmt("level == '11'"), r#"="?11|\\u(?:0031)"#);
        assert_eq!(logfmt("n == 5"), r#"n="?(?:(?:5|-?[0-9.]{16}|-?[0-9.]+[eE])|[-+0-9.eE]*\\)"#);
        assert!(logfmt("ok == true").starts_with("=\"?true|"));
        assert_eq!(logfmt("n != 5"), "");
    }

    #[test]
    fn a_prefilter_that_grows_too_long_is_left_out() {
        let list: Vec<String> = (0..1000).map(|i| format!("'value-{i}'")).collect();
        assert_eq!(json(&format!("x in [{}]", list.join(","))), "");
    }
}
