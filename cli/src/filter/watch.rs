//! Waits until a source of a project changes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::project::Project;

/// How long no more may change before a change is taken to be over: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(40);
/// Bytes of events taken from the kernel at once.
const EVENT_BYTES: usize = 16 << 10;

/// The folders of a project, watched.
pub(super) struct Watch {
    inotify: OwnedFd,
    /// Folders by the number of their watch.
    folders: Vec<(i32, PathBuf)>,
}

impl Watch {
    /// Watches a project from now on: what changes before [`Watch::wait`] counts too.
    pub(super) fn new(project: &Project) -> io::Result<Watch> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watch = Watch { inotify, folders: Vec::new() };
        watch.add(project, &project.dir)?;
        Ok(watch)
    }

    fn add(&mut self, project: &Project, folder: &Path) -> io::Result<()> {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        let number = inotify::add_watch(&self.inotify, folder, flags)?;
        self.folders.retain(|(known, _)| *known != number);
        self.folders.push((number, folder.to_owned()));
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && project.is_source(&entry.path()) {
                self.add(project, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Blocks until a source has changed and no more do.
    pub(super) fn wait(&mut self, project: &Project) -> io::Result<()> {
        let mut changed = false;
        loop {
            let timeout = changed.then(|| Timespec::try_from(QUIET).expect("it is far below the largest"));
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => changed |= self.take(project)?,
                Err(error) => return Err(error.into()),
            }
        }
        // Folders that are new are watched from here on; a file that was in one already has been a change by itself.
        self.add(project, &project.dir)
    }

    /// Takes what has happened, and says whether a source was concerned.
    fn take(&self, project: &Project) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); EVENT_BYTES];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut changed = false;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(changed),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changed = true;
            }
            let folder = self.folders.iter().find(|(number, _)| *number == event.wd());
            let (Some((_, folder)), Some(name)) = (folder, event.file_name()) else { continue };
            let name = name.to_string_lossy();
            // What editors put beside a file while they hold it.
            let aside = name.starts_with('.') || name.ends_with('~') || name == "4913";
            changed |= !aside && project.is_source(&folder.join(&*name));
        }
    }
}
