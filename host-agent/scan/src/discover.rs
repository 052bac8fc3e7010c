//! Finds logs on disk: kubelet's layout (`<ns>_<pod>_<uid>/<container>/<restart>.log`), Docker's
//! (`<id>/<id>-json.log`), single files and pipes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::Files;
use crate::format::DETECT_BYTES;
use crate::gap::GapReason;
use crate::generations::{Age, Generations};
use crate::inode::Inode;
use crate::lines::Lines;
use crate::probe::stamp_near;
use crate::reach::{Entry, LogPath};
use crate::reader::{Keep, is_gzip};
use crate::search::ScanLimits;
use crate::source::{Input, LogFile, LogSet, Source};

/// Why a log couldn't be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A file or directory couldn't be read.
    #[error("can't read {}: {source}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is neither a regular file nor a pipe.
    #[error("{} is neither a regular file nor a pipe", path.display())]
    NotRegular {
        /// Which one.
        path: PathBuf,
    },
}

/// A directory with the logs of many containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRoot {
    dir: LogPath,
}

impl LogRoot {
    /// A log root in either layout; which one is told by the entries. Looks at nothing yet.
    pub fn new(dir: impl Into<PathBuf>) -> LogRoot {
        LogRoot { dir: LogPath::from(dir) }
    }

    /// The same, where others can write below the root: no link is followed, but those of kubelet's that lead into one of
    /// `links`, absolute paths such as `/var/lib/docker/containers`. Needs Linux 5.6.
    pub fn beneath(dir: impl Into<PathBuf>, links: Vec<PathBuf>) -> LogRoot {
        LogRoot { dir: LogPath::beneath(dir, links) }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every container instance that has logs here, in the order of their identities.
    ///
    /// What goes away meanwhile is left out. A directory below the root that can't be read stands as a
    /// file that can't be read, so that a search tells it as a gap.
    ///
    /// # Errors
    /// When the root itself can't be read.
    pub fn list(&self) -> Result<Vec<LogSet>, ScanError> {
        self.list_visiting(&mut |_, _| true)
    }

    /// The same, of those that `visit` wants. It is called for each directory right before it is read, so
    /// that a watch set then misses nothing, with what the path tells of whose logs are below it: nothing for
    /// the root, namespace and pod for a pod's, and the container besides for a container's. Where it says
    /// `false`, nothing is read.
    ///
    /// # Errors
    /// When the root itself can't be read.
    pub fn list_visiting(&self, visit: &mut Visit<'_>) -> Result<Vec<LogSet>, ScanError> {
        let mut sets = Vec::new();
        if !visit(&self.dir, &Source::default()) {
            return Ok(sets);
        }
        let unreadable = |source| ScanError::Unreadable { path: self.dir.to_path_buf(), source };
        let entries = self.dir.entries().map_err(unreadable)?;
        for entry in entries {
            if let Some(pod) = pod_identity(&entry.name) {
                list_pod(&entry.path, &pod, visit, &mut sets);
            } else if entry.path.join(format!("{}-json.log", entry.name)).metadata().is_ok() {
                let id = entry.name.clone();
                let source = Source { container: id.clone(), container_id: id, ..Source::default() };
                if visit(&entry.path, &source) {
                    sets.extend(docker_set(&entry.path, &entry.name));
                }
            }
        }
        sets.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(sets)
    }
}

/// What [`LogRoot::list_visiting`] calls for each directory.
pub type Visit<'a> = dyn FnMut(&Path, &Source) -> bool + 'a;

/// The files of `set` as they are listed now, and those of other instances of the same container.
///
/// Empty when nothing is left.
pub fn list_again(set: &LogSet) -> Vec<LogSet> {
    let Some(dir) = set.dirs.first() else {
        return Vec::new();
    };
    match &set.files[..] {
        // A single file that was named: its directory is nobody's.
        [LogFile { input, .. }] if set.source.pod.is_empty() && set.source.container_id.is_empty() => {
            input.path().and_then(|path| file_set(path).ok()).into_iter().collect()
        }
        _ if set.source.pod.is_empty() => {
            let name = set.source.container_id.clone();
            docker_set(dir, &name).into_iter().collect()
        }
        _ => {
            let source = Source { restart: 0, container_id: String::new(), ..set.source.clone() };
            list_container(dir, &source).unwrap_or_default()
        }
    }
}

/// One file that a user named; a FIFO is read like standard input. Compression is told by content.
///
/// # Errors
/// When it can't be opened or is a directory or a device.
pub fn file_set(path: &Path) -> Result<LogSet, ScanError> {
    let unreadable = |source| ScanError::Unreadable { path: path.to_owned(), source };
    let name = path.to_string_lossy();
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.file_type().is_fifo() {
        return Ok(pipe_set(File::open(path).map_err(unreadable)?, &name));
    }
    if !metadata.is_file() {
        return Err(ScanError::NotRegular { path: path.to_owned() });
    }
    let path = LogPath::from(path);
    let opened = path.open_regular().map_err(|fault| match fault.reason {
        GapReason::NotRegular => ScanError::NotRegular { path: path.to_path_buf() },
        _ => unreadable(io::Error::other(fault.detail)),
    })?;
    let input = match is_gzip(&opened.file).map_err(unreadable)? {
        true => Input::Gzip(path.clone()),
        false => Input::Plain(path.clone()),
    };
    Ok(LogSet {
        source: named(&name),
        dirs: vec![path.folder()],
        files: vec![LogFile { input, size: metadata.len(), identity: Some(Inode::of(&metadata)) }],
    })
}

/// A pipe such as standard input, read once; compression is told by content. A regular file in its
/// place is read as a file, from where it stands.
pub fn pipe_set(file: File, name: &str) -> LogSet {
    let files = vec![LogFile { input: Input::Pipe(Arc::new(file)), size: 0, identity: None }];
    LogSet { source: named(name), files, dirs: Vec::new() }
}

/// Times at the two ends of a set, in nanoseconds since the epoch; `None` where no line near that end
/// has a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetTimes {
    /// Of the oldest record still there.
    pub oldest: Option<i64>,
    /// Of the newest record.
    pub newest: Option<i64>,
    /// What could not be read on the way, the first of it: the file and why.
    pub problem: Option<String>,
}

