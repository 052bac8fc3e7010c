//! Rewrites an expression on messages into one on raw lines that matches at least every line whose
//! message the first one matches. What it lets through in vain is sorted out on the message.

use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};

/// Printable ASCII that JSON encoders escape: always the first two, the others by taste.
const ESCAPED: &str = "\"\\/<>&";

/// How a JSON encoder may write a character that it escapes (RFC 8259, section 7).
const ESCAPE: &str = r"\\(?:u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})?|[^u])";

/// Most literals of an alternation that is taken for nearly one literal.
const CHOICES_MAX: usize = 8;

/// For lines that hold the message as it is, behind a prefix and before a line end: only anchors have
/// to go. Word boundaries stay, since both neighbours of the message are no word characters.
pub(crate) fn of_verbatim_line(hir: &Hir) -> Hir {
    rewrite(hir, &Rules::Verbatim)
}

/// The longest match of `hir`, in bytes, if every match in a line that holds the message as it is, and that
/// lies behind the prefix, is one in the message.
pub(crate) fn longest_verbatim_match(hir: &Hir) -> Option<usize> {
    // Anchors are the message's. A word boundary is the same in both, see `of_verbatim_line`.
    let has_anchor = hir.properties().look_set().contains_anchor();
    hir.properties().maximum_len().filter(|_| !has_anchor)
}

/// For lines that hold the message as a JSON string, in which characters come escaped and what stands
/// beside a character tells nothing.
///
/// Holds for lines in which no printable ASCII character but `<`, `>` and `&` is written as `\u00..`. No
/// known writer does that; [`json_guard`](crate::json_guard) finds the lines of one that does.
pub(crate) fn of_json_line(hir: &Hir) -> Hir {
    let escape = regex_syntax::parse(ESCAPE).expect("the expression is constant and valid");
    rewrite(hir, &Rules::Json { escape })
}

/// For an automaton on bytes: a class of more than a few characters becomes what it has of ASCII, or any run
/// of other bytes, since a character outside of ASCII is such a run.
pub(crate) fn of_bytes(hir: &Hir) -> Hir {
    map_classes(hir, &|class| match class {
        Class::Unicode(chars) if !chars.is_ascii() && !is_small_class(class) => {
            let ascii = |char: char| u8::try_from(char).ok().filter(u8::is_ascii);
            let ranges = chars.iter().filter_map(|range| {
                let start = ascii(range.start())?;
                Some(ClassBytesRange::new(start, ascii(range.end()).unwrap_or(0x7f)))
            });
            let other = ClassBytes::new([ClassBytesRange::new(0x80, 0xff)]);
            let other = Hir::class(Class::Bytes(other));
            let run = Repetition { min: 1, max: None, greedy: true, sub: Box::new(other) };
            let ascii = Hir::class(Class::Bytes(ClassBytes::new(ranges)));
            Hir::alternation(vec![ascii, Hir::repetition(run)])
        }
        _ => Hir::class(class.clone()),
    })
}

/// The same expression, with something else for each class.
fn map_classes(hir: &Hir, map: &impl Fn(&Class) -> Hir) -> Hir {
    let each = |parts: &[Hir]| parts.iter().map(|part| map_classes(part, map)).collect();
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) => hir.clone(),
        HirKind::Class(class) => map(class),
        HirKind::Repetition(rep) => {
            let sub = Box::new(map_classes(&rep.sub, map));
            Hir::repetition(Repetition { sub, ..rep.clone() })
        }
        HirKind::Capture(capture) => map_classes(&capture.sub, map),
        HirKind::Concat(parts) => Hir::concat(each(parts)),
        HirKind::Alternation(parts) => Hir::alternation(each(parts)),
    }
}

/// How much a required literal of `hir` narrows a search: about its length in bytes. 0 when there is none.
pub(crate) fn selectivity(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => usize::from(is_small(hir)),
        HirKind::Repetition(rep) if rep.min == 0 => 0,
        HirKind::Repetition(rep) => selectivity(&rep.sub),
        HirKind::Capture(capture) => selectivity(&capture.sub),
        HirKind::Alternation(parts) => parts.iter().map(selectivity).min().unwrap_or(0),
        HirKind::Concat(parts) => {
            let other = parts.iter().map(selectivity).max().unwrap_or(0);
            runs(parts).map(weight).max().unwrap_or(0).max(other)
        }
    }
}

/// The run of literals that a match of `hir` must hold and that narrows a search most, if it has at least
/// `min` bytes and is only a part of the expression. Of equal ones the last: in logs names come first, and
/// values tell more than names.
pub(crate) fn leading_run(hir: &Hir, min: usize) -> Option<Hir> {
    let HirKind::Concat(parts) = hir.kind() else {
        return None;
    };
    let best = runs(parts).max_by_key(|run| weight(run))?;
    (weight(best) >= min && best.len() < parts.len()).then(|| Hir::concat(best.to_vec()))
}

