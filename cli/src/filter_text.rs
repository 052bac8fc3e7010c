//! The text of `--filter NAME[:key=value,...]`, taken apart.
//!
//! A filter is a name, or the path of a component: text that starts with `.` or `/`, or has `.wasm`
//! before its first `:` or its end. After a `:` come parameters, `key=value`, separated by commas.
//!
//! - A comma separates only where `key=` follows it (and not `==` or `=~`) and it stands outside of quotes,
//!   brackets, braces and parentheses. So `where=level in ["a","b"] && n == 1` is one value, and so
//!   is `detectors=email,ipv4`.
//! - A value that is a JSON number, `true`, `false`, array, object or quoted string is passed as that; one in single
//!   quotes is the string between them, whatever it is.
//! - A single quote begins a quoted part at the start of a value or behind a space, a comma, a bracket or an operator,
//!   if there is another one to end it. Anywhere else it is an apostrophe.
//! - `[a,b]` that isn't JSON is an array whose parts are read by the same rules: `[email,ipv4]`.
//! - Anything else is a string, as it stands. Quote what should be a string and would not be one:
//!   `key="12345"`, `key='12345'`.

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

/// What to give instead of a text that is neither a filter's name nor a path, such as that of an artifact in a registry.
pub(crate) fn misnamed(name: &str, params: &str) -> Option<&'static str> {
    // A registry's port stands where parameters would.
    let key = params.split('=').next().unwrap_or_default();
    (!is_path(name) && (name.contains('/') || key.contains('/'))).then_some(
        "that is no filter's name; a file is named as ./mine.wasm, and what lies in a registry is fetched first: \
         `weir filter pull REF`",
    )
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
            Some(next) => rest = next.trim_start(),
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

/// A byte of a value that counts: not in quotes.
struct Plain {
    at: usize,
    byte: u8,
    /// Brackets that are open before it.
    depth: i32,
}

/// Calls `visit` with each byte outside of quotes, until it returns false. Whether a double quote is left open.
fn for_each_plain(text: &str, mut visit: impl FnMut(Plain) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (mut depth, mut quoted, mut at) = (0, false, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'\'' if single_quoted(text, at).is_some() => at += single_quoted(text, at).unwrap_or(0),
            _ => {
                if !visit(Plain { at, byte, depth }) {
                    return false;
                }
                match byte {
                    b'[' | b'{' | b'(' => depth += 1,
                    b']' | b'}' | b')' => depth -= 1,
                    _ => {}
                }
            }
        }
        at += 1;
    }
    quoted
}

/// How far behind the single quote at `at` the one is that ends it; `None` when it is an apostrophe.
fn single_quoted(text: &str, at: usize) -> Option<usize> {
    let opens = |before: char| before.is_whitespace() || "=([{,:!<>~|&".contains(before);
    let begins = text[..at].chars().next_back().is_none_or(opens);
    begins.then(|| text[at + 1..].find('\''))?.map(|length| length + 1)
}

/// Where a value ends: at the first comma that separates, or with the text.
fn value_end(text: &str) -> Result<usize, String> {
    if text.starts_with('\'') && single_quoted(text, 0).is_none() {
        return Err(format!("a single quote is not closed in '{text}'"));
    }
    let mut end = text.len();
    let is_open = for_each_plain(text, |plain| {
        let next = || key_length(text[plain.at + 1..].trim_start()).is_some();
        let separates = plain.byte == b',' && plain.depth <= 0 && next();
        if separates {
            end = plain.at;
        }
        !separates
    });
    if is_open {
        return Err(format!("a double quote is not closed in '{text}'"));
    }
    Ok(end)
}

fn parse_value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Null) | Err(_) => {}
        Ok(value) => return value,
    }
    let trimmed = text.trim();
    if trimmed.starts_with('\'') && single_quoted(trimmed, 0) == Some(trimmed.len() - 1) {
        return Value::String(trimmed[1..trimmed.len() - 1].to_owned());
    }
    match list_parts(trimmed) {
        Some(parts) => Value::Array(parts.into_iter().map(|part| parse_value(part.trim())).collect()),
        None => Value::String(text.to_owned()),
    }
}

/// The parts of `[a,b]`, when the first bracket closes with the text's last byte.
fn list_parts(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (mut start, mut depth, mut is_one) = (0, 0, true);
    let mut parts = Vec::new();
    let is_open = for_each_plain(inner, |plain| {
        depth = plain.depth + i32::from(matches!(plain.byte, b'[' | b'{' | b'('))
            - i32::from(matches!(plain.byte, b']' | b'}' | b')'));
        if plain.byte == b',' && plain.depth == 0 {
            parts.push(&inner[start..plain.at]);
            start = plain.at + 1;
        }
        is_one &= depth >= 0;
        is_one
    });
    if is_open || depth != 0 || !is_one {
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
            ("a='12',b='x, y=1'", json!({"a": "12", "b": "x, y=1"})),
            ("a='say \"hi', b=1", json!({"a": "say \"hi", "b": 1})),
            ("a=it's,b=don't", json!({"a": "it's", "b": "don't"})),
            ("where=level == 'error, n=1',n=2", json!({"where": "level == 'error, n=1'", "n": 2})),
            ("l=['a,b',c]", json!({"l": ["a,b", "c"]})),
            ("a=''", json!({"a": ""})),
        ] {
            assert_eq!(params(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("x", "'x'"),
            ("=1", "'=1'"),
            ("a=1,a=2", "'a'"),
            ("a=\"x", "not closed"),
            ("a='x", "not closed"),
            ("a==1", "'a==1'"),
        ] {
            let error = parse_params(text).expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
