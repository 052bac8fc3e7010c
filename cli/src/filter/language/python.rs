//! Filters in Python: componentize-py puts them into a component with CPython.

use std::ffi::OsString;
use std::process::Command;

use super::{Built, How, Language, Sdk, tool};
use crate::failure::Failure;
use crate::filter::project::Project;

/// See [`Language`].
pub(super) const LANGUAGE: Language = Language {
    name: "python",
    marker: "filter.py",
    source: "filter.py",
    ignored: &[tool::SDK, VENV, "__pycache__"],
    first: FIRST,
    sdk: Sdk::Files(FILES),
    sees_changes: false,
    build,
};

const FILES: &[(&str, &str)] = &[
    ("filter.wit", include_str!("../../../../wit/filter.wit")),
    ("__init__.py", include_str!("../../../../sdk/python/__init__.py")),
    ("contract.py", include_str!("../../../../sdk/python/contract.py")),
    ("filters.py", include_str!("../../../../sdk/python/filters.py")),
    ("params.py", include_str!("../../../../sdk/python/params.py")),
    ("regex.py", include_str!("../../../../sdk/python/regex.py")),
];

const FIRST: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
/// The project's own environment of Python.
const VENV: &str = ".venv";
const TOOL: &str = "componentize-py";

fn build(project: &Project, how: How) -> Result<Built, Failure> {
    let own = project.dir.join(VENV).join("bin").join(TOOL);
    let tool = if own.is_file() { own.into_os_string() } else { OsString::from(TOOL) };
    let mut componentize = Command::new(tool);
    componentize.args(["--wit-path", "weir/filter.wit", "--world", "log-filter"]);
    // No import of WASI is left, and none has to be answered.
    componentize.args(["componentize", "filter", "--stub-wasi", "--output"]);
    tool::build(project, &mut componentize, how, &format!("run `{FIRST}` in the filter's folder first"))
}
