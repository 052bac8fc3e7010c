//! Fields of structured log lines, JSON or logfmt, by paths such as `level` and `user.id`.

pub mod logfmt;
mod path;

pub use path::{Path, PathError, Step};

use weir_sdk::bytes;
use weir_sdk::json::{self, Value};
use weir_sdk::prelude::*;

/// How lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Params)]
pub enum Format {
    /// JSON where the line starts with `{`, else logfmt if every word of the line is `key=value`.
    Auto,
    /// JSON objects.
    Json,
    /// logfmt, keys without a value included.
    Logfmt,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It starts as a JSON object does.
    Json,
    /// It is logfmt.
    Logfmt,
    /// It isn't of the format that is asked for.
    Other,
}

/// Tells what lines are, and the memory it uses again from line to line.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    shape: Shape,
    pairs: Vec<logfmt::Pair>,
}

impl Reader {
    /// A reader of lines in that format, which has looked at none.
    #[must_use]
    pub fn new(format: Format) -> Reader {
        Reader { format, shape: Shape::Other, pairs: Vec::new() }
    }

    /// Looks at a line.
    pub fn look(&mut self, line: &[u8]) -> Shape {
        self.shape = if self.format != Format::Logfmt && object_start(line).is_some() {
            Shape::Json
        } else if self.format != Format::Json && self.is_logfmt(line) {
            Shape::Logfmt
        } else {
            Shape::Other
        };
        self.shape
    }

    fn is_logfmt(&mut self, line: &[u8]) -> bool {
        self.pairs.clear();
        logfmt::parse(line, self.format == Format::Auto, &mut self.pairs).is_some()
    }

    /// The words of the line that was looked at, when it is logfmt.
    #[must_use]
    pub fn pairs(&self) -> &[logfmt::Pair] {
        &self.pairs
    }
}

/// A single field of a line.
#[derive(Debug, Clone)]
pub struct Field {
    keys: Vec<String>,
    /// The key in a record without nesting.
    flat: String,
}

impl Field {
    /// The field at a path.
    ///
    /// # Errors
    /// What is no path, or one to many fields, in words that go behind the text that was given.
    pub fn parse(path: &str) -> Result<Field, String> {
        let path = Path::parse(path).map_err(|error| error.to_string())?;
        match (path.keys(), path.flat()) {
            (Some(keys), Some(flat)) => {
                Ok(Field { keys: keys.into_iter().map(str::to_owned).collect(), flat })
            }
            _ => Err("has `[*]`; name a single field".to_owned()),
        }
    }

    /// Appends the field's text out of a line that a reader has looked at; `None` where the line has no such field.
    pub fn read(&self, reader: &Reader, line: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match reader.shape {
            Shape::Json => self.json(line, out),
            Shape::Logfmt => self.logfmt(line, &reader.pairs, out),
            Shape::Other => None,
        }
    }

    /// Appends the field of a JSON object as text: a string without its quotes and escapes, anything else as it is
    /// written. A string with control characters stays escaped: a record is one line. `None` where the line is no
    /// object, or has nothing or `null` there.
    pub fn json(&self, line: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut value = json::parse(line)?;
        for key in &self.keys {
            value = value.as_object()?.get(key)?;
        }
        match value {
            Value::Null => return None,
            Value::Str(text) => {
                let plain = text.unescape();
                let controls = plain.iter().any(|byte| *byte < b' ' || *byte == 0x7f);
                out.extend_from_slice(if controls { text.escaped() } else { &plain });
            }
            value => out.extend_from_slice(value.raw()),
        }
        Some(())
    }

    /// Appends the field of a line of logfmt, of which `pairs` are the words, without its quotes and escapes. `None`
    /// where it has no such key.
    pub fn logfmt(&self, line: &[u8], pairs: &[logfmt::Pair], out: &mut Vec<u8>) -> Option<()> {
        logfmt::get(line, pairs, &self.flat).map(|value| logfmt::write_plain(value, out))
    }
}

/// The end of a text in double quotes that starts at `at`, in JSON and in logfmt; `None` where it isn't closed.
#[must_use]
pub fn quoted_end(line: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += bytes::find_byte2(line.get(at..)?, b'"', b'\\')?;
        if line[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where the object starts, in a line that starts with one, blanks aside.
#[must_use]
pub fn object_start(line: &[u8]) -> Option<usize> {
    let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
    (line[start] == b'{').then_some(start)
}
