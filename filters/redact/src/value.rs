//! The value that belongs to a field name: `name=value`, `name: value`, `"name":"value"`, the same in
//! escaped text (`\"name\":\"value\"`), and lists of those.

use crate::text::{backslashes_before, has_word_at, is_blank, run_end};
use core::ops::Range;

/// Words before a credential that tell its kind and are no secret.
const SCHEMES: [(&[u8], Extent); 8] = [
    (b"bearer", Extent::Word),
    (b"basic", Extent::Word),
    (b"token", Extent::Word),
    (b"negotiate", Extent::Word),
    (b"apikey", Extent::Word),
    (b"digest", Extent::Line),
    (b"aws4-hmac-sha256", Extent::Line),
    (b"hmac", Extent::Line),
];
/// Values that are no secret: nothing, or what other tools left instead of it.
const EMPTY: [&[u8]; 10] = [
    b"null",
    b"nil",
    b"none",
    b"true",
    b"false",
    b"undefined",
    b"<nil>",
    b"<redacted>",
    b"[redacted]",
    b"[filtered]",
];

/// How far a value without quotes reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// To the next blank.
    Word,
    /// To the end of the line, as in HTTP headers; quotes around the whole still end it.
    Line,
}

/// Reports the values behind the separator (`:` or `=`) at `separator`.
pub(crate) fn behind(text: &[u8], separator: usize, extent: Extent, mut found: impl FnMut(Range<usize>)) {
    let mut at = separator + 1;
    // `:=`, `==`, `=>`, `::`
    if text.get(at).is_some_and(|byte| matches!(byte, b'=' | b'>' | b':')) {
        at += 1;
    }
    at = run_end(text, at, is_blank);
    if text.get(at) == Some(&b'[') && !text[at..].starts_with(b"[REDACTED:") {
        list(text, at + 1, &mut found);
        return;
    }
    if let Some(range) = self::at(text, at, extent) {
        found(range);
    }
}

/// The items of a list whose first is at `at`.
fn list(text: &[u8], mut at: usize, found: &mut impl FnMut(Range<usize>)) {
    loop {
        at = run_end(text, at, |byte| is_blank(byte) || byte == b',');
        let Some(&first) = text.get(at) else { return };
        if matches!(first, b']' | b'{' | b'[') {
            return;
        }
        let item = match quoted(text, at) {
            Some(content) => {
                at = (content.end + backslashes_at(text, content.end) + 1).min(text.len());
                content
            }
            None => {
                let start = at;
                at = run_end(text, at, |byte| !matches!(byte, b',' | b']' | b'"') && !is_blank(byte));
                // A quote without an opening one would stop the list here for ever.
                if at == start {
                    return;
                }
                start..at
            }
        };
        if !is_empty(&text[item.clone()]) {
            found(item);
        }
    }
}

/// The value that starts at `at`.
pub(crate) fn at(text: &[u8], at: usize, extent: Extent) -> Option<Range<usize>> {
    // Python's `u'...'` and `b'...'`.
    let prefixed =
        matches!(text.get(at), Some(b'u' | b'b')) && matches!(text.get(at + 1), Some(b'\'' | b'"'));
    let at = at + usize::from(prefixed);
    let quoted = quoted(text, at);
    let whole = quoted.clone().unwrap_or_else(|| at..bare_end(text, at, extent));
    let scheme = scheme(text, whole.clone());
    let (start, extent) = match scheme {
        Some((start, of_scheme)) if extent == Extent::Line => (start, of_scheme),
        Some((start, _)) => (start, extent),
        None => (whole.start, extent),
    };
    let end = match &quoted {
        Some(content) => content.end,
        None => {
            let end = bare_end(text, start, extent);
            if extent == Extent::Word { trimmed(text, start..end) } else { end }
        }
    };
    let value = &text[start..end];
    if is_empty(value) || (quoted.is_none() && value.starts_with(b"{")) {
        return None;
    }
    Some(start..end)
}

/// The content of the quoted text that starts at `at`. Its quote may be escaped, any number of times;
/// without a closing one the text goes to the end of the line.
fn quoted(text: &[u8], at: usize) -> Option<Range<usize>> {
    let depth = backslashes_at(text, at);
    let quote = *text.get(at + depth)?;
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let start = at + depth + 1;
    let mut from = start;
    while let Some(skip) = text[from..].iter().position(|&byte| byte == quote) {
        let close = from + skip;
        let slashes = backslashes_before(&text[start..], close - start);
        // At this depth a backslash of the content is written as twice (depth + 1) backslashes.
        if slashes % (2 * (depth + 1)) == depth {
            return Some(start..close - depth);
        }
        // Fewer than the opening quote had: the text around has ended.
        if slashes < depth {
            return Some(start..close - slashes);
        }
        from = close + 1;
    }
    Some(start..text.len())
}

