//! The words of an expression.

use super::SyntaxError;

/// A word and where it is, in bytes of the source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind<'s>,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'s> {
    /// A bare word: a key or a word operator.
    Word(&'s str),
    /// A quoted text, decoded.
    Text(String),
    /// What begins like a number; it need not be one.
    Number(&'s str),
    /// An operator or a bracket, one of `SYMBOLS`.
    Symbol(&'static str),
    End,
}

impl Kind<'_> {
    /// For "found ..." in messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Kind::Word(word) | Kind::Number(word) => format!("`{word}`"),
            Kind::Text(_) => "a quoted text".to_owned(),
            Kind::Symbol(symbol) => format!("`{symbol}`"),
            Kind::End => "the end".to_owned(),
        }
    }
}

/// Longer ones first. The single `=`, `&`, `|` and `~` are no operators, but the parser can say what was meant.
const SYMBOLS: [&str; 21] = [
    "&&", "||", "==", "!=", "=~", "!~", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "*", "=",
    "&", "|",
];

/// The first token at or after byte `from`, and the byte after it.
pub(super) fn next(source: &str, from: usize) -> Result<(Token<'_>, usize), SyntaxError> {
    let rest = source[from..].trim_start_matches([' ', '\t', '\r', '\n']);
    let at = source.len() - rest.len();
    let Some(first) = rest.chars().next() else {
        return Ok((Token { kind: Kind::End, at }, at));
    };
    let (kind, length) = match first {
        '"' => double_quoted(source, at)?,
        '\'' => single_quoted(source, at)?,
        '0'..='9' | '-' | '+' => {
            let word = leading(rest, |c| c.is_ascii_alphanumeric() || "+-._".contains(c));
            (Kind::Number(word), word.len())
        }
        _ if starts_word(first) => {
            let word = leading(rest, |c| starts_word(c) || c.is_ascii_digit() || c == '-');
            (Kind::Word(word), word.len())
        }
        _ => match SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            Some(symbol) => (Kind::Symbol(symbol), symbol.len()),
            None => {
                let message = format!("`{}` has no meaning here", first.escape_debug());
                return Err(SyntaxError::new(source, at, message));
            }
        },
    };
    Ok((Token { kind, at }, at + length))
}

/// Keys may hold `@` and `$` (`@timestamp`) and any letter beyond ASCII.
fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '@' | '$') || !c.is_ascii()
}

fn leading(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}

/// `'...'`: no escapes, made for regular expressions.
fn single_quoted(source: &str, at: usize) -> Result<(Kind<'_>, usize), SyntaxError> {
    let inside = &source[at + 1..];
    let Some(end) = inside.find('\'') else {
        return Err(SyntaxError::new(source, at, "this text has no closing `'`"));
    };
    Ok((Kind::Text(inside[..end].to_owned()), end + 2))
}

/// `"..."`: with the escapes of JSON.
fn double_quoted(source: &str, at: usize) -> Result<(Kind<'_>, usize), SyntaxError> {
    let inside = &source[at + 1..];
    let mut text = String::new();
    let mut chars = inside.char_indices();
    while let Some((place, c)) = chars.next() {
        let here = at + 1 + place;
        let plain = match c {
            '"' => return Ok((Kind::Text(text), place + 2)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some(c @ ('"' | '\\' | '/')) => c,
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('u') => unicode_escape(source, here, &mut chars)?,
                Some(c) => {
                    let message = format!(
                        "`\\{}` is no escape; write `\\\\` for a backslash, or '...', in which a \
                         backslash is plain",
                        c.escape_debug()
                    );
                    return Err(SyntaxError::new(source, here, message));
                }
                None => break,
            },
            c => c,
        };
        text.push(plain);
    }
    Err(SyntaxError::new(source, at, "this text has no closing `\"`"))
}

/// Reads `XXXX` after `\u` at byte `at`, and a second escape where the first is half a surrogate pair.
fn unicode_escape(
    source: &str,
    at: usize,
    chars: &mut std::str::CharIndices<'_>,
) -> Result<char, SyntaxError> {
    let mut unit = || -> Option<u16> {
        let (digits, rest) = chars.as_str().split_at_checked(4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u16::from_str_radix(digits, 16).ok()?;
        let second = rest.starts_with("\\u") && (0xd800..0xdc00).contains(&value);
        chars.nth(if second { 5 } else { 3 });
        Some(value)
    };
    let read = unit().and_then(|first| {
        if !(0xd800..0xdc00).contains(&first) {
            return char::decode_utf16([first]).next()?.ok();
        }
        char::decode_utf16([first, unit()?]).next()?.ok()
    });
    let wanted = "`\\u` is followed by four hexadecimal digits, and half a surrogate pair by the other half";
    read.ok_or_else(|| SyntaxError::new(source, at, wanted))
}
