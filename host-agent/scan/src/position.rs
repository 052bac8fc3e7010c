//! Where a scan stands, in terms that outlast it: what a resume token says of one source.
//!
//! An index into a list of files means nothing to the next scan, and neither does a name: files are
//! renamed, compressed and deleted meanwhile. So a file is known by its inode and by its first bytes, which
//! also are the first bytes of what it was compressed to. Log lines begin with a time in nanoseconds, so two
//! files of one container don't begin alike.

use std::hash::Hasher as _;

use fnv::FnvHasher;
use serde::{Deserialize, Serialize};

use crate::files::{Files, State};
use crate::format;
use crate::gap::GapReason;
use crate::inode::Inode;
use crate::lines::Place;
use crate::reader::Fault;
use crate::scanner::Scanner;
use crate::source::Input;

/// How many bytes of a file tell it from others.
pub(crate) const HEAD_BYTES: usize = 256;

/// From so many first bytes on, they tell a file by themselves: a whole time in nanoseconds is among them.
const TELLING_BYTES: u16 = 36;

/// The first bytes of a file as a hash: positions travel to clients, who may not be meant to see log text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// How many bytes were hashed; 0 when the file was empty or wasn't looked at.
    pub(crate) bytes: u16,
    hash: u64,
    /// There is a whole line among them.
    has_line: bool,
}

impl Head {
    /// Of a file that begins with `bytes`, of which at most [`HEAD_BYTES`] count.
    pub(crate) fn of(bytes: &[u8]) -> Head {
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
        let mut hasher = FnvHasher::default();
        hasher.write(bytes);
        let count = u16::try_from(bytes.len()).expect("HEAD_BYTES is below 2^16");
        Head { bytes: count, hash: hasher.finish(), has_line: bytes.contains(&b'\n') }
    }

    /// Whether no other file of the container begins like that.
    pub(crate) fn is_telling(self) -> bool {
        self.bytes >= TELLING_BYTES || self.has_line
    }

    /// Whether a file that begins with `bytes` can be the one that this was taken of, maybe when it was
    /// shorter.
    pub(crate) fn begins(self, bytes: &[u8]) -> bool {
        self.bytes == 0 || bytes.get(..usize::from(self.bytes)).is_some_and(|bytes| Head::of(bytes) == self)
    }
}

/// A file, in terms that outlast renaming and compressing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// Where it is a file on disk.
    pub(crate) identity: Option<Inode>,
    pub(crate) head: Head,
}

/// A file that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Which.
    pub file: FileId,
    /// How much of it was read, while its last lines may yet be written.
    pub read: Option<u64>,
}

/// A record whose end is still to be written, or was when a position was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRecord {
    /// The file that it starts in.
    pub file: FileId,
    /// Where in that it starts.
    pub offset: u64,
    /// Its time, nanoseconds since the epoch, if known.
    pub time: Option<i64>,
}

/// A place between two records of a set: all records on one side of it were given, none on the other.
///
/// Only the scan that goes on in the same direction understands it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The file that it is in.
    pub file: FileId,
    /// Where the next record may start (forward), or the last one ended (backward; or anywhere in its first line).
    pub offset: u64,
    /// Records on the near side that weren't given yet, by where they start: their ends were still to be
    /// written.
    pub open: Vec<OpenRecord>,
    /// The file before it: where to go on when its own is gone.
    pub left: Option<Left>,
    /// Whether something is missing between that one and the position's file, so that no record reaches across.
    pub cut_before: bool,
    /// Whether something is missing behind the position's file, so that no record reaches out of it.
    pub cut_behind: bool,
    /// Time of the newest (forward) or oldest (backward) line before the position, nanoseconds since the
    /// epoch, if known. Bounds the gap when the file is gone.
    pub time: Option<i64>,
}

impl Position {
    /// Time of the oldest record that may not have been given; `None` when it isn't known.
    pub fn oldest(&self) -> Option<i64> {
        self.open.iter().map(|open| open.time).fold(self.time, Option::min)
    }
}

impl Files {
    /// What tells `file` from others. Opens it if it must.
    pub(crate) fn id(&mut self, file: usize) -> FileId {
        if self.slot(file).head.bytes == 0 {
            self.open_reader(file);
        }
        let slot = self.slot(file);
        FileId { identity: slot.file.identity, head: slot.head }
    }

