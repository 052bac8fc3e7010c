//! Makes a filter that its toolchain could only build against WASI into a component that imports nothing, as the host
//! asks of every filter.
//!
//! - A core module becomes a component of the world `weir:filter/log-filter`: `module`. What it imports of WASI 0.1 is
//!   answered by a small module of ours, `preview1.wat`.
//! - A component that imports `wasi:*` is joined with one that exports the same interfaces, made from the imports' own
//!   types, so of any version of WASI 0.2: `stub`, `compose`.
//!
//! What WASI then answers, and what fails how, is told in `docs/languages.md` and decided in `preview1.wat` and
//! `answer`. Nothing here runs or compiles WebAssembly, and nothing reads or writes files.

mod answer;
mod compose;
mod module;
mod stub;

use std::borrow::Cow;

use wasmparser::Parser;
use wit_component::DecodedWasm;

/// Why no filter without imports comes of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// Neither a component nor a core module.
    #[error(
        "this is not WebAssembly in binary form; give a component, or a core module such as wasm32-wasip1 makes"
    )]
    NotWasm,
    /// It isn't what its header says.
    #[error("this is not valid WebAssembly: {0:#}")]
    Invalid(anyhow::Error),
    /// It needs something that is neither WASI nor a type.
    #[error(
        "`{name}` is imported, which is not WASI: nothing can stand in for it. A filter is a pure function of its lines; \
         build it without this import"
    )]
    Import {
        /// `interface#function`, or `module#name` of a core module.
        name: String,
    },
    /// It imports what WASI 0.3 has: functions that wait.
    #[error("`{name}` is imported, which is asynchronous (WASI 0.3); build the filter for WASI 0.2 or 0.1")]
    Asynchronous {
        /// `interface#function`.
        name: String,
    },
    /// A core module without the functions of a filter.
    #[error("the module is no filter of the world `weir:filter/log-filter`: {0:#}")]
    NoFilter(anyhow::Error),
    /// The pieces don't fit together.
    #[error("the component can't be joined with what answers its imports: {0:#}")]
    Join(anyhow::Error),
}

/// The filter as a component that imports nothing but types. One that is so already is given back as it is.
///
/// # Errors
/// What is no WebAssembly, no filter, or imports something else than WASI.
pub fn adapt(wasm: &[u8]) -> Result<Cow<'_, [u8]>, AdaptError> {
    if Parser::is_core_wasm(wasm) {
        return module::componentize(wasm).map(Cow::Owned);
    }
    if !Parser::is_component(wasm) {
        return Err(AdaptError::NotWasm);
    }
    let (mut resolve, world) = match wit_component::decode(wasm) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return Err(AdaptError::NotWasm),
        Err(error) => return Err(AdaptError::Invalid(error)),
    };
    if !stub::is_needed(&resolve, world)? {
        return Ok(Cow::Borrowed(wasm));
    }
    let exports: Vec<String> =
        resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)).collect();
    let (stub, interfaces) = stub::build(&mut resolve, world).map_err(AdaptError::Join)?;
    compose::join(wasm, &stub, &interfaces, &exports).map(Cow::Owned).map_err(AdaptError::Join)
}
