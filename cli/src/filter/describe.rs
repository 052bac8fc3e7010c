//! What a filter says of itself, for people and as JSON.

use serde_json::Value;
use weir_query::{FilterInfo, type_name};

use crate::json::Object;
use crate::output::jsonl::kind_name;
use crate::units;
use crate::visible;

/// A filter in full, for people.
pub(crate) fn describe(info: &FilterInfo) -> String {
    describe_with(info, &[])
}

/// The same, with more to tell: what stands before, of at most 8 characters, and the text.
pub(super) fn describe_with(info: &FilterInfo, more: &[(&str, String)]) -> String {
    let mut text = format!(
        "{} {}: {}\n\nkind     {}\nimports  none\nsize     {}\ndigest   {}\n",
        info.name,
        info.version,
        info.summary,
        kind_name(info.kind),
        units::bytes(info.size),
        info.digest
    );
    more.iter().for_each(|(name, value)| text.push_str(&format!("{name:<8} {value}\n")));
    match serde_json::from_str::<Value>(&info.params_schema) {
        Ok(schema) => text.push_str(&parameters(&schema)),
        // The filter's author wrote it; show it as it is.
        Err(error) => {
            text.push_str(&format!("\nIts parameter schema is not JSON ({error}):\n{}\n", info.params_schema))
        }
    }
    visible::message(&text)
}

fn parameters(schema: &Value) -> String {
    let properties: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    if properties.is_empty() {
        return "\nIt takes no parameters.\n".to_owned();
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rows: Vec<Vec<String>> = properties
        .iter()
        .map(|(name, property)| {
            let default = match (&property["default"], required.contains(&name.as_str())) {
                (Value::Null, true) => "required".to_owned(),
                (Value::Null, false) => "-".to_owned(),
                (value, _) => value.to_string(),
            };
            let description = property["description"].as_str().unwrap_or_default();
            let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
            vec![(*name).clone(), type_name(property, schema), default, description]
        })
        .collect();
    format!("\n{}", units::table(&["PARAMETER", "TYPE", "DEFAULT", "MEANING"], &rows, &[]))
}

/// A filter as a JSON object, with the agents that have it where there are several.
pub(crate) fn push_json(out: &mut Vec<u8>, info: &FilterInfo, agents: Option<&[String]>) {
    push_json_with(out, info, |object| match agents {
        Some(agents) => object.strings("agents", agents),
        None => object,
    });
}

/// A filter as a JSON object with more members.
pub(super) fn push_json_with<'a>(
    out: &'a mut Vec<u8>,
    info: &FilterInfo,
    more: impl FnOnce(Object<'a>) -> Object<'a>,
) {
    let object = Object::new(out)
        .string("name", &info.name)
        .string("version", &info.version)
        .string("kind", kind_name(info.kind))
        .string("summary", &info.summary)
        .string("digest", &info.digest)
        .value("size", info.size);
    let object = match info.file.as_str() {
        "" => object,
        file => object.string("file", file),
    };
    let object = more(object);
    let object = match serde_json::from_str::<Value>(&info.params_schema) {
        Ok(schema) => object.json("params_schema", schema.to_string().as_bytes()),
        Err(_) => object.string("params_schema_text", &info.params_schema),
    };
    object.end();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_a_table() {
        let schema = json!({
            "properties": {
                "where": {"type": "string", "description": "What to\n keep"},
                "names": {"type": "array", "items": {"type": "string"}, "default": []},
                "mode": {"$ref": "#/$defs/Mode"},
                "n": {"type": "integer", "minimum": 1, "maximum": 9},
                "x": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            },
            "required": ["where"],
            "$defs": {"Mode": {"enum": ["label", "hash"]}},
        });
        let table = parameters(&schema);
        let row = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).expect(name);
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(row("where"), ["where", "string", "required", "What to keep"]);
        assert_eq!(row("names"), ["names", "list of string", "[]"]);
        assert_eq!(row("mode"), ["mode", "label | hash", "-"]);
        assert_eq!(row("n "), ["n", "integer 1 to 9", "-"]);
        assert_eq!(row("x"), ["x", "number | null", "-"]);
        assert!(parameters(&json!({})).contains("no parameters"));
    }
}
