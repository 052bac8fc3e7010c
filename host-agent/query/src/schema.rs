//! A filter's JSON Schema, as far as filters' schemas go: what a parameter is, in few words.
//!
//! A schema comes from the filter's author, who may mean harm: it may refer to itself, and be as wide as its size
//! allows. Everything here ends within named bounds.

use serde_json::Value;

/// Most bytes of a type's name.
const NAME_BYTES: usize = 300;

/// How many types within types are spelled out.
const NAME_DEPTH: usize = 8;

/// A property's type in few words: `string`, `list of string`, `a | b`, with bounds. `schema` is what it refers into. What
/// doesn't fit 300 bytes is cut.
pub fn type_name(property: &Value, schema: &Value) -> String {
    let mut name = String::new();
    push_type(&mut name, property, schema, NAME_DEPTH);
    if name.len() > NAME_BYTES {
        name.truncate(name.floor_char_boundary(NAME_BYTES));
        name.push('…');
    }
    name
}

fn push_type(out: &mut String, property: &Value, schema: &Value, depth: usize) {
    let property = resolve(property, schema);
    if let Some(values) = property["enum"].as_array() {
        return push_each(out, values, |out, value| match value.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&value.to_string()),
        });
    }
    if depth == 0 {
        return out.push_str("any");
    }
    if let Some(choices) = choices(property) {
        return push_each(out, choices, |out, choice| push_type(out, choice, schema, depth - 1));
    }
    match &property["type"] {
        Value::String(name) if name == "array" => {
            out.push_str("list of ");
            push_type(out, &property["items"], schema, depth - 1);
        }
        Value::String(name) => out.push_str(name),
        Value::Array(names) => {
            push_each(out, names, |out, name| out.push_str(name.as_str().unwrap_or("any")))
        }
        _ => out.push_str("any"),
    }
    match (&property["minimum"], &property["maximum"]) {
        (Value::Null, Value::Null) => {}
        (low, Value::Null) => out.push_str(&format!(" from {low}")),
        (Value::Null, high) => out.push_str(&format!(" up to {high}")),
        (low, high) => out.push_str(&format!(" {low} to {high}")),
    }
}

/// Appends as many as there is room for, with bars between.
fn push_each(out: &mut String, values: &[Value], mut push: impl FnMut(&mut String, &Value)) {
    for (index, value) in values.iter().enumerate() {
        if out.len() > NAME_BYTES {
            return;
        }
        if index > 0 {
            out.push_str(" | ");
        }
        push(out, value);
    }
}

/// Follows one reference within the schema.
pub(crate) fn resolve<'a>(property: &'a Value, schema: &'a Value) -> &'a Value {
    let target = property["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| schema.pointer(pointer)).unwrap_or(property)
}

/// The schemas of which one must fit.
pub(crate) fn choices(property: &Value) -> Option<&[Value]> {
    property["anyOf"].as_array().or_else(|| property["oneOf"].as_array()).map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_named_in_few_words() {
        let schema = json!({"$defs": {"Mode": {"enum": ["label", "hash", 1]}}});
        for (property, name) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": "array", "items": {"type": "string"}}), "list of string"),
            (json!({"$ref": "#/$defs/Mode"}), "label | hash | 1"),
            (json!({"type": "integer", "minimum": 1, "maximum": 9}), "integer 1 to 9"),
            (json!({"type": ["number", "null"], "minimum": 1}), "number | null from 1"),
            (json!({"anyOf": [{"type": "number"}, {"type": "null"}]}), "number | null"),
            (json!({}), "any"),
        ] {
            assert_eq!(type_name(&property, &schema), name, "{property}");
        }
    }

    #[test]
    fn a_schema_without_an_end_has_a_name_with_one() {
        let this = json!({"$ref": "#"});
        for schema in [
            json!({"anyOf": [this, this, this]}),
            json!({"type": "array", "items": this}),
            json!({"enum": vec!["ä"; 10_000]}),
            json!({"anyOf": vec![json!({"anyOf": []}); 10_000]}),
            json!({"anyOf": [{"anyOf": [this, this]}, this]}),
        ] {
            assert!(type_name(&schema, &schema).len() < 2 * NAME_BYTES, "{}", type_name(&schema, &schema));
        }
    }
}