/// The runs of parts that are literals, or nearly: such a run is searched for as a few literals at once.
fn runs(parts: &[Hir]) -> impl Iterator<Item = &[Hir]> {
    parts.split(|part| !(is_literal(part) || is_small(part) || is_choice(part)))
}

fn is_literal(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Literal(_))
}

/// One of a few literals.
fn is_choice(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => is_choice(&capture.sub),
        HirKind::Alternation(parts) => parts.len() <= CHOICES_MAX && parts.iter().all(is_literal),
        _ => false,
    }
}

fn weight(run: &[Hir]) -> usize {
    run.iter().map(selectivity).sum()
}

/// A class of at most four characters, such as a letter in both cases.
fn is_small(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Class(class) if is_small_class(class))
}

fn is_small_class(class: &Class) -> bool {
    let count: usize = match class {
        Class::Unicode(class) => class.iter().map(|range| range.len()).sum(),
        Class::Bytes(class) => class.iter().map(|range| range.len()).sum(),
    };
    count <= 4
}

enum Rules {
    Verbatim,
    Json { escape: Hir },
}

fn rewrite(hir: &Hir, rules: &Rules) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => self::look(*look, rules),
        HirKind::Literal(literal) => match rules {
            Rules::Verbatim => hir.clone(),
            Rules::Json { .. } => json_literal(&literal.0),
        },
        HirKind::Class(class) => match rules {
            Rules::Verbatim => hir.clone(),
            Rules::Json { escape } => json_class(class, escape),
        },
        HirKind::Repetition(rep) => repetition(rep, rules),
        HirKind::Capture(capture) => rewrite(&capture.sub, rules),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(|part| rewrite(part, rules)).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.iter().map(|part| rewrite(part, rules)).collect())
        }
    }
}

fn look(look: Look, rules: &Rules) -> Hir {
    let is_anchor = matches!(
        look,
        Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF
    );
    match rules {
        Rules::Verbatim if !is_anchor => Hir::look(look),
        _ => Hir::empty(),
    }
}

fn repetition(rep: &Repetition, rules: &Rules) -> Hir {
    // `.*` and the like cover an escape by themselves: left alone, they stay cheap.
    let covers_escapes = rep.max.is_none() && covers_printable_ascii(&rep.sub);
    let sub = if covers_escapes { (*rep.sub).clone() } else { rewrite(&rep.sub, rules) };
    Hir::repetition(Repetition { sub: Box::new(sub), ..rep.clone() })
}

fn covers_printable_ascii(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|range| range.start() <= ' ' && range.end() >= '~')
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().any(|range| range.start() <= b' ' && range.end() >= b'~')
        }
        _ => false,
    }
}

fn never_escaped(char: char) -> bool {
    matches!(char, ' '..='~') && !ESCAPED.contains(char)
}

fn json_literal(bytes: &[u8]) -> Hir {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return anything();
    };
    // Concatenating literals joins them into one again.
    Hir::concat(text.chars().map(json_char).collect())
}

/// Each way to write one character in a JSON string. Exact, so that long literals stay long ones.
fn json_char(char: char) -> Hir {
    let literal = |char: char| Hir::literal(char.encode_utf8(&mut [0; 4]).as_bytes());
    let short = match char {
        '"' | '\\' | '/' => Some(char),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        _ => None,
    };
    let short = short.map(|short| Hir::concat(vec![Hir::literal(*b"\\"), literal(short)]));
    // A quote or a backslash that isn't escaped can't be inside of a string.
    let verbatim = (!matches!(char, '"' | '\\')).then(|| literal(char));
    let is_numbered = !matches!(char, ' '..='~') || matches!(char, '<' | '>' | '&');
    let numbered = is_numbered.then(|| json_number(char));
    // Half of a surrogate pair is decoded as this character.
    let surrogate = (char == char::REPLACEMENT_CHARACTER).then(lone_surrogate);
    Hir::alternation(verbatim.into_iter().chain(short).chain(numbered).chain(surrogate).collect())
}

/// `\ud800` to `\udfff`, digits in either case.
fn lone_surrogate() -> Hir {
    let class = |ranges: &[(char, char)]| {
        let ranges = ranges.iter().map(|(start, end)| ClassUnicodeRange::new(*start, *end));
        Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
    };
    let hex = || class(&[('0', '9'), ('a', 'f'), ('A', 'F')]);
    let first = class(&[('d', 'd'), ('D', 'D')]);
    let second = class(&[('8', '9'), ('a', 'f'), ('A', 'F')]);
    Hir::concat(vec![Hir::literal(*b"\\u"), first, second, hex(), hex()])
}