    /// The file of that identity: by inode and first bytes, or, once it was compressed, by these alone.
    pub(crate) fn find(&mut self, id: &FileId) -> Option<usize> {
        let all = self.first..self.count();
        let same_inode = |files: &Files, file: usize| {
            id.identity.is_some() && files.slots[file - files.first].file.identity == id.identity
        };
        let inode = all.clone().find(|file| same_inode(self, *file) && self.begins_like(*file, id.head));
        inode.or_else(|| all.clone().find(|file| id.head.is_telling() && self.begins_like(*file, id.head)))
    }

    /// The file that has the inode, whatever is in it now.
    fn find_inode(&self, id: &FileId) -> Option<usize> {
        let same = |file: &usize| self.slots[file - self.first].file.identity == id.identity;
        (self.first..self.count()).find(same).filter(|_| id.identity.is_some())
    }

    fn begins_like(&mut self, file: usize, head: Head) -> bool {
        let was_closed = matches!(self.slot(file).state, State::Closed);
        let begins = self.first_bytes(file).is_some_and(|bytes| head.begins(&bytes));
        if was_closed {
            self.close_file(file);
        }
        begins
    }

    /// Notes the first bytes of a file that was just opened, and the layout of its lines if they tell it. Those that
    /// were known from an earlier time stay when they are others now, for whoever reads the file to find that out.
    pub(crate) fn note_head(&mut self, file: usize) {
        if let Some(bytes) = self.first_bytes(file) {
            let slot = self.slot(file);
            if slot.head.begins(&bytes) {
                slot.head = Head::of(&bytes);
            }
            slot.format = slot.format.or_else(|| format::of_first_line(&bytes));
        }
    }

    /// The first bytes of a file that isn't a pipe; of a compressed one, decompressed.
    pub(crate) fn first_bytes(&mut self, file: usize) -> Option<Vec<u8>> {
        if matches!(self.slot(file).file.input, Input::Pipe(_)) {
            return None;
        }
        let mut bytes = vec![0; HEAD_BYTES];
        let mut filled = 0;
        while filled < bytes.len() {
            let count = self.open_reader(file)?.read_at(filled as u64, &mut bytes[filled..]);
            if count == 0 {
                break;
            }
            filled += count;
        }
        bytes.truncate(filled);
        Some(bytes)
    }

    /// Where a file ends. A compressed one isn't read through for that: it ends behind anything.
    fn end(&mut self, file: usize) -> u64 {
        match self.slot(file).file.input {
            Input::Plain(_) => self.len(file),
            Input::Gzip(_) | Input::Pipe(_) => u64::MAX,
        }
    }
}

impl Scanner {
    /// Where the scan stands, behind everything that it gave. `None` for a pipe, which can't be gone back to,
    /// and for a set without files.
    pub fn position(&mut self) -> Option<Position> {
        let (file, offset) = self.resume_place()?;
        let starts: Vec<(Place, Option<i64>)> = self.open_runs.starts().collect();
        let files = &mut self.units.lines.files;
        if matches!(files.slot(file).file.input, Input::Pipe(_)) {
            return None;
        }
        let open = starts
            .into_iter()
            .map(|((file, offset), time)| OpenRecord { file: files.id(file), offset, time })
            .collect();
        let left = files.left_behind(file);
        let cut_before = file > files.first && files.is_cut_behind(file - 1);
        // Empty files between the place and where the scan stands aren't told.
        let stands = self.file.unwrap_or(file).max(file);
        let cut_behind = (file..=stands).any(|file| files.is_cut_behind(file));
        Some(Position { file: files.id(file), offset, open, left, cut_before, cut_behind, time: files.edge })
    }

    /// What tells a file from all others, for a [`Position`]. `None` for a pipe.
    pub fn file_id(&mut self, file: u32) -> Option<FileId> {
        let file = file as usize;
        let files = &mut self.units.lines.files;
        let is_pipe = matches!(files.slot(file).file.input, Input::Pipe(_));
        (!is_pipe).then(|| files.id(file))
    }

    /// The place that a position tells. An empty file isn't one to start from, since nothing tells it from
    /// others: the end of the one before stands for it.
    pub(crate) fn resume_place(&mut self) -> Option<Place> {
        let backward = self.backward();
        let files = &mut self.units.lines.files;
        let last = files.count().checked_sub(1).filter(|last| *last >= files.first)?;
        if backward {
            let Some(file) = self.file else { return Some((files.first, 0)) };
            return Some((file, self.offset.unwrap_or_else(|| files.end(file))));
        }
        let mut file = self.file.unwrap_or(last);
        let mut offset = if self.file.is_none() { files.end(file) } else { self.offset.unwrap_or(0) };
        while offset == 0 && file > files.first && files.id(file).head.bytes == 0 {
            file -= 1;
            offset = files.end(file);
        }
        Some((file, offset))
    }

