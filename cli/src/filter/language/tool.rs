//! What languages have in common whose tool is a program of somebody else: it is found, run, and what it writes is read;
//! and their SDKs are files that are written into a project.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Built, How};
use crate::failure::Failure;
use crate::filter::project::Project;

/// The folder of a project that its SDK lies in.
pub(super) const SDK: &str = "weir";

/// Writes the files of an SDK.
pub(super) fn furnish(dir: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    let sdk = dir.join(SDK);
    let failed = |path: &Path, error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
    fs::create_dir_all(&sdk).map_err(|error| failed(&sdk, error))?;
    for (name, text) in files {
        let path = sdk.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Runs a project's tool in its folder, with `output`, where it writes, at the end of its arguments, and makes a component
/// without imports of that. `install` says how to get the tool.
pub(super) fn build(
    project: &Project,
    tool: &mut Command,
    how: How,
    install: &str,
) -> Result<Built, Failure> {
    let folder =
        tempfile::tempdir().map_err(|error| Failure::failed(format!("no temporary folder: {error}")))?;
    let output: PathBuf = folder.path().join("filter.wasm");
    tool.current_dir(&project.dir).arg(&output).stdin(Stdio::null());
    if how.quiet {
        tool.stdout(Stdio::null());
    } else {
        tool.stdout(io::stderr());
    }
    let status = tool.status().map_err(|error| {
        Failure::failed(format!("{} can't be run ({error}); {install}", tool.get_program().display()))
    })?;
    if !status.success() {
        return Err(Failure::NotPassed(format!("{} does not build", project.dir.display())));
    }
    let wasm =
        fs::read(&output).map_err(|error| Failure::failed(format!("{}: {error}", output.display())))?;
    let component = weir_adapt::adapt(&wasm)
        .map_err(|error| {
            Failure::NotPassed(format!("{}: no component comes of it: {error}", project.dir.display()))
        })?
        .into_owned();
    Ok(Built { component, origins: Vec::new() })
}

/// Refuses to go on where a command fails that does nothing but need a tool. `install` says how to get that.
pub(super) fn check_runs(command: &mut Command, tool: &str, install: &str) -> Result<(), Failure> {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match silent.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::failed(format!("{tool} is not installed; {install}"))),
    }
}

/// Whether a program of that name is found on the path.
pub(super) fn is_on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}
