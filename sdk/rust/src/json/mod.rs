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

mod cursor;
mod escape;

use std::borrow::Cow;

use crate::bytes;
pub use crate::out::object;
use cursor::Cursor;
use escape::unescape;
pub use escape::write_str;

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
    Cursor::new(text, 0).value()
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
        if let Value::Str(s) = self { Some(*s) } else { None }
    }

    /// The boolean that it is.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }

    /// The whole number that it is, where it is written as one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Number(text) = self { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
    }

    /// The number that it is.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Value::Number(text) = self { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
    }

    /// The array that it is.
    #[must_use]
    pub fn as_array(&self) -> Option<Array<'a>> {
        if let Value::Array(a) = self { Some(*a) } else { None }
    }

    /// The object that it is.
    #[must_use]
    pub fn as_object(&self) -> Option<Object<'a>> {
        if let Value::Object(o) = self { Some(*o) } else { None }
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
        let mut cursor = Cursor::new(self.0, 1);
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
        self.iter().filter(|(name, _)| *name == *key).last().map(|(_, value)| value)
    }

    /// Its fields, up to where the text stops being JSON.
    pub fn iter(&self) -> impl Iterator<Item = (Str<'a>, Value<'a>)> + use<'a> {
        let mut cursor = Cursor::new(self.0, 1);
        std::iter::from_fn(move || {
            let Value::Str(key) = cursor.value()? else {
                return None;
            };
            if cursor.peek()? != b':' {
                return None;
            }
            cursor.bump();
            let value = cursor.value()?;
            cursor.separator(b'}');
            Some((key, value))
        })
    }
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
                map.iter().for_each(|(key, value)| agrees(o.get(key).expect("the key is there"), value));
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
        assert_eq!(get(br#"{"a":1,"a":2}"#, &["a"]).and_then(|v| v.as_i64()), Some(2));
    }

    #[test]
    fn half_a_pair_is_replaced_and_unknown_escapes_stay() {
        let text = br#"["\ud800","\x","\u12"]"#;
        let strings: Vec<_> =
            parse(text).and_then(|v| v.as_array()).unwrap().iter().filter_map(|v| v.as_str()).collect();
        let strings: Vec<_> = strings.iter().map(|s| s.unescape().into_owned()).collect();
        assert_eq!(strings, ["\u{FFFD}".as_bytes(), br"\x", br"\u12"]);
    }
}
