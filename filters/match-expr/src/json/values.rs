//! Tests on values, and the way from a value down a path with indices.

use super::cursor::{Cursor, Value};
use crate::block;
use crate::syntax::{Literal, Step, Test};
use crate::text::{Malformed, Unknown};

/// A test and the memory it decodes into.
pub(super) struct Check<'t> {
    pub(super) test: &'t mut Test,
    pub(super) scratch: &'t mut Vec<u8>,
}

/// Whether any value at `path` below `value` passes. Recursion is bounded by the length of the path.
pub(super) fn any(value: Value<'_>, path: &[Step], check: &mut Check<'_>) -> Result<bool, Malformed> {
    let Some((step, rest)) = path.split_first() else {
        return check.passes(value);
    };
    let found = match (step, value) {
        (Step::Key(key), Value::Object(raw)) => member(raw, key, check.scratch)?,
        (Step::Index(index), Value::Array(raw)) => element(raw, *index)?,
        (Step::Each, Value::Array(raw)) => {
            return any_element(raw, |value| any(value, rest, check));
        }
        _ => None,
    };
    match found {
        Some(value) => any(value, rest, check),
        None => Ok(false),
    }
}

impl Check<'_> {
    fn passes(&mut self, value: Value<'_>) -> Result<bool, Malformed> {
        if let Value::Text(text) = value {
            return Ok(text_passes(text.decode(self.scratch, Unknown::Refused)?, self.test));
        }
        match (&*self.test, value) {
            (Test::Exists, _) => Ok(true),
            (Test::Equal(literal), value) => Ok(equal(value, literal)),
            (Test::OneOf(list), value) => Ok(list.iter().any(|literal| equal(value, literal))),
            (Test::Order(order, Literal::Number(right, _)), Value::Number(left)) => {
                Ok(order.holds(&left, right))
            }
            (Test::Contains(literal), Value::Array(raw)) => {
                any_element(raw, |value| match (value, literal) {
                    (Value::Text(text), Literal::Text(right)) => {
                        let left = text.decode(self.scratch, Unknown::Refused)?;
                        Ok(left == right.as_bytes())
                    }
                    _ => Ok(equal(value, literal)),
                })
            }
            _ => Ok(false),
        }
    }
}

fn text_passes(text: &[u8], test: &mut Test) -> bool {
    let is = |literal: &Literal| matches!(literal, Literal::Text(right) if text == right.as_bytes());
    match test {
        Test::Exists => true,
        Test::Equal(literal) => is(literal),
        Test::OneOf(list) => list.iter().any(is),
        Test::Order(order, Literal::Text(right)) => order.holds(text, right.as_bytes()),
        Test::Contains(Literal::Text(part)) => block::contains(text, part.as_bytes()),
        Test::StartsWith(part) => text.starts_with(part.as_bytes()),
        Test::EndsWith(part) => text.ends_with(part.as_bytes()),
        Test::Matches(pattern) => pattern.is_match(text),
        Test::Order(..) | Test::Contains(_) => false,
    }
}

/// Equality with a value that is no text.
fn equal(value: Value<'_>, literal: &Literal) -> bool {
    match (literal, value) {
        (Literal::Null, Value::Null) => true,
        (Literal::Bool(right), Value::Bool(left)) => left == *right,
        (Literal::Number(right, _), Value::Number(left)) => left == *right,
        _ => false,
    }
}

/// The last member of the object `raw` with this key.
fn member<'a>(raw: &'a [u8], key: &str, scratch: &mut Vec<u8>) -> Result<Option<Value<'a>>, Malformed> {
    let mut cursor = Cursor::new(raw);
    let mut found = None;
    let mut more = cursor.enter(b'{', b'}')?;
    while more {
        if cursor.key()?.decode(scratch, Unknown::Refused)? == key.as_bytes() {
            found = Some(cursor.value()?);
        } else {
            cursor.pass_value()?;
        }
        more = cursor.another(b'}')?;
    }
    Ok(found)
}

/// The element of the array `raw` at `index`; from the end if that is negative.
fn element(raw: &[u8], index: i64) -> Result<Option<Value<'_>>, Malformed> {
    let mut position = index;
    if index < 0 {
        let mut cursor = Cursor::new(raw);
        let mut more = cursor.enter(b'[', b']')?;
        while more {
            position += 1;
            cursor.pass_value()?;
            more = cursor.another(b']')?;
        }
    }
    let Ok(mut before) = u64::try_from(position) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(raw);
    let mut more = cursor.enter(b'[', b']')?;
    while more {
        if before == 0 {
            return cursor.value().map(Some);
        }
        before -= 1;
        cursor.pass_value()?;
        more = cursor.another(b']')?;
    }
    Ok(None)
}

fn any_element<'a>(
    raw: &'a [u8],
    mut passes: impl FnMut(Value<'a>) -> Result<bool, Malformed>,
) -> Result<bool, Malformed> {
    let mut cursor = Cursor::new(raw);
    let mut more = cursor.enter(b'[', b']')?;
    while more {
        if passes(cursor.value()?)? {
            return Ok(true);
        }
        more = cursor.another(b']')?;
    }
    Ok(false)
}
