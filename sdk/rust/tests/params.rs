//! `#[derive(Params)]`: what is parsed, what is refused and how, and what the schema says.

use std::collections::BTreeMap;

use weir_sdk::params::{Params, Value};

/// All types that a parameter may have.
#[derive(Params, Debug, PartialEq)]
struct All {
    /// What to match.
    ///
    /// In as many words as needed.
    #[param(rename = "where", min = 1, max = 8)]
    expr: String,
    on: bool,
    #[param(default = -3, min = -5)]
    signed: i64,
    #[param(default = 2, min = 1, max = 10)]
    small: u32,
    #[param(default)]
    large: u64,
    #[param(default = 0.5, max = 1)]
    share: f64,
    #[param(default = ["a", "b"], max = 3)]
    names: Vec<String>,
    #[param(default)]
    numbers: Vec<u32>,
    mode: Option<Mode>,
    #[param(default)]
    rename: BTreeMap<String, String>,
    #[param(default)]
    rules: Vec<Rule>,
    any: Option<Value>,
    r#type: Option<String>,
}

/// How.
#[derive(Params, Debug, PartialEq, Clone, Copy)]
enum Mode {
    /// By label.
    Label,
    /// By keyed hash.
    KeyedHash,
    #[param(rename = "none")]
    Nothing,
}

#[derive(Params, Debug, PartialEq)]
struct Rule {
    /// Its name.
    name: String,
    #[param(default = Mode::Label)]
    mode: Mode,
}

fn minimal() -> All {
    All {
        expr: "x".to_owned(),
        on: true,
        signed: -3,
        small: 2,
        large: 0,
        share: 0.5,
        names: vec!["a".to_owned(), "b".to_owned()],
        numbers: vec![],
        mode: None,
        rename: BTreeMap::new(),
        rules: vec![],
        any: None,
        r#type: None,
    }
}

