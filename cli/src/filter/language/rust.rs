//! Filters in Rust: cargo builds a core module, which is made a component here. The SDK and the crates that it needs
//! come out of this program, so that a new project builds without a network.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::{Built, Fill, How, Language, Sdk};
use crate::failure::Failure;
use crate::filter::project::Project;
use crate::filter::templates::filled;
use crate::filter::{code_size, component};

/// See [`Language`].
pub(super) const LANGUAGE: Language = Language {
    name: "rust",
    marker: "Cargo.toml",
    source: "src/lib.rs",
    ignored: &["target", "vendor"],
    first: "",
    sdk: Sdk::Own { fill, furnish },
    sees_changes: true,
    build,
};

const TARGET: &str = "wasm32-unknown-unknown";
/// The folder of a project that the kit is unpacked to.
const VENDOR: &str = "vendor";
/// The lock file and the crates; the build script packs them.
static KIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rust-kit.tar.gz"));

/// Profile of builds that have to be there soon: without what takes a linker seconds.
const QUICK: [&str; 5] = [
    "profile.weir-quick.inherits=\"release\"",
    "profile.weir-quick.opt-level=1",
    "profile.weir-quick.lto=\"off\"",
    "profile.weir-quick.codegen-units=16",
    "profile.weir-quick.incremental=true",
];

fn kit() -> tar::Archive<GzDecoder<&'static [u8]>> {
    tar::Archive::new(GzDecoder::new(KIT))
}

/// The crates of the kit as lines of `[patch.crates-io]`, and the SDK's version.
fn fill() -> Result<Fill, Failure> {
    let broken =
        |error: io::Error| Failure::failed(format!("the SDK in this program can't be read: {error}"));
    let mut crates: Vec<String> = Vec::new();
    for entry in kit().entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?;
        let mut parts = path.iter();
        let name = parts.next().unwrap_or_default().to_string_lossy().into_owned();
        if parts.next().is_some() && !crates.contains(&name) {
            crates.push(name);
        }
    }
    let patches = crates.iter().map(|name| format!("{name} = {{ path = \"{VENDOR}/{name}\" }}\n")).collect();
    // The SDK has the version of this program: both are of one repository.
    Ok(vec![("patches", patches), ("sdk", env!("CARGO_PKG_VERSION").to_owned())])
}

fn furnish(dir: &Path, name: &str) -> Result<(), Failure> {
    let vendor = dir.join(VENDOR);
    let failed = |error: io::Error| Failure::failed(format!("{}: {error}", vendor.display()));
    kit().unpack(&vendor).map_err(failed)?;
    if vendor.join(name).is_dir() {
        return Err(Failure::refused(format!(
            "'{name}' is the name of a crate that filters in Rust need; give another name"
        )));
    }
    let packed = vendor.join("Cargo.lock");
    let lock = fs::read_to_string(&packed).map_err(failed)?;
    fs::write(dir.join("Cargo.lock"), sorted(&filled(&lock, &[("name", name)]))).map_err(failed)?;
    fs::remove_file(packed).map_err(failed)
}

/// A lock file with its packages in the order in which cargo would write them.
fn sorted(lock: &str) -> String {
    const HEAD: &str = "[[package]]\n";
    let mut parts = lock.split(HEAD);
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
    packages.sort_unstable();
    format!(
        "{head}{}\n",
        packages.iter().map(|package| format!("{HEAD}{package}")).collect::<Vec<_>>().join("\n\n")
    )
}

fn build(project: &Project, how: How) -> Result<Built, Failure> {
    check_target(&project.dir)?;
    let module = run_cargo(project, how)?;
    let bytes =
        fs::read(&module).map_err(|error| Failure::failed(format!("{}: {error}", module.display())))?;
    let not_passed = |problem: String| {
        Failure::NotPassed(format!(
            "{}: no component comes of it: {problem}; does its crate export a filter, with #[filter(...)]?",
            project.dir.display()
        ))
    };
    Ok(Built {
        component: component::encode(&bytes).map_err(not_passed)?,
        origins: code_size::by_crate(&bytes).map_err(not_passed)?,
    })
}

fn program() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Builds the project's library, and gives the file of the module.
fn run_cargo(project: &Project, how: How) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new(program());
    cargo
        .current_dir(&project.dir)
        .args(["build", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        // Names are taken out here, after a look at them.
        .args(["--config", "profile.release.strip=\"debuginfo\""])
        .args(["--config", &format!("target.{TARGET}.rustflags=[\"-C\", \"target-feature=+simd128\"]")])
        // Flags for this machine's programs are none for a filter.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if how.quick {
        QUICK.iter().for_each(|setting| {
            cargo.args(["--config", setting]);
        });
        cargo.args(["--profile", "weir-quick"]);
    } else {
        cargo.arg("--release");
    }
    if how.quiet {
        cargo.arg("--quiet");
    }
    let output = cargo.stderr(Stdio::inherit()).output().map_err(no_cargo)?;
    if !output.status.success() {
        return Err(Failure::NotPassed(format!("{} does not build", project.dir.display())));
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    messages.filter_map(|line| artifact(&serde_json::from_slice(line).ok()?)).next_back().ok_or_else(|| {
        Failure::NotPassed(format!(
            "{}: its library is no `cdylib`; put `[lib] crate-type = [\"cdylib\", \"rlib\"]` into Cargo.toml",
            project.dir.display()
        ))
    })
}

/// The module that a message of cargo tells of.
fn artifact(message: &Value) -> Option<PathBuf> {
    let kinds = message["target"]["crate_types"].as_array()?;
    let ours = message["reason"] == "compiler-artifact" && kinds.iter().any(|kind| kind == "cdylib");
    let files = message["filenames"].as_array().filter(|_| ours)?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

fn no_cargo(error: io::Error) -> Failure {
    Failure::failed(format!("cargo can't be run ({error}); install Rust as https://rustup.rs says"))
}

/// Says how to install the target, which rustc itself would say less plainly.
fn check_target(dir: &Path) -> Result<(), Failure> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(dir)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(no_cargo)?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "filters are compiled for {TARGET}, which this Rust has not installed; run: rustup target add {TARGET}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kit_has_the_sdk_and_what_it_needs() {
        let fill = fill().expect("the kit can be read");
        let patches = &fill.iter().find(|(place, _)| *place == "patches").expect("it is filled in").1;
        for name in ["weir-sdk", "memchr", "syn"] {
            assert!(patches.contains(&format!("{name} = {{ path = \"vendor/{name}\" }}\n")), "{patches}");
        }
        assert!(KIT.len() < 700_000, "the kit has grown to {} bytes: what has come into it?", KIT.len());
    }

    #[test]
    fn packages_of_a_lock_file_are_sorted() {
        let lock = "version = 4\n\n[[package]]\nname = \"z\"\n\n[[package]]\nname = \"b\"\n";
        assert_eq!(sorted(lock), "version = 4\n\n[[package]]\nname = \"b\"\n\n[[package]]\nname = \"z\"\n");
    }
}
