//! Builds the filters' workspace for wasm32 with a cargo of its own, encodes each filter as a component, and writes
//! the table that `src/lib.rs` includes. A filter over its size limit fails the build.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use lzma_rust2::{LzmaOptions, LzmaWriter};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";
/// Limit of a component, in bytes.
const SIZE: usize = 200_000;
/// Limit of one that carries a regex engine for its user's patterns: `package.metadata.weir.user-patterns`.
const SIZE_WITH_PATTERNS: usize = 350_000;

fn main() {
    if let Err(error) = bundle() {
        // Cargo shows it as the build's own error, whatever else the script has written.
        println!("cargo::error={}", format!("{error:#}").replace('\n', " "));
        std::process::exit(1);
    }
}

fn bundle() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let filters = fs::canonicalize("..").context("the filters' workspace is the folder above")?;
    let target_dir = target_dir(&out);

    let packages = packages(&filters)?;
    watch(&filters, &packages)?;
    let guests: BTreeMap<&str, &Package> =
        packages.iter().filter(|p| p.is_guest).map(|p| (p.name.as_str(), p)).collect();
    ensure!(!guests.is_empty(), "{} has no member that is a `cdylib`", filters.join("Cargo.toml").display());
    check_target_installed()?;
    build(&filters, &target_dir, &guests)?;

    let mut components = Vec::new();
    let mut table = String::from("static BUNDLED: &[Bundled] = &[\n");
    for (name, package) in guests {
        let module = target_dir.join(TARGET).join("release").join(format!("{}.wasm", package.library));
        let component =
            encode(&module).with_context(|| format!("{name}: no component comes of {}", module.display()))?;
        let limit = if package.takes_patterns { SIZE_WITH_PATTERNS } else { SIZE };
        ensure!(
            component.len() <= limit,
            "{name}: the component has {} bytes, over its limit of {limit}",
            component.len()
        );
        let (digest, offset, size) = (digest(&component), components.len(), component.len());
        writeln!(
            table,
            "    Bundled {{ name: {name:?}, digest: {digest:?}, offset: {offset}, size: {size} }},"
        )?;
        components.extend(component);
    }
    table.push_str("];\n");
    let file = out.join("components.lzma");
    fs::write(&file, compressed(&components)?).with_context(|| file.display().to_string())?;
    writeln!(table, "static COMPONENTS: &[u8] = include_bytes!({file:?});")?;
    fs::write(out.join("bundled.rs"), table).context("bundled.rs")
}

/// A member of the filters' workspace.
struct Package {
    /// Name of its folder, which is the filter's.
    name: String,
    /// What cargo calls it by.
    id: String,
    folder: PathBuf,
    /// Name of the library, as in file names.
    library: String,
    /// Whether it makes a component: other members are libraries of filters.
    is_guest: bool,
    takes_patterns: bool,
}

fn packages(filters: &Path) -> Result<Vec<Package>> {
    let output = cargo(filters)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata speaks JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    packages.iter().map(package).collect()
}

fn package(package: &Value) -> Result<Package> {
    let manifest = package["manifest_path"].as_str().context("a package has a manifest")?;
    let folder = Path::new(manifest).parent().context("a manifest lies in a folder")?.to_owned();
    let name = folder.file_name().context("the folder has a name")?.to_string_lossy().into_owned();
    let targets = package["targets"].as_array().map_or(&[][..], Vec::as_slice);
    let has_type =
        |target: &&Value| target["crate_types"].as_array().is_some_and(|t| t.iter().any(|t| t == "cdylib"));
    let guest = targets.iter().find(has_type);
    Ok(Package {
        library: guest.and_then(|t| t["name"].as_str()).unwrap_or_default().replace('-', "_"),
        is_guest: guest.is_some(),
        takes_patterns: package["metadata"]["weir"]["user-patterns"] == true,
        id: package["id"].as_str().context("a package has an id")?.to_owned(),
        name,
        folder,
    })
}

