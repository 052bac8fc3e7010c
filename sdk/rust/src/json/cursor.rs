//! The way through JSON text, from value to value.

use super::{Array, Object, Str, Value};
use crate::bytes::{self, Set};

/// Where the brackets and strings of a skipped value are.
const NESTING: Set = Set::new(b"{}[]\"");
/// What ends a number or a word.
const AFTER_SCALAR: Set = Set::new(b",}] \t\r\n");

/// A place in JSON text.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { text, at }
    }

    /// Takes the byte that `peek` has just seen.
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// The next byte that is not white space; the cursor then stands on it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes the next value.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        let first = self.peek()?;
        let start = self.at;
        Some(match first {
            b'"' => {
                self.skip_string()?;
                Value::Str(Str { quoted: &self.text[start..self.at] })
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
    pub(super) fn separator(&mut self, end: u8) {
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
