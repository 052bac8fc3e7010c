//! The files of one set: opened when needed, closed when out of reach, found again when renamed. How a set
//! that is followed changes is [`growth`](crate::growth)'s part.

use std::collections::VecDeque;

use crate::format::{self, DETECT_BYTES};
use crate::gap::{Gap, GapReason};
use crate::generations::was_rotated;
use crate::growth::Growth;
use crate::inode::Inode;
use crate::interrupt::Interrupt;
use crate::position::Head;
use crate::reach::LogPath;
use crate::reader::{Fault, FileReader, Keep};
use crate::source::{Format, Input, LogFile, LogSet, Source};

/// All files of a set, addressed by their numbers, oldest first. A number stays a file's for good.
pub(crate) struct Files {
    source: Source,
    number: u32,
    pub(crate) keep: Keep,
    pub(crate) slots: VecDeque<Slot>,
    /// Number of the first slot: older files were forgotten.
    pub(crate) first: usize,
    /// With the number of the file that each is in.
    gaps: Vec<(usize, Gap)>,
    pub(crate) bytes_read: u64,
    /// Time of the newest (forward) or oldest (backward) line looked at: where a gap begins or ends.
    pub(crate) edge: Option<i64>,
    /// The oldest file that a record starts in whose end is waited for.
    pub(crate) needed: Option<usize>,
    /// What is followed; `None` when only what was there at the beginning counts.
    pub(crate) growth: Option<Growth>,
}

/// One file of the set.
pub(crate) struct Slot {
    pub(crate) file: LogFile,
    pub(crate) state: State,
    pub(crate) format: Option<Format>,
    pub(crate) len: Option<u64>,
    /// Its first bytes; only known where a set is followed or a position is told.
    pub(crate) head: Head,
    /// Whether it has been read through, or nothing will be added to it.
    pub(crate) done: bool,
    /// Whether the files between it and the one before may have been missed, which is still to be told.
    pub(crate) after_gap: bool,
    /// Whether something is missing between it and the next one, so that no record reaches across.
    pub(crate) cut_behind: bool,
    /// Whether the last listing had it.
    pub(crate) named: bool,
    /// From here on, its bytes don't count.
    pub(crate) limit: Option<u64>,
}

impl Slot {
    pub(crate) fn new(file: LogFile) -> Slot {
        Slot {
            file,
            state: State::Closed,
            format: None,
            len: None,
            head: Head::default(),
            done: false,
            after_gap: false,
            cut_behind: false,
            named: true,
            limit: None,
        }
    }

    fn fork(&self) -> Slot {
        let state = match &self.state {
            State::Open(reader) => reader.share().map_or(State::Closed, State::Open),
            State::Closed => State::Closed,
            State::Gone => State::Gone,
        };
        Slot { file: self.file.clone(), state, ..*self }
    }
}

pub(crate) enum State {
    Closed,
    Open(FileReader),
    Gone,
}

impl Files {
    pub(crate) fn new(set: LogSet, number: u32, keep: Keep) -> Files {
        Files {
            source: set.source,
            number,
            keep,
            slots: set.files.into_iter().map(Slot::new).collect(),
            first: 0,
            gaps: Vec::new(),
            bytes_read: 0,
            edge: None,
            needed: None,
            growth: None,
        }
    }

    /// The same files for another scanner: what is open and plain is shared, and what is known of a file
    /// stays known.
    pub(crate) fn fork(&self) -> Files {
        let set = LogSet { source: self.source.clone(), files: Vec::new(), dirs: Vec::new() };
        let slots = self.slots.iter().map(Slot::fork).collect();
        Files { slots, first: self.first, ..Files::new(set, self.number, self.keep.clone()) }
    }

    /// Whether a fork can share a file: it is open, any part of it can be read at any time, and nothing is added
    /// to it.
    pub(crate) fn can_fork(&mut self, file: usize) -> bool {
        let is_fixed = self.growth.is_none();
        is_fixed && matches!(&self.slot(file).state, State::Open(reader) if reader.share().is_some())
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Number behind the last file.
    pub(crate) fn count(&self) -> usize {
        self.first + self.slots.len()
    }

    pub(crate) fn slot(&mut self, file: usize) -> &mut Slot {
        &mut self.slots[file - self.first]
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
        for Slot { file, .. } in &mut self.slots {
            let found = || file.input.path().and_then(|path| Some(Inode::of(&path.metadata().ok()?)));
            file.identity = file.identity.or_else(found);
        }
    }

    /// Has reading end when the flag says so.
    pub(crate) fn interrupted_by(&mut self, interrupt: Interrupt) {
        self.keep.interrupt = interrupt;
    }

    /// Whether reading was ended, so that what was read last means nothing.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.keep.interrupt.is_interrupted()
    }

