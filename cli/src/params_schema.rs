//! Parameters against a filter's schema, before the filter sees them: the error names the parameter, its value and what
//! would be right.
//!
//! It knows what filters' schemas are made of, and lets pass what it doesn't know: the filter itself has the last word.
//! So it also lets text pass in place of a number, a bool, a list or an object, since filters read those from text.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::filter::{resolve, type_name};

/// How far a name may be from one that was meant.
const NEAR: usize = 2;

/// Refuses parameters that the schema of filter `name` does not take.
pub(crate) fn check(name: &str, schema: &str, params: &Map<String, Value>) -> Result<(), Failure> {
    // A schema that can't be read is shown by `weir filters`, and refuses nothing here.
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return Ok(()) };
    let mut problems = Vec::new();
    object(&schema, &schema, params, "", &mut problems);
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(format!("filter {name}: {}", problems.join("; "))))
}

fn object(schema: &Value, root: &Value, params: &Map<String, Value>, path: &str, problems: &mut Vec<String>) {
    let properties = schema["properties"].as_object();
    let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in params {
        match properties.and_then(|properties| properties.get(key)) {
            Some(property) => one(property, root, value, &within(key), problems),
            None if schema["additionalProperties"] == false => {
                problems.push(unknown(&within(key), key, value, properties));
            }
            None if schema["additionalProperties"].is_object() => {
                one(&schema["additionalProperties"], root, value, &within(key), problems);
            }
            None => {}
        }
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !params.contains_key(key) {
            let what = properties.and_then(|properties| properties.get(key));
            let what = what.map(|property| format!(", {}", type_name(property, root))).unwrap_or_default();
            problems.push(format!("parameter `{}` is missing; give it{what}", within(key)));
        }
    }
}

/// What to say of a parameter that there is none of.
fn unknown(path: &str, key: &str, value: &Value, properties: Option<&Map<String, Value>>) -> String {
    let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let near = names.iter().find(|name| strsim::osa_distance(name, key) <= NEAR);
    let hint = match (near, names.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "it takes no parameters".to_owned(),
        (None, names) => format!("there are {}", names.join(", ")),
    };
    format!("there is no parameter `{path}` (which is {value} here); {hint}")
}

fn one(schema: &Value, root: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    let schema = resolve(schema, root);
    let refuse = |problems: &mut Vec<String>, hint: &str| {
        let due = type_name(schema, root);
        problems.push(format!("parameter `{path}` is {value}, but should be {due}{hint}"));
    };
    if let Some(choices) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        let fits = |choice: &Value| {
            let mut found = Vec::new();
            one(choice, root, value, path, &mut found);
            found.is_empty()
        };
        if !choices.iter().any(fits) {
            refuse(problems, "");
        }
        return;
    }
    if let Some(allowed) = schema["enum"].as_array() {
        if !allowed.contains(value) {
            let near = allowed.iter().filter_map(Value::as_str).find(|allowed| {
                value.as_str().is_some_and(|value| strsim::osa_distance(allowed, value) <= NEAR)
            });
            refuse(problems, &near.map(|near| format!("; did you mean {near}?")).unwrap_or_default());
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    if !types.iter().any(|name| is_of(name, value)) {
        let quoted = (types == ["string"]).then(|| format!("; to give a string, write {path}=\"{value}\""));
        return refuse(problems, &quoted.unwrap_or_default());
    }
    let size = match value {
        Value::Number(number) => number.as_f64().map(|size| (size, "minimum", "maximum")),
        Value::Array(items) => Some((items.len() as f64, "minItems", "maxItems")),
        Value::String(text) if types.contains(&"string") => {
            Some((text.chars().count() as f64, "minLength", "maxLength"))
        }
        _ => None,
    };
    if let Some((size, low, high)) = size {
        let (low, high) = (&schema[low], &schema[high]);
        if low.as_f64().is_some_and(|low| size < low) || high.as_f64().is_some_and(|high| size > high) {
            let of = match value {
                Value::Array(_) => " of items",
                Value::String(_) => " of characters",
                _ => "",
            };
            let bounds = match (low, high) {
                (low, Value::Null) => format!("{low} or more"),
                (Value::Null, high) => format!("at most {high}"),
                (low, high) => format!("{low} to {high}"),
            };
            problems.push(format!("parameter `{path}` is {value}; give {bounds}{of}"));
            return;
        }
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                one(&schema["items"], root, item, &format!("{path}.{index}"), problems);
            }
        }
        Value::Object(members) => object(schema, root, members, path, problems),
        _ => {}
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean() || matches!(value.as_str(), Some("true" | "false")),
        "integer" => {
            value.as_f64().is_some_and(|number| number.fract() == 0.0)
                || value.as_str().is_some_and(|text| text.parse::<i128>().is_ok())
        }
        "number" => value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok()),
        "array" => value.is_array() || value.is_string(),
        "object" => value.is_object() || value.is_string(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_name_the_parameter_the_value_and_what_would_be_right() {
        let schema = json!({
            "additionalProperties": false,
            "properties": {
                "word": {"type": "string", "minLength": 2},
                "times": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"$ref": "#/$defs/Mode"},
                "names": {"type": "array", "items": {"type": "string", "enum": ["email", "card"]}, "minItems": 1},
                "map": {"type": "object", "additionalProperties": {"type": "boolean"}},
                "any": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            },
            "required": ["word"],
            "$defs": {"Mode": {"enum": ["label", "hash"]}},
        })
        .to_string();
        let checked = |params: Value| {
            let result = check("f", &schema, params.as_object().expect("an object"));
            result.map_err(|failure| format!("{failure:?}"))
        };
        for good in [
            json!({"word": "ab"}),
            json!({"word": "ab", "times": 9, "mode": "hash", "names": ["card"], "map": {"x": true}, "any": null}),
            json!({"word": "ab", "times": "3", "names": "email,card", "map": "x:true", "any": 1.5}),
        ] {
            assert_eq!(checked(good.clone()), Ok(()), "{good}");
        }
        for (bad, named) in [
            (json!({}), &["`word`", "missing", "string"][..]),
            (json!({"word": 12}), &["`word`", "12", "string", "word=\\\"12\\\""]),
            (json!({"word": "a"}), &["`word`", "2 or more of characters"]),
            (json!({"word": "ab", "wrod": 1}), &["`wrod`", "did you mean `word`"]),
            (json!({"word": "ab", "colour": 1}), &["`colour`", "mode, names"]),
            (json!({"word": "ab", "times": 0}), &["`times`", "is 0", "1 to 9"]),
            (json!({"word": "ab", "times": 1.5}), &["`times`", "1.5", "integer 1 to 9"]),
            (json!({"word": "ab", "mode": "hsah"}), &["`mode`", "label | hash", "did you mean hash"]),
            (json!({"word": "ab", "names": ["emial"]}), &["`names.0`", "emial", "did you mean email"]),
            (json!({"word": "ab", "names": []}), &["`names`", "1 or more of items"]),
            (json!({"word": "ab", "map": {"x": 1}}), &["`map.x`", "boolean"]),
            (json!({"word": "ab", "any": "x"}), &["`any`", "number | null"]),
        ] {
            let error = checked(bad.clone()).expect_err(&bad.to_string());
            named.iter().for_each(|word| assert!(error.contains(word), "{bad}: {error}"));
        }
        assert!(check("f", "not JSON", &Map::new()).is_ok());
    }
}
