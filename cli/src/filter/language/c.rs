//! Filters in C: the C compiler in zig makes a module for WASI, whose imports, where it has some, are answered here.

use std::process::Command;

use super::{Built, How, Language, Sdk, tool};
use crate::failure::Failure;
use crate::filter::project::Project;

/// See [`Language`].
pub(super) const LANGUAGE: Language = Language {
    name: "c",
    marker: "filter.c",
    source: "filter.c",
    ignored: &[tool::SDK],
    first: "",
    sdk: Sdk::Files(FILES),
    sees_changes: false,
    build,
};

const FILES: &[(&str, &str)] = &[
    ("weir.h", include_str!("../../../../sdk/c/weir.h")),
    ("internal.h", include_str!("../../../../sdk/c/internal.h")),
    ("abi.c", include_str!("../../../../sdk/c/abi.c")),
    ("json.c", include_str!("../../../../sdk/c/json.c")),
    ("params.c", include_str!("../../../../sdk/c/params.c")),
];

const INSTALL: &str = "run `python3 -m venv ~/.zig && . ~/.zig/bin/activate && pip install ziglang`, or put zig on \
                       the path (https://ziglang.org)";

fn build(project: &Project, how: How) -> Result<Built, Failure> {
    let mut zig = if tool::is_on_path("zig") {
        Command::new("zig")
    } else {
        let mut python = Command::new("python3");
        python.args(["-m", "ziglang"]);
        tool::check_runs(
            Command::new("python3").args(["-c", "import ziglang"]),
            "zig's C compiler",
            INSTALL,
        )?;
        python
    };
    zig.args([
        "cc",
        "-target",
        "wasm32-wasi",
        "-mexec-model=reactor",
        "-msimd128",
        "-std=c17",
        "-Wall",
        "-s",
        "-Wl,-z,stack-size=131072",
    ]);
    zig.args([if how.quick { "-O1" } else { "-O2" }, "-Iweir", "filter.c"]);
    zig.args(
        FILES
            .iter()
            .map(|(name, _)| name)
            .filter(|name| name.ends_with(".c"))
            .map(|name| format!("weir/{name}")),
    );
    zig.arg("-o");
    tool::build(project, &mut zig, how, INSTALL)
}