    /// Reads some bytes of a file, at least one unless it ends there.
    pub(crate) fn read_at(&mut self, file: usize, offset: u64, buf: &mut [u8]) -> usize {
        if self.is_interrupted() {
            return 0;
        }
        let Some(reader) = self.open_reader(file) else {
            return 0;
        };
        let count = reader.read_at(offset, buf);
        self.bytes_read += count as u64;
        self.tell_fault(file);
        count
    }

    /// Length of a file in decompressed bytes; 0 when it can't be read.
    pub(crate) fn len(&mut self, file: usize) -> u64 {
        if let Some(len) = self.slot(file).len {
            return len;
        }
        // Whoever asks for the end asks for the layout next, and a stream would start anew for its head.
        if !self.is_seekable(file) {
            self.format(file);
        }
        let Some(reader) = self.open_reader(file) else {
            return 0;
        };
        let len = reader.len();
        self.slot(file).len = Some(len);
        self.tell_fault(file);
        len
    }

    /// Lengths of all files together, of those whose length is known.
    pub(crate) fn known_bytes(&self) -> u64 {
        self.slots.iter().filter_map(|slot| slot.len).sum()
    }

    /// Layout of a file's lines.
    pub(crate) fn format(&mut self, file: usize) -> Format {
        if let Some(format) = self.slot(file).format {
            return format;
        }
        let format = self.detect(file);
        self.slot(file).format = Some(format);
        format
    }

    /// Whether reading a file can wait for its writer.
    pub(crate) fn may_wait(&mut self, file: usize) -> bool {
        self.open_reader(file).is_some_and(|reader| reader.may_wait())
    }

    /// Whether any byte of a file can be read without reading those before.
    pub(crate) fn is_seekable(&mut self, file: usize) -> bool {
        self.open_reader(file).is_some_and(|reader| reader.is_seekable())
    }

    /// Whether lines of a file may go on with those of the next one: nothing is missing between.
    pub(crate) fn reaches_on(&self, file: usize) -> bool {
        let next = self.slots.get(file + 1 - self.first);
        !self.is_cut_behind(file)
            && next.is_some_and(|next| !next.after_gap && !matches!(next.state, State::Gone))
    }

    /// Whether what the first line of a file goes on with would be there: all that was written before it is.
    pub(crate) fn have_all_before(&self, file: usize) -> bool {
        let oldest = self.slots.front().and_then(|slot| slot.file.input.path());
        let was_rotated =
            oldest.and_then(|path| path.file_name()).is_some_and(|name| was_rotated(&name.to_string_lossy()));
        self.first == 0 && !was_rotated && (0..file).all(|earlier| self.reaches_on(earlier))
    }

    /// Whether what a file ends with can't go on, whatever comes next.
    pub(crate) fn is_cut_behind(&self, file: usize) -> bool {
        let slot = &self.slots[file - self.first];
        slot.cut_behind || matches!(slot.state, State::Gone)
    }

    /// Notes that something is missing before a file.
    pub(crate) fn cut_before(&mut self, file: usize) {
        if file > self.first {
            self.slot(file - 1).cut_behind = true;
        }
    }

    /// Closes every file that can be opened again.
    pub(crate) fn close(&mut self) {
        (self.first..self.count()).for_each(|file| self.close_file(file));
    }

    /// Closes the files that no neighbourhood of `file` reaches.
    pub(crate) fn close_far_from(&mut self, file: usize) {
        let needed = self.needed.unwrap_or(usize::MAX);
        let far = (self.first..self.count()).filter(|number| number.abs_diff(file) > 1 && *number < needed);
        far.for_each(|file| self.close_file(file));
    }

    /// Closes a file, if it can be opened again.
    pub(crate) fn close_file(&mut self, file: usize) {
        let slot = self.slot(file);
        if slot.file.input.path().is_some() && matches!(slot.state, State::Open(_)) {
            slot.state = State::Closed;
        }
    }

