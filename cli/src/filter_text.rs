//! The text of `--filter NAME[:key=value,...]`, taken apart.
//!
//! A filter is a name, or the path of a component: text that starts with `.` or `/`, or has `.wasm`
//! before its first `:` or its end. After a `:` come parameters, `key=value`, separated by commas.
//!
//! - A comma separates only where `key=` follows it (and not `==` or `=~`) and it stands outside of double
//!   quotes, brackets, braces and parentheses. So `where=level in ["a","b"] && n == 1` is one value, and so
//!   is `detectors=email,ipv4`.
//! - A value that is a JSON number, `true`, `false`, array, object or quoted string is passed as that.
//! - `[a,b]` that isn't JSON is an array whose parts are read by the same rules: `[email,ipv4]`.
//! - Anything else is a string, as it stands. Quote what should be a string and would not be one:
//!   `key="12345"`.

use serde_json::{Map, Value};

/// The filter's name or path, and its parameters' text.
pub(crate) fn split_name(text: &str) -> (&str, &str) {
    const SUFFIX: &str = ".wasm";
    let path_end = text
        .match_indices(SUFFIX)
        .map(|(at, _)| at + SUFFIX.len())
        .find(|end| matches!(text.as_bytes().get(*end), None | Some(b':')));
    // A name has no colon, so a `.wasm` behind the first colon belongs to a parameter.
    let colon = text.find(':').unwrap_or(text.len());
    let end = match path_end {
        Some(end) if end <= colon || text.starts_with(['.', '/']) => end,
        _ => colon,
    };
    (&text[..end], text[end..].strip_prefix(':').unwrap_or(""))
}

/// Whether a filter is meant by its path.
pub(crate) fn is_path(name: &str) -> bool {
    name.starts_with(['.', '/']) || name.ends_with(".wasm")
}

/// Reads `key=value,...`.
pub(crate) fn parse_params(text: &str) -> Result<Map<String, Value>, String> {
    let mut params = Map::new();
    if text.is_empty() {
        return Ok(params);
    }
    let mut rest = text;
    loop {
        let Some(key_length) = key_length(rest) else {
            return Err(format!("'{rest}' does not start with key=value"));
        };
        let value_text = &rest[key_length + 1..];
        let end = value_end(value_text)?;
        insert(&mut params, rest[..key_length].to_owned(), parse_value(&value_text[..end]))?;
        match value_text[end..].strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(params),
        }
    }
}

/// Adds the members of a JSON object to `params`.
pub(crate) fn merge_json(params: &mut Map<String, Value>, text: &str) -> Result<(), String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(more)) => more.into_iter().try_for_each(|(key, value)| insert(params, key, value)),
        Ok(_) => Err("give a JSON object, such as {\"key\": \"value\"}".to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

fn insert(params: &mut Map<String, Value>, key: String, value: Value) -> Result<(), String> {
    if params.contains_key(&key) {
        return Err(format!("parameter '{key}' is given twice"));
    }
    params.insert(key, value);
    Ok(())
}

/// Length of the key when `text` starts with `key=` that isn't a comparison.
fn key_length(text: &str) -> Option<usize> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = text.bytes().position(|byte| !is_key(byte))?;
    let after = text.as_bytes().get(length + 1);
    (length > 0 && text.as_bytes()[length] == b'=' && !matches!(after, Some(b'=' | b'~'))).then_some(length)
}

/// Where a value ends: at the first comma that separates, or with the text.
fn value_end(text: &str) -> Result<usize, String> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 && key_length(text[at + 1..].trim_start()).is_some() => {
                return Ok(at);
            }
            _ => {}
        }
    }
    if quoted {
        return Err(format!("a double quote is not closed in '{text}'"));
    }
    Ok(text.len())
}

fn parse_value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Null) | Err(_) => {}
        Ok(value) => return value,
    }
    match list_parts(text.trim()) {
        Some(parts) => Value::Array(parts.into_iter().map(|part| parse_value(part.trim())).collect()),
        None => Value::String(text.to_owned()),
    }
}

/// The parts of `[a,b]`, when the first bracket closes with the text's last byte.
fn list_parts(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (mut depth, mut quoted, mut escaped, mut start) = (0_i32, false, false, 0);
    let mut parts = Vec::new();
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    if depth != 0 || quoted {
        return None;
    }
    parts.push(&inner[start..]);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(text: &str) -> Value {
        Value::Object(parse_params(text).expect(text))
    }

    #[test]
    fn names_and_paths() {
        for (text, name, rest) in [
            ("redact", "redact", ""),
            ("redact:a=1", "redact", "a=1"),
            ("./mine.wasm", "./mine.wasm", ""),
            ("./mine.wasm:a=1", "./mine.wasm", "a=1"),
            ("build/mine.wasm:a=x.wasm", "build/mine.wasm", "a=x.wasm"),
            ("/a:b/c.wasm:k=v", "/a:b/c.wasm", "k=v"),
            ("./no-suffix:k=v", "./no-suffix", "k=v"),
            ("name:file=x.wasm", "name", "file=x.wasm"),
        ] {
            assert_eq!(split_name(text), (name, rest), "{text}");
        }
        assert!(is_path("./x") && is_path("x.wasm") && !is_path("json-match"));
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("", json!({})),
            ("a=1", json!({"a": 1})),
            ("a=-1.5e3,b=true,c=null", json!({"a": -1500.0, "b": true, "c": "null"})),
            ("a=\"12\",b=x y", json!({"a": "12", "b": "x y"})),
            ("a=", json!({"a": ""})),
            ("detectors=[email,ipv4]", json!({"detectors": ["email", "ipv4"]})),
            ("detectors=[\"email\", 3]", json!({"detectors": ["email", 3]})),
            ("detectors=email,ipv4,key=k", json!({"detectors": "email,ipv4", "key": "k"})),
            ("where=level == \"error\", msg", json!({"where": "level == \"error\", msg"})),
            ("where=a == 1,b == 2", json!({"where": "a == 1,b == 2"})),
            (
                "where=a in [\"x\",\"y=1\"] && b == 1,n=2",
                json!({"where": "a in [\"x\",\"y=1\"] && b == 1", "n": 2}),
            ),
            ("where=m =~ \"a, b=c\",n=2", json!({"where": "m =~ \"a, b=c\"", "n": 2})),
            ("template={level} {msg}, x={y},n=1", json!({"template": "{level} {msg}", "n": 1, "x": "{y}"})),
            ("map={\"a\": [1, 2]},n=1", json!({"map": {"a": [1, 2]}, "n": 1})),
            ("re=a\\(,n=1", json!({"re": "a\\(,n=1"})),
            ("l=[[a,b],c]", json!({"l": [["a", "b"], "c"]})),
            ("l=[a] or [b]", json!({"l": "[a] or [b]"})),
        ] {
            if text.starts_with("template") {
                // A space may stand before a key; it belongs to neither.
                let map = parse_params(&text.replace(", x", ",x")).expect(text);
                assert_eq!(Value::Object(map), expected, "{text}");
            } else {
                assert_eq!(params(text), expected, "{text}");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in
            [("x", "'x'"), ("=1", "'=1'"), ("a=1,a=2", "'a'"), ("a=\"x", "not closed"), ("a==1", "'a==1'")]
        {
            let error = parse_params(text).expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