fn bare_end(text: &[u8], start: usize, extent: Extent) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        let ends = match byte {
            b'"' if extent == Extent::Line => match parameter(text, start, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => true,
            },
            b'"' => true,
            _ if extent == Extent::Line => matches!(byte, b'\r' | b'\n'),
            b'&' | b';' => true,
            b',' => another_field(text, at + 1),
            _ => byte.is_ascii_whitespace(),
        };
        if ends {
            break;
        }
        at += 1;
    }
    if text.get(at) == Some(&b'"') { at - backslashes_before(&text[start..at], at - start) } else { at }
}

/// The end of a header's parameter (`name="value"`) whose opening quote is at `quote`.
fn parameter(text: &[u8], start: usize, quote: usize) -> Option<usize> {
    let open = quote - backslashes_before(&text[start..quote], quote - start);
    if open == start || text[open - 1] != b'=' {
        return None;
    }
    let content = quoted(text, open)?;
    Some((content.end + (quote - open) + 1).min(text.len()))
}

/// Whether `name=` or `name:` follows, so that a comma before it ends a value.
fn another_field(text: &[u8], at: usize) -> bool {
    let at = run_end(text, at, is_blank);
    let name = text[at..].iter().take(64).take_while(|&&byte| crate::text::is_unreserved(byte)).count();
    name > 0 && matches!(text.get(at + name), Some(b'=' | b':'))
}

/// Leaves out punctuation that closes what is around a value.
fn trimmed(text: &[u8], range: Range<usize>) -> usize {
    let closing = |byte: u8| matches!(byte, b',' | b')' | b']' | b'}' | b'>' | b'\'');
    // What a marker ends with is its own.
    if crate::marker::at(text, range.start).is_some_and(|end| end == range.end) {
        return range.end;
    }
    let kept = text[range.clone()].iter().rposition(|&byte| !closing(byte)).map_or(0, |last| last + 1);
    range.start + kept
}

/// Where a credential starts behind a scheme word and blanks, and how far it reaches without quotes.
fn scheme(text: &[u8], range: Range<usize>) -> Option<(usize, Extent)> {
    let (word, extent) = SCHEMES.iter().find(|(word, _)| {
        has_word_at(text, range.start, word)
            && text.get(range.start + word.len()).is_some_and(|&byte| is_blank(byte))
    })?;
    Some((run_end(text, range.start + word.len(), is_blank), *extent))
}

/// Whether a value is no secret.
pub(crate) fn is_empty(value: &[u8]) -> bool {
    value.iter().all(|&byte| matches!(byte, b'*' | b'-' | b'.'))
        || EMPTY.iter().any(|empty| value.eq_ignore_ascii_case(empty))
}

fn backslashes_at(text: &[u8], at: usize) -> usize {
    text[at.min(text.len())..].iter().take_while(|&&byte| byte == b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::{Extent, behind};

    fn values(text: &str, extent: Extent) -> Vec<&str> {
        let separator = text.find([':', '=']).expect("each case has a separator");
        let mut found = Vec::new();
        behind(text.as_bytes(), separator, extent, |range| found.push(&text[range]));
        found
    }

    #[test]
    fn words() {
        for (text, expected) in [
            ("p=hunter2 x", &["hunter2"][..]),
            ("p: hunter2, q: x", &["hunter2"]),
            ("p=a,b,q=x", &["a,b"]),
            ("p=a&q=b", &["a"]),
            ("{p=a}", &["a"]),
            ("p => 'a b',", &["a b"]),
            ("p := \"a b\"", &["a b"]),
            (r#""p":"a\"b","q":1"#, &[r#"a\"b"#]),
            (r#""p":"a\\","q":1"#, &[r#"a\\"#]),
            (r#"{\"p\":\"a\\\"b\",\"q\":1}"#, &[r#"a\\\"b"#]),
            (r#"p=abc\n next"}"#, &[r"abc\n"]),
            (r#"p=abc\" x"#, &["abc"]),
            (r#""p":1234}"#, &["1234"]),
            (r#""p": ["a", "b c",3]"#, &["a", "b c", "3"]),
            ("p=u'abc'", &["abc"]),
            ("p: Bearer abc.def, x", &["abc.def"]),
            ("p: \"Basic dTpw\"", &["dTpw"]),
            ("p=\"open end", &["open end"]),
            ("p=null", &[]),
            ("p=****", &[]),
            ("p=", &[]),
            ("p=\"\"", &[]),
            (r#""p":{"a":1}"#, &[]),
        ] {
            assert_eq!(values(text, Extent::Word), expected, "{text}");
        }
    }

    #[test]
    fn headers() {
        assert_eq!(values("Cookie: a=b; c=d", Extent::Line), ["a=b; c=d"]);
        assert_eq!(values(r#"Cookie: a=b; c=d" 200"#, Extent::Line), ["a=b; c=d"]);
        let digest = "A: Digest username=\"x\", response=\"y\"";
        assert_eq!(values("A: Bearer abc, B: x", Extent::Line), ["abc"]);
        assert_eq!(values(digest, Extent::Line), ["username=\"x\", response=\"y\""]);
    }
}
