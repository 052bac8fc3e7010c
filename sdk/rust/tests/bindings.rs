//! That `src/glue/bindings.rs` is what `wit-bindgen` makes of the contract. It is kept in the repository so that a
//! filter builds without the generator, whose sources are some fifty times as large as the SDK.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::Opts;

/// Set, the file is written instead of compared.
const UPDATE: &str = "WEIR_UPDATE_GOLDEN";

#[test]
fn the_bindings_are_of_the_contract() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root.join("../../wit")).expect("the contract parses");
    let world = resolve.select_world(&[package], Some("log-filter")).expect("the contract has its world");
    let options = Opts {
        format: true,
        pub_export_macro: true,
        export_macro_name: Some("__export_log_filter".to_owned()),
        runtime_path: Some("::weir_sdk::glue::rt".to_owned()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("the contract has bindings");
    let (_, generated) = files.iter().next().expect("one file is generated");
    let generated = std::str::from_utf8(generated).expect("it is text");

    let file = root.join("src/glue/bindings.rs");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, generated).expect("the bindings can be written");
    }
    let kept = std::fs::read_to_string(&file).expect("the bindings can be read");
    assert!(
        kept == generated,
        "{} is of another contract or generator; {UPDATE}=1 writes it",
        file.display()
    );
}
