//! A filter's parameters: parsed from the JSON object that the host hands over, checked, described by a schema.
//!
//! `#[derive(Params)]` on a struct or a unit enum does all of it:
//!
//! ```
//! use weir_sdk::params::Params;
//!
//! /// How to count.
//! #[derive(Params, Debug, PartialEq)]
//! struct Args {
//!     /// What to look for.
//!     #[param(rename = "where")]
//!     place: String,
//!     /// At most this many.
//!     #[param(default = 3, min = 1, max = 10)]
//!     limit: u32,
//!     /// Names to leave out.
//!     #[param(default)]
//!     except: Vec<String>,
//!     /// How to order.
//!     order: Option<Order>,
//! }
//!
//! #[derive(Params, Debug, PartialEq)]
//! enum Order {
//!     /// By name.
//!     ByName,
//!     /// By number.
//!     ByNumber,
//! }
//!
//! let args = Args::parse(r#"{"where": "here", "except": "a,b", "order": "by-name"}"#)?;
//! assert_eq!(args.limit, 3);
//! assert_eq!(args.except, ["a", "b"]);
//! assert_eq!(args.order, Some(Order::ByName));
//!
//! let error = Args::parse(r#"{"where": "here", "limit": 11}"#).unwrap_err();
//! assert_eq!(error.to_string(), "limit: is 11; give a whole number from 1 to 10");
//! let error = Args::parse(r#"{"where": "here", "limits": 3}"#).unwrap_err();
//! assert_eq!(error.to_string(), "limits: is not a parameter; did you mean `limit`?");
//! # Ok::<(), weir_sdk::ParamError>(())
//! ```
//!
//! # Attributes
//!
//! - `rename = "name"`: the field's name, else the Rust name. Enum values are the variants' names in kebab case.
//! - `default`: the type's own default where the field is missing; `default = expr`: that one. A field without it
//!   is required, but for an `Option`.
//! - `min`, `max`: bounds of a number's value, of a string's characters, of a list's items.
//!
//! # Values given as text
//!
//! On the command line parameters are written `key=value`, and all values arrive as JSON strings. So where a
//! number or a boolean is due, a string that reads as one will do; a list may be one string with commas between
//! its items (`a,b`), a map one with `key:value` pairs (`a:b,c:d`); and text that starts with `[` or `{` is read
//! as JSON where a list, a map or a struct is due. Items with commas in them need that last form.

mod error;
mod fields;
mod parser;
mod schema;
mod types;
mod value;

pub use error::{ParamError, nearest};
pub use fields::{Bound, Bounds, Fields, variant};
pub use schema::ObjectSchema;
pub use types::ParamType;
pub use value::Value;
pub use weir_sdk_macros::Params;

/// The parameters of a filter: a struct with `#[derive(Params)]`, or `()` for a filter that has none.
pub trait Params: ParamType {
    /// Reads the JSON object that the host hands over.
    ///
    /// # Errors
    /// What is not JSON, not an object, of another type, missing, unknown or out of bounds.
    fn parse(json: &str) -> Result<Self, ParamError> {
        Self::from_value(Value::parse(json)?)
    }

    /// The JSON Schema (2020-12) of the object.
    #[must_use]
    fn json_schema() -> String {
        let mut out = String::from(r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","#);
        Self::schema(&mut out, &Bounds::NONE);
        out.push('}');
        out
    }
}

/// No parameters: any field is refused.
impl Params for () {}

impl ParamType for () {
    fn from_value(value: Value) -> Result<(), ParamError> {
        Fields::of(value, &[]).map(drop)
    }

    fn schema(out: &mut String, _bounds: &Bounds) {
        ObjectSchema::new(out, "").end();
    }

    fn write_json(&self, out: &mut String) {
        out.push_str("{}");
    }
}
