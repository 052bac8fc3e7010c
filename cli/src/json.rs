//! Writes JSON, one object a line, into a byte buffer. Every control character is escaped, also those that
//! JSON would let through and a terminal would obey.

use std::fmt::Display;
use std::io::Write as _;

use crate::timestamp::TimeWriter;
use crate::visible;

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while let Some(offset) = bytes[at..].iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        at += offset;
        let character = text[at..].chars().next().expect("a special byte starts a character");
        let next = at + character.len_utf8();
        let short: Option<&[u8]> = match character {
            '"' => Some(b"\\\""),
            '\\' => Some(b"\\\\"),
            '\n' => Some(b"\\n"),
            '\r' => Some(b"\\r"),
            '\t' => Some(b"\\t"),
            _ => None,
        };
        if let Some(short) = short {
            out.extend_from_slice(&bytes[done..at]);
            out.extend_from_slice(short);
            done = next;
        } else if visible::is_control(character) {
            out.extend_from_slice(&bytes[done..at]);
            write!(out, "\\u{:04x}", u32::from(character)).expect("writing to a Vec does not fail");
            done = next;
        }
        at = next;
    }
    out.extend_from_slice(&bytes[done..]);
}

/// First bytes of what JSON or a terminal would take for more than text.
static SPECIAL: [bool; 256] = {
    let mut table = visible::SUSPECT;
    table[b'\t' as usize] = true;
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// One object on one line. Dropping it without [`Object::end`] leaves it open.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens an object at the end of `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, first: true }
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        push_string(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// A string.
    pub(crate) fn string(mut self, key: &str, text: &str) -> Object<'a> {
        push_string(self.key(key), text);
        self
    }

    /// A number or a bool.
    pub(crate) fn value(mut self, key: &str, value: impl Display) -> Object<'a> {
        write!(self.key(key), "{value}").expect("writing to a Vec does not fail");
        self
    }

    /// A time with nanoseconds, or null.
    pub(crate) fn time(mut self, key: &str, nanos: Option<i64>) -> Object<'a> {
        push_time(self.key(key), &mut TimeWriter::default(), nanos);
        self
    }

    /// A list of strings.
    pub(crate) fn strings(mut self, key: &str, texts: &[String]) -> Object<'a> {
        let out = self.key(key);
        out.push(b'[');
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_string(out, text);
        }
        out.push(b']');
        self
    }

    /// A value that is JSON already; line breaks in it, which can only be white space, become spaces.
    pub(crate) fn json(mut self, key: &str, value: &[u8]) -> Object<'a> {
        push_json(self.key(key), value);
        self
    }

    /// Members that are written already, as `"a":1,"b":2`.
    pub(crate) fn members(self, members: &[u8]) -> Object<'a> {
        if !self.first {
            self.out.push(b',');
        }
        self.out.extend_from_slice(members);
        Object { out: self.out, first: false }
    }

    /// Closes an object that is a part of another one.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    /// Closes the object and the line.
    pub(crate) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

/// Appends a time with nanoseconds as a JSON string, or null.
pub(crate) fn push_time(out: &mut Vec<u8>, writer: &mut TimeWriter, nanos: Option<i64>) {
    match nanos {
        Some(nanos) => {
            out.push(b'"');
            writer.push(out, nanos, 9);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends JSON text on one line: a line break in it can only be white space.
pub(crate) fn push_json(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_object() {
        let mut out = Vec::new();
        Object::new(&mut out)
            .string("a", "x\"y\\\n\t\u{1b}\u{7f}\u{9b}\u{202e}é")
            .value("b", 3)
            .time("c", Some(1_500_000_000))
            .time("d", None)
            .strings("e", &["p".to_owned(), "q".to_owned()])
            .json("f", b"{\n\"k\": 1}")
            .members(b"\"g\":true")
            .end();
        let text = String::from_utf8(out).expect("JSON is text");
        assert!(text.contains("\\u001b\\u007f\\u009b\\u202eé"), "{text}");
        assert_eq!(text.lines().count(), 1);
        let value: Value = serde_json::from_str(&text).expect("valid JSON");
        let expected = json!({"a": "x\"y\\\n\t\u{1b}\u{7f}\u{9b}\u{202e}é", "b": 3, "c": "1970-01-01T00:00:01.500000000Z",
            "d": null, "e": ["p", "q"], "f": {"k": 1}, "g": true});
        assert_eq!(value, expected);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            let written = String::from_utf8(out).expect("JSON is text");
            prop_assert!(written.chars().all(|c| !visible::is_control(c)));
            prop_assert_eq!(serde_json::from_str::<String>(&written).expect("valid JSON"), text);
        }
    }
}
