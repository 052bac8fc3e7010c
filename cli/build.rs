//! Packs what `weir filter new` unpacks: the SDK with the sources of the crates that it needs, as one archive, and the
//! templates, as a table of files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// Files of the SDK that make it build, below its folder.
const SDK: [&str; 6] =
    ["Cargo.toml", "src", "macros/Cargo.toml", "macros/src", "golden/Cargo.toml", "golden/src"];
/// When all files of the archive were written: of equal files, cargo need not compile one twice.
const MTIME: u64 = 1_735_689_600;

fn main() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let sdk = fs::canonicalize("../sdk").context("the SDK is beside the command line")?;
    templates(&sdk.join("templates"), &out)?;
    kit(&sdk.join("rust"), &out)
}

/// Writes `templates.rs`: every file below `folder` as its path and its bytes.
fn templates(folder: &Path, out: &Path) -> Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut table = String::from("static TEMPLATES: &[(&str, &str)] = &[\n");
    for file in files(folder)? {
        let name = file.strip_prefix(folder).context("it lies below the folder")?;
        writeln!(table, "    ({:?}, include_str!({:?})),", name.to_string_lossy(), file)?;
    }
    table.push_str("];\n");
    fs::write(out.join("templates.rs"), table).context("templates.rs")
}

/// Writes `rust-kit.tar.gz`: a lock file and a folder for each crate that a filter in Rust builds from.
///
/// Which crates those are, and in which versions, cargo itself says, of a project that needs the SDK and has its lock
/// file.
fn kit(sdk: &Path, out: &Path) -> Result<()> {
    let project = out.join("kit");
    fs::create_dir_all(project.join("src")).context("kit")?;
    fs::write(project.join("src/lib.rs"), "").context("kit")?;
    fs::copy(sdk.join("Cargo.lock"), project.join("Cargo.lock")).context("Cargo.lock of the SDK")?;
    let manifest = format!(
        "[package]\nname = \"{{{{name}}}}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nweir-sdk = {{ path = {:?} }}\n",
        sdk
    );
    // Cargo takes no name with braces; this one stands for it and is in no crate's name.
    fs::write(project.join("Cargo.toml"), manifest.replace("{{name}}", PLACE)).context("kit")?;

    let packages = packages(&project)?;
    let file = fs::File::create(out.join("rust-kit.tar.gz")).context("rust-kit.tar.gz")?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::best()));
    let lock = fs::read_to_string(project.join("Cargo.lock")).context("kit: Cargo.lock")?;
    append(&mut archive, Path::new("Cargo.lock"), unsourced(&lock).replace(PLACE, "{{name}}").as_bytes())?;
    for (name, folder) in packages {
        let kept = if name == "weir-sdk" { sdk_files(sdk)? } else { crate_files(&folder)? };
        ensure!(!kept.is_empty(), "{name} has no files in {}", folder.display());
        for file in kept {
            let path = Path::new(&name).join(file.strip_prefix(&folder).context("it lies in its folder")?);
            let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
            append(&mut archive, &path, &bytes)?;
        }
    }
    archive.into_inner()?.finish().context("rust-kit.tar.gz")?;
    Ok(())
}

/// Stands for the name of a project.
const PLACE: &str = "weir-filter-to-be";

/// Name and folder of each crate, sorted, the macros left out: they are in the SDK's folder.
fn packages(project: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(project).args(["metadata", "--format-version", "1"]);
    let output = cargo.output().context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata speaks JSON")?;
    let mut packages = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists packages")? {
        let name = package["name"].as_str().context("a package has a name")?.to_owned();
        let manifest = Path::new(package["manifest_path"].as_str().context("a package has a manifest")?);
        let folder = manifest.parent().context("a manifest lies in a folder")?.to_owned();
        if name != PLACE && name != "weir-sdk-macros" {
            packages.push((name, folder));
        }
    }
    packages.sort();
    ensure!(packages.windows(2).all(|two| two[0].0 != two[1].0), "two versions of one crate: {packages:?}");
    Ok(packages)
}

/// A lock file whose crates lie in folders: without where else they come from.
fn unsourced(lock: &str) -> String {
    let is_source = |line: &&str| line.starts_with("source = ") || line.starts_with("checksum = ");
    lock.lines().filter(|line| !is_source(line)).flat_map(|line| [line, "\n"]).collect()
}

fn sdk_files(sdk: &Path) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for name in SDK {
        let path = sdk.join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        kept.extend(files(&path)?);
    }
    println!("cargo:rerun-if-changed={}", sdk.join("Cargo.lock").display());
    Ok(kept)
}

/// What of a published crate is compiled, and its licence.
fn crate_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let licence = ["LICEN", "COPYING", "UNLICENSE"].iter().any(|start| name.starts_with(start));
        if licence || ["Cargo.toml", "build.rs", "src"].contains(&name.as_str()) {
            kept.extend(files(&entry.path())?);
        }
    }
    kept.sort();
    Ok(kept)
}

/// A file, or all files below a folder, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        found.extend(files(&entry.with_context(|| path.display().to_string())?.path())?);
    }
    found.sort();
    Ok(found)
}

fn append<W: std::io::Write>(archive: &mut tar::Builder<W>, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(MTIME);
    archive.append_data(&mut header, path, bytes).with_context(|| path.display().to_string())
}
