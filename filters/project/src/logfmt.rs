//! logfmt lines: `key=value key2="quoted \"value\"" flag`.

use crate::rules::Rules;
use std::ops::Range;
use weir_sdk::bytes;

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: Range<usize>,
    /// With its quotes; `None` for a key alone.
    pub(crate) value: Option<Range<usize>>,
}

impl Pair {
    /// Its place.
    pub(crate) fn range(&self) -> Range<usize> {
        self.key.start..self.value.as_ref().map_or(self.key.end, |value| value.end)
    }
}

/// The words of a line; `None` where it stops being logfmt. With `strict` every word must have a value, so that
/// prose isn't taken for it.
pub(crate) fn parse(line: &[u8], strict: bool, pairs: &mut Vec<Pair>) -> Option<()> {
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

/// Appends the line by the rules. What is left keeps its place, with the blanks before it.
pub(crate) fn rewrite(line: &[u8], pairs: &[Pair], rules: &Rules, out: &mut Vec<u8>) {
    let key = |pair: &Pair| &line[pair.key.clone()];
    let rule = |pair: &Pair| rules.flat(key(pair));
    let stays = |pair: &Pair| match rule(pair) {
        Some(rule) => !rule.drop && (!rules.restrict || rule.keep),
        None => !rules.restrict,
    };
    let new_name = |pair: &Pair| rule(pair).and_then(|rule| rule.rename.as_ref());
    let names: Vec<&[u8]> = pairs
        .iter()
        .filter(|pair| stays(pair))
        .filter_map(|pair| new_name(pair).map(|name| name.plain.as_bytes()))
        .collect();
    let mut from = 0;
    let mut first = true;
    for pair in pairs {
        let Range { start, end } = pair.range();
        let blanks = from..start;
        from = end;
        let name = new_name(pair);
        if !stays(pair) || (name.is_none() && names.contains(&key(pair))) {
            continue;
        }
        if first {
            out.extend_from_slice(&line[..pairs[0].key.start]);
        } else {
            out.extend_from_slice(&line[blanks]);
        }
        first = false;
        match name {
            Some(name) => out.extend_from_slice(name.plain.as_bytes()),
            None => out.extend_from_slice(&line[pair.key.clone()]),
        }
        out.extend_from_slice(&line[pair.key.end..end]);
    }
    out.extend_from_slice(&line[from..]);
}

/// The last value of `key`.
pub(crate) fn get<'l>(line: &'l [u8], pairs: &[Pair], key: &str) -> Option<&'l [u8]> {
    let pair = pairs.iter().rfind(|pair| &line[pair.key.clone()] == key.as_bytes())?;
    Some(pair.value.clone().map_or(&b""[..], |value| &line[value]))
}

/// Appends a value without its quotes and escapes; other escapes than `\"` and `\\` stay.
pub(crate) fn write_plain(value: &[u8], out: &mut Vec<u8>) {
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

fn quoted_end(line: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += bytes::find_byte2(line.get(at..)?, b'"', b'\\')?;
        if line[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
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
    use super::{get, parse, rewrite, write_plain};
    use crate::path::Path;
    use crate::rules::Rules;

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

    #[test]
    fn rules() {
        let path = |text| Path::parse(text).expect("valid");
        let mut rules = Rules::default();
        rules.drop(&path("user.id"));
        rules.rename(&path("msg"), "message").expect("valid");
        let line = b"user.id=7  level=info message=old msg=\"x y\" ";
        let mut pairs = Vec::new();
        parse(line, true, &mut pairs).expect("valid");
        let mut out = Vec::new();
        rewrite(line, &pairs, &rules, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "level=info message=\"x y\" ");
    }
}