/// Has cargo run this script again when anything changes that goes into a guest.
fn watch(filters: &Path, packages: &[Package]) -> Result<()> {
    let repository = filters.parent().context("the filters lie in the repository")?;
    let mut watched: Vec<PathBuf> = vec!["build.rs".into(), "Cargo.toml".into()];
    watched.extend(["Cargo.toml", "Cargo.lock", ".cargo/config.toml"].map(|file| filters.join(file)));
    watched.extend(
        [
            "rust-toolchain.toml",
            "wit",
            "sdk/rust/Cargo.toml",
            "sdk/rust/src",
            "sdk/rust/macros/Cargo.toml",
            "sdk/rust/macros/src",
        ]
        .map(|path| repository.join(path)),
    );
    for package in packages {
        for entry in fs::read_dir(&package.folder).with_context(|| package.folder.display().to_string())? {
            let path = entry.with_context(|| package.folder.display().to_string())?.path();
            // What says what a filter does, but is not in it.
            let aside = ["tests", "README.md", "params.schema.json", "proptest-regressions"];
            if !path.file_name().is_some_and(|name| aside.iter().any(|&aside| name == aside)) {
                watched.push(path);
            }
        }
    }
    // A path that is not there would have the script run each time.
    for path in watched.iter().filter(|path| path.exists()) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    Ok(())
}

fn check_target_installed() -> Result<()> {
    let rustc = env::var_os("RUSTC").context("cargo sets RUSTC")?;
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("cannot run rustc")?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && Path::new(libraries.trim()).is_dir(),
        "the filters are compiled for {TARGET}, which this toolchain has not installed; run: rustup target add {TARGET}"
    );
    Ok(())
}

fn build(filters: &Path, target_dir: &Path, guests: &BTreeMap<&str, &Package>) -> Result<()> {
    // Paths of this machine in a guest would give each machine other components.
    let root = filters.parent().context("the filters lie in the repository")?;
    let mut flags =
        vec!["-Ctarget-feature=+simd128".to_owned(), format!("--remap-path-prefix={}=/weir", root.display())];
    let home =
        env::var("CARGO_HOME").ok().or_else(|| env::var("HOME").ok().map(|home| format!("{home}/.cargo")));
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));

    let mut cargo = cargo(filters);
    cargo
        .args(["build", "--release", "--locked", "--lib", "--target", TARGET, "--target-dir"])
        .arg(target_dir);
    for package in guests.values() {
        cargo.args(["--package", &package.id]);
    }
    let status = cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .status()
        .context("cannot run cargo build")?;
    ensure!(status.success(), "the filters do not compile; `cd filters && cargo build` shows why");
    Ok(())
}

/// A cargo that knows nothing of the build that runs this script: neither its flags, profiles and wrappers (clippy
/// is one) nor its target directory, whose lock is taken. What it may know is where crates come from, and the job
/// server.
fn cargo(folder: &Path) -> Command {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_BUILD_JOBS",
        "CARGO_MAKEFLAGS",
    ];
    const DROPPED: [&str; 9] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_",
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "OUT_DIR",
        "LLVM_PROFILE",
    ];
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo = text.trim_start_matches('_').starts_with("CARGO");
        let kept = KEPT.iter().any(|kept| text.starts_with(kept));
        if (of_cargo && !kept) || DROPPED.iter().any(|dropped| text.starts_with(dropped)) {
            command.env_remove(&name);
        }
    }
    command
}

/// A folder in the target directory for the guests of all profiles, or one of this build where none is found.
fn target_dir(out: &Path) -> PathBuf {
    // Cargo marks its target directories so that backups leave them out.
    // One for a target lies in the one of all.
    let marked = out.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").exists());
    marked.take(2).last().unwrap_or(out).join("guest")
}

fn encode(module: &Path) -> Result<Vec<u8>> {
    let module = fs::read(module)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}

/// All components as one.
fn compressed(components: &[u8]) -> Result<Vec<u8>> {
    let dict_size = u32::try_from(components.len()).context("they are far smaller")?.next_power_of_two();
    let options = LzmaOptions { dict_size, ..LzmaOptions::with_preset(9) };
    let mut writer = LzmaWriter::new_use_header(Vec::new(), &options, Some(components.len() as u64))?;
    writer.write_all(components)?;
    Ok(writer.finish()?)
}

fn digest(component: &[u8]) -> String {
    let digest: String = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}")
}
