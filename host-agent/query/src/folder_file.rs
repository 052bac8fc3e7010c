//! The files of a folder of filters: which there are, whether one has changed, and what is in it.
//!
//! A file is read only if it is a regular one, and no more of it than a component may have. A link counts for what it
//! leads to, as long as that is below the folder: so Kubernetes mounts a ConfigMap.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;
use weir_trust::SIGNATURE_BYTES;

/// For how long a file may change again without a trace: times of files are no finer than a tick of the system.
const UNSETTLED: Duration = Duration::from_secs(2);

/// Entries of the folder that are looked through: a wrong folder must not keep a look busy.
const ENTRIES: usize = 10_000;

/// What tells that a file is the same as before, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, u64),
    changed: (i64, u64),
}

/// What a look at a file gives.
pub(crate) enum Found {
    /// The same as before.
    Unchanged,
    /// It is gone since it was listed.
    Gone,
    /// What it holds.
    Content(Content),
}

/// What a file holds.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// What it can be known by; `None` while it may change without a trace.
    pub(crate) settled: Option<Fingerprint>,
}

/// Names of the files that are to be filters.
///
/// # Errors
/// The folder can't be read.
pub(crate) fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir)?.take(ENTRIES) {
        // A name that isn't UTF-8 couldn't be told.
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if name.ends_with(".wasm") && !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}

/// The content of a filter's signature file, `NAME.wasm.sig`; `None` where there is none.
///
/// # Errors
/// Why it can't be a signature.
pub(crate) fn read_signature(dir: &Path, filter: &str) -> Result<Option<Vec<u8>>, String> {
    let name = format!("{filter}.sig");
    match read(dir, &name, ("of a signature", SIGNATURE_BYTES), None) {
        Ok(Found::Content(content)) => Ok(Some(content.bytes)),
        Ok(Found::Unchanged | Found::Gone) => Ok(None),
        Err(problem) => Err(format!("its signature, {name}: {problem}")),
    }
}

/// Reads a file that isn't what was `known` of it, up to a limit, which has a name.
///
/// # Errors
/// Why it can't be a filter.
pub(crate) fn read(
    dir: &Path,
    name: &str,
    limit: (&str, usize),
    known: Option<Fingerprint>,
) -> Result<Found, String> {
    let file = match open(dir, name) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Gone),
        Err(Errno::XDEV) => return Err("it is a link that leads out of the folder".to_owned()),
        Err(error) => return Err(io::Error::from(error).to_string()),
    };
    let told = |error: io::Error| error.to_string();
    let stat = fstat(&file).map_err(|error| told(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is not a regular file".to_owned());
    }
    let fingerprint = Fingerprint::of(&stat);
    if known == Some(fingerprint) {
        return Ok(Found::Unchanged);
    }
    let (limit, most) = limit;
    let too_large = |size: u64| format!("it has {size} bytes; the limit {limit} is {most}");
    if fingerprint.size > most as u64 {
        return Err(too_large(fingerprint.size));
    }
    let mut bytes = Vec::with_capacity(fingerprint.size as usize);
    File::from(file).take(most as u64 + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() > most {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(Found::Content(Content { bytes, settled: fingerprint.settled() }))
}

fn open(dir: &Path, name: &str) -> Result<OwnedFd, Errno> {
    let folder = openat(CWD, dir, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // Whatever it is, opening it must not wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat2(&folder, name, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

impl Fingerprint {
    fn of(stat: &Stat) -> Fingerprint {
        Fingerprint {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    fn settled(self) -> Option<Fingerprint> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::new(u64::try_from(self.changed.0).unwrap_or(0), 0);
        (now.saturating_sub(changed) > UNSETTLED).then_some(self)
    }
}