/// Looks at both ends of a set, without reading what is between; only a compressed file has to be read
/// through for its end. Pipes aren't touched.
pub fn times(set: &LogSet) -> SetTimes {
    let (mut lines, count) = ends(set);
    let oldest = (0..count).find_map(|file| stamp_near(&mut lines, file, false));
    let newest = (0..count).rev().find_map(|file| stamp_near(&mut lines, file, true));
    let problem =
        lines.files.take_gaps().into_iter().next().map(|gap| format!("{}: {}", gap.file, gap.detail));
    SetTimes { oldest: oldest.map(|stamp| stamp.time), newest: newest.map(|stamp| stamp.time), problem }
}

/// The time of the oldest record that can be read, from the first bytes of the set.
pub fn oldest(set: &LogSet) -> Option<i64> {
    let (mut lines, count) = ends(set);
    (0..count).find_map(|file| stamp_near(&mut lines, file, false)).map(|stamp| stamp.time)
}

/// The lines of the set's files without its pipes, and how many files that are. For looks at their ends.
pub(crate) fn ends(set: &LogSet) -> (Lines, usize) {
    let files: Vec<_> =
        set.files.iter().filter(|file| !matches!(file.input, Input::Pipe(_))).cloned().collect();
    let count = files.len();
    let set = LogSet { source: set.source.clone(), files, dirs: Vec::new() };
    let limits = ScanLimits::default();
    let keep = Keep {
        window: 2 * DETECT_BYTES,
        reach: DETECT_BYTES,
        gzip_output: limits.gzip_output_bytes,
        ..Keep::default()
    };
    (Lines::new(Files::new(set, 0, keep), limits.line_bytes), count)
}

fn named(name: &str) -> Source {
    Source { container: name.to_owned(), ..Source::default() }
}

/// Takes the name of a pod's directory apart, `<namespace>_<pod>_<uid>`; none of the three can hold a `_`. `None` for
/// other names.
pub fn pod_identity(name: &str) -> Option<Source> {
    let parts: Vec<&str> = name.split('_').collect();
    match parts[..] {
        [namespace, pod, uid] if parts.iter().all(|part| !part.is_empty()) => Some(Source {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: uid.to_owned(),
            ..Source::default()
        }),
        _ => None,
    }
}

