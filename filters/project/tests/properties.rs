//! `project` against a plain model on serde_json's tree. The test kit checks the prefilter's promise on the way.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weir_project::Project;
use weir_sdk::testing::FilterTest;

const KEYS: [&str; 4] = ["a", "b", "c", "\u{e9}\"x"];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a-z\"\\\\\n{}\\[\\]\u{e9}]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 30, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            any_object(inner).prop_map(Value::Object),
        ]
    })
}

fn any_object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = (0..KEYS.len()).prop_map(|index| KEYS[index].to_owned());
    proptest::collection::vec((key, inner), 0..5).prop_map(|fields| fields.into_iter().collect())
}

/// A path as steps; `None` is `[*]`.
type Path = Vec<Option<&'static str>>;

fn any_path() -> impl Strategy<Value = Path> {
    let key = || (0..KEYS.len()).prop_map(|index| Some(KEYS[index]));
    let step = prop_oneof![4 => key(), 1 => Just(None)];
    (key(), proptest::collection::vec(step, 0..3)).prop_map(|(first, rest)| [vec![first], rest].concat())
}

fn written(path: &Path) -> String {
    let step = |step: &Option<&str>| match step {
        Some(key) => format!(".\"{}\"", key.replace('"', "\\\"")),
        None => "[*]".to_owned(),
    };
    path.iter().map(step).collect::<String>()[1..].to_owned()
}

/// What is left of `value` below paths of which these are the rests.
fn kept(value: &Value, paths: &[&[Option<&str>]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    let below = |step: Option<&str>| -> Vec<&[Option<&str>]> {
        paths.iter().filter(|path| path[0] == step).map(|path| &path[1..]).collect()
    };
    let left = match value {
        Value::Object(fields) => {
            let left: Map<String, Value> = fields
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), kept(value, &below(Some(key)))?)))
                .collect();
            Value::Object(left)
        }
        Value::Array(items) => items.iter().filter_map(|item| kept(item, &below(None))).collect(),
        _ => return None,
    };
    (left != json!({}) && left != json!([])).then_some(left)
}

fn drop_at(value: &mut Value, path: &[Option<&str>]) {
    match (value, path) {
        (Value::Object(fields), [Some(key)]) => drop(fields.shift_remove(*key)),
        (Value::Array(items), [None]) => items.clear(),
        (Value::Object(fields), [Some(key), rest @ ..]) => {
            fields.get_mut(*key).into_iter().for_each(|value| drop_at(value, rest));
        }
        (Value::Array(items), [None, rest @ ..]) => items.iter_mut().for_each(|item| drop_at(item, rest)),
        _ => {}
    }
}

fn run(params: &Value, line: &str) -> String {
    let mut test = FilterTest::<Project>::open(&params.to_string()).expect("the parameters are valid");
    let outcome = test.run(&[line]).remove(0);
    let message = outcome.message(line.as_bytes()).expect("lines are never dropped");
    String::from_utf8(message.to_vec()).expect("the lines are UTF-8")
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

proptest! {
    #[test]
    fn dropped_fields_are_gone(
        object in any_object(any_value()), paths in proptest::collection::vec(any_path(), 1..4), pretty: bool,
    ) {
        let mut model = Value::Object(object);
        let line = if pretty { format!("{model:#}").replace('\n', " ") } else { model.to_string() };
        let params = json!({"drop": paths.iter().map(written).collect::<Vec<_>>(), "format": "json"});
        paths.iter().for_each(|path| drop_at(&mut model, path));
        prop_assert_eq!(parsed(&run(&params, &line)).to_string(), model.to_string());
    }

    #[test]
    fn kept_fields_are_all_that_is_left(
        object in any_object(any_value()), paths in proptest::collection::vec(any_path(), 1..4),
    ) {
        let model = Value::Object(object);
        let line = model.to_string();
        let params = json!({"keep": paths.iter().map(written).collect::<Vec<_>>(), "format": "json"});
        let rests: Vec<&[Option<&str>]> = paths.iter().map(Vec::as_slice).collect();
        let expected = kept(&model, &rests).unwrap_or_else(|| json!({}));
        // A kept field may be an empty object or array itself; what only became empty is left out.
        prop_assert_eq!(parsed(&run(&params, &line)).to_string(), expected.to_string());
    }

    #[test]
    fn renamed_fields_keep_place_and_value(object in any_object(any_value())) {
        let line = Value::Object(object.clone()).to_string();
        let params = json!({"rename": {"a": "b", "c": "new"}});
        let has_a = object.contains_key("a");
        let expected: Vec<(String, Value)> = object
            .into_iter()
            .filter(|(key, _)| !(has_a && key == "b"))
            .map(|(key, value)| match key.as_str() {
                "a" => ("b".to_owned(), value),
                "c" => ("new".to_owned(), value),
                _ => (key, value),
            })
            .collect();
        let expected = Value::Object(expected.into_iter().collect()).to_string();
        prop_assert_eq!(parsed(&run(&params, &line)).to_string(), expected);
    }

    #[test]
    fn any_bytes_pass_or_are_rewritten(line in proptest::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b':'), Just(b','), Just(b'a'),
            Just(b'\\'), Just(b'='), Just(b' '), any::<u8>()], 0..40)) {
        for params in [json!({"drop": ["a"]}), json!({"keep": ["a.b"]}), json!({"template": "{a}"}),
            json!({"keep": ["a"], "format": "logfmt"}), json!({"rename": {"a": "x"}})] {
            let mut test = FilterTest::<Project>::open(&params.to_string()).expect("valid");
            prop_assert_eq!(test.run(&[&line]).len(), 1);
        }
    }
}
