//! Filters in Go: Go's own compiler makes a module for WASI, whose imports are answered here.

use std::process::Command;

use super::{Built, How, Language, Sdk, tool};
use crate::failure::Failure;
use crate::filter::project::Project;

/// See [`Language`].
pub(super) const LANGUAGE: Language = Language {
    name: "go",
    marker: "go.mod",
    source: "main.go",
    ignored: &[tool::SDK],
    first: "",
    sdk: Sdk::Files(FILES),
    sees_changes: false,
    build,
};

const FILES: &[(&str, &str)] = &[
    ("go.mod", include_str!("../../../../sdk/go/go.mod")),
    ("abi.go", include_str!("../../../../sdk/go/abi.go")),
    ("driver.go", include_str!("../../../../sdk/go/driver.go")),
    ("filter.go", include_str!("../../../../sdk/go/filter.go")),
    ("line.go", include_str!("../../../../sdk/go/line.go")),
    ("params.go", include_str!("../../../../sdk/go/params.go")),
];

fn build(project: &Project, how: How) -> Result<Built, Failure> {
    let mut go = Command::new("go");
    go.env("GOOS", "wasip1").env("GOARCH", "wasm").env_remove("GOFLAGS");
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"]);
    tool::build(project, &mut go, how, "install Go 1.24 or newer, see https://go.dev/doc/install")
}
