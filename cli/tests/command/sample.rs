//! Small log trees in kubelet's layout.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// A log root that goes with the test.
pub(crate) struct Tree {
    dir: TempDir,
}

impl Tree {
    /// An empty root.
    pub(crate) fn new() -> Tree {
        Tree { dir: tempfile::tempdir().expect("a folder for temporary files") }
    }

    /// Two pods in `shop`, one in `ops`; [`RECORDS`] records a minute apart, in turn, from 10:00 on. Each third
    /// is an error. The first pod's older half is a rotated gzip file.
    pub(crate) fn sample() -> Tree {
        let tree = Tree::new();
        let mut files = [Vec::new(), Vec::new(), Vec::new()];
        for number in 0..RECORDS {
            let (time, level) = (sample_time(number), if number % 3 == 2 { "error" } else { "info" });
            let message =
                format!("{{\"n\":{number},\"level\":\"{level}\",\"user\":\"u{number}@example.com\"}}");
            files[number % 3].push(format!("{time} stdout F {message}\n"));
        }
        let [web, api, ops] = files;
        let half = web.len() / 2;
        tree.gzip(&format!("{WEB}/nginx/0.log.20261124-103000.gz"), web[..half].concat().as_bytes());
        tree.write(&format!("{WEB}/nginx/0.log"), web[half..].concat());
        tree.write(&format!("{API}/app/2.log"), api.concat());
        tree.write(&format!("{OPS}/agent/0.log"), ops.concat());
        tree
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a path below the root")).expect("folders can be made");
        fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// Writes a gzip file.
    pub(crate) fn gzip(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.write(path, b"");
        let mut encoder =
            GzEncoder::new(File::create(&path).expect("a file can be made"), Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).expect("a file can be written");
        encoder.finish().expect("a file can be written");
        path
    }

    /// The root.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The root, for a command line.
    pub(crate) fn arg(&self) -> &str {
        self.dir.path().to_str().expect("folders for temporary files have plain names")
    }
}

/// Records of [`Tree::sample`].
pub(crate) const RECORDS: usize = 60;

const WEB: &str = "shop_web-0_0b9c7d1e-5a41-4c62-9f0e-1d2c3b4a5f60";
const API: &str = "shop_api-0_1c0d8e2f-6b52-4d73-8a1f-2e3d4c5b6a71";
const OPS: &str = "ops_node-agent-x1_2d1e9f30-7c63-4e84-9b20-3f4e5d6c7b82";

/// Time of the sample's record `number`.
pub(crate) fn sample_time(number: usize) -> String {
    format!("2026-11-24T10:{number:02}:00.000000001Z")
}

/// One file of CRI lines with these messages, a second apart.
pub(crate) fn cri(messages: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        bytes.extend_from_slice(format!("2026-11-24T10:00:{number:02}.5Z stdout F ").as_bytes());
        bytes.extend_from_slice(message);
        bytes.push(b'\n');
    }
    bytes
}
