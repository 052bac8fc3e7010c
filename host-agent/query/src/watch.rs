//! Which directories of logs have changed: inotify, and a plain look every now and then where the kernel gives
//! no more watches.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{CStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Bytes of events taken from the kernel at once.
const EVENT_BYTES: usize = 16 << 10;

/// How often directories are looked at that can't be watched.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Events for writes to files, by the directory that the files are in. Directories are text here: taking paths apart
/// costs more than reading what is new.
pub(crate) type Writes = HashMap<OsString, usize>;

/// What has happened since it was asked for last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Events were lost, so that anything may have changed.
    pub(crate) all: bool,
    /// Directories in which names have changed.
    pub(crate) names: BTreeSet<PathBuf>,
    /// Directories in which files were written to.
    pub(crate) writes: Writes,
    /// Names under which something was created, as often as it was.
    created: BTreeMap<PathBuf, Vec<String>>,
    /// Directories of which it isn't known what has happened in them.
    unwatched: BTreeSet<PathBuf>,
}

impl Changes {
    /// How often one of the names was created in one of the directories. `None` when that isn't known.
    pub(crate) fn created(
        &self,
        dirs: impl IntoIterator<Item: AsRef<Path>>,
        names: &[String],
    ) -> Option<usize> {
        let mut count = 0;
        for dir in dirs {
            let dir = dir.as_ref();
            if self.all || self.unwatched.contains(dir) {
                return None;
            }
            let created = self.created.get(dir).into_iter().flatten();
            count += created.filter(|created| names.contains(created)).count();
        }
        Some(count)
    }

    /// The directories in which something was created, and under which names.
    pub(crate) fn all_created(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.created
            .iter()
            .flat_map(|(dir, names)| names.iter().map(move |name| (dir.as_path(), name.as_str())))
    }

    /// The names that were created in a directory.
    pub(crate) fn created_in(&self, dir: &Path) -> impl Iterator<Item = &str> {
        self.created.get(dir).into_iter().flatten().map(String::as_str)
    }
}

/// Watches directories. Made before the directories are listed, so that nothing falls between.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// `None` when the kernel gives none: then every directory is looked at every now and then.
    inotify: Option<OwnedFd>,
    dirs: HashMap<i32, PathBuf>,
    watches: HashMap<PathBuf, i32>,
    /// Directories that aren't watched for writes.
    muted: HashSet<OsString>,
    /// Directories that can't be watched.
    unwatched: BTreeSet<PathBuf>,
    /// Why, the first time.
    problem: Option<Errno>,
    told: bool,
    /// What was taken and not handed on.
    pending: Changes,
}