fn list_pod(dir: &LogPath, pod: &Source, visit: &mut Visit<'_>, sets: &mut Vec<LogSet>) {
    if !visit(dir, pod) {
        return;
    }
    let containers = match dir.entries() {
        Ok(containers) => containers,
        Err(error) => return sets.extend(unreadable_set(dir, pod.clone(), &error)),
    };
    for container in containers.iter().filter(|entry| entry.kind.is_dir() || entry.kind.is_symlink()) {
        let source = Source { container: container.name.clone(), ..pod.clone() };
        if !visit(&container.path, &source) {
            continue;
        }
        match list_container(&container.path, &source) {
            Ok(found) => sets.extend(found),
            Err(error) => sets.extend(unreadable_set(&container.path, source, &error)),
        }
    }
}

/// A directory that can't be read, as a file that can't be read. `None` when it is just gone.
fn unreadable_set(dir: &LogPath, source: Source, error: &io::Error) -> Option<LogSet> {
    let is_gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let file = LogFile { input: Input::Plain(dir.clone()), size: 0, identity: None };
    (!is_gone).then(|| LogSet { source, files: vec![file], dirs: vec![dir.clone()] })
}

/// How often a directory is listed until two listings agree. A rotation takes milliseconds and the next one is
/// seconds away.
const LISTINGS: usize = 5;

/// Lists until two listings agree. One that a rotation overtakes may lack a file: when the live file is renamed
/// behind the listing of names and a new one made before it is looked at, the new one stands for both.
fn settled(mut list: impl FnMut() -> io::Result<Vec<LogSet>>) -> io::Result<Vec<LogSet>> {
    let identities = |sets: &[LogSet]| -> Vec<_> {
        let file = |file: &LogFile| (file.input.path().map(|path| path.to_path_buf()), file.identity);
        sets.iter().flat_map(|set| set.files.iter().map(file)).collect()
    };
    let mut listed = list()?;
    for _ in 1..LISTINGS {
        let again = list()?;
        let agree = identities(&again) == identities(&listed);
        listed = again;
        if agree {
            break;
        }
    }
    Ok(listed)
}

/// The instances of one container.
fn list_container(dir: &LogPath, source: &Source) -> io::Result<Vec<LogSet>> {
    settled(|| Ok(container_sets(&dir.entries()?, dir, source)))
}

/// The instances of one container whose directory has these entries.
fn container_sets(files: &[Entry], dir: &LogPath, source: &Source) -> Vec<LogSet> {
    let sets = generations(files).into_iter().map(|(restart, mut generations)| {
        let mut source = Source { restart, ..source.clone() };
        let mut dirs = vec![dir.clone()];
        if let Some(target) = generations.link_target() {
            source.container_id = generations.add_docker_siblings(&target);
            dirs.push(target.folder());
        }
        LogSet { source, files: generations.into_files(), dirs }
    });
    sets.filter(|set| !set.files.is_empty()).collect()
}

/// The name of the file that an instance of a container writes to, in kubelet's layout.
pub fn live_name(restart: u32) -> String {
    format!("{restart}.log")
}

/// The instance that writes to a file of that name, in kubelet's layout; `None` for other names.
pub fn restart_of_live(name: &str) -> Option<u32> {
    let restart =
        name.strip_suffix(".log").filter(|restart| restart.bytes().all(|byte| byte.is_ascii_digit()))?;
    restart.parse().ok()
}

/// Files of one container by the restart count that they are named by.
fn generations(files: &[Entry]) -> BTreeMap<u32, Generations> {
    let mut restarts: BTreeMap<u32, Generations> = BTreeMap::new();
    for file in files {
        let Some((restart, suffix)) = file.name.split_once(".log") else {
            continue;
        };
        let is_number = restart.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Ok(restart), Some(age)) = (is_number, restart.parse(), Age::of(suffix)) {
            restarts.entry(restart).or_default().add(age, file);
        }
    }
    restarts
}

fn docker_set(dir: &LogPath, id: &str) -> Option<LogSet> {
    let live = dir.join(format!("{id}-json.log"));
    let list = || {
        let mut generations = Generations::default();
        let id = generations.add_docker_siblings(&live);
        let source = Source { container: id.clone(), container_id: id, ..Source::default() };
        let set = LogSet { source, files: generations.into_files(), dirs: vec![dir.clone()] };
        Ok(vec![set])
    };
    let set = settled(list).ok()?.pop()?;
    (!set.files.is_empty()).then_some(set)
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
