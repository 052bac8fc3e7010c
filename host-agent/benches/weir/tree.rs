//! The logs that are searched.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::logs;

/// Files of the many that together are as large as the one.
pub(crate) const FILES: usize = 500;

/// Where everything is.
pub(crate) struct Tree {
    /// One large file.
    pub(crate) cri: PathBuf,
    /// The same records as Docker writes them.
    pub(crate) json: PathBuf,
    /// The first eighth of the large file.
    pub(crate) gzip: PathBuf,
    /// [`FILES`] files in kubelet's layout.
    pub(crate) many: PathBuf,
    /// A file with nothing in it.
    pub(crate) empty: PathBuf,
}

impl Tree {
    /// Writes logs of `bytes` bytes each.
    pub(crate) fn write(dir: &Path, bytes: usize) -> Tree {
        let tree = Tree {
            cri: dir.join("cri.log"),
            json: dir.join("json.log"),
            gzip: dir.join("cri.log.gz"),
            many: dir.join("pods"),
            empty: dir.join("empty.log"),
        };
        std::fs::create_dir(dir).expect("a folder");
        tree.write_large(bytes).expect("room for the logs");
        for file in 0..FILES {
            let path = log_of_pod(&tree.many, file).expect("a folder");
            logs::write_cri(&path, bytes / FILES, file as u64 * 1_000_000, |_| Ok(()))
                .expect("room for the logs");
        }
        File::create(&tree.empty).expect("a file");
        tree
    }

    fn write_large(&self, bytes: usize) -> io::Result<()> {
        let mut json = BufWriter::new(File::create(&self.json)?);
        let mut gzip = GzEncoder::new(BufWriter::new(File::create(&self.gzip)?), Compression::default());
        let mut written = 0;
        logs::write_cri(&self.cri, bytes, 0, |line| {
            if written < bytes / 8 {
                gzip.write_all(line.as_bytes())?;
            }
            written += line.len();
            json.write_all(logs::json_line(line).as_bytes())
        })?;
        json.flush()?;
        gzip.finish()?.flush()
    }
}

/// The path of the log of pod number `pod` below `dir`, in a folder that is there.
pub(crate) fn log_of_pod(dir: &Path, pod: usize) -> io::Result<PathBuf> {
    let folder = dir.join(format!("ns_pod-{pod}_00000000-0000-0000-0000-{pod:012}/app"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join("0.log"))
}

/// A path of ours as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have names in UTF-8")
}
