//! The one pass over a line: of all members only those that the expression names are kept, each as a
//! slot that tells where its value is.

use std::ops::Range;

use weir_sdk::bytes;

use super::cursor::{Cursor, Value};
use crate::text::{Malformed, Text, Unknown};

/// A key to look for, and those below it.
#[derive(Debug)]
pub(super) struct Field {
    key: Box<[u8]>,
    slot: usize,
    children: Vec<Field>,
    /// The slots of this field and all below it. A key that comes again replaces the whole value.
    below: Range<usize>,
}

/// Where a value was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    kind: Kind,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Missing,
    Null,
    Bool(bool),
    Number(f64),
    Text { escaped: bool },
    Array,
    Object,
}

impl Slot {
    pub(super) const MISSING: Slot = Slot { kind: Kind::Missing, start: 0, end: 0 };

    /// The value, given the line in which it was found.
    #[inline]
    pub(super) fn value<'a>(&self, line: &'a [u8]) -> Option<Value<'a>> {
        let raw = &line[self.start..self.end];
        Some(match self.kind {
            Kind::Missing => return None,
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number(value) => Value::Number(value),
            Kind::Text { escaped } => Value::Text(Text { raw: &raw[1..raw.len() - 1], escaped }),
            Kind::Array => Value::Array(raw),
            Kind::Object => Value::Object(raw),
        })
    }

    fn new(value: Value<'_>, start: usize, end: usize) -> Slot {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(value),
            Value::Number(value) => Kind::Number(value),
            Value::Text(text) => Kind::Text { escaped: text.escaped },
            Value::Array(_) => Kind::Array,
            Value::Object(_) => Kind::Object,
        };
        Slot { kind, start, end }
    }
}

/// The tree of fields for these paths of keys. Each field gets a slot, counted up in `slots`, and
/// `placed` is told which.
pub(super) fn build(
    paths: &[Vec<&str>],
    slots: &mut usize,
    placed: &mut impl FnMut(&[&str], usize),
) -> Vec<Field> {
    build_below(paths, &[], slots, placed)
}

fn build_below(
    paths: &[Vec<&str>],
    prefix: &[&str],
    slots: &mut usize,
    placed: &mut impl FnMut(&[&str], usize),
) -> Vec<Field> {
    let depth = prefix.len();
    let mut fields: Vec<Field> = Vec::new();
    for path in paths.iter().filter(|path| path.len() > depth && path.starts_with(prefix)) {
        let key = path[depth].as_bytes();
        if fields.iter().any(|field| *field.key == *key) {
            continue;
        }
        let slot = *slots;
        *slots += 1;
        placed(&path[..=depth], slot);
        let children = build_below(paths, &path[..=depth], slots, placed);
        fields.push(Field { key: key.into(), slot, children, below: slot..*slots });
    }
    fields
}

/// Reads the object at the cursor and fills the slots of `fields`. The last of equal keys counts.
pub(super) fn scan_object(
    cursor: &mut Cursor<'_>,
    fields: &[Field],
    slots: &mut [Slot],
    scratch: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if !cursor.enter(b'{', b'}')? {
        return Ok(());
    }
    loop {
        let key = cursor.key()?;
        match find(fields, key, scratch)? {
            None => cursor.skip_value()?,
            Some(field) => {
                slots[field.below.clone()].fill(Slot::MISSING);
                let start = cursor.at();
                slots[field.slot] = if cursor.peek() == Some(b'{') && !field.children.is_empty() {
                    scan_object(cursor, &field.children, slots, scratch)?;
                    Slot { kind: Kind::Object, start, end: cursor.at() }
                } else {
                    let value = cursor.value()?;
                    Slot::new(value, start, cursor.at())
                };
            }
        }
        if !cursor.another(b'}')? {
            return Ok(());
        }
    }
}

#[inline(always)]
fn find<'f>(
    fields: &'f [Field],
    key: Text<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Option<&'f Field>, Malformed> {
    let key = key.decode(scratch, Unknown::Refused)?;
    Ok(fields.iter().find(|field| bytes::same(&field.key, key)))
}