impl Watcher {
    pub(crate) fn new() -> Watcher {
        let (inotify, problem) = match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(inotify) => (Some(inotify), None),
            Err(error) => (None, Some(error)),
        };
        Watcher {
            inotify,
            dirs: HashMap::new(),
            watches: HashMap::new(),
            muted: HashSet::new(),
            unwatched: BTreeSet::new(),
            problem,
            told: false,
            pending: Changes::default(),
        }
    }

    /// Watches a directory too, or goes on to. One that is gone isn't watched, nor looked at.
    pub(crate) fn watch(&mut self, dir: &Path) {
        if self.unwatched.contains(dir) {
            return;
        }
        let names = WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let flags = if self.muted.contains(dir.as_os_str()) { names } else { names | WatchFlags::MODIFY };
        let added = match &self.inotify {
            Some(inotify) => inotify::add_watch(inotify, dir, flags),
            None => Err(Errno::MFILE),
        };
        match added {
            Ok(watch) => {
                self.dirs.insert(watch, dir.to_owned());
                // A directory that was deleted lives on, watched, as long as a file in it is open; one of the same
                // name is another.
                let before = self.watches.insert(dir.to_owned(), watch);
                if let Some(before) = before.filter(|before| *before != watch) {
                    self.dirs.remove(&before);
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => {
                self.problem.get_or_insert(error);
                self.unwatched.insert(dir.to_owned());
            }
        }
    }

    /// Tells writes to files in a directory no more, only names.
    pub(crate) fn mute(&mut self, dir: &Path) {
        if self.muted.insert(dir.as_os_str().to_owned()) {
            self.watch(dir);
        }
    }

    /// Tells writes to files in a directory again.
    pub(crate) fn unmute(&mut self, dir: &Path) {
        if self.muted.remove(dir.as_os_str()) {
            self.watch(dir);
        }
    }

    /// Watches no directory any more but those that `wanted` says.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&Path) -> bool) {
        self.unwatched.retain(|dir| wanted(dir));
        self.muted.retain(|dir| wanted(Path::new(dir)));
        let gone: Vec<PathBuf> = self.watches.keys().filter(|dir| !wanted(dir)).cloned().collect();
        for dir in gone {
            let watch = self.watches.remove(&dir);
            if let (Some(watch), Some(inotify)) = (watch, &self.inotify) {
                self.dirs.remove(&watch);
                // The kernel has dropped it by itself when the directory is gone.
                inotify::remove_watch(inotify, watch)
                    .or_else(|error| match error {
                        Errno::INVAL => Ok(()),
                        error => Err(error),
                    })
                    .unwrap_or_else(
                        |error| tracing::warn!(dir = %dir.display(), %error, "can't end a watch"),
                    );
            }
        }
    }

    /// What to tell the reader when directories are looked at in place of being watched; once.
    pub(crate) fn take_problem(&mut self) -> Option<String> {
        let error = self.problem.filter(|_| !std::mem::replace(&mut self.told, true))?;
        Some(format!(
            "some directories can't be watched ({}), so they are looked at every {POLL_EVERY:?}; raise the sysctls \
             fs.inotify.max_user_watches and fs.inotify.max_user_instances",
            std::io::Error::from(error)
        ))
    }

    /// Forgets what was created so far: that is in the listing that was made meanwhile.
    pub(crate) fn begin(&mut self) {
        self.pending = Changes { created: BTreeMap::new(), ..self.take() };
    }

    /// Takes what has happened since the last time, without waiting.
    pub(crate) fn take(&mut self) -> Changes {
        let mut changes = std::mem::take(&mut self.pending);
        changes.names.extend(self.unwatched.iter().cloned());
        changes.unwatched.clone_from(&self.unwatched);
        self.read_events(&mut changes);
        changes
    }

    fn read_events(&mut self, changes: &mut Changes) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = Reader::new(inotify, &mut buffer);
        // One line is one event: directories are noted once for all of theirs.
        let mut writes: HashMap<i32, usize> = HashMap::new();
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    tracing::warn!(%error, "can't read inotify events");
                    changes.all = true;
                    break;
                }
            };
            let (watch, what) = (event.wd(), event.events());
            if what.contains(ReadFlags::MODIFY) {
                *writes.entry(watch).or_default() += 1;
                continue;
            }
            changes.all |= what.contains(ReadFlags::QUEUE_OVERFLOW);
            let Some(dir) = self.dirs.get(&watch) else { continue };
            if let Some(Ok(name)) =
                event.file_name().filter(|_| what.contains(ReadFlags::CREATE)).map(CStr::to_str)
            {
                changes.created.entry(dir.clone()).or_default().push(name.to_owned());
            }
            changes.names.insert(dir.clone());
            if what.contains(ReadFlags::IGNORED)
                && let Some(dir) = self.dirs.remove(&watch)
                && self.watches.get(&dir) == Some(&watch)
            {
                self.watches.remove(&dir);
            }
        }
        for (watch, count) in writes {
            if let Some(dir) = self.dirs.get(&watch) {
                *changes.writes.entry(dir.as_os_str().to_owned()).or_default() += count;
            }
        }
    }

    /// Loses what has happened, as the kernel does when its queue is full.
    #[cfg(test)]
    pub(crate) fn lose(&mut self) {
        self.take();
        self.pending.all = true;
    }

    /// Waits until something happens, `cancel` becomes readable, or `most` has passed.
    pub(crate) fn wait(&self, cancel: BorrowedFd<'_>, most: Option<Duration>) -> Result<(), Errno> {
        let most = match self.unwatched.is_empty() && self.inotify.is_some() {
            true => most,
            false => Some(most.unwrap_or(POLL_EVERY).min(POLL_EVERY)),
        };
        wait(self.inotify.as_ref().map(AsFd::as_fd), cancel, most)
    }
}

