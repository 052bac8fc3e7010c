//! From a core module to a component: names out, types in.

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Makes a component of a core module that was built against the contract. What only people read of it is left out.
pub(super) fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let stripped = without_names(module).map_err(|error| error.to_string())?;
    let encode = || ComponentEncoder::default().module(&stripped)?.validate(true).encode();
    encode().map_err(|error| format!("{error:#}"))
}

/// The module without its names, debug information and marks of tools.
fn without_names(module: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(module.len());
    let mut done = 0;
    for payload in Parser::new(0).parse_all(module) {
        let (start, end) = match payload? {
            Payload::Version { range, .. } => (range.start, range.end),
            Payload::CustomSection(section) => {
                let name = section.name();
                let read = name == "name" || name == "producers" || name == "target_features";
                if read || name.starts_with(".debug") {
                    done = section.range().end;
                    continue;
                }
                (done, section.range().end)
            }
            other => match other.as_section() {
                Some((_, range)) => (done, range.end),
                None => continue,
            },
        };
        // A section's head, its number and length, stands between the one before it and its content.
        kept.extend_from_slice(&module[start.max(done)..end]);
        done = end;
    }
    Ok(kept)
}
