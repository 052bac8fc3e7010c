//! JSON read lazily: only the way to what is asked for is looked at, the rest is skipped 16 bytes at a time.
//!
//! ```
//! use weir_sdk::json::{self, Value};
//!
//! let line = br#"{"level":"error","user":{"id":7},"tags":["a","b"]}"#;
//! assert!(json::get(line, &["level"]).is_some_and(|v| v == *"error"));
//! assert_eq!(json::get(line, &["user", "id"]).and_then(|v| v.as_i64()), Some(7));
//! assert_eq!(json::get(line, &["user", "name"]), None);
//! ```
//!
//! What this does not do is validate: text that is skipped is only looked at for where it ends, so a line that is
//! broken elsewhere still gives its fields. Of an object's equal keys the last one counts, as in `jq`.

use std::borrow::Cow;

use crate::bytes::{self, Set};

/// Where the brackets and strings of a skipped value are.
const NESTING: Set = Set::new(b"{}[]\"");
/// What ends a number or a word.
const AFTER_SCALAR: Set = Set::new(b",}] \t\r\n");

/// The value at `path` below the JSON object in `text`; with an empty path, the value itself.
#[must_use]
pub fn get<'a>(text: &'a [u8], path: &[&str]) -> Option<Value<'a>> {
    let mut value = parse(text)?;
    for key in path {
        value = value.as_object()?.get(key)?;
    }
    Some(value)
}

/// The JSON value that `text` starts with, after white space.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Value<'_>> {
    Cursor { text, at: 0 }.value()
}

/// Appends `text` as a JSON string.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let hex = b"0123456789abcdef";
                let (high, low) = (hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A JSON value, as it stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(&'a [u8]),
    /// A string.
    Str(Str<'a>),
    /// An array.
    Array(Array<'a>),
    /// An object.
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    /// The text of it.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        match self {
            Value::Null => b"null",
            Value::Bool(true) => b"true",
            Value::Bool(false) => b"false",
            Value::Number(text) | Value::Array(Array(text)) | Value::Object(Object(text)) => text,
            Value::Str(s) => s.quoted,
        }
    }

    /// The string that it is.
    #[must_use]
    pub fn as_str(&self) -> Option<Str<'a>> {
        if let Value::Str(s) = self {
            Some(*s)
        } else {
            None
        }
    }

    /// The boolean that it is.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self {
            Some(*b)
        } else {
            None
        }
    }

    /// The whole number that it is, where it is written as one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Number(text) = self {
            std::str::from_utf8(text).ok()?.parse().ok()
        } else {
            None
        }
    }

    /// The number that it is.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Value::Number(text) = self {
            std::str::from_utf8(text).ok()?.parse().ok()
        } else {
            None
        }
    }

    /// The array that it is.
    #[must_use]
    pub fn as_array(&self) -> Option<Array<'a>> {
        if let Value::Array(a) = self {
            Some(*a)
        } else {
            None
        }
    }

    /// The object that it is.
    #[must_use]
    pub fn as_object(&self) -> Option<Object<'a>> {
        if let Value::Object(o) = self {
            Some(*o)
        } else {
            None
        }
    }
}

/// Whether it is this string.
impl PartialEq<str> for Value<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str().is_some_and(|s| s == *other)
    }
}

/// A JSON string, not yet unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str<'a> {
    /// With its quotes.
    quoted: &'a [u8],
}

impl<'a> Str<'a> {
    /// What stands between the quotes, escapes and all.
    #[must_use]
    pub fn escaped(&self) -> &'a [u8] {
        &self.quoted[1..self.quoted.len() - 1]
    }

    /// The string itself; borrowed when it has no escapes. Escapes that JSON does not have stay as they are, and
    /// half a surrogate pair becomes U+FFFD.
    #[must_use]
    pub fn unescape(&self) -> Cow<'a, [u8]> {
        let escaped = self.escaped();
        match bytes::find_byte(escaped, b'\\') {
            None => Cow::Borrowed(escaped),
            Some(first) => Cow::Owned(unescape(escaped, first)),
        }
    }
}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.unescape() == *other.as_bytes()
    }
}

/// A JSON array, not yet walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array<'a>(&'a [u8]);

impl<'a> Array<'a> {
    /// Its items, up to where the text stops being JSON.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut cursor = Cursor {
            text: self.0,
            at: 1,
        };
        std::iter::from_fn(move || {
            let value = cursor.value()?;
            cursor.separator(b']');
            Some(value)
        })
    }
}

/// A JSON object, not yet walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a>(&'a [u8]);

impl<'a> Object<'a> {
    /// The value of the last field of that name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter()
            .filter(|(name, _)| *name == *key)
            .last()
            .map(|(_, value)| value)
    }

    /// Its fields, up to where the text stops being JSON.
    pub fn iter(&self) -> impl Iterator<Item = (Str<'a>, Value<'a>)> + use<'a> {
        let mut cursor = Cursor {
            text: self.0,
            at: 1,
        };
        std::iter::from_fn(move || {
            let Value::Str(key) = cursor.value()? else {
                return None;
            };
            if cursor.peek()? != b':' {
                return None;
            }
            cursor.at += 1;
            let value = cursor.value()?;
            cursor.separator(b'}');
            Some((key, value))
        })
    }
}

