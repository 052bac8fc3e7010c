//! A core module becomes a component. It may carry its world with it, as `wit-bindgen` has it; a module without one is
//! taken to be a filter, which is what lets C and Go do without a tool of their own.

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::AdaptError;

/// Name of the module that WASI 0.1's functions are imported from.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// What answers them. It uses the memory of the module that calls.
const ANSWERS: &str = include_str!("preview1.wat");
/// The contract, whose world a module without one of its own is given.
const WIT: &str = include_str!("../../../wit/filter.wit");

/// The module as a component that imports no function.
pub(crate) fn componentize(module: &[u8]) -> Result<Vec<u8>, AdaptError> {
    let found = Found::of(module)?;
    let mut module = module.to_vec();
    if !found.has_world {
        embed_world(&mut module).map_err(AdaptError::Invalid)?;
    }
    let answers = wat::parse_str(ANSWERS).expect("the tests parse it");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.adapter(PREVIEW1, &answers))
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(AdaptError::NoFilter)
}

/// What the module says of itself.
struct Found {
    has_world: bool,
}

impl Found {
    fn of(module: &[u8]) -> Result<Found, AdaptError> {
        let invalid = |error: wasmparser::BinaryReaderError| AdaptError::Invalid(error.into());
        let mut has_world = false;
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(invalid)? {
                Payload::CustomSection(section) => has_world |= section.name().starts_with("component-type"),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(invalid)?;
                        if import.module != PREVIEW1 {
                            return Err(AdaptError::Import {
                                name: format!("{}#{}", import.module, import.name),
                            });
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(Found { has_world })
    }
}

fn embed_world(module: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("filter.wit", WIT)?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}