/// A character as `\u` and its number, digits in either case.
fn json_number(char: char) -> Hir {
    let mut units = Vec::new();
    for unit in char.encode_utf16(&mut [0; 2]) {
        units.push(Hir::literal(*b"\\u"));
        units.extend(format!("{unit:04x}").chars().map(|digit| {
            let cases = [digit, digit.to_ascii_uppercase()];
            let cases = cases.map(|case| ClassUnicodeRange::new(case, case));
            Hir::class(Class::Unicode(ClassUnicode::new(cases)))
        }));
    }
    Hir::concat(units)
}

fn json_class(class: &Class, escape: &Hir) -> Hir {
    let Some(chars) = as_chars(class) else {
        return anything();
    };
    let count: usize = chars.iter().map(|range| range.len()).sum();
    let each = || chars.iter().flat_map(|range| range.start()..=range.end());
    if count < 128 && each().all(never_escaped) {
        return Hir::class(class.clone());
    }
    if is_small(&Hir::class(class.clone())) {
        return Hir::alternation(each().map(json_char).collect());
    }
    Hir::alternation(vec![Hir::class(class.clone()), escape.clone()])
}

/// The class as characters, or `None` when it matches bytes that are only part of a character.
fn as_chars(class: &Class) -> Option<ClassUnicode> {
    match class {
        Class::Unicode(class) => Some(class.clone()),
        Class::Bytes(class) => class.to_unicode_class(),
    }
}

/// Any run of bytes: what parts of a character can become when that character is escaped.
fn anything() -> Hir {
    Hir::repetition(Repetition {
        min: 0,
        max: None,
        greedy: true,
        sub: Box::new(Hir::dot(regex_syntax::hir::Dot::AnyByteExceptLF)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pattern: &str) -> Hir {
        regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).unwrap()
    }

    #[test]
    fn drops_anchors_and_keeps_word_boundaries() {
        for (pattern, expected) in [
            ("^foo$", "foo"),
            (r"\Afoo\z", "foo"),
            (r"(?m:^foo$)|^$", "foo|(?:)"),
            (r"\bfoo\B", r"\bfoo\B"),
            (r"(^a|b$)+", "(?:a|b)+"),
        ] {
            assert_eq!(of_verbatim_line(&parse(pattern)), parse(expected), "{pattern}");
        }
    }

    #[test]
    fn lets_json_escape_what_encoders_may() {
        let escaped = |text: &str| text.replace("ESC", ESCAPE);
        for (pattern, expected) in [
            (r"^error: \[x\]$", r"error: \[x\]".to_owned()),
            (r#"a"b"#, r#"a\\"b"#.to_owned()),
            (r"\\", r"\\\\".to_owned()),
            (r"/", r"/|\\/".to_owned()),
            (r"a'<", r"a'(?:<|\\u003[cC])".to_owned()),
            (r"é\b", r"é|\\u00[eE]9".to_owned()),
            ("😀", r"😀|\\u[dD]83[dD]\\u[dD][eE]00".to_owned()),
            ("[a-c]", "[a-c]".to_owned()),
            ("[a-é]", escaped("(?:[a-é]|ESC)")),
            ("[a\"]", r#"\\"|a"#.to_owned()),
            ("a.*b", "a.*b".to_owned()),
            (r"(?-u:\xff)", r"(?-u:[^\n]*)".to_owned()),
        ] {
            assert_eq!(of_json_line(&parse(pattern)), parse(&expected), "{pattern}");
        }
    }

    #[test]
    fn the_literal_that_narrows_most_leads() {
        for (pattern, leading) in [
            (r#"POST.*"status":500"#, Some(r#""status":500"#)),
            ("level=error|warn", None),
            ("level.error", Some("error")),
            (r"\berror\b", Some("error")),
            ("(?i:error)x*y", Some("(?i:error)")),
            ("error", None),
            (r"a\d+", None),
            ("GET /(about|contact)", None),
            (r"\d+ GET /(?:about|contact)", Some(" GET /(?:about|contact)")),
        ] {
            assert_eq!(leading_run(&parse(pattern), 3), leading.map(parse), "{pattern}");
        }
    }

    #[test]
    fn weighs_required_literals() {
        for (pattern, weight) in
            [("error", 5), ("(?i)error", 5), ("a|error", 1), (r"\d+", 0), (r"\d+ms done", 7), ("x*", 0)]
        {
            assert_eq!(selectivity(&parse(pattern)), weight, "{pattern}");
        }
    }
}
