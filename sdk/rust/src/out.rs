//! What becomes of one line in a [`Transform`](crate::Transform): kept, dropped, replaced, with fields added.

use std::collections::BTreeMap;

use crate::json;
use crate::verdicts::{DROP, KEEP, REPLACE, STOP, Verdicts};

/// The outcome of one line. Untouched, the line is kept as it is; of several calls that decide, the last counts.
#[derive(Debug)]
pub struct Out<'a> {
    scratch: &'a mut Scratch,
}

/// Buffers behind [`Out`], reused from line to line so that an unchanged line allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    code: u8,
    message: Vec<u8>,
    fields: Vec<u8>,
    failure: Option<String>,
}

impl Scratch {
    /// The outcome of the next line, not decided yet.
    #[inline]
    pub(crate) fn begin(&mut self) -> Out<'_> {
        self.code = KEEP;
        self.fields.clear();
        Out { scratch: self }
    }

    /// Writes the outcome of the line down; true when it was "stop".
    #[inline]
    pub(crate) fn commit(&mut self, verdicts: &mut Verdicts) -> Result<bool, String> {
        if let Some(message) = self.failure.take() {
            return Err(message);
        }
        if !self.fields.is_empty() && matches!(self.code, KEEP | REPLACE) {
            self.fields.push(b'}');
            verdicts.annotate_next(&self.fields);
        }
        match self.code {
            REPLACE => verdicts.push_replaced(&self.message),
            code => verdicts.push(code),
        }
        Ok(self.code == STOP)
    }
}

impl Out<'_> {
    /// Keeps the line as it is. This is what happens without any call.
    pub fn keep(&mut self) {
        self.scratch.code = KEEP;
    }

    /// Leaves the line out.
    #[allow(clippy::should_implement_trait, reason = "the contract's word for it")]
    pub fn drop(&mut self) {
        self.scratch.code = DROP;
    }

    /// Leaves out this line and all later ones of the query: the host stops reading.
    pub fn stop(&mut self) {
        self.scratch.code = STOP;
    }

    /// Keeps the line with this message. A line's end in it stays a part of the message.
    pub fn replace(&mut self, message: impl AsRef<[u8]>) {
        self.replace_with(|buffer| buffer.extend_from_slice(message.as_ref()));
    }

    /// Keeps the line with the message that `write` puts into the buffer, which it gets empty. No allocation
    /// once the buffer has grown.
    pub fn replace_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.message.clear();
        write(&mut self.scratch.message);
        self.scratch.code = REPLACE;
    }

    /// Adds a field to the record; the message stays what it is. Fields of a line that is left out are left out
    /// with it. A key given twice is there twice.
    pub fn add_field(&mut self, key: &str, value: impl WriteJson) {
        let fields = &mut self.scratch.fields;
        fields.push(if fields.is_empty() { b'{' } else { b',' });
        json::write_str(fields, key);
        fields.push(b':');
        value.write_json(fields);
    }

    /// Gives the line up: the host counts a failure of this filter and tells the user `message`, one line. A
    /// `redact` filter's line is then withheld.
    ///
    /// The host hands the lines before and after it over once more, so a filter that keeps state from line to
    /// line must be able to see a line twice.
    pub fn fail(&mut self, message: impl Into<String>) {
        self.scratch.failure = Some(message.into());
    }
}

/// A value that can be written as JSON, for [`Out::add_field`].
pub trait WriteJson {
    /// Appends the value.
    fn write_json(&self, out: &mut Vec<u8>);
}

impl WriteJson for bool {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

/// A number that JSON has no word for, such as infinity, becomes `null`.
impl WriteJson for f64 {
    fn write_json(&self, out: &mut Vec<u8>) {
        let text = if self.is_finite() { self.to_string() } else { "null".to_owned() };
        out.extend_from_slice(text.as_bytes());
    }
}

impl WriteJson for str {
    fn write_json(&self, out: &mut Vec<u8>) {
        json::write_str(out, self);
    }
}

impl WriteJson for String {
    fn write_json(&self, out: &mut Vec<u8>) {
        json::write_str(out, self);
    }
}

/// Bytes become a string; what is not UTF-8 in them becomes U+FFFD.
impl WriteJson for [u8] {
    fn write_json(&self, out: &mut Vec<u8>) {
        json::write_str(out, &String::from_utf8_lossy(self));
    }
}

/// A value out of another JSON text is copied as it stands there.
impl WriteJson for json::Value<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.raw());
    }
}

impl<T: WriteJson + ?Sized> WriteJson for &T {
    fn write_json(&self, out: &mut Vec<u8>) {
        (**self).write_json(out);
    }
}

impl<T: WriteJson> WriteJson for Option<T> {
    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write_json(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: WriteJson> WriteJson for [T] {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (i, value) in self.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            value.write_json(out);
        }
        out.push(b']');
    }
}

/// An object, keys in their order.
impl<T: WriteJson> WriteJson for BTreeMap<String, T> {
    fn write_json(&self, out: &mut Vec<u8>) {
        write_object(out, self.iter().map(|(key, value)| (key.as_str(), value as &dyn WriteJson)));
    }
}

/// A JSON object with these members, as an [`Aggregate`](crate::Aggregate)'s summary has them.
///
/// ```
/// assert_eq!(weir_sdk::json::object(&[("lines", &2), ("level", &"warn")]), r#"{"lines":2,"level":"warn"}"#);
/// ```
#[must_use]
pub fn object(members: &[(&str, &dyn WriteJson)]) -> String {
    let mut out = Vec::new();
    write_object(&mut out, members.iter().copied());
    String::from_utf8_lossy(&out).into_owned()
}

fn write_object<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a str, &'a dyn WriteJson)>) {
    out.push(b'{');
    for (i, (key, value)) in members.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::write_str(out, key);
        out.push(b':');
        value.write_json(out);
    }
    out.push(b'}');
}

macro_rules! write_integers {
    ($($int:ty)*) => {$(
        impl WriteJson for $int {
            fn write_json(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.to_string().as_bytes());
            }
        }
    )*};
}
write_integers!(i32 u32 i64 u64 usize);
