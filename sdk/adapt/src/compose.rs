//! A component and the one that answers its imports become one component.

use anyhow::Result;
use wasm_encoder::{ComponentBuilder, ComponentExportKind};

/// The interface that makes a component a filter, and the types that it speaks of: all that is left to see from outside.
const PACKAGE: &str = "weir:filter/";

/// Joins `filter` with `stub`, which exports everything that it imports, `interfaces`. `exports` are the filter's.
pub(crate) fn join(filter: &[u8], stub: &[u8], interfaces: &[String], exports: &[String]) -> Result<Vec<u8>> {
    let mut outer = ComponentBuilder::default();
    let stub = outer.component_raw(None, stub);
    let filter = outer.component_raw(None, filter);
    let answers = outer.instantiate(None, stub, Vec::<(&str, ComponentExportKind, u32)>::new());
    let mut arguments = Vec::new();
    for name in interfaces {
        let mut instance = outer.alias_export(answers, name, ComponentExportKind::Instance);
        if name.starts_with(PACKAGE) {
            // The filter's functions may only speak of types that have a name outside.
            instance = outer.export(name.as_str(), ComponentExportKind::Instance, instance, None);
        }
        arguments.push((name.as_str(), ComponentExportKind::Instance, instance));
    }
    let filter = outer.instantiate(None, filter, arguments);
    for name in exports.iter().filter(|name| name.starts_with(PACKAGE)) {
        let instance = outer.alias_export(filter, name, ComponentExportKind::Instance);
        outer.export(name.as_str(), ComponentExportKind::Instance, instance, None);
    }
    let joined = outer.finish();
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&joined)?;
    Ok(joined)
}