/// A place in JSON text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is not white space; the cursor then stands on it.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes the next value.
    fn value(&mut self) -> Option<Value<'a>> {
        let first = self.peek()?;
        let start = self.at;
        Some(match first {
            b'"' => {
                self.skip_string()?;
                Value::Str(Str {
                    quoted: &self.text[start..self.at],
                })
            }
            b'{' => {
                self.skip_nested()?;
                Value::Object(Object(&self.text[start..self.at]))
            }
            b'[' => {
                self.skip_nested()?;
                Value::Array(Array(&self.text[start..self.at]))
            }
            _ => {
                let rest = &self.text[start..];
                let raw = &rest[..AFTER_SCALAR.find(rest).unwrap_or(rest.len())];
                self.at += raw.len();
                match raw {
                    b"null" => Value::Null,
                    b"true" => Value::Bool(true),
                    b"false" => Value::Bool(false),
                    _ if matches!(first, b'-' | b'0'..=b'9') => Value::Number(raw),
                    _ => return None,
                }
            }
        })
    }

    /// Takes the comma between two items; anything else, `end` included, ends the walk.
    fn separator(&mut self, end: u8) {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == end => self.at = self.text.len(),
            _ => self.at = self.text.len(),
        }
    }

    /// From an opening quote to after the closing one.
    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.at += bytes::find_byte2(self.text.get(self.at..)?, b'"', b'\\')?;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Some(());
            }
            self.at += 2;
        }
    }

    /// From an opening bracket to after its closing one.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            self.at += NESTING.find(self.text.get(self.at..)?)?;
            match self.text[self.at] {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// `escaped` without its escapes, the first of which is at `first`.
fn unescape(escaped: &[u8], first: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(escaped.len());
    out.extend_from_slice(&escaped[..first]);
    let mut rest = &escaped[first..];
    loop {
        // `rest` starts with a backslash.
        let taken = unescape_one(rest, &mut out);
        rest = &rest[taken..];
        let plain = bytes::find_byte(rest, b'\\').unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            return out;
        }
    }
}

/// Unescapes the one escape that `text` starts with and tells its length.
fn unescape_one(text: &[u8], out: &mut Vec<u8>) -> usize {
    let plain = match text.get(1) {
        Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => match hex4(text) {
            Some(unit) => {
                let low = hex4(&text[6..]).filter(|low| (0xDC00..0xE000).contains(low));
                let (c, len) = match (unit, low) {
                    (0xD800..0xDC00, Some(low)) => {
                        (0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), 12)
                    }
                    _ => (unit, 6),
                };
                let c = char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return len;
            }
            None => return verbatim(text, out),
        },
        _ => return verbatim(text, out),
    };
    out.push(plain);
    2
}

/// Copies what is no escape.
fn verbatim(text: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(text[0]);
    1
}

/// The code unit of the `\uXXXX` that `text` starts with.
fn hex4(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit * 16 + char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map("[a-c\"\\\\]{0,3}", inner, 0..6)
                    .prop_map(|m| m.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    fn agrees(ours: Value<'_>, theirs: &serde_json::Value) {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) => {}
            (Value::Bool(a), serde_json::Value::Bool(b)) => assert_eq!(a, *b),
            (Value::Number(_), serde_json::Value::Number(n)) => {
                assert_eq!(ours.as_i64(), n.as_i64())
            }
            (Value::Str(s), serde_json::Value::String(t)) => {
                assert!(s == *t.as_str(), "{s:?} is not {t:?}")
            }
            (Value::Array(a), serde_json::Value::Array(items)) => {
                assert_eq!(a.iter().count(), items.len());
                a.iter().zip(items).for_each(|(a, b)| agrees(a, b));
            }
            (Value::Object(o), serde_json::Value::Object(map)) => {
                assert_eq!(o.iter().count(), map.len());
                map.iter()
                    .for_each(|(key, value)| agrees(o.get(key).expect("the key is there"), value));
            }
            _ => panic!("{ours:?} is not {theirs:?}"),
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_wrote(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            agrees(parse(&text).unwrap(), &value);
        }

        #[test]
        fn any_bytes_are_walked_without_a_panic(text in proptest::collection::vec(
            prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b':'),
                Just(b'u'), Just(b'd'), Just(b'8'), any::<u8>()], 0..60)) {
            fn walk(value: Value<'_>) {
                match value {
                    Value::Str(s) => drop(s.unescape()),
                    Value::Array(a) => a.iter().for_each(walk),
                    Value::Object(o) => o.iter().for_each(|(_, v)| walk(v)),
                    _ => {}
                }
            }
            parse(&text).into_iter().for_each(walk);
        }

        #[test]
        fn any_string_is_written_as_json(text in any::<String>()) {
            let mut out = Vec::new();
            write_str(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(
            get(br#"{"a":1,"a":2}"#, &["a"]).and_then(|v| v.as_i64()),
            Some(2)
        );
    }

    #[test]
    fn half_a_pair_is_replaced_and_unknown_escapes_stay() {
        let text = br#"["\ud800","\x","\u12"]"#;
        let strings: Vec<_> = parse(text)
            .and_then(|v| v.as_array())
            .unwrap()
            .iter()
            .filter_map(|v| v.as_str())
            .collect();
        let strings: Vec<_> = strings.iter().map(|s| s.unescape().into_owned()).collect();
        assert_eq!(strings, ["\u{FFFD}".as_bytes(), br"\x", br"\u12"]);
    }
}
