//! logfmt lines: `key=value key2="quoted \"value\"" flag`.

use std::ops::Range;

use crate::quoted_end;
use weir_sdk::bytes;

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Its key.
    pub key: Range<usize>,
    /// With its quotes; `None` for a key alone.
    pub value: Option<Range<usize>>,
}

impl Pair {
    /// Its place.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.key.start..self.value.as_ref().map_or(self.key.end, |value| value.end)
    }
}

/// The words of a line; `None` where it stops being logfmt. With `strict` every word must have a value, so that
/// prose isn't taken for it.
pub fn parse(line: &[u8], strict: bool, pairs: &mut Vec<Pair>) -> Option<()> {
    let mut at = blanks_end(line, 0);
    while at < line.len() {
        let key = at..end_of(line, at, |byte| byte == b'=' || is_blank(byte) || byte == b'"');
        if key.is_empty() {
            return None;
        }
        let value = if line.get(key.end) == Some(&b'=') {
            let start = key.end + 1;
            let end = if line.get(start) == Some(&b'"') {
                quoted_end(line, start)?
            } else {
                end_of(line, start, is_blank)
            };
            Some(start..end)
        } else {
            None
        };
        if strict && value.is_none() {
            return None;
        }
        let pair = Pair { key, value };
        at = pair.range().end;
        if line.get(at).is_some_and(|&byte| !is_blank(byte)) {
            return None;
        }
        pairs.push(pair);
        at = blanks_end(line, at);
    }
    (!pairs.is_empty()).then_some(())
}

/// The last value of `key`.
#[must_use]
pub fn get<'l>(line: &'l [u8], pairs: &[Pair], key: &str) -> Option<&'l [u8]> {
    let pair = pairs.iter().rfind(|pair| &line[pair.key.clone()] == key.as_bytes())?;
    Some(pair.value.clone().map_or(&b""[..], |value| &line[value]))
}

/// Appends a value without its quotes and escapes; other escapes than `\"` and `\\` stay.
pub fn write_plain(value: &[u8], out: &mut Vec<u8>) {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        out.extend_from_slice(value);
        return;
    };
    let mut rest = inner;
    while let Some(at) = bytes::find_byte(rest, b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1) {
            Some(&escaped @ (b'"' | b'\\')) => out.push(escaped),
            Some(&other) => out.extend_from_slice(&[b'\\', other]),
            None => out.push(b'\\'),
        }
        rest = rest.get(at + 2..).unwrap_or(b"");
    }
    out.extend_from_slice(rest);
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn end_of(line: &[u8], at: usize, ends: impl Fn(u8) -> bool) -> usize {
    line[at..].iter().position(|&byte| ends(byte)).map_or(line.len(), |length| at + length)
}

fn blanks_end(line: &[u8], at: usize) -> usize {
    end_of(line, at, |byte| !is_blank(byte))
}

#[cfg(test)]
mod tests {
    use super::{get, parse, write_plain};

    #[test]
    fn words() {
        let line = br#"level=info msg="a \"b\" c" flag empty= user.id=7"#;
        let mut pairs = Vec::new();
        parse(line, false, &mut pairs).expect("valid");
        assert_eq!(pairs.len(), 5);
        assert_eq!(get(line, &pairs, "user.id"), Some(&b"7"[..]));
        assert_eq!(get(line, &pairs, "flag"), Some(&b""[..]));
        assert_eq!(get(line, &pairs, "none"), None);
        let mut plain = Vec::new();
        write_plain(get(line, &pairs, "msg").expect("there"), &mut plain);
        assert_eq!(plain, br#"a "b" c"#);
        for (line, strict) in [
            (&b"a=1 flag"[..], true),
            (b"\"x\"=1", false),
            (b"a=\"open", false),
            (b"a=\"b\"c", false),
            (b"", false),
        ] {
            assert_eq!(parse(line, strict, &mut Vec::new()), None, "{line:?}");
        }
    }
}
