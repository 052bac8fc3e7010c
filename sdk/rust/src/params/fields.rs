//! The fields of a struct of parameters, their bounds, and the names of an enum.

use super::error::{ParamError, mismatch, nearest};
use super::types::{ParamType, from_text};
use super::value::Value;

/// One bound of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Its value. Whole numbers beyond 2^53 are rounded.
    pub value: f64,
    /// As it stands in the source.
    pub text: &'static str,
}

/// The bounds of a parameter, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least.
    pub min: Option<Bound>,
    /// The greatest.
    pub max: Option<Bound>,
}

impl Bounds {
    /// No bounds.
    pub const NONE: Bounds = Bounds { min: None, max: None };

    fn allow(&self, measure: f64) -> bool {
        self.min.is_none_or(|min| measure >= min.value) && self.max.is_none_or(|max| measure <= max.value)
    }

    /// "from 1 to 10", "of at least 1", "of at most 10".
    fn text(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => ["from ", min.text, " to ", max.text].concat(),
            (Some(min), None) => ["of at least ", min.text].concat(),
            (None, Some(max)) => ["of at most ", max.text].concat(),
            (None, None) => String::new(),
        }
    }

    pub(super) fn schema(&self, out: &mut String, min: &str, max: &str) {
        for (keyword, bound) in [(min, self.min), (max, self.max)] {
            if let Some(bound) = bound {
                out.push_str(&[",\"", keyword, "\":", bound.text].concat());
            }
        }
    }
}

/// The fields of an object, taken out one by one.
#[derive(Debug)]
pub struct Fields {
    given: Vec<(String, Value)>,
}

impl Fields {
    /// The fields of `value`, which must be an object with no other fields than `names`.
    ///
    /// # Errors
    /// What is no object, or a field of another name.
    pub fn of(value: Value, names: &[&str]) -> Result<Fields, ParamError> {
        let value = from_text(value, '{')?;
        let Value::Object(given) = value else {
            return Err(mismatch(&value, "an object"));
        };
        match given.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            None => Ok(Fields { given }),
            Some((name, _)) => {
                let hint = match nearest(name, names) {
                    Some(near) => ["did you mean `", near, "`?"].concat(),
                    None if names.is_empty() => "there are none".to_owned(),
                    None => ["there are: ", &names.join(", ")].concat(),
                };
                Err(ParamError::new(name.as_str(), ["is not a parameter; ", &hint].concat()))
            }
        }
    }

    /// Takes out a field; where it is missing, `default` or what [`ParamType::absent`] says.
    ///
    /// # Errors
    /// A field that is missing though required, of another type or out of bounds.
    pub fn take<T: ParamType>(
        &mut self,
        name: &str,
        bounds: &Bounds,
        default: Option<fn() -> T>,
    ) -> Result<T, ParamError> {
        let Some(at) = self.given.iter().position(|(given, _)| given == name) else {
            return default.map(|make| make()).or_else(T::absent).ok_or_else(|| {
                ParamError::new(name, ["is missing; give ", &due_within::<T>(bounds)].concat())
            });
        };
        let (_, value) = self.given.swap_remove(at);
        let told = value.describe();
        let parsed = T::from_value(value).map_err(|error| error.within(name))?;
        if parsed.measure().is_some_and(|measure| !bounds.allow(measure)) {
            let message = ["is ", &told, "; give ", &due_within::<T>(bounds)].concat();
            return Err(ParamError::new(name, message));
        }
        Ok(parsed)
    }
}

/// The index of the enum value that `value` names, among `names`.
///
/// # Errors
/// What is no string, or none of the names.
pub fn variant(value: &Value, names: &[&str]) -> Result<usize, ParamError> {
    let due = ["one of ", &names.join(", ")].concat();
    let Value::String(given) = value else {
        return Err(mismatch(value, &due));
    };
    names.iter().position(|name| name == given).ok_or_else(|| {
        let mut error = mismatch(value, &due);
        if let Some(near) = nearest(given, names) {
            error.message.push_str(&[" (did you mean `", near, "`?)"].concat());
        }
        error
    })
}

/// "a whole number from 1 to 10": what is due, with its bounds.
fn due_within<T: ParamType>(bounds: &Bounds) -> String {
    if *bounds == Bounds::NONE {
        T::due().to_owned()
    } else {
        [T::due(), " ", &bounds.text(), T::unit()].concat()
    }
}
