//! The types a parameter may have.

use std::collections::BTreeMap;

use super::error::{ParamError, mismatch};
use super::fields::{Bound, Bounds};
use super::value::{Value, write_string};

/// A type that a parameter may have: `bool`, `String`, `i64`, `u32`, `u64`, `f64`, [`Value`], `Option`, `Vec` and
/// `BTreeMap<String, _>` of such types, and what derives [`Params`](macro@super::Params).
pub trait ParamType: Sized {
    /// Reads it. The error's field is empty, or a path within this value.
    ///
    /// # Errors
    /// When the value is of another type or out of the type's own range.
    fn from_value(value: Value) -> Result<Self, ParamError>;

    /// The value of a field that is missing and has no default; `None` makes the field required.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// What is measured against bounds: value, characters or items. `None` for what has no size.
    fn measure(&self) -> Option<f64> {
        None
    }

    /// Appends the schema's members, without braces.
    fn schema(out: &mut String, bounds: &Bounds);

    /// Appends the value as JSON, for the schema's `default`.
    fn write_json(&self, out: &mut String);

    /// What a field's description should say about the type.
    #[must_use]
    fn notes() -> &'static str {
        ""
    }

    /// What an error says is due: "a whole number".
    #[must_use]
    fn due() -> &'static str {
        "an object"
    }

    /// What bounds count, as a word after the number: "items".
    #[must_use]
    fn unit() -> &'static str {
        ""
    }
}

impl ParamType for bool {
    fn from_value(value: Value) -> Result<bool, ParamError> {
        match &value {
            Value::Bool(b) => Ok(*b),
            Value::String(s) if s == "true" => Ok(true),
            Value::String(s) if s == "false" => Ok(false),
            _ => Err(mismatch(&value, Self::due())),
        }
    }

    fn schema(out: &mut String, _bounds: &Bounds) {
        out.push_str(r#""type":"boolean""#);
    }

    fn write_json(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn due() -> &'static str {
        "true or false"
    }
}

impl ParamType for String {
    fn from_value(value: Value) -> Result<String, ParamError> {
        match value {
            Value::String(s) => Ok(s),
            _ => Err(mismatch(&value, Self::due())),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "no string has 2^53 characters")]
    fn measure(&self) -> Option<f64> {
        Some(self.chars().count() as f64)
    }

    fn schema(out: &mut String, bounds: &Bounds) {
        out.push_str(r#""type":"string""#);
        bounds.schema(out, "minLength", "maxLength");
    }

    fn write_json(&self, out: &mut String) {
        write_string(out, self);
    }

    fn due() -> &'static str {
        "a string"
    }

    fn unit() -> &'static str {
        " characters"
    }
}

macro_rules! numbers {
    ($($number:ty, $json:literal, $due:literal, $min:literal, $max:literal;)*) => {$(
        impl ParamType for $number {
            #[allow(clippy::cast_precision_loss, trivial_numeric_casts, reason = "only looked at for infinity")]
            fn from_value(value: Value) -> Result<$number, ParamError> {
                let parsed = match &value {
                    Value::Number(text) | Value::String(text) => text.parse::<$number>().ok().filter(|n| (*n as f64).is_finite()),
                    _ => None,
                };
                parsed.ok_or_else(|| mismatch(&value, Self::due()))
            }

            #[allow(clippy::cast_precision_loss, trivial_numeric_casts, reason = "bounds are f64, as documented")]
            fn measure(&self) -> Option<f64> {
                Some(*self as f64)
            }

            fn schema(out: &mut String, bounds: &Bounds) {
                out.push_str(concat!("\"type\":\"", $json, "\""));
                let own = |text: &'static str| (!text.is_empty()).then_some(Bound { value: 0.0, text });
                let both = Bounds { min: bounds.min.or(own($min)), max: bounds.max.or(own($max)) };
                both.schema(out, "minimum", "maximum");
            }

            fn write_json(&self, out: &mut String) {
                out.push_str(&self.to_string());
            }

            fn due() -> &'static str {
                $due
            }
        }
    )*};
}
numbers! {
    i64, "integer", "a whole number", "", "";
    u64, "integer", "a whole number", "0", "";
    u32, "integer", "a whole number", "0", "4294967295";
    f64, "number", "a number", "", "";
}

/// Anything goes.
impl ParamType for Value {
    fn from_value(value: Value) -> Result<Value, ParamError> {
        Ok(value)
    }

