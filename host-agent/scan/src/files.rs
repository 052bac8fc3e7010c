//! The files of one set: opened when needed, closed when out of reach, found again when renamed.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::format::{self, DETECT_BYTES};
use crate::gap::{Gap, GapReason};
use crate::reader::{Fault, FileReader, Keep, open_regular};
use crate::source::{Format, Input, LogSet};

/// All files of a set, addressed by their index.
pub(crate) struct Files {
    set: LogSet,
    source: u32,
    keep: Keep,
    slots: Vec<Slot>,
    /// With the index of the file that each is in.
    gaps: Vec<(usize, Gap)>,
    pub(crate) bytes_read: u64,
    /// Time of the newest (forward) or oldest (backward) line looked at: where a gap begins or ends.
    pub(crate) edge: Option<i64>,
}

#[derive(Default)]
struct Slot {
    state: State,
    format: Option<Format>,
    len: Option<u64>,
    /// Device and inode, from before the first file was opened.
    identity: Option<(u64, u64)>,
}

impl Slot {
    fn fork(&self) -> Slot {
        let state = match &self.state {
            State::Open(reader) => reader.share().map_or(State::Closed, State::Open),
            State::Closed => State::Closed,
            State::Gone => State::Gone,
        };
        Slot { state, ..*self }
    }
}

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Open(FileReader),
    Gone,
}

impl Files {
    pub(crate) fn new(set: LogSet, source: u32, keep: Keep) -> Files {
        let slots = set.files.iter().map(|_| Slot::default()).collect();
        Files { set, source, keep, slots, gaps: Vec::new(), bytes_read: 0, edge: None }
    }

    /// The same files for another scanner: what is open and plain is shared, and what is known of a file
    /// stays known.
    pub(crate) fn fork(&self) -> Files {
        let slots = self.slots.iter().map(Slot::fork).collect();
        Files { slots, ..Files::new(self.set.clone(), self.source, self.keep) }
    }

    /// Whether a fork can share a file: it is open, and any part of it can be read at any time.
    pub(crate) fn can_fork(&self, file: usize) -> bool {
        matches!(&self.slots[file].state, State::Open(reader) if reader.share().is_some())
    }

