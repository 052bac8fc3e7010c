//! Compiled components on disk: a directory that only this user can write, checked on every use.
//!
//! Mapping an artifact runs it, so an entry is used only when it carries the digest of its own bytes
//! and nobody else could have put it there. A damaged entry is deleted and made again.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags};
use sha2::{Digest, Sha256};

/// Ends every entry, before its digest.
const MAGIC: &[u8; 8] = b"weirart1";
const TRAILER: usize = MAGIC.len() + 32;
/// Age after which a file that was never finished is swept up.
const STALE: Duration = Duration::from_secs(3600);

/// Why the directory can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It can't be made or opened.
    #[error("the cache directory {} can't be used: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may write to it or read it.
    #[error(
        "the cache directory {} has mode {mode:o}; expected 700, since what it holds is run as machine code",
        path.display()
    )]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is someone else's.
    #[error("the cache directory {} belongs to user {owner}; expected user {expected}", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Our number.
        expected: u32,
    },
}

/// An open directory of artifacts.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    directory: OwnedFd,
    limit: u64,
    /// Tells unfinished files of this process apart.
    serial: AtomicU64,
}

/// An entry whose bytes were checked; open, so that they stay the same.
pub(crate) struct Entry(File);

impl Entry {
    /// A path to the very file that was checked, whatever now bears its name.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

impl Cache {
    /// Opens the directory, making it when it isn't there.
    pub(crate) fn open(path: &Path, limit: u64) -> Result<Cache, CacheError> {
        let io = |source: io::Error| CacheError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| io(error.into()))?;
        let stat = rustix::fs::fstat(&directory).map_err(|error| io(error.into()))?;
        let expected = rustix::process::geteuid().as_raw();
        if stat.st_uid != expected {
            return Err(CacheError::Owner { path: path.to_owned(), owner: stat.st_uid, expected });
        }
        let mode = stat.st_mode & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CacheError::Mode { path: path.to_owned(), mode });
        }
        Ok(Cache { path: path.to_owned(), directory, limit, serial: AtomicU64::new(0) })
    }

    /// The entry of that name, when it is there and whole. A damaged one is deleted.
    pub(crate) fn find(&self, name: &str) -> io::Result<Option<Entry>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !is_whole(&file)? {
            tracing::warn!(entry = name, cache = %self.path.display(), "damaged cache entry: compiling again");
            self.remove(name)?;
            return Ok(None);
        }
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        rustix::fs::futimens(&file, &times)?;
        Ok(Some(Entry(file)))
    }

    /// Puts an artifact there under its name, all or nothing, and deletes what is over the limit.
    pub(crate) fn store(&self, name: &str, artifact: &[u8]) -> io::Result<Entry> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!(".{name}.{}.{serial}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(rustix::fs::openat(&self.directory, &unfinished, flags, mode)?);
        let written = file
            .write_all(artifact)
            .and_then(|()| file.write_all(MAGIC))
            .and_then(|()| file.write_all(&Sha256::digest(artifact)))
            .and_then(|()| Ok(rustix::fs::renameat(&self.directory, &unfinished, &self.directory, name)?));
        if let Err(error) = written {
            self.remove(&unfinished)?;
            return Err(error);
        }
        drop(file);
        self.evict(name)?;
        match self.find(name)? {
            Some(entry) => Ok(entry),
            None => Err(io::Error::other("the entry was changed while it was written")),
        }
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the entries used longest ago until all fit, sparing `newest`, and old unfinished files.
    fn evict(&self, newest: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        let mut total = 0;
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let (Ok(name), metadata) = (entry.file_name().into_string(), entry.metadata()?) else {
                continue;
            };
            // What somebody else keeps beside the entries, such as an agent the components that it has pulled.
            if metadata.is_dir() {
                continue;
            }
            let modified = metadata.modified()?;
            if name.starts_with('.') {
                let age = SystemTime::now().duration_since(modified).unwrap_or_default();
                if age > STALE {
                    self.remove(&name)?;
                }
                continue;
            }
            total += metadata.size();
            entries.push((modified, name, metadata.size()));
        }
        entries.sort();
        for (_, name, size) in entries {
            if total <= self.limit {
                break;
            }
            if name != newest {
                self.remove(&name)?;
                total -= size;
            }
        }
        Ok(())
    }
}

