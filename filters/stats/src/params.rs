//! The parameters of `stats`.

use weir_fields::{Field, Format};
use weir_sdk::prelude::*;

/// Nanoseconds of a second.
pub(crate) const NANOS: i64 = 1_000_000_000;
/// Longest step, a leap year.
const LONGEST: i64 = 366 * 86_400;
/// Hashes by which distinct values are counted, off by 1.6 % as a rule where there is one count, and by 6 % where there
/// are many.
const SKETCH: (usize, usize) = (4096, 256);

/// What to count apart.
#[derive(Debug, Params)]
pub struct Args {
    /// Paths of the fields by whose values lines are counted apart, four at most: `status`, `user.id`.
    #[param(default, max = 4)]
    by: Vec<String>,
    /// Counts by time too, in steps of this length: `30s`, `1m`, `6h`, `1d`. Steps begin at its multiples, in UTC.
    every: Option<String>,
    /// Path of a field whose distinct values are counted. Above some hundreds it is an estimate.
    distinct: Option<String>,
    /// How many rows are shown with `by`, those with the most lines; with `every`, of each step.
    #[param(default = 10, min = 1, max = 1000)]
    top: u32,
    /// How lines are read. One that isn't of that form, or hasn't the field, counts as having none.
    #[param(default = Format::Auto)]
    format: Format,
}

/// The parameters, checked.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) by: Vec<Named>,
    /// Length of a step in nanoseconds, whole seconds.
    pub(crate) every: Option<i64>,
    pub(crate) distinct: Option<Named>,
    pub(crate) top: usize,
    pub(crate) format: Format,
}

/// A field, and what the user calls it.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) field: Field,
}

impl Args {
    pub(crate) fn wanted(self) -> Result<Wanted, ParamError> {
        let by: Result<Vec<Named>, ParamError> = self
            .by
            .into_iter()
            .enumerate()
            .map(|(index, path)| named(path, || format!("by.{index}")))
            .collect();
        Ok(Wanted {
            by: by?,
            every: self.every.as_deref().map(step).transpose()?,
            distinct: self.distinct.map(|path| named(path, || "distinct".to_owned())).transpose()?,
            top: self.top as usize,
            format: self.format,
        })
    }
}

impl Wanted {
    /// Whether lines have to be read at all.
    pub(crate) fn reads_fields(&self) -> bool {
        !self.by.is_empty() || self.distinct.is_some()
    }

    /// Whether all lines are one group.
    pub(crate) fn has_one_group(&self) -> bool {
        self.by.is_empty() && self.every.is_none()
    }

    /// Hashes that each count of distinct values keeps.
    pub(crate) fn sketch_size(&self) -> usize {
        if self.has_one_group() { SKETCH.0 } else { SKETCH.1 }
    }
}

fn named(path: String, parameter: impl Fn() -> String) -> Result<Named, ParamError> {
    match Field::parse(&path) {
        Ok(field) => Ok(Named { name: path, field }),
        Err(reason) => Err(ParamError::new(parameter(), format!("is \"{path}\"; that {reason}"))),
    }
}

/// A length of time such as `30s`, in nanoseconds.
fn step(text: &str) -> Result<i64, ParamError> {
    let refused = |what: &str| ParamError::new("every", format!("is \"{text}\"; {what}"));
    let unit = text.trim_start_matches(|char: char| char.is_ascii_digit());
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(refused("give a whole number and one of s, m, h, d, as in 5m")),
    };
    let number: i64 =
        text[..text.len() - unit.len()].parse().map_err(|_| refused("give a number before the unit"))?;
    match number.checked_mul(seconds) {
        Some(0) => Err(refused("give a second at least")),
        Some(seconds) if seconds <= LONGEST => Ok(seconds * NANOS),
        _ => Err(refused("give a year at most")),
    }
}