    /// Tells what went wrong with a file that has been read through, and closes those that no
    /// neighbourhood of `next` reaches.
    pub(crate) fn leave(&mut self, file: usize, next: usize) {
        if let State::Open(reader) = &mut self.slot(file).state {
            reader.check_shrunk();
            self.tell_fault(file);
        }
        self.slot(file).done = true;
        if next != file && std::mem::take(&mut self.slot(next).after_gap) {
            self.cut_before(next);
            let detail = "files before it may have been deleted before they could be read";
            self.tell(next, Fault::new(GapReason::RotatedAway, detail));
        }
        self.close_far_from(next);
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
                // Docker writes nothing else, also where the first line alone is longer.
                let is_dockers = !self.source.container_id.is_empty();
                return found.unwrap_or(if is_dockers { Format::JsonFile } else { Format::Plain });
            }
            if filled == head.len() {
                head.resize((head.len() * 4).min(DETECT_BYTES), 0);
            }
        }
    }

    /// A file's reader; `None` when it can't be opened, which was told as a gap.
    pub(crate) fn open_reader(&mut self, file: usize) -> Option<&mut FileReader> {
        if matches!(self.slot(file).state, State::Closed) {
            match self.open(file) {
                Ok(mut reader) => {
                    if let Some(limit) = self.slot(file).limit {
                        reader.cut_at(limit);
                    }
                    self.slot(file).state = State::Open(reader);
                    self.note_head(file);
                }
                Err(fault) => {
                    let slot = self.slot(file);
                    slot.state = State::Gone;
                    // Of what was read nothing is missing when it is gone.
                    if !slot.done || self.growth.is_none() {
                        self.tell(file, fault);
                    }
                }
            }
        }
        match &mut self.slot(file).state {
            State::Open(reader) => Some(reader),
            State::Closed | State::Gone => None,
        }
    }

    fn open(&mut self, file: usize) -> Result<FileReader, Fault> {
        let LogFile { input, identity: known, .. } = &self.slots[file - self.first].file;
        let Some(path) = input.path() else {
            return FileReader::open(input, None, &self.keep);
        };
        let known = *known;
        match path.open_regular() {
            Ok(opened) if known.is_none() || known == Some(Inode::of(&opened.metadata)) => {
                FileReader::open(input, Some(opened), &self.keep)
            }
            // Another file has taken the name, or none has it: a rotation went by.
            result => match known.and_then(|known| known.find_beside(path)) {
                Some(opened) => FileReader::open(input, Some(opened), &self.keep),
                None => self.open_compressed(path, result.err()),
            },
        }
    }

    /// Opens what a plain file was compressed to meanwhile.
    fn open_compressed(&self, path: &LogPath, fault: Option<Fault>) -> Result<FileReader, Fault> {
        let vanished = || Fault {
            reason: GapReason::Vanished,
            detail: "rotated away before it could be read".to_owned(),
        };
        let fault = fault.unwrap_or_else(vanished);
        if fault.reason != GapReason::Vanished {
            return Err(fault);
        }
        let compressed = path.with_suffix(".gz");
        match compressed.open_regular() {
            Ok(opened) => FileReader::open(&Input::Gzip(compressed), Some(opened), &self.keep),
            Err(_) => Err(fault),
        }
    }

    fn tell_fault(&mut self, file: usize) {
        if let State::Open(reader) = &mut self.slot(file).state
            && let Some(fault) = reader.take_fault()
        {
            // What was found out about the length before doesn't hold any more.
            self.slot(file).len = None;
            self.tell(file, fault);
        }
    }

    /// Notes that a part of a file, or all of it, is missing.
    pub(crate) fn tell(&mut self, file: usize, fault: Fault) {
        self.tell_since(file, fault, self.edge);
    }

    /// Notes that something is missing of a set in which there are no files.
    pub(crate) fn tell_of_none(&mut self, fault: Fault) {
        let gap = Gap {
            source: self.number,
            file: String::new(),
            reason: fault.reason,
            detail: fault.detail,
            from: None,
            to: None,
        };
        self.gaps.push((self.first, gap));
    }

    /// The same, of what comes in scan order behind a line of a certain time.
    pub(crate) fn tell_since(&mut self, file: usize, fault: Fault, since: Option<i64>) {
        let input = &self.slots[file - self.first].file.input;
        let name =
            input.path().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        let (from, to) = if self.keep.backward { (None, since) } else { (since, None) };
        let gap = Gap {
            source: self.number,
            file: name.unwrap_or_else(|| self.source.container.clone()),
            reason: fault.reason,
            detail: fault.detail,
            from,
            to,
        };
        self.gaps.push((file, gap));
    }
}
