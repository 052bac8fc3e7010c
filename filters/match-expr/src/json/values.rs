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
pub(super) fn any(
    value: Value<'_>,
    path: &[Step],
    check: &mut Check<'_>,
) -> Result<bool, Malformed> {
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
        let Check { test, scratch } = self;
        match (&mut **test, value) {
            (Test::Exists, _) => Ok(true),
            (Test::Equal(literal), value) => equal(value, literal, scratch),
            (Test::OneOf(list), value) => one_of(value, list, scratch),
            (Test::Order(order, Literal::Number(right, _)), Value::Number(left)) => {
                Ok(order.holds(&left, right))
            }
            (Test::Order(order, Literal::Text(right)), Value::Text(left)) => {
                Ok(order.holds(left.decode(scratch, Unknown::Refused)?, right.as_bytes()))
            }
            (Test::Contains(Literal::Text(part)), Value::Text(text)) => Ok(block::contains(
                text.decode(scratch, Unknown::Refused)?,
                part.as_bytes(),
            )),
            (Test::Contains(literal), Value::Array(raw)) => {
                any_element(raw, |value| equal(value, literal, scratch))
            }
            (Test::StartsWith(part), Value::Text(text)) => Ok(text
                .decode(scratch, Unknown::Refused)?
                .starts_with(part.as_bytes())),
            (Test::EndsWith(part), Value::Text(text)) => Ok(text
                .decode(scratch, Unknown::Refused)?
                .ends_with(part.as_bytes())),
            (Test::Matches(pattern), Value::Text(text)) => {
                Ok(pattern.is_match(text.decode(scratch, Unknown::Refused)?))
            }
            _ => Ok(false),
        }
    }
}

fn equal(value: Value<'_>, literal: &Literal, scratch: &mut Vec<u8>) -> Result<bool, Malformed> {
    Ok(match (literal, value) {
        (Literal::Null, Value::Null) => true,
        (Literal::Bool(right), Value::Bool(left)) => left == *right,
        (Literal::Number(right, _), Value::Number(left)) => left == *right,
        (Literal::Text(right), Value::Text(left)) => {
            left.decode(scratch, Unknown::Refused)? == right.as_bytes()
        }
        _ => false,
    })
}

fn one_of(value: Value<'_>, list: &[Literal], scratch: &mut Vec<u8>) -> Result<bool, Malformed> {
    let Value::Text(text) = value else {
        for literal in list {
            if equal(value, literal, scratch)? {
                return Ok(true);
            }
        }
        return Ok(false);
    };
    let text = text.decode(scratch, Unknown::Refused)?;
    Ok(list
        .iter()
        .any(|literal| matches!(literal, Literal::Text(t) if t.as_bytes() == text)))
}

/// The last member of the object `raw` with this key.
fn member<'a>(
    raw: &'a [u8],
    key: &str,
    scratch: &mut Vec<u8>,
) -> Result<Option<Value<'a>>, Malformed> {
    let mut cursor = Cursor::new(raw);
    let mut found = None;
    let mut more = cursor.enter(b'{', b'}')?;
    while more {
        if cursor.key()?.decode(scratch, Unknown::Refused)? == key.as_bytes() {
            found = Some(cursor.value()?);
        } else {
            cursor.skip_value()?;
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
            cursor.skip_value()?;
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
        cursor.skip_value()?;
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
