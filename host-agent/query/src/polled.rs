//! Directories with files that are written to all the time: they are looked at in every round in place of being
//! watched for writes, since the kernel tells each write by an event of its own.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use weir_scan::LogPath;

use crate::watch::{Watcher, Writes};

/// Events for writes in one directory between two rounds from which on it is polled.
const MANY_WRITES: usize = 3;

/// The polled directories, spelt as in the sets of logs.
#[derive(Default)]
pub(crate) struct Polled {
    dirs: HashMap<OsString, Looks>,
}

/// What came of the looks at the files of one directory in this round.
#[derive(Default)]
struct Looks {
    /// There were some.
    any: bool,
    /// A file had grown.
    grew: bool,
}

impl Polled {
    /// Begins a round: polls the directories with many of the `writes`, and has those watched again in which
    /// nothing had grown when they were looked at. These are added to the writes, since a last one may have come before
    /// they were watched.
    pub(crate) fn begin_round(&mut self, watcher: &mut Watcher, writes: &mut Writes) {
        self.dirs.retain(|dir, looks| {
            let is_quiet = looks.any && !looks.grew;
            if is_quiet {
                watcher.unmute(Path::new(dir));
                writes.entry(dir.clone()).or_default();
            }
            *looks = Looks::default();
            !is_quiet
        });
        for (dir, events) in writes.iter() {
            if *events >= MANY_WRITES && !self.dirs.contains_key(dir) {
                watcher.mute(Path::new(dir));
                self.dirs.insert(dir.clone(), Looks::default());
            }
        }
    }

    /// Whether one of the directories is polled.
    pub(crate) fn has_any_of(&self, dirs: &[LogPath]) -> bool {
        dirs.iter().any(|dir| self.dirs.contains_key(dir.as_os_str()))
    }

    /// Notes that files in the directories were looked at, and whether one had grown.
    pub(crate) fn note(&mut self, dirs: &[LogPath], grew: bool) {
        for dir in dirs {
            if let Some(looks) = self.dirs.get_mut(dir.as_os_str()) {
                looks.any = true;
                looks.grew |= grew;
            }
        }
    }

    /// Polls none but the directories that `wanted` says: the others aren't watched any more either.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&OsStr) -> bool) {
        self.dirs.retain(|dir, _| wanted(dir));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use super::*;

    /// Writes to two files in turn, or the kernel would make one event of several.
    fn write(files: &mut [File; 2]) {
        for _ in 0..MANY_WRITES {
            files.iter_mut().for_each(|file| file.write_all(b"x").expect("written"));
        }
    }

    #[test]
    fn a_busy_directory_is_polled_until_nothing_more_is_written() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().to_owned();
        let mut files = ["0.log", "1.log"].map(|name| File::create(dir.join(name)).expect("made"));
        let (mut polled, mut watcher) = (Polled::default(), Watcher::new());
        watcher.watch(&dir);
        let dirs = [dir.clone()];
        let mut round = |polled: &mut Polled| {
            let mut writes = watcher.take().writes;
            polled.begin_round(&mut watcher, &mut writes);
            (writes.contains_key(dir.as_os_str()), polled.has_any_of(&dirs))
        };

        files[0].write_all(b"x").expect("written");
        assert_eq!(round(&mut polled), (true, false), "a few writes are told");
        write(&mut files);
        assert_eq!(round(&mut polled), (true, true));
        write(&mut files);
        polled.note(&dirs, true);
        assert_eq!(round(&mut polled), (false, true), "many aren't");
        assert_eq!(round(&mut polled), (false, true), "nobody had a look, so nothing is known");
        polled.note(&dirs, false);
        polled.note(&dirs, true);
        assert_eq!(round(&mut polled), (false, true), "one of its files had grown");
        polled.note(&dirs, false);
        assert_eq!(round(&mut polled), (true, false), "looked at once more when it is watched again");
        assert_eq!(round(&mut polled), (false, false));
        files[1].write_all(b"x").expect("written");
        assert_eq!(round(&mut polled), (true, false));

        write(&mut files);
        assert_eq!(round(&mut polled), (true, true));
        polled.keep(|kept| kept != dir.as_os_str());
        assert_eq!(round(&mut polled), (false, false));
        fs::remove_dir_all(&dir).expect("removed");
        assert_eq!(round(&mut polled), (false, false));
    }
}
