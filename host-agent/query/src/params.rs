//! Parameters against a filter's schema, before the filter sees them: the error names the parameter, its value and what
//! would be right.
//!
//! It knows what filters' schemas are made of, and lets pass what it doesn't know: the filter itself has the last word.
//! So it also lets text pass in place of a number, a bool, a list or an object, since filters read those from text; and
//! whatever a schema that takes too much work would say.

use serde_json::{Map, Value};
use weir_sandbox::{Filter, FilterLimits};

use crate::schema::{choices, resolve, type_name};

/// How far a name may be from one that was meant.
const NEAR: usize = 2;

/// Bytes of a name from which on no likeness is looked for.
const NAME_BYTES: usize = 64;

/// Work that a check may take: values looked at, and 64 bytes of text each. Some milliseconds.
const STEPS: usize = 200_000;

/// Schemas within schemas that are looked into.
const DEPTH: usize = 64;

/// Problems that are told.
const PROBLEMS: usize = 8;

/// Bytes of a value, or of a list of names, that are told.
const TOLD_BYTES: usize = 200;

/// Refuses parameters, the text of a JSON object, that a filter's schema does not take: what is wrong with each, in one
/// line. What isn't a JSON object is left to the filter, and so is everything where the schema can't be read.
///
/// # Errors
/// What to say to whoever gave them.
pub fn check_params(schema: &str, params: &str) -> Result<(), String> {
    let (Ok(schema), Ok(Value::Object(params))) =
        (serde_json::from_str::<Value>(schema), serde_json::from_str(params))
    else {
        return Ok(());
    };
    let mut check = Check { root: &schema, steps: STEPS, trials: 0, found: 0, told: Vec::new() };
    check.object(&schema, &params, "", DEPTH);
    if check.told.is_empty() { Ok(()) } else { Err(check.told.join("; ")) }
}

/// Checks parameters against the filter's schema; those over the limit are left to it to refuse.
pub(crate) fn check_within(filter: &Filter, params: &str, limits: &FilterLimits) -> Result<(), String> {
    match params.len() > limits.params_bytes {
        true => Ok(()),
        false => check_params(&filter.description().params_schema, params),
    }
}

struct Check<'a> {
    /// What references lead into.
    root: &'a Value,
    /// Work that is left.
    steps: usize,
    /// How many choices are being tried, each within the one before: what is found then is counted and not told.
    trials: usize,
    found: usize,
    told: Vec<String>,
}

impl Check<'_> {
    /// Takes some of the work that is left. Without any, nothing is looked at any more, and so everything fits.
    fn may(&mut self, steps: usize) -> bool {
        self.steps = self.steps.saturating_sub(steps);
        self.steps > 0 && (self.trials > 0 || self.told.len() < PROBLEMS)
    }

    fn problem(&mut self, say: impl FnOnce() -> String) {
        self.found += 1;
        if self.trials == 0 {
            self.told.push(say());
        }
    }

    fn object(&mut self, schema: &Value, params: &Map<String, Value>, path: &str, depth: usize) {
        let properties = schema["properties"].as_object();
        let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for (key, value) in params {
            if !self.may(1 + (path.len() + key.len()) / 64) {
                return;
            }
            let others = &schema["additionalProperties"];
            match properties.and_then(|properties| properties.get(key)) {
                Some(property) => self.one(property, value, &within(key), depth),
                None if *others == false => {
                    self.problem(|| unknown(&within(key), key, value, properties));
                }
                None if others.is_object() => self.one(others, value, &within(key), depth),
                None => {}
            }
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !self.may(1) {
                return;
            }
            if !params.contains_key(key) {
                let root = self.root;
                self.problem(|| {
                    let property = properties.and_then(|properties| properties.get(key));
                    let what = property.map(|it| format!(", {}", type_name(it, root))).unwrap_or_default();
                    format!("parameter `{}` is missing; give it{what}", cut(&within(key)))
                });
            }
        }
    }

    fn one(&mut self, schema: &Value, value: &Value, path: &str, depth: usize) {
        let reference = schema["$ref"].as_str().map_or(0, str::len);
        if depth == 0 || !self.may(1 + weight(value) + (path.len() + reference) / 64) {
            return;
        }
        let root = self.root;
        let schema = resolve(schema, root);
        let refusal = |hint: String| {
            let (value, due) = (cut(&value.to_string()), type_name(schema, root));
            format!("parameter `{}` is {value}, but should be {due}{hint}", cut(path))
        };
        if let Some(choices) = choices(schema) {
            if !choices.iter().any(|choice| self.fits(choice, value, path, depth - 1)) {
                self.problem(|| refusal(String::new()));
            }
            return;
        }
        if let Some(allowed) = schema["enum"].as_array() {
            if self.may(allowed.len()) && !allowed.contains(value) {
                let texts = allowed.iter().filter_map(Value::as_str);
                self.problem(|| {
                    let near = value.as_str().and_then(|value| nearest(texts, value));
                    refusal(near.map(|near| format!("; did you mean {near}?")).unwrap_or_default())
                });
            }
            return;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        if !self.may(types.len()) {
            return;
        }
        if !types.iter().any(|name| is_of(name, value)) {
            return self.problem(|| {
                let is_text = types == ["string"];
                refusal(match is_text {
                    true => format!("; in double quotes it is one: \"{}\"", cut(&value.to_string())),
                    false => String::new(),
                })
            });
        }
        if let Some(bounds) = out_of_bounds(schema, value, types.contains(&"string")) {
            return self.problem(|| {
                format!("parameter `{}` is {}; give {bounds}", cut(path), cut(&value.to_string()))
            });
        }
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.one(&schema["items"], item, &format!("{path}.{index}"), depth - 1);
                }
            }
            Value::Object(members) => self.object(schema, members, path, depth - 1),
            _ => {}
        }
    }

    /// Whether a value is what one of several choices asks for.
    fn fits(&mut self, choice: &Value, value: &Value, path: &str, depth: usize) -> bool {
        let before = self.found;
        self.trials += 1;
        self.one(choice, value, path, depth);
        self.trials -= 1;
        std::mem::replace(&mut self.found, before) == before
    }
}

