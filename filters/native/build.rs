//! Makes the filter that `weir filter new --kind aggregate` begins with, which every language has, a part of this program.

use std::path::PathBuf;
use std::{env, fs};

const TEMPLATE: &str = "../../sdk/templates/rust/aggregate/src/lib.rs";

fn main() {
    println!("cargo:rerun-if-changed={TEMPLATE}");
    let text = fs::read_to_string(TEMPLATE).expect("the template is in this repository");
    // What is included can't have documentation of its own.
    let text =
        text.replace("{{name}}", "levels").replace("//!", "//").replace("\nstruct ", "\npub(crate) struct ");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("levels.rs"), text).expect("OUT_DIR can be written to");
}
