//! A refused parameter.

use std::fmt;

use super::value::Value;

/// A refused parameter object: which field, what was wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    /// Dotted path of the field (`rules.0.name`); empty for the object as a whole.
    pub field: String,
    /// What was wrong and what would be right. Reads well after the field's name.
    pub message: String,
}

impl ParamError {
    /// An error about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> ParamError {
        ParamError { field: field.into(), message: message.into() }
    }

    /// The same error, one level further out: about `outer` or a field within it.
    #[must_use]
    pub fn within(mut self, outer: &str) -> ParamError {
        if !self.field.is_empty() {
            self.field.insert(0, '.');
        }
        self.field.insert_str(0, outer);
        self
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            f.write_str(&self.field)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParamError {}

/// The one of `names` that `given` most likely meant, if any is near: for "did you mean".
#[must_use]
pub fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|&name| (distance(given, name), name))
        .filter(|&(far, name)| far <= 1 + name.len().min(given.len()) / 4)
        .min_by_key(|&(far, _)| far)
        .map(|(_, name)| name)
}

/// A value that is not what is due.
pub(super) fn mismatch(value: &Value, due: &str) -> ParamError {
    ParamError::new("", ["is ", &value.describe(), "; give ", due].concat())
}

/// Levenshtein distance over bytes: names are short and ASCII.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("limits", &["where", "limit"]), Some("limit"));
        assert_eq!(nearest("wher", &["where", "limit"]), Some("where"));
        assert_eq!(nearest("colour", &["where", "limit"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn paths_grow_outwards() {
        let error = ParamError::new("", "is wrong").within("0").within("rules");
        assert_eq!(error.to_string(), "rules.0: is wrong");
    }
}
