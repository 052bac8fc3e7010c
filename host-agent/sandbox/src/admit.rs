//! What is let in: a component is checked against the contract before any compiler sees it.
//!
//! Pure and bounded by the component's size: no engine, no file, no child process.

use sha2::{Digest, Sha256};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::engine::hex;
use crate::limits::SandboxLimits;
use crate::signature::{FUNCTIONS, spell};

/// The interface that a filter exports, without its version.
const FILTER: &str = "weir:filter/filter";
/// The one interface that a filter may import: it holds types only.
const PACKAGE: &str = "weir:filter/";
/// Version of the contract that this host speaks.
const VERSION: &str = "0.1.0";

/// A component that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// `sha256:` and the hexadecimal digest of the component.
    pub digest: String,
    /// Version of the contract that it was built for, such as `0.1.0`.
    pub world_version: String,
    /// Size in bytes.
    pub size: usize,
}

/// Why a component is refused: what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// Over [`SandboxLimits::component_bytes`].
    #[error("the component has {found} bytes; the limit component_bytes is {limit}")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No WebAssembly at all.
    #[error("this is not WebAssembly: it starts with {found}; expected a component in binary form")]
    NotWasm {
        /// The first bytes, as hexadecimal digits or a word.
        found: String,
    },
    /// A core module.
    #[error(
        "this is a core module; expected a component, which `weir filter adapt` or `wasm-tools component new` makes of it"
    )]
    CoreModule,
    /// Broken, or made with a WebAssembly feature that is switched off.
    #[error("the component is not valid: {problem}")]
    Invalid {
        /// What the validator says, with the offset.
        problem: String,
    },
    /// It imports something that is more than a type.
    #[error(
        "the component imports the {kind} `{name}`; a filter may import nothing but types, WASI included"
    )]
    Import {
        /// `interface#function`, or the plain name.
        name: String,
        /// What it is: function, resource, module, component or value.
        kind: &'static str,
    },
    /// It was built for another version of the contract.
    #[error("the component was built for `{found}`; this host expects `{FILTER}@{VERSION}`")]
    WorldVersion {
        /// Interface and version found.
        found: String,
    },
    /// It does not export the contract's interface.
    #[error("the component exports {found}; expected `{FILTER}@{VERSION}`")]
    World {
        /// The names of its exports.
        found: String,
    },
    /// The interface lacks a function.
    #[error("the component's `{interface}` has no function `{function}`")]
    MissingFunction {
        /// The interface as exported.
        interface: String,
        /// What is missing.
        function: &'static str,
    },
    /// A function of the interface has another type.
    #[error("the component's `{function}` is `{found}`; expected `{expected}`")]
    Signature {
        /// The function.
        function: &'static str,
        /// Its type, names of parameters left out; cut when long.
        found: String,
        /// The contract's type.
        expected: &'static str,
    },
}

/// What names a component: `sha256:` and hexadecimal digits.
pub fn digest(component: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(component)))
}

/// Checks a component without compiling it: size, form, imports, exports, version, types of functions.
///
/// # Errors
/// The first thing that is wrong.
pub fn admit(component: &[u8], limits: &SandboxLimits) -> Result<Admission, AdmissionError> {
    if component.len() > limits.component_bytes {
        return Err(AdmissionError::TooLarge { found: component.len(), limit: limits.component_bytes });
    }
    check_header(component)?;
    let mut found = Found::default();
    scan(component, &mut found).map_err(|error| AdmissionError::Invalid { problem: error.to_string() })?;
    if let Some(error) = found.refused {
        return Err(error);
    }
    let world_version = found.world_version?;
    Ok(Admission { digest: digest(component), world_version, size: component.len() })
}

fn check_header(component: &[u8]) -> Result<(), AdmissionError> {
    if !component.starts_with(b"\0asm") {
        let found = match component {
            [] => "nothing".to_owned(),
            bytes if bytes.starts_with(b"(") => "text (WAT)".to_owned(),
            bytes if bytes.starts_with(b"\x7fELF") => "an ELF header".to_owned(),
            bytes => format!("bytes {}", hex(&bytes[..bytes.len().min(4)])),
        };
        return Err(AdmissionError::NotWasm { found });
    }
    if Parser::is_core_wasm(component) {
        return Err(AdmissionError::CoreModule);
    }
    Ok(())
}

/// What the scan learns at the component's own level.
struct Found {
    refused: Option<AdmissionError>,
    world_version: Result<String, AdmissionError>,
}

impl Default for Found {
    fn default() -> Found {
        Found { refused: None, world_version: Err(AdmissionError::World { found: "nothing".to_owned() }) }
    }
}