/// What a value that is too small or too large should be.
fn out_of_bounds(schema: &Value, value: &Value, is_text: bool) -> Option<String> {
    let (size, low, high, of) = match value {
        Value::Number(number) => (number.as_f64()?, "minimum", "maximum", ""),
        Value::Array(items) => (items.len() as f64, "minItems", "maxItems", " of items"),
        Value::String(text) if is_text => {
            (text.chars().count() as f64, "minLength", "maxLength", " of characters")
        }
        _ => return None,
    };
    let (low, high) = (&schema[low], &schema[high]);
    let is_below = low.as_f64().is_some_and(|low| size < low);
    if !is_below && high.as_f64().is_none_or(|high| size <= high) {
        return None;
    }
    let bounds = match (low, high) {
        (low, Value::Null) => format!("{low} or more"),
        (Value::Null, high) => format!("at most {high}"),
        (low, high) => format!("{low} to {high}"),
    };
    Some(format!("{}{of}", cut(&bounds)))
}

/// What to say of a parameter that there is none of.
fn unknown(path: &str, key: &str, value: &Value, properties: Option<&Map<String, Value>>) -> String {
    let names = || properties.into_iter().flatten().map(|(name, _)| name.as_str());
    let hint = match nearest(names(), key) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names().next().is_none() => "it takes no parameters".to_owned(),
        None => format!("there are {}", cut(&names().collect::<Vec<_>>().join(", "))),
    };
    format!("there is no parameter `{}` (which is {} here); {hint}", cut(path), cut(&value.to_string()))
}

/// One of `names` that may have been meant.
fn nearest<'a>(mut names: impl Iterator<Item = &'a str>, typed: &str) -> Option<&'a str> {
    let is_near =
        |name: &&str| name.len().max(typed.len()) <= NAME_BYTES && strsim::osa_distance(name, typed) <= NEAR;
    names.find(is_near)
}

/// How much there is to look at in a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / 64,
        Value::Array(items) => items.iter().map(|item| 1 + weight(item)).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| 1 + key.len() / 64 + weight(value)).sum(),
        _ => 0,
    }
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    match text.len() > TOLD_BYTES {
        true => format!("{}…", &text[..text.floor_char_boundary(TOLD_BYTES)]),
        false => text.to_owned(),
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
    use std::time::{Duration, Instant};

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
        for good in [
            json!({"word": "ab"}),
            json!({"word": "ab", "times": 9, "mode": "hash", "names": ["card"], "map": {"x": true}, "any": null}),
            json!({"word": "ab", "times": "3", "names": "email,card", "map": "x:true", "any": 1.5}),
        ] {
            assert_eq!(check_params(&schema, &good.to_string()), Ok(()), "{good}");
        }
        for (bad, named) in [
            (json!({}), &["`word`", "missing", "string"][..]),
            (json!({"word": 12}), &["`word`", "12", "string", "\"12\""]),
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
            let error = check_params(&schema, &bad.to_string()).expect_err(&bad.to_string());
            named.iter().for_each(|word| assert!(error.contains(word), "{bad}: {error}"));
        }
        assert!(check_params("not JSON", "{}").is_ok() && check_params(&schema, "[]").is_ok());
    }

    #[test]
    fn a_hostile_schema_costs_little_and_says_little() {
        let this = json!({"$ref": "#"});
        let wide: Map<String, Value> =
            (0..6000).map(|n| (format!("k{n}"), json!({"type": "null"}))).collect();
        let schemas = [
            json!({"additionalProperties": {"anyOf": [this, this, this]}}),
            json!({"additionalProperties": {"$ref": "#/x"}, "x": {"oneOf": [{"$ref": "#/x"}, {"$ref": "#/x"}]}}),
            json!({"additionalProperties": {"enum": (0..20_000).collect::<Vec<_>>()}}),
            json!({"additionalProperties": {"anyOf": vec![json!({"enum": ["y".repeat(30)]}); 1000]}}),
            json!({"additionalProperties": false, "properties": wide}),
        ];
        let many: Map<String, Value> = (0..6000).map(|n| (format!("l{n}"), json!(n))).collect();
        let long: Map<String, Value> = [("x".to_owned(), json!("y".repeat(60_000)))].into_iter().collect();
        for schema in &schemas {
            for params in [&many, &long] {
                let (schema, params) = (schema.to_string(), Value::Object(params.clone()).to_string());
                let start = Instant::now();
                let checked = check_params(&schema, &params);
                // A bound on the work and not on the machine: without bounds none of these ends in a day.
                assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
                let told = checked.err().unwrap_or_default();
                assert!(told.len() < PROBLEMS * 4 * TOLD_BYTES, "{} bytes", told.len());
            }
        }
    }
}