#[test]
fn defaults_fill_what_is_missing() {
    assert_eq!(All::parse(r#"{"where":"x","on":true}"#), Ok(minimal()));
    assert_eq!(All::parse(r#"{"where":"x","on":true,"mode":null}"#), Ok(minimal()));
}

#[test]
fn values_are_read_in_their_types_and_as_text() {
    let expected = All {
        signed: 7,
        small: 3,
        large: u64::MAX,
        share: 0.25,
        names: vec!["p".to_owned(), "q".to_owned()],
        numbers: vec![1, 2],
        mode: Some(Mode::KeyedHash),
        rename: BTreeMap::from([("old".to_owned(), "new".to_owned()), ("a".to_owned(), "b".to_owned())]),
        rules: vec![Rule { name: "r".to_owned(), mode: Mode::Nothing }],
        r#type: Some("t".to_owned()),
        ..minimal()
    };
    let typed = r#"{"where":"x","on":true,"signed":7,"small":3,"large":18446744073709551615,"share":0.25,
        "names":["p","q"],"numbers":[1,2],"mode":"keyed-hash","rename":{"old":"new","a":"b"},
        "rules":[{"name":"r","mode":"none"}],"type":"t"}"#;
    assert_eq!(All::parse(typed), Ok(expected));
    let text = r#"{"where":"x","on":"true","signed":"7","small":"3","large":"18446744073709551615","share":"0.25",
        "names":"p, q","numbers":"1,2","mode":"keyed-hash","rename":"old:new,a:b",
        "rules":"[{\"name\":\"r\",\"mode\":\"none\"}]","type":"t"}"#;
    assert_eq!(All::parse(text), All::parse(typed));
    let listed = All::parse(r#"{"where":"x","on":true,"names":"[\"a,b\"]","numbers":""}"#);
    assert_eq!(listed, Ok(All { names: vec!["a,b".to_owned()], ..minimal() }));
    let any = All::parse(r#"{"where":"x","on":true,"any":[1]}"#);
    assert_eq!(any, Ok(All { any: Some(Value::Array(vec![Value::Number("1".to_owned())])), ..minimal() }));
}

#[test]
fn what_is_wrong_and_what_would_be_right_is_told() {
    for (given, told) in [
        (r#""on":true"#, "where: is missing; give a string from 1 to 8 characters"),
        (r#""where":"x""#, "on: is missing; give true or false"),
        (r#""where":"","on":true"#, "where: is \"\"; give a string from 1 to 8 characters"),
        (r#""where":"x","on":"yes""#, "on: is \"yes\"; give true or false"),
        (r#""where":1,"on":true"#, "where: is 1; give a string"),
        (r#""where":"x","on":true,"signed":-6"#, "signed: is -6; give a whole number of at least -5"),
        (r#""where":"x","on":true,"small":11"#, "small: is 11; give a whole number from 1 to 10"),
        (r#""where":"x","on":true,"small":-1"#, "small: is -1; give a whole number"),
        (r#""where":"x","on":true,"small":1.5"#, "small: is 1.5; give a whole number"),
        (r#""where":"x","on":true,"share":2"#, "share: is 2; give a number of at most 1"),
        (r#""where":"x","on":true,"share":"nan""#, "share: is \"nan\"; give a number"),
        (r#""where":"x","on":true,"share":1e999"#, "share: is 1e999; give a number"),
        (
            r#""where":"x","on":true,"names":"a,b,c,d""#,
            "names: is \"a,b,c,d\"; give a list of at most 3 items",
        ),
        (r#""where":"x","on":true,"names":{}"#, "names: is an object; give a list"),
        (r#""where":"x","on":true,"numbers":[1,"b"]"#, "numbers.1: is \"b\"; give a whole number"),
        (
            r#""where":"x","on":true,"mode":"keyd-hash""#,
            "mode: is \"keyd-hash\"; give one of label, keyed-hash, none (did you mean `keyed-hash`?)",
        ),
        (
            r#""where":"x","on":true,"rename":"a""#,
            "rename: is \"a\"; give pairs such as `key:value`, with commas between them",
        ),
        (r#""where":"x","on":true,"rename":"a:b,a:c""#, "rename.a: is given twice; give it once"),
        (r#""where":"x","on":true,"rules":[{"name":"r"},{}]"#, "rules.1.name: is missing; give a string"),
        (
            r#""where":"x","on":true,"rules":[{"name":"r","nam":1}]"#,
            "rules.0.nam: is not a parameter; did you mean `name`?",
        ),
        (
            r#""where":"x","on":true,"colour":1"#,
            "colour: is not a parameter; there are: where, on, signed, small, large, share, names, numbers, mode, rename, rules, any, type",
        ),
        (r#""where":"x","where":"y","on":true"#, "where: is given twice; give it once"),
        (r#""where":"x","on":tru"#, "the parameters are not JSON: at byte 18: expected a value"),
    ] {
        let error = All::parse(&format!("{{{given}}}")).expect_err(given);
        assert_eq!(error.to_string(), told, "{given}");
    }
    assert_eq!(All::parse("[]").expect_err("a list").to_string(), "is a list; give an object");
    let error = <() as Params>::parse(r#"{"a":1}"#).expect_err("a field too many");
    assert_eq!(error.to_string(), "a: is not a parameter; there are none");
}

#[test]
fn the_schema_says_all_of_it() {
    let schema: serde_json::Value = serde_json::from_str(&All::json_schema()).expect("a schema is JSON");
    let expected = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "All types that a parameter may have.",
        "type": "object",
        "additionalProperties": false,
        "required": ["where", "on"],
        "properties": {
            "where": {"description": "What to match.\n\nIn as many words as needed.", "type": "string", "minLength": 1, "maxLength": 8},
            "on": {"type": "boolean"},
            "signed": {"type": "integer", "minimum": -5, "default": -3},
            "small": {"type": "integer", "minimum": 1, "maximum": 10, "default": 2},
            "large": {"type": "integer", "minimum": 0, "default": 0},
            "share": {"type": "number", "maximum": 1, "default": 0.5},
            "names": {"type": "array", "items": {"type": "string"}, "maxItems": 3, "default": ["a", "b"]},
            "numbers": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295u32}, "default": []},
            "mode": {
                "description": "- `label`: By label.\n- `keyed-hash`: By keyed hash.",
                "type": "string", "enum": ["label", "keyed-hash", "none"]
            },
            "rename": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
            "rules": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name"],
                    "properties": {
                        "name": {"description": "Its name.", "type": "string"},
                        "mode": {
                            "description": "- `label`: By label.\n- `keyed-hash`: By keyed hash.",
                            "type": "string", "enum": ["label", "keyed-hash", "none"], "default": "label"
                        }
                    }
                },
                "default": []
            },
            "any": {"type": ["null", "boolean", "number", "string", "array", "object"]},
            "type": {"type": "string"}
        }
    });
    assert_eq!(schema, expected);
    let none: serde_json::Value =
        serde_json::from_str(&<() as Params>::json_schema()).expect("a schema is JSON");
    assert_eq!(none["properties"], serde_json::json!({}));
}