/// Whether a file is ours alone and ends in the digest of what comes before.
fn is_whole(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
    let Some(size) = metadata.len().checked_sub(TRAILER as u64).filter(|_| ours && metadata.is_file()) else {
        return Ok(false);
    };
    let mut digest = Sha256::new();
    let mut body = file.take(size);
    let mut chunk = vec![0; 128 << 10];
    loop {
        match body.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => digest.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut trailer = Vec::with_capacity(TRAILER + 1);
    let mut rest = file;
    rest.read_to_end(&mut trailer)?;
    Ok(trailer.strip_prefix(MAGIC) == Some(&digest.finalize()[..]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    use super::{Cache, CacheError};

    #[test]
    fn an_entry_is_found_until_it_is_damaged() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b");
        let cache = Cache::open(&path, 1 << 20).expect("opens");
        assert!(cache.find("x").expect("readable").is_none());
        cache.store("x", b"machine code").expect("stored");
        assert!(cache.find("x").expect("readable").is_some());
        for damage in [&b"machine cod"[..], b"", b"machine code"] {
            fs::write(path.join("x"), damage).expect("written");
            assert!(cache.find("x").expect("readable").is_none());
            assert!(!path.join("x").exists());
            cache.store("x", b"machine code").expect("stored again");
        }
        let mut bytes = fs::read(path.join("x")).expect("there");
        bytes[3] ^= 1;
        fs::write(path.join("x"), &bytes).expect("written");
        assert!(cache.find("x").expect("readable").is_none());
    }

    #[test]
    fn an_entry_that_others_may_write_or_that_is_a_link_is_not_used() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("cache");
        let cache = Cache::open(&dir, 1 << 20).expect("opens");
        cache.store("x", b"code").expect("stored");
        fs::set_permissions(dir.join("x"), fs::Permissions::from_mode(0o622)).expect("ours");
        assert!(cache.find("x").expect("readable").is_none());
        cache.store("x", b"code").expect("stored");
        std::os::unix::fs::symlink("x", dir.join("y")).expect("linked");
        assert!(cache.find("y").is_err());
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).expect("ours");
        let error = Cache::open(dir.path(), 1 << 20).expect_err("refused");
        assert!(matches!(error, CacheError::Mode { mode: 0o750, .. }), "{error}");
        assert!(error.to_string().contains("expected 700"));
    }

    #[test]
    fn the_entries_used_longest_ago_go_first() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("cache");
        let cache = Cache::open(&dir, 300).expect("opens");
        for (name, age) in [("a", 30), ("b", 20), ("c", 10)] {
            cache.store(name, &[0; 50]).expect("stored");
            let file = fs::File::options().write(true).open(dir.join(name)).expect("there");
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("ours");
        }
        assert!(cache.find("a").expect("readable").is_some(), "its use makes it new");
        // What somebody else keeps beside them is no entry, however old and large.
        for name in ["kept", ".kept"] {
            fs::create_dir(dir.join(name)).expect("made");
            fs::write(dir.join(name).join("x"), [0; 500]).expect("written");
            let directory = fs::File::open(dir.join(name)).expect("there");
            directory.set_modified(SystemTime::now() - Duration::from_secs(1 << 20)).expect("ours");
        }
        cache.store("d", &[0; 50]).expect("stored");
        let there: Vec<bool> = ["a", "b", "c", "d"].map(|name| dir.join(name).exists()).into();
        assert_eq!(there, [true, false, true, true]);
        assert!(dir.join("kept/x").exists() && dir.join(".kept/x").exists());
    }
}
