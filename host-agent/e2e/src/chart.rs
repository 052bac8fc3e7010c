//! What the chart makes by default, as its golden file has it: `scripts/chart` sees to it that this is what helm renders.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/weir/examples/default.golden.yaml");

/// The objects of a kind, at least one.
pub(crate) fn objects(kind: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(FILE).context(FILE)?;
    let all = serde_norway::Deserializer::from_str(&text).map(Value::deserialize);
    let all = all.collect::<Result<Vec<_>, _>>().context(FILE)?;
    let all: Vec<Value> = all.into_iter().filter(|object| object["kind"] == kind).collect();
    ensure!(!all.is_empty(), "the chart makes no {kind}");
    Ok(all)
}

/// The object of a kind and name.
pub(crate) fn object(kind: &str, name: &str) -> Result<Value> {
    let found = objects(kind)?.into_iter().find(|object| object["metadata"]["name"] == name);
    found.with_context(|| format!("the chart makes no {kind} {name}"))
}