fn scan(component: &[u8], found: &mut Found) -> wasmparser::Result<()> {
    let mut validator = Validator::new_with_features(features());
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    let mut depth = 0_usize;
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                debug_assert!(depth > 1 || *encoding == Encoding::Component);
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    exports.push(export?.name.name);
                }
            }
            _ => {}
        }
        let ends = matches!(payload, Payload::End(_));
        match validator.payload(&payload)? {
            wasmparser::ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(std::mem::take(&mut allocations));
                function.validate(&body)?;
                allocations = function.into_allocations();
            }
            wasmparser::ValidPayload::End(types) if depth == 1 => {
                judge(types.as_ref(), &imports, &exports, found);
            }
            _ => {}
        }
        if ends {
            depth = depth.saturating_sub(1);
        }
    }
    Ok(())
}

/// No features but the engine's, so that what passes here compiles.
fn features() -> WasmFeatures {
    let off = WasmFeatures::GC
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::THREADS
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::MEMORY64
        | WasmFeatures::MULTI_MEMORY;
    WasmFeatures::WASM3.difference(off) | WasmFeatures::COMPONENT_MODEL
}

fn judge(types: TypesRef<'_>, imports: &[&str], exports: &[&str], found: &mut Found) {
    for name in imports {
        let Some(item) = types.component_item_for_import(name) else {
            continue;
        };
        found.refused = check_import(types, name, &item.ty).err();
        if found.refused.is_some() {
            return;
        }
    }
    found.world_version = check_exports(types, exports);
}

fn check_import(types: TypesRef<'_>, name: &str, ty: &ComponentEntityType) -> Result<(), AdmissionError> {
    let refuse = |kind| Err(AdmissionError::Import { name: name.to_owned(), kind });
    match ty {
        ComponentEntityType::Instance(instance) => {
            check_version(name)?;
            for (member, item) in &types[*instance].exports {
                check_import(types, &format!("{name}#{member}"), &item.ty)?;
            }
            Ok(())
        }
        ComponentEntityType::Type { created, .. } => match created {
            wasmparser::component_types::ComponentAnyTypeId::Resource(_) => refuse("resource"),
            _ => Ok(()),
        },
        ComponentEntityType::Func(_) => refuse("function"),
        ComponentEntityType::Module(_) => refuse("module"),
        ComponentEntityType::Component(_) => refuse("component"),
        ComponentEntityType::Value(_) => refuse("value"),
    }
}

/// Refuses an interface of our package in a version that is not ours.
fn check_version(interface: &str) -> Result<(), AdmissionError> {
    match interface.strip_prefix(PACKAGE) {
        Some(_) if !is_compatible(interface) => {
            Err(AdmissionError::WorldVersion { found: interface.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Below 1.0 the minor version is the one that breaks.
fn is_compatible(interface: &str) -> bool {
    let minor = |version: &str| {
        let (minor, patch) = version.rsplit_once('.')?;
        patch.bytes().all(|byte| byte.is_ascii_digit()).then(|| minor.to_owned())
    };
    let version = interface.split_once('@').map(|(_, version)| version);
    version.and_then(minor).is_some_and(|found| Some(found) == minor(VERSION))
}

/// Finds the contract's interface and gives its version.
fn check_exports(types: TypesRef<'_>, exports: &[&str]) -> Result<String, AdmissionError> {
    let ours = |name: &&&str| name.split('@').next() == Some(FILTER);
    let candidates = exports.iter().filter(ours);
    let Some(name) = candidates.clone().find(|name| is_compatible(name)).or(candidates.clone().next()) else {
        let found = match exports {
            [] => "nothing".to_owned(),
            names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        return Err(AdmissionError::World { found });
    };
    check_version(name)?;
    let instance = match types.component_item_for_export(name).map(|item| &item.ty) {
        Some(ComponentEntityType::Instance(instance)) => &types[*instance],
        _ => {
            return Err(AdmissionError::World {
                found: format!("`{name}` as something other than an interface"),
            });
        }
    };
    for (function, expected) in FUNCTIONS {
        let Some(ComponentEntityType::Func(id)) = instance.exports.get(function).map(|item| item.ty) else {
            return Err(AdmissionError::MissingFunction { interface: (*name).to_owned(), function });
        };
        let found = spell(types, id);
        if found != expected {
            return Err(AdmissionError::Signature { function, found, expected });
        }
    }
    let version = name.split_once('@').map_or("", |(_, version)| version);
    Ok(version.to_owned())
}
