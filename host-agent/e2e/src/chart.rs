//! What the chart makes of its values examples, as their golden files have it: `scripts/chart` sees to it that this is what
//! helm renders.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/weir/examples");

/// The example with the chart's own values.
pub(crate) const DEFAULT: &str = "default";

/// The objects of a kind that the chart makes by default, at least one.
pub(crate) fn objects(kind: &str) -> Result<Vec<Value>> {
    objects_of(DEFAULT, kind)
}

/// The object of a kind and name that the chart makes of an example.
pub(crate) fn object(example: &str, kind: &str, name: &str) -> Result<Value> {
    let found = objects_of(example, kind)?.into_iter().find(|object| object["metadata"]["name"] == name);
    found.with_context(|| format!("the chart makes no {kind} {name} of its example {example}"))
}

fn objects_of(example: &str, kind: &str) -> Result<Vec<Value>> {
    let file = format!("{EXAMPLES}/{example}.golden.yaml");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    let all = serde_norway::Deserializer::from_str(&text).map(Value::deserialize);
    let all = all.collect::<Result<Vec<_>, _>>().context(file)?;
    let all: Vec<Value> = all.into_iter().filter(|object| object["kind"] == kind).collect();
    ensure!(!all.is_empty(), "the chart makes no {kind}");
    Ok(all)
}
