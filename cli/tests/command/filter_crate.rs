//! A filter with a crate from crates.io beside what `weir` brings along: it builds, and what makes it large is named.

use std::fs;
use std::path::Path;

use crate::program::Weir;

const SOURCE: &str = r#"
use std::sync::LazyLock;

use regex::bytes::Regex;
use weir_sdk::prelude::*;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new("ERROR|panic|[0-9]{5}").expect("it is valid"));

/// Keeps lines that match
#[filter(name = "x")]
fn x(line: Line<'_>) -> bool {
    PATTERN.is_match(line.message())
}
"#;

const CASES: &str = "- lines: [an ERROR, order 12345, nothing]\n  expect: [keep, keep, drop]\n";

#[test]
fn a_crate_from_crates_io_is_built_in_and_told_where_it_is_large() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("filter-crate");
    if root.join("x").exists() {
        fs::remove_dir_all(root.join("x")).expect("a folder can be removed");
    }
    fs::create_dir_all(&root).expect("a folder can be made");
    // Cargo has it from the build of this workspace, whose lock file says in which version.
    let weir = |dir: &Path, args: &[&str]| {
        let weir = Weir::new(args).in_dir(dir).env("CARGO_TARGET_DIR", root.join("target"));
        weir.env("CARGO_NET_OFFLINE", "true").run()
    };
    weir(&root, &["filter", "new", "x"]).exits(0);
    let dir = root.join("x");
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).expect("it is there");
    let manifest = manifest.replacen(
        "[dependencies]\n",
        "[dependencies]\nregex = { version = \"1\", default-features = false, features = [\"std\"] }\n",
        1,
    );
    fs::write(dir.join("Cargo.toml"), manifest).expect("it is written");
    fs::write(dir.join("src/lib.rs"), SOURCE).expect("it is written");
    fs::write(dir.join("tests/cases.yaml"), CASES).expect("it is written");
    let built = weir(&dir, &["filter", "build"]).exits(0);
    built.says(&["warning: the component has", "over 195.3 KiB", "most of its code is of regex_"]);
    // Made-up lines are none of its matter: that crate without its speed takes long for a line of a MiB.
    let tested = weir(&dir, &["filter", "test", "--fuzz", "0"]).exits(0);
    assert!(tested.stdout().contains("1 golden case passed, 0 failed"), "{}", tested.stdout());
    let small = weir(&root, &["filter", "inspect", "x/x.wasm", "-o", "jsonl"]).exits(0).objects();
    assert!(small[0]["size"].as_u64().is_some_and(|size| size > 200_000), "{small:?}");
}