    fn schema(out: &mut String, _bounds: &Bounds) {
        out.push_str(r#""type":["null","boolean","number","string","array","object"]"#);
    }

    fn write_json(&self, out: &mut String) {
        self.write(out);
    }

    fn due() -> &'static str {
        "a value"
    }
}

/// Missing or `null` is `None`.
impl<T: ParamType> ParamType for Option<T> {
    fn from_value(value: Value) -> Result<Option<T>, ParamError> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn absent() -> Option<Option<T>> {
        Some(None)
    }

    fn measure(&self) -> Option<f64> {
        self.as_ref().and_then(T::measure)
    }

    fn schema(out: &mut String, bounds: &Bounds) {
        T::schema(out, bounds);
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Some(value) => value.write_json(out),
            None => out.push_str("null"),
        }
    }

    fn notes() -> &'static str {
        T::notes()
    }

    fn due() -> &'static str {
        T::due()
    }

    fn unit() -> &'static str {
        T::unit()
    }
}

impl<T: ParamType> ParamType for Vec<T> {
    fn from_value(value: Value) -> Result<Vec<T>, ParamError> {
        let items = match from_text(value, '[')? {
            Value::Array(items) => items,
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::String(text) => {
                text.split(',').map(|item| Value::String(item.trim().to_owned())).collect()
            }
            other => return Err(mismatch(&other, Self::due())),
        };
        let each = |(i, item)| T::from_value(item).map_err(|error| error.within(&usize::to_string(&i)));
        items.into_iter().enumerate().map(each).collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "no list has 2^53 items")]
    fn measure(&self) -> Option<f64> {
        Some(self.len() as f64)
    }

    fn schema(out: &mut String, bounds: &Bounds) {
        out.push_str(r#""type":"array","items":{"#);
        T::schema(out, &Bounds::NONE);
        out.push('}');
        bounds.schema(out, "minItems", "maxItems");
    }

    fn write_json(&self, out: &mut String) {
        out.push('[');
        for (i, item) in self.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            item.write_json(out);
        }
        out.push(']');
    }

    fn notes() -> &'static str {
        T::notes()
    }

    fn due() -> &'static str {
        "a list"
    }

    fn unit() -> &'static str {
        " items"
    }
}

impl<T: ParamType> ParamType for BTreeMap<String, T> {
    fn from_value(value: Value) -> Result<BTreeMap<String, T>, ParamError> {
        let pairs = match from_text(value, '{')? {
            Value::Object(pairs) => pairs,
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::String(text) => text.split(',').map(pair).collect::<Result<_, _>>()?,
            other => return Err(mismatch(&other, Self::due())),
        };
        let mut map = BTreeMap::new();
        for (key, value) in pairs {
            let value = T::from_value(value).map_err(|error| error.within(&key))?;
            if map.contains_key(&key) {
                return Err(ParamError::new(key, "is given twice; give it once"));
            }
            map.insert(key, value);
        }
        Ok(map)
    }

    #[allow(clippy::cast_precision_loss, reason = "no map has 2^53 entries")]
    fn measure(&self) -> Option<f64> {
        Some(self.len() as f64)
    }

    fn schema(out: &mut String, bounds: &Bounds) {
        out.push_str(r#""type":"object","additionalProperties":{"#);
        T::schema(out, &Bounds::NONE);
        out.push('}');
        bounds.schema(out, "minProperties", "maxProperties");
    }

    fn write_json(&self, out: &mut String) {
        out.push('{');
        for (i, (key, value)) in self.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            write_string(out, key);
            out.push(':');
            value.write_json(out);
        }
        out.push('}');
    }

    fn notes() -> &'static str {
        T::notes()
    }

    fn due() -> &'static str {
        "an object, or text such as `key:value,key:value`"
    }

    fn unit() -> &'static str {
        " entries"
    }
}

/// `value`, or the JSON in it where it is text that starts with `opening`.
pub(super) fn from_text(value: Value, opening: char) -> Result<Value, ParamError> {
    match value {
        Value::String(text) if text.trim_start().starts_with(opening) => Value::parse(&text),
        other => Ok(other),
    }
}

fn pair(text: &str) -> Result<(String, Value), ParamError> {
    let (key, value) = text.split_once(':').ok_or_else(|| {
        mismatch(&Value::String(text.to_owned()), "pairs such as `key:value`, with commas between them")
    })?;
    Ok((key.trim().to_owned(), Value::String(value.trim().to_owned())))
}