    pub(crate) fn set(&self) -> &LogSet {
        &self.set
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn take_gaps(&mut self) -> Vec<Gap> {
        self.gaps.drain(..).map(|(_, gap)| gap).collect()
    }

    /// How many gaps wait to be taken.
    pub(crate) fn gap_count(&self) -> usize {
        self.gaps.len()
    }

    /// Sets how far the gaps from number `first` on reach at most, in scan order: up to a line of another
    /// `file`.
    pub(crate) fn bound_gaps_behind(&mut self, first: usize, file: usize, time: Option<i64>) {
        for (_, gap) in self.gaps[first..].iter_mut().filter(|(at, _)| *at != file) {
            let bound = if self.keep.backward { &mut gap.from } else { &mut gap.to };
            *bound = bound.or(time);
        }
    }

    /// Sets where the gaps from number `first` on begin at the earliest, in scan order, if that isn't known.
    pub(crate) fn bound_gaps_ahead(&mut self, first: usize, time: Option<i64>) {
        for (_, gap) in &mut self.gaps[first..] {
            let bound = if self.keep.backward { &mut gap.to } else { &mut gap.from };
            *bound = bound.or(time);
        }
    }

    /// Notes which file stands behind each path, before time passes: a rotation then doesn't pass off
    /// one file as another.
    pub(crate) fn note_identities(&mut self) {
        for (file, slot) in self.set.files.iter().zip(&mut self.slots) {
            let found = || path(&file.input).and_then(|path| identity(&fs::metadata(path).ok()?));
            slot.identity = file.identity.or_else(found);
        }
    }

    /// Reads some bytes of a file, at least one unless it ends there.
    pub(crate) fn read_at(&mut self, file: usize, offset: u64, buf: &mut [u8]) -> usize {
        let Some(reader) = self.reader(file) else {
            return 0;
        };
        let count = reader.read_at(offset, buf);
        self.bytes_read += count as u64;
        self.tell_fault(file);
        count
    }

    /// Length of a file in decompressed bytes; 0 when it can't be read.
    pub(crate) fn len(&mut self, file: usize) -> u64 {
        if let Some(len) = self.slots[file].len {
            return len;
        }
        let Some(reader) = self.reader(file) else {
            return 0;
        };
        let len = reader.len();
        self.slots[file].len = Some(len);
        self.tell_fault(file);
        len
    }

    /// Layout of a file's lines.
    pub(crate) fn format(&mut self, file: usize) -> Format {
        if let Some(format) = self.slots[file].format {
            return format;
        }
        let format = self.detect(file);
        self.slots[file].format = Some(format);
        format
    }

    /// Whether reading a file can wait for its writer.
    pub(crate) fn may_wait(&mut self, file: usize) -> bool {
        self.reader(file).is_some_and(|reader| reader.may_wait())
    }

    /// Closes every file that can be opened again.
    pub(crate) fn close(&mut self) {
        for (file, slot) in self.set.files.iter().zip(&mut self.slots) {
            if path(&file.input).is_some() && matches!(slot.state, State::Open(_)) {
                slot.state = State::Closed;
            }
        }
    }

    /// Tells what went wrong with a file that has been read through, and closes those that no
    /// neighbourhood of `next` reaches.
    pub(crate) fn leave(&mut self, file: usize, next: usize) {
        if let State::Open(reader) = &mut self.slots[file].state {
            reader.check_shrunk();
            self.tell_fault(file);
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let is_path = path(&self.set.files[index].input).is_some();
            if is_path && index.abs_diff(next) > 1 && matches!(slot.state, State::Open(_)) {
                slot.state = State::Closed;
            }
        }
    }

    fn detect(&mut self, file: usize) -> Format {
        let waits = self.may_wait(file);
        let mut head = vec![0; 4 << 10];
        let mut filled = 0;
        loop {
            let count = self.read_at(file, filled as u64, &mut head[filled..]);
            filled += count;
            let found = format::detect(&head[..filled]);
            // A pipe's first whole line decides: its writer may not have more to say for long.
            let enough = count == 0 || filled == DETECT_BYTES || (waits && head[..filled].contains(&b'\n'));
            if found.is_some() || enough {
                return found.unwrap_or(Format::Plain);
            }
            if filled == head.len() {
                head.resize((head.len() * 4).min(DETECT_BYTES), 0);
            }
        }
    }

    fn reader(&mut self, file: usize) -> Option<&mut FileReader> {
        if matches!(self.slots[file].state, State::Closed) {
            self.slots[file].state = match self.open(file) {
                Ok(reader) => State::Open(reader),
                Err(fault) => {
                    self.tell(file, fault);
                    State::Gone
                }
            };
        }
        match &mut self.slots[file].state {
            State::Open(reader) => Some(reader),
            State::Closed | State::Gone => None,
        }
    }

    fn open(&mut self, file: usize) -> Result<FileReader, Fault> {
        let input = &self.set.files[file].input;
        let Some(path) = path(input) else {
            return FileReader::open(input, None, self.keep);
        };
        let known = self.slots[file].identity;
        match open_regular(path) {
            Ok(opened) if known.is_none() || known == identity_of(&opened) => {
                FileReader::open(input, Some(opened), self.keep)
            }
            // Another file has taken the name, or none has it: a rotation went by.
            result => match known.and_then(|known| renamed(path, known)) {
                Some(opened) => FileReader::open(input, Some(opened), self.keep),
                None => self.open_compressed(path, result.err()),
            },
        }
    }

    /// Opens what a plain file was compressed to meanwhile.
    fn open_compressed(&self, path: &Path, fault: Option<Fault>) -> Result<FileReader, Fault> {
        let vanished = || Fault {
            reason: GapReason::Vanished,
            detail: "rotated away before it could be read".to_owned(),
        };
        let fault = fault.unwrap_or_else(vanished);
        if fault.reason != GapReason::Vanished {
            return Err(fault);
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".gz");
        let compressed = PathBuf::from(name);
        match open_regular(&compressed) {
            Ok(opened) => FileReader::open(&Input::Gzip(compressed), Some(opened), self.keep),
            Err(_) => Err(fault),
        }
    }

    fn tell_fault(&mut self, file: usize) {
        if let State::Open(reader) = &mut self.slots[file].state
            && let Some(fault) = reader.take_fault()
        {
            // What was found out about the length before doesn't hold any more.
            self.slots[file].len = None;
            self.tell(file, fault);
        }
    }

    fn tell(&mut self, file: usize, fault: Fault) {
        let input = &self.set.files[file].input;
        let name = path(input).and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let (from, to) = if self.keep.backward { (None, self.edge) } else { (self.edge, None) };
        let gap = Gap {
            source: self.source,
            file: name.unwrap_or_else(|| self.set.source.container.clone()),
            reason: fault.reason,
            detail: fault.detail,
            from,
            to,
        };
        self.gaps.push((file, gap));
    }
}

fn path(input: &Input) -> Option<&Path> {
    match input {
        Input::Plain(path) | Input::Gzip(path) => Some(path),
        Input::Pipe(_) => None,
    }
}

pub(crate) fn identity(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    Some((metadata.dev(), metadata.ino()))
}

fn identity_of(file: &File) -> Option<(u64, u64)> {
    identity(&file.metadata().ok()?)
}

/// Finds a file that was renamed within its directory.
fn renamed(path: &Path, known: (u64, u64)) -> Option<File> {
    let target = fs::canonicalize(path.parent()?).ok()?;
    fs::read_dir(target).ok()?.flatten().find_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let opened = (identity(&metadata)? == known).then(|| open_regular(&entry.path()))?.ok()?;
        (identity_of(&opened)? == known).then_some(opened)
    })
}
