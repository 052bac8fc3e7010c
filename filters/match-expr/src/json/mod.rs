//! An expression bound to JSON lines: which fields to look for in the one pass over a line, and the
//! tests on the values found.

mod cursor;
mod fields;
mod values;

use self::{
    cursor::Cursor,
    fields::{Field, Slot},
    values::Check,
};
use crate::prefilter;
use crate::syntax::{Expr, Node, Predicate, Step, SyntaxError};
use crate::text::Malformed;

/// An expression, ready for lines of JSON.
#[derive(Debug)]
pub struct JsonExpr {
    root: Node,
    predicates: Vec<Predicate>,
    /// For each predicate its slot, and how many steps of its path lead there; the others are walked
    /// from the value in the slot.
    places: Vec<(usize, usize)>,
    /// The fields that are looked for at the top.
    fields: Vec<Field>,
    slots: Vec<Slot>,
    scratch: Vec<u8>,
}

/// What an expression says about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The expression holds.
    True,
    /// It does not.
    False,
    /// The line is not one JSON object, or a value that the expression reads is malformed. Values that
    /// it does not read are skipped, not checked.
    NotJson,
}

impl JsonExpr {
    /// Parses an expression.
    ///
    /// # Errors
    /// If it breaks the grammar or one of the limits at this crate's top; the error shows the place.
    pub fn parse(source: &str) -> Result<JsonExpr, SyntaxError> {
        let Expr { root, predicates } = Expr::parse(source)?;
        let keys: Vec<Vec<&str>> = predicates.iter().map(|p| leading_keys(&p.path)).collect();
        let mut slots = 0;
        let mut places = vec![(0, 0); predicates.len()];
        let fields = fields::build(&keys, &mut slots, &mut |path, slot| {
            for (place, keys) in places.iter_mut().zip(&keys) {
                if keys == path {
                    *place = (slot, path.len());
                }
            }
        });
        let slots = vec![Slot::MISSING; slots];
        Ok(JsonExpr { root, predicates, places, fields, slots, scratch: Vec::new() })
    }

    /// Evaluates the expression on one line. Takes time linear in the line's length, and allocates
    /// nothing once the longest escaped text was seen.
    pub fn verdict(&mut self, line: &[u8]) -> Verdict {
        match self.evaluate(line) {
            Ok(true) => Verdict::True,
            Ok(false) => Verdict::False,
            Err(Malformed) => Verdict::NotJson,
        }
    }

    /// A regular expression, in Rust's syntax and for bytes, that matches every line on which the
    /// verdict is [`Verdict::True`], whatever spelling its JSON has. None where nothing can be promised.
    pub fn prefilter(&self) -> Option<String> {
        prefilter::json(&self.root, &self.predicates)
    }

    fn evaluate(&mut self, line: &[u8]) -> Result<bool, Malformed> {
        let JsonExpr { root, predicates, places, fields, slots, scratch } = self;
        slots.fill(Slot::MISSING);
        let mut cursor = Cursor::new(line);
        cursor.skip_space();
        fields::scan_object(&mut cursor, fields, slots, scratch)?;
        cursor.skip_space();
        if !cursor.is_at_end() {
            return Err(Malformed);
        }
        root.holds(&mut |index| {
            let (slot, steps) = places[index];
            let Some(value) = slots[slot].value(line) else {
                return Ok(false);
            };
            let Predicate { path, test, .. } = &mut predicates[index];
            values::any(value, &path[steps..], &mut Check { test, scratch })
        })
    }
}

/// The keys of a path up to its first index or `[*]`.
fn leading_keys(path: &[Step]) -> Vec<&str> {
    path.iter()
        .map_while(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) | Step::Each => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
