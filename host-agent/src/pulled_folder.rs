//! Pulled components on disk, so that an agent that starts has them while their registry is away. Each is a component and
//! its signature file, as `weir filter pull` writes it, under the digest of the manifest that they were pulled by. Nothing here is
//! believed: all is checked against that digest when it is read.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use weir_config::read_file;
use weir_registry::Artifact;
use weir_trust::{Digest, SIGNATURE_BYTES, Signature, filter_layer};

/// The folder, in the agent's cache folder.
#[derive(Clone, Debug)]
pub(crate) struct PulledFolder(PathBuf);

impl PulledFolder {
    /// The one of a cache folder. Nothing is made yet.
    pub(crate) fn of(cache: &Path) -> PulledFolder {
        PulledFolder(cache.join("pulled"))
    }

    /// The artifact of that digest, if it is there, whole, and its component no larger than `most` bytes. Blocks.
    pub(crate) fn find(&self, digest: Digest, most: u64) -> Option<Artifact> {
        match self.read(digest, most) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%digest, %error, folder = %self.0.display(), "a pulled filter isn't used from disk");
                None
            }
        }
    }

    fn read(&self, digest: Digest, most: u64) -> io::Result<Artifact> {
        let wrong = |reason: &str| io::Error::other(reason.to_owned());
        let [component, signature] = self.paths(digest);
        let signature =
            Signature::parse(&read_file(&signature, SIGNATURE_BYTES as u64)?).map_err(io::Error::other)?;
        let Signature::Artifact { manifest, signatures } = signature else {
            return Err(wrong("its signature file is of no artifact"));
        };
        if Digest::of(&manifest) != digest {
            return Err(wrong("its manifest is another one"));
        }
        let (layer, size) = filter_layer(&manifest).map_err(io::Error::other)?;
        if size > most {
            return Err(wrong("it is larger than components may be"));
        }
        let component = read_file(&component, size)?;
        match component.len() as u64 == size && Digest::of(&component) == layer {
            true => Ok(Artifact { component, manifest, signatures }),
            false => Err(wrong("its component is another one")),
        }
    }

    /// Keeps an artifact. Blocks.
    ///
    /// # Errors
    /// What the system says; a signature file that would be too large to be read.
    pub(crate) fn keep(&self, digest: Digest, artifact: &Artifact) -> io::Result<()> {
        let [component, signature] = self.paths(digest);
        let encoded = encoded(artifact);
        if encoded.len() > SIGNATURE_BYTES {
            return Err(io::Error::other(format!(
                "its manifest and signatures have over {SIGNATURE_BYTES} bytes"
            )));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        self.write(&signature, &encoded)?;
        self.write(&component, &artifact.component)
    }

    /// Deletes all but these. Blocks.
    pub(crate) fn prune(&self, wanted: &BTreeSet<Digest>) {
        let wanted: BTreeSet<String> = wanted.iter().map(Digest::hex).collect();
        let delete = || -> io::Result<()> {
            for entry in fs::read_dir(&self.0)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let stem = name.trim_start_matches('.').split('.').next().unwrap_or_default();
                if !wanted.contains(stem) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        match delete() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %self.0.display(), "pulled filters that nobody names any more can't be deleted");
            }
            _ => {}
        }
    }

    /// Writes a file, all or nothing.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let name = path.file_name().expect("it has a name").to_string_lossy();
        let new = self.0.join(format!(".{name}.new"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        fs::rename(new, path)
    }

    fn paths(&self, digest: Digest) -> [PathBuf; 2] {
        ["wasm", "wasm.sig"].map(|end| self.0.join(format!("{}.{end}", digest.hex())))
    }
}

/// An artifact's signatures, with its manifest, as a signature file has them.
pub(crate) fn encoded(artifact: &Artifact) -> Vec<u8> {
    let Artifact { manifest, signatures, .. } = artifact.clone();
    Signature::Artifact { manifest, signatures }.encode()
}

#[cfg(test)]
mod tests {
    use weir_trust::{SignedPayload, WASM_CONFIG, WASM_LAYER};

    use super::*;

    fn artifact(component: &[u8]) -> (Digest, Artifact) {
        let (digest, size) = (Digest::of(component), component.len());
        let manifest = format!(
            r#"{{"config":{{"mediaType":"{WASM_CONFIG}"}},"layers":[{{"mediaType":"{WASM_LAYER}","digest":"{digest}","size":{size}}}]}}"#
        );
        let signatures = vec![SignedPayload { payload: b"p".to_vec(), signature: b"s".to_vec() }];
        let manifest = manifest.into_bytes();
        (Digest::of(&manifest), Artifact { component: component.to_vec(), manifest, signatures })
    }

    #[test]
    fn what_is_kept_is_found_until_nobody_wants_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = PulledFolder::of(dir.path());
        folder.prune(&BTreeSet::new());
        let ((one, first), (two, second)) = (artifact(b"one"), artifact(b"two"));
        assert_eq!(folder.find(one, 100), None);
        folder.keep(one, &first).expect("it can be written");
        folder.keep(two, &second).expect("it can be written");
        assert_eq!((folder.find(one, 3), folder.find(two, 3)), (Some(first.clone()), Some(second)));
        assert_eq!(folder.find(one, 2), None, "it is larger than it may be");
        folder.prune(&BTreeSet::from([one]));
        assert_eq!((folder.find(one, 3), folder.find(two, 3)), (Some(first), None));
        assert_eq!(fs::read_dir(&folder.0).expect("the folder").count(), 2);
    }

    #[test]
    fn what_was_changed_on_disk_is_not_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = PulledFolder::of(dir.path());
        let ((digest, whole), (_, other)) = (artifact(b"one"), artifact(b"two"));
        let [component, signature] = folder.paths(digest);
        for (path, content) in [
            (&component, b"onf".to_vec()),
            (&component, b"on".to_vec()),
            (&component, b"onee".to_vec()),
            (&signature, encoded(&other)),
            (&signature, b"AAAA".to_vec()),
            (&signature, b"{".to_vec()),
            (&signature, vec![b'A'; SIGNATURE_BYTES + 1]),
        ] {
            folder.keep(digest, &whole).expect("it can be written");
            assert!(folder.find(digest, 100).is_some());
            fs::write(path, &content).expect("it can be written");
            assert_eq!(
                folder.find(digest, 100),
                None,
                "{}",
                String::from_utf8_lossy(&content[..content.len().min(99)])
            );
        }
    }
}
