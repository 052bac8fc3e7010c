//! Writes the JSON Schema of a parameter object.

use super::fields::Bounds;
use super::types::ParamType;
use super::value::write_string;

/// An object schema in the making: the members of a JSON object, without its braces.
#[derive(Debug)]
pub struct ObjectSchema<'a> {
    out: &'a mut String,
    required: Vec<&'static str>,
    first: bool,
}

impl<'a> ObjectSchema<'a> {
    /// Begins an object with that description, which may be empty.
    pub fn new(out: &'a mut String, description: &str) -> ObjectSchema<'a> {
        if !description.is_empty() {
            out.push_str(r#""description":"#);
            write_string(out, description);
            out.push(',');
        }
        out.push_str(r#""type":"object","additionalProperties":false,"properties":{"#);
        ObjectSchema { out, required: Vec::new(), first: true }
    }

    /// Adds a field of type `T`.
    pub fn field<T: ParamType>(
        &mut self,
        name: &'static str,
        description: &str,
        bounds: &Bounds,
        default: Option<T>,
    ) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        write_string(self.out, name);
        self.out.push_str(":{");
        let notes = T::notes();
        if !description.is_empty() || !notes.is_empty() {
            self.out.push_str(r#""description":"#);
            let gap = if description.is_empty() || notes.is_empty() { "" } else { "\n" };
            write_string(self.out, &[description, gap, notes].concat());
            self.out.push(',');
        }
        T::schema(self.out, bounds);
        match default {
            Some(default) => {
                self.out.push_str(r#","default":"#);
                default.write_json(self.out);
            }
            None if T::absent().is_none() => self.required.push(name),
            None => {}
        }
        self.out.push('}');
    }

    /// Ends the object.
    pub fn end(self) {
        self.out.push('}');
        if !self.required.is_empty() {
            self.out.push_str(r#","required":["#);
            for (i, name) in self.required.iter().enumerate() {
                if i > 0 {
                    self.out.push(',');
                }
                write_string(self.out, name);
            }
            self.out.push(']');
        }
    }
}
