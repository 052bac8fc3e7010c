//! The contract as Rust types and calls, made from `wit/filter.wit` when the crate is built.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "log-filter",
});