    /// The end of the line that the byte before `offset` is in: a backward position may be within the first line of the
    /// record that comes next.
    fn behind_line(&mut self, file: usize, offset: u64) -> u64 {
        let line = offset.checked_sub(1).and_then(|last| self.units.lines.line_at(file, last));
        line.map_or(offset, |line| line.next)
    }

    /// Goes on from a position that a scan of the same log, in the same direction, told. When its file is
    /// gone, that is a gap, and the scan starts with what is left.
    pub fn resume(&mut self, position: &Position) {
        self.units.lines.files.note_identities();
        self.started = true;
        self.units.lines.files.edge = position.time;
        let mut lost = false;
        let mut since = position.time;
        for OpenRecord { file, offset, time } in &position.open {
            let line = match self.units.lines.files.find(file) {
                Some(file) => self.units.lines.line_at(file, *offset),
                None => None,
            };
            match line {
                Some(line) => self.open_runs.wait_again(line, *time),
                None => (lost, since) = (true, since.min(*time)),
            }
        }
        let place = self.units.lines.files.find(&position.file).map(|file| (file, position.offset));
        match place {
            Some((file, offset)) if self.backward() || offset <= self.units.lines.files.end(file) => {
                if position.cut_before {
                    self.units.lines.files.cut_before(file);
                }
                self.units.lines.files.slot(file).cut_behind = position.cut_behind;
                let len = self.units.lines.files.end(file);
                let offset = if self.backward() { self.behind_line(file, offset) } else { offset };
                (self.file, self.offset) = (Some(file), Some(offset.min(len)));
                if let Some(Left { file: left, read: Some(read) }) = &position.left
                    && let Some(left) = self.units.lines.files.find(left)
                {
                    self.units.lines.files.watch_left(left, *read);
                }
            }
            Some((file, _)) => {
                let fault = Fault::new(GapReason::Shrunk, "it is shorter than where the search was left");
                self.units.lines.files.tell(file, fault);
                (self.file, self.offset) = (Some(file), None);
            }
            None => {
                lost = true;
                // Emptied and written anew, or behind the file before, or, when that is gone too, at the oldest: the oldest are deleted first.
                let left = position.left.as_ref().and_then(|left| self.units.lines.files.find(&left.file));
                let emptied = self.units.lines.files.find_inode(&position.file);
                match left {
                    _ if self.backward() => self.file = None,
                    _ if emptied.is_some() => self.file = emptied,
                    Some(left) if left + 1 == self.units.lines.files.count() => {
                        (self.file, self.offset) = (Some(left), Some(self.units.lines.files.end(left)));
                    }
                    Some(left) => self.file = Some(left + 1),
                    None => {}
                }
            }
        }
        // What is waited for stands before that.
        let stands = self.file.map(|file| (file, self.offset.unwrap_or(0)));
        stands.into_iter().for_each(|stands| self.open_runs.note_given(stands));
        if let Some(file) = self.file.filter(|_| !self.backward()) {
            self.units.lines.files.leave_all_before(file);
        }
        if lost {
            let first = self.file.unwrap_or(self.units.lines.files.first);
            if first < self.units.lines.files.count() {
                match self.offset {
                    _ if place.is_some() => {}
                    None => self.units.lines.files.cut_before(first),
                    Some(_) => self.units.lines.files.slot(first).cut_behind = true,
                }
            }
            let detail = "the file where the search was left is gone; what was behind it and isn't in the files \
                          that are left is lost";
            self.units.lines.files.tell_since(first, Fault::new(GapReason::RotatedAway, detail), since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_knows_a_file_that_has_grown() {
        let short = Head::of(b"1970-01-01T00:00:00Z stdout F a\n");
        assert!(short.begins(b"1970-01-01T00:00:00Z stdout F a\n1970"));
        assert!(!short.begins(b"1970-01-01T00:00:00Z stdout F a"));
        assert!(!short.begins(b"1970-01-01T00:00:01Z stdout F a\n"));
        let long = vec![b'x'; 3 * HEAD_BYTES];
        assert!(Head::of(&long).begins(&long[..HEAD_BYTES]));
        assert!(Head::default().begins(b""));
    }
}
