//! How log files are opened: a user's own by their paths, an agent's only beneath the folders that its config names.
//!
//! Whoever can write below a folder of logs could plant a link there that leads to something else. So beneath a root no
//! link is followed on the way, whatever it leads to and however fast it is put there: each path is opened by one
//! `openat2` (Linux 5.6) from its root on. The one link that nodes have in earnest, kubelet's from `0.log` to a log of
//! Docker's, counts where it leads into a folder that is meant for it. A file with several names may be another folder's
//! file, so it is refused too.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, open, openat2, readlinkat, statat};
use rustix::io::Errno;

use crate::gap::GapReason;
use crate::reader::Fault;

/// How often a lookup is made that a rename beneath the root has overtaken.
const ATTEMPTS: usize = 16;

/// Where a log file or a folder of them is, and how it may be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPath {
    path: PathBuf,
    /// `None`: anywhere.
    beneath: Option<Arc<Roots>>,
}

/// Folders beneath which files may be opened.
#[derive(Debug, PartialEq, Eq)]
struct Roots {
    /// Of logs.
    logs: PathBuf,
    /// That links to logs may lead into.
    links: Vec<PathBuf>,
}

/// A file that was opened, and what it was then.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

/// An entry of a folder.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: LogPath,
    /// Of the entry itself, a link not followed.
    pub(crate) kind: FileType,
}

impl LogPath {
    /// The folder `logs`. What is found from it on is opened only beneath it, or through a link into one of `links`.
    pub(crate) fn beneath(logs: impl Into<PathBuf>, links: Vec<PathBuf>) -> LogPath {
        let logs = logs.into();
        LogPath { path: logs.clone(), beneath: Some(Arc::new(Roots { logs, links })) }
    }

    /// An entry of this folder.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> LogPath {
        LogPath { path: self.path.join(name), beneath: self.beneath.clone() }
    }

    /// The same path with more at its end.
    pub(crate) fn with_suffix(&self, suffix: &str) -> LogPath {
        let mut path = self.path.as_os_str().to_owned();
        path.push(suffix);
        LogPath { path: path.into(), beneath: self.beneath.clone() }
    }

    /// The folder that it is in; for a name alone, the current one.
    pub(crate) fn folder(&self) -> LogPath {
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        LogPath { path: parent.unwrap_or(Path::new(".")).to_owned(), beneath: self.beneath.clone() }
    }

    /// Opens it for reading, and only if it is a regular file. Never waits for a writer of a FIFO.
    pub(crate) fn open_regular(&self) -> Result<Opened, Fault> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.open(flags).map_err(|error| Fault::io(&error))?);
        let metadata = file.metadata().map_err(|error| Fault::io(&error))?;
        if !metadata.is_file() {
            return Err(Fault::new(GapReason::NotRegular, "not a regular file"));
        }
        if self.beneath.is_some() && metadata.nlink() > 1 {
            let names = metadata.nlink();
            let detail = format!("it has {names} names (hard links), and may be some other file");
            return Err(Fault::new(GapReason::NotRegular, detail));
        }
        Ok(Opened { file, metadata })
    }

    /// What it is; of a link, what that leads to.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self.beneath {
            None => std::fs::metadata(&self.path),
            Some(_) => File::from(self.open(OFlags::PATH)?).metadata(),
        }
    }

    /// The entries of this folder whose names are text, as all names in the layouts of logs are.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let dir = self.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems don't say.
                FileType::Unknown => match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                },
                kind => kind,
            };
            found.push(Entry { name: name.to_owned(), path: self.join(name), kind });
        }
        Ok(found)
    }

    /// Where it leads if it is a link that may be followed.
    pub(crate) fn link_target(&self) -> Option<LogPath> {
        let path = match &self.beneath {
            None => {
                let is_link = std::fs::symlink_metadata(&self.path).is_ok_and(|it| it.is_symlink());
                is_link.then(|| std::fs::canonicalize(&self.path).ok())?
            }
            Some(roots) => roots.link_target(&self.path).ok(),
        }?;
        Some(LogPath { path, beneath: self.beneath.clone() })
    }

    fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        match &self.beneath {
            None => Ok(open(&self.path, flags, Mode::empty())?),
            Some(roots) => roots.open(&self.path, flags),
        }
    }
}

impl Roots {
    /// Opens a path beneath one of the folders, and a link as what it leads to.
    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        match self.open_itself(path, flags) {
            Err(Errno::LOOP) if !flags.contains(OFlags::DIRECTORY) => {
                let target = self.link_target(path)?;
                self.open_itself(&target, flags).map_err(told)
            }
            result => result.map_err(told),
        }
    }

    /// Opens a path beneath one of the folders, if there is no link on the way nor at its end.
    fn open_itself(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let root = std::iter::once(&self.logs).chain(&self.links).find(|root| path.starts_with(root));
        let root = root.ok_or(Errno::XDEV)?;
        let below = path.strip_prefix(root).expect("it begins with it");
        // The folder itself is the config's word: it may be a link.
        if below.as_os_str().is_empty() {
            return open(root, flags, Mode::empty());
        }
        let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        for _ in 1..ATTEMPTS {
            match openat2(&root, below, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        openat2(&root, below, flags, Mode::empty(), resolve)
    }

    /// Where a link beneath the folder of logs leads, if that is into a folder for it.
    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // With these flags a link at the end is opened itself; one on the way is refused still.
        let link = self.open_itself(path, flags).map_err(told)?;
        let target = readlinkat(&link, "", Vec::new()).map_err(|error| match error {
            Errno::NOENT | Errno::INVAL => told(Errno::LOOP),
            error => error.into(),
        })?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        let is_plain =
            target.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        match is_plain && self.links.iter().any(|root| target.starts_with(root)) {
            true => Ok(target),
            false => Err(told(Errno::XDEV)),
        }
    }
}

fn told(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::XDEV => {
            io::Error::new(ErrorKind::PermissionDenied, "a link that leads to no log; it is not followed")
        }
        Errno::NOSYS => io::Error::new(
            ErrorKind::Unsupported,
            "this kernel has no openat2 (Linux 5.6), without which links can't be told from logs",
        ),
        error => error.into(),
    }
}

impl Deref for LogPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for LogPath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// A path that a user names on a machine of their own: opened wherever it leads.
impl<P: Into<PathBuf>> From<P> for LogPath {
    fn from(path: P) -> LogPath {
        LogPath { path: path.into(), beneath: None }
    }
}
