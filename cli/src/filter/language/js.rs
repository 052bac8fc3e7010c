//! Filters in JavaScript: componentize-qjs puts them into a component with the engine QuickJS.

use std::process::Command;

use super::{Built, How, Language, Sdk, tool};
use crate::failure::Failure;
use crate::filter::project::Project;

/// See [`Language`].
pub(super) const LANGUAGE: Language = Language {
    name: "js",
    marker: "package.json",
    source: "filter.js",
    ignored: &[tool::SDK, "node_modules"],
    first: FIRST,
    sdk: Sdk::Files(FILES),
    sees_changes: false,
    build,
};

const FILES: &[(&str, &str)] = &[
    ("filter.wit", include_str!("../../../../wit/filter.wit")),
    ("finder.js", include_str!("../../../../sdk/js/finder.js")),
    ("params.js", include_str!("../../../../sdk/js/params.js")),
    ("utf8.js", include_str!("../../../../sdk/js/utf8.js")),
    ("weir.d.ts", include_str!("../../../../sdk/js/weir.d.ts")),
    ("weir.js", include_str!("../../../../sdk/js/weir.js")),
];

const FIRST: &str = "npm install";
/// The tool, in a project where that was run.
const TOOL: &str = "node_modules/.bin/componentize-qjs";

fn build(project: &Project, how: How) -> Result<Built, Failure> {
    let mut componentize = Command::new(project.dir.join(TOOL));
    componentize.args(["--wit", "weir/filter.wit", "--world", "log-filter", "--js", "filter.js"]);
    componentize.args(["--stub-wasi", "--sync"]);
    if !how.quick {
        componentize.arg("--minify");
    }
    componentize.arg("--output");
    tool::build(
        project,
        &mut componentize,
        how,
        &format!("it takes Node.js; run `{FIRST}` in the filter's folder first"),
    )
}
