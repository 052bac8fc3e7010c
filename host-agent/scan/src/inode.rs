//! Which file stands behind a name, told so that neither a rename nor another file in its place confuses it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::reach::{LogPath, Opened};

/// A file on disk, whatever its name is. A deleted file's number is given to the next one that is made, often within
/// the same rotation, so the time of its birth belongs to it, where the file system tells one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inode {
    device: u64,
    number: u64,
    /// Nanoseconds since the epoch.
    born: Option<u64>,
}

impl Inode {
    /// The file that was looked at.
    pub fn of(metadata: &Metadata) -> Inode {
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|born| u64::try_from(born.as_nanos()).ok());
        Inode { device: metadata.dev(), number: metadata.ino(), born }
    }

    /// Opens this file, which had a name in the same directory as `path`, under the name it has now.
    pub(crate) fn find_beside(self, path: &LogPath) -> Option<Opened> {
        path.folder().entries().ok()?.into_iter().find_map(|entry| {
            let is_it = Inode::of(&entry.path.metadata().ok()?) == self;
            let opened = is_it.then(|| entry.path.open_regular())?.ok()?;
            (Inode::of(&opened.metadata) == self).then_some(opened)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_renamed_file_is_found_and_its_successor_in_the_same_inode_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (listed, renamed) = (dir.path().join("0.log"), dir.path().join("0.log.20260102-030405"));
        fs::write(&listed, "x").unwrap();
        let inode = Inode::of(&fs::metadata(&listed).unwrap());
        fs::rename(&listed, renamed).unwrap();
        let listed = LogPath::from(listed);
        assert!(inode.find_beside(&listed).is_some());
        let before = Inode { born: inode.born.map(|born| born - 1), ..inode };
        assert_eq!(before.find_beside(&listed).is_some(), inode.born.is_none());
    }
}
