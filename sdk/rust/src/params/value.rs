//! A JSON value as a tree, what parameters are made from. Log lines are read by
//! [`json`](crate::json), which is lazy.

use super::{ParamError, parser};

/// Any JSON value. As a parameter's type it takes whatever is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object, its fields in the order given.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Parses one JSON text.
    ///
    /// # Errors
    /// What is not JSON, nests deeper than 32 levels, or names a field of an object twice.
    pub fn parse(json: &str) -> Result<Value, ParamError> {
        parser::parse(json)
    }

    /// How the value is called in an error message, with the value itself when it is short.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(true) => "true".to_owned(),
            Value::Bool(false) => "false".to_owned(),
            Value::Number(n) => n.clone(),
            Value::String(s) if s.chars().count() <= 40 => {
                let mut quoted = String::new();
                write_string(&mut quoted, s);
                quoted
            }
            Value::String(_) => "a string".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }

    /// Appends the value as JSON.
    pub fn write(&self, out: &mut String) {
        match self {
            Value::Null | Value::Bool(_) => out.push_str(&self.describe()),
            Value::Number(n) => out.push_str(n),
            Value::String(s) => write_string(out, s),
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Value::Object(fields) => {
                out.push('{');
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(out, name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    out.push(
                        char::from_digit((c as u32 >> shift) & 15, 16).expect("four bits are a hex digit"),
                    );
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
