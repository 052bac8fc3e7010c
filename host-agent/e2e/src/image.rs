//! A container image of one static program, written as the archive that `docker save` makes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::process::output;

/// The image's only name.
pub(crate) const NAME: &str = "weir.test/writer:1";

/// Writes an archive of an image with `program` as `/writer` into `dir`, and gives its path.
pub(crate) fn archive(program: &Path, dir: &Path) -> Result<PathBuf> {
    let root = dir.join("image-root");
    let parts = dir.join("image");
    fs::create_dir_all(&root)?;
    fs::create_dir_all(&parts)?;
    fs::copy(program, root.join("writer"))?;
    let tar = |from: &Path, to: &Path, files: &[&str]| {
        let flags = ["--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-cf"].map(Path::new);
        let places = [to, Path::new("-C"), from];
        output(Path::new("tar"), flags.into_iter().chain(places).chain(files.iter().map(Path::new)))
    };
    tar(&root, &parts.join("layer.tar"), &["writer"])?;
    let layer = Sha256::digest(fs::read(parts.join("layer.tar"))?);
    let layer: String = layer.iter().map(|byte| format!("{byte:02x}")).collect();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {"Entrypoint": ["/writer"], "Cmd": ["pause"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
    });
    fs::write(parts.join("config.json"), config.to_string())?;
    let manifest = json!([{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]);
    fs::write(parts.join("manifest.json"), manifest.to_string())?;
    let archive = dir.join("image.tar");
    tar(&parts, &archive, &["manifest.json", "config.json", "layer.tar"])?;
    Ok(archive)
}