/// Waits until `cancel` becomes readable or `most` has passed.
pub(crate) fn pause(cancel: BorrowedFd<'_>, most: Duration) -> Result<(), Errno> {
    wait(None, cancel, Some(most))
}

fn wait(events: Option<BorrowedFd<'_>>, cancel: BorrowedFd<'_>, most: Option<Duration>) -> Result<(), Errno> {
    let mut fds = vec![PollFd::from_borrowed_fd(cancel, PollFlags::IN)];
    fds.extend(events.map(|events| PollFd::from_borrowed_fd(events, PollFlags::IN)));
    // Rounded up, so that what is due in a moment isn't asked for again and again until then.
    let most = most.map(|most| most + Duration::from_micros(100));
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    match poll(&mut fds, most.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::Cancel;

    fn changes(watcher: &mut Watcher) -> Changes {
        watcher.take()
    }

    #[test]
    fn tells_names_from_content() {
        let root = tempfile::tempdir().expect("a folder");
        let (dir, other) = (root.path().join("a"), root.path().join("b"));
        fs::create_dir(&dir).expect("made");
        fs::create_dir(&other).expect("made");
        let mut watcher = Watcher::new();
        watcher.watch(&dir);
        watcher.watch(&other);
        watcher.watch(&root.path().join("absent"));
        assert_eq!(changes(&mut watcher), Changes::default());
        let mut file = fs::File::create(dir.join("0.log")).expect("made");
        let made = changes(&mut watcher);
        assert_eq!((&made.names, made.writes.len()), (&[dir.clone()].into(), 0));
        assert_eq!(made.created([&dir], &["0.log".to_owned()]), Some(1));
        let writes =
            |count| Changes { writes: [(dir.clone().into_os_string(), count)].into(), ..Changes::default() };
        file.write_all(b"x").expect("written");
        assert_eq!(changes(&mut watcher), writes(1));
        watcher.mute(&dir);
        file.write_all(b"x").expect("written");
        // Named again, it stays as it is.
        watcher.watch(&dir);
        file.write_all(b"x").expect("written");
        assert_eq!(changes(&mut watcher), Changes::default());
        watcher.unmute(&dir);
        file.write_all(b"x").expect("written");
        assert_eq!(changes(&mut watcher), writes(1));
        fs::rename(dir.join("0.log"), dir.join("0.log.1")).expect("renamed");
        assert_eq!(changes(&mut watcher).names, [dir.clone()].into());
        fs::remove_dir_all(&dir).expect("removed");
        assert_eq!(changes(&mut watcher).names, [dir.clone()].into());
        // Made again under the same name, it is another directory.
        fs::create_dir(&dir).expect("made");
        watcher.watch(&dir);
        fs::write(dir.join("0.log"), "x").expect("written");
        assert_eq!(changes(&mut watcher).names, [dir.clone()].into());
        watcher.keep(|kept| kept == other);
        fs::write(dir.join("1.log"), "x").expect("written");
        changes(&mut watcher);
        fs::write(dir.join("2.log"), "x").expect("written");
        assert_eq!(changes(&mut watcher), Changes::default());
        assert_eq!(watcher.take_problem(), None);
    }

    #[test]
    fn waits_for_an_event_or_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut watcher = Watcher::new();
        watcher.watch(dir.path());
        let cancel = Cancel::default();
        fs::write(dir.path().join("0.log"), "x").expect("written");
        watcher.wait(cancel.wake().expect("an eventfd"), None).expect("woken by the event");
        changes(&mut watcher);
        let other = cancel.clone();
        let waiting = std::thread::spawn(move || {
            let wake = other.wake().expect("an eventfd");
            if !other.is_cancelled() {
                watcher.wait(wake, None).expect("woken by the cancel");
            }
        });
        cancel.cancel();
        waiting.join().expect("it ended");
    }

    #[test]
    fn without_watches_everything_is_looked_at() {
        let mut watcher = Watcher::new();
        watcher.inotify = None;
        let dir = PathBuf::from("/somewhere");
        watcher.watch(&dir);
        assert_eq!(changes(&mut watcher).names, [dir.clone()].into());
        let problem = watcher.take_problem().expect("told");
        assert!(problem.contains("max_user_watches"), "{problem}");
        assert_eq!(watcher.take_problem(), None);
    }
}
