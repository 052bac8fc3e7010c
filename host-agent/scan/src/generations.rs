//! The generations of one container's log: the live file and its rotated ones, told apart by name.

use std::collections::BTreeMap;
use std::io;

use crate::inode::Inode;
use crate::reach::{Entry, LogPath};
use crate::source::{Input, LogFile};

/// How old a file of a set is, by its name. Orders from old to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    /// Numbered by Docker: the larger, the older.
    Numbered(std::cmp::Reverse<u64>),
    /// Stamped by kubelet, `YYYYMMDD-HHMMSS` in the node's time.
    Stamped(u64),
    /// The one that is written to.
    Live,
}

impl Age {
    /// From what stands behind `.log`. `None` for other files, such as half-written `.tmp` ones.
    pub(crate) fn of(suffix: &str) -> Option<Age> {
        let stem = suffix.strip_suffix(".gz").unwrap_or(suffix);
        if stem.is_empty() {
            return (stem == suffix).then_some(Age::Live);
        }
        let stem = stem.strip_prefix('.')?;
        match stem.split_once('-') {
            Some((day, clock)) => {
                let is_stamp = day.len() == 8 && clock.len() == 6;
                format!("{day}{clock}").parse().ok().filter(|_| is_stamp).map(Age::Stamped)
            }
            None => stem.parse().ok().map(|number| Age::Numbered(std::cmp::Reverse(number))),
        }
    }
}

/// Whether a file is one that was put aside, by its name: then older ones may have been deleted.
pub(crate) fn was_rotated(name: &str) -> bool {
    let age = name.split_once(".log").and_then(|(_, suffix)| Age::of(suffix));
    age.is_some_and(|age| age != Age::Live)
}

/// The files of one container instance by age. Of a plain file and its compressed twin, which exist
/// side by side for a moment, only the plain one counts.
#[derive(Default)]
pub(crate) struct Generations {
    by_age: BTreeMap<Age, LogFile>,
}

impl Generations {
    /// Adds a file of a known age.
    pub(crate) fn add(&mut self, age: Age, file: &Entry) {
        let is_gzip = file.name.ends_with(".gz");
        if is_gzip && self.by_age.contains_key(&age) {
            return;
        }
        let metadata = match file.path.metadata() {
            Ok(metadata) => metadata,
            // Gone between the listing and this look at it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !file.kind.is_symlink() => return,
            // Such as a link that leads nowhere: the search says so, as a gap.
            Err(_) => {
                let input = Input::Plain(file.path.clone());
                self.by_age.insert(age, LogFile { input, size: 0, identity: None });
                return;
            }
        };
        let path = file.path.clone();
        let input = if is_gzip { Input::Gzip(path) } else { Input::Plain(path) };
        let identity = Some(Inode::of(&metadata));
        self.by_age.insert(age, LogFile { input, size: metadata.len(), identity });
    }

    /// Where the live file really is, when it is a link, as it is on nodes that run Docker.
    pub(crate) fn link_target(&self) -> Option<LogPath> {
        let Input::Plain(live) = &self.by_age.get(&Age::Live)?.input else {
            return None;
        };
        live.link_target()
    }

    /// Adds a live file of Docker's and what stands rotated beside it. Returns the container's id.
    pub(crate) fn add_docker_siblings(&mut self, live: &LogPath) -> String {
        let name = live.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let siblings = live.folder().entries().unwrap_or_default();
        for file in siblings {
            if let Some(age) = file.name.strip_prefix(&name).and_then(Age::of)
                && !self.by_age.contains_key(&Age::Live) | (age != Age::Live)
            {
                self.add(age, &file);
            }
        }
        name.strip_suffix("-json.log").unwrap_or_default().to_owned()
    }

    /// The files, oldest first.
    pub(crate) fn into_files(self) -> Vec<LogFile> {
        self.by_age.into_values().collect()
    }
}
