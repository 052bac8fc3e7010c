//! How the files of a set change while it is followed: they grow, are renamed, compressed, cut short and
//! deleted, and new ones come.
//!
//! Whoever watches the disk says when to look ([`Files::look`]: files may have grown) and what is listed now
//! ([`Files::update`]: names have changed). Nothing here waits or knows what time it is.
//!
//! What kubelet and the runtimes do to a log (`pkg/kubelet/logs/container_log_manager.go`): rename the live
//! file, ask for a new one, compress the rotated one before the next rotation, delete the oldest. Until it has
//! reopened, and a little longer for what it holds, a runtime writes to the renamed file. So a file is left
//! only when a newer one has content and the old one hasn't grown from one look to the next, and even then it
//! is watched until its successor is left too.

use std::cell::OnceCell;

use crate::files::{Files, Slot, State};
use crate::format::DETECT_BYTES;
use crate::gap::GapReason;
use crate::lines::Place;
use crate::position::{Head, Left};
use crate::reader::{Fault, Keep};
use crate::source::{Format, Input, LogFile, LogSet, Source};

/// What is known of a set that is followed.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// Looks so far.
    looks: u64,
    /// A file at its end, its length, and the look when its successor was first seen to have content.
    settling: Option<(usize, u64, u64)>,
    /// Nothing will be written any more.
    sealed: bool,
    /// Files that were listed before it was told that they were created.
    ahead: usize,
    /// It was told that all files are gone.
    is_gone: bool,
    /// A file that has grown after it was left, and from where on.
    straggler: Option<(usize, u64)>,
}

impl Files {
    /// The files of nothing but `file`, which is nobody's.
    pub(crate) fn of_one(file: LogFile, keep: Keep) -> Files {
        Files::new(LogSet { source: Source::default(), files: vec![file], dirs: Vec::new() }, 0, keep)
    }

    /// Whether more may be written to a file: the runtime writes to the newest one, or, while it reopens, to
    /// the one before.
    pub(crate) fn may_grow(&self, file: usize) -> bool {
        let slot = &self.slots[file - self.first];
        let is_plain = matches!(slot.file.input, Input::Plain(_));
        self.is_growing() && is_plain && !slot.done && file + 2 >= self.count()
    }

    /// Whether the line behind the last one of a file, or of empty files behind it, is still to be written.
    pub(crate) fn goes_on(&self, file: usize) -> bool {
        let end = (file..self.count()).find(|file| self.may_grow(*file) || !self.reaches_on(*file));
        end.is_some_and(|end| self.may_grow(end) || end + 1 == self.count()) && self.is_growing()
    }

    /// Whether more may be written to the set.
    pub(crate) fn is_growing(&self) -> bool {
        self.growth.as_ref().is_some_and(|growth| !growth.sealed)
    }

    /// Nothing will be written any more: what is there now is all.
    pub(crate) fn seal(&mut self) {
        self.look();
        if let Some(growth) = &mut self.growth {
            growth.sealed = true;
        }
    }

    /// Whether the file that is at its end has to be looked at once more, a moment later, to be left.
    pub(crate) fn is_settling(&self) -> bool {
        self.growth.as_ref().is_some_and(|growth| growth.settling.is_some())
    }

    /// Finds out how long the open files are now.
    pub(crate) fn look(&mut self) {
        if let Some(growth) = &mut self.growth {
            growth.looks += 1;
        }
        for file in self.first..self.count() {
            let slot = self.slot(file);
            if !matches!(slot.file.input, Input::Plain(_)) {
                continue;
            }
            let State::Open(reader) = &mut slot.state else { continue };
            let (before, was_done) = (reader.len(), slot.done);
            let grown = reader.grow();
            // What begins with text of no known format may yet turn out to have one.
            if before < DETECT_BYTES as u64 && !was_done {
                slot.format = slot.format.filter(|format| *format != Format::Plain);
            }
            match grown.and_then(|len| self.check_head(file, before, len).map_err(Some)) {
                Ok(len) => {
                    self.slot(file).len = Some(len);
                    if was_done
                        && len > before
                        && let Some(growth) = &mut self.growth
                    {
                        growth.straggler.get_or_insert((file, before));
                    }
                }
                Err(fault) => self.start_again(file, fault),
            }
        }
    }

    /// Notes a file's first bytes, or finds that they are others now: then it was emptied and written anew.
    fn check_head(&mut self, file: usize, before: u64, len: u64) -> Result<u64, Fault> {
        // What is looked at was written to: as long as before, the newest file may hold something else.
        if len == before && file + 1 < self.count() {
            return Ok(len);
        }
        let Some(bytes) = self.first_bytes(file) else {
            return Ok(len);
        };
        let slot = self.slot(file);
        if !slot.head.begins(&bytes) {
            return Err(Fault::new(GapReason::Shrunk, "it was emptied and written anew"));
        }
        slot.head = Head::of(&bytes);
        Ok(len)
    }

    /// Has a look at how a file begins, right before it is read from there: what was known of it may be gone, with
    /// something as long in its place.
    pub(crate) fn begin(&mut self, file: usize) {
        if self.growth.is_none() || !matches!(self.slot(file).file.input, Input::Plain(_)) {
            return;
        }
        let Some(bytes) = self.first_bytes(file) else { return };
        let slot = self.slot(file);
        let is_other = !slot.head.begins(&bytes);
        slot.head = Head::of(&bytes);
        if is_other {
            self.cut_before(file);
            self.tell(
                file,
                Fault::new(GapReason::Shrunk, "it was emptied and written anew before it was read"),
            );
        }
    }

    /// Goes on with a file that was emptied as if it were a new one.
    fn start_again(&mut self, file: usize, fault: Option<Fault>) {
        let is_newest = file + 1 == self.count();
        if let Some(fault) = fault {
            self.tell(file, fault);
        }
        let slot = self.slot(file);
        slot.state = State::Gone;
        slot.done = true;
        let again = slot.file.clone();
        if is_newest {
            self.slots.push_back(Slot::new(again));
        }
    }

    /// Follows the set from now on.
    pub(crate) fn follow(&mut self) {
        self.growth = Some(Growth::default());
        self.note_identities();
        for file in self.first..self.count() {
            self.know_head(file);
        }
    }

    /// Notes how a file begins, without keeping it open: its inode may become another's.
    fn know_head(&mut self, file: usize) {
        if self.slot(file).head.bytes == 0 && self.open_reader(file).is_some() {
            self.close_file(file);
        }
    }

    /// Takes the files before one for left: an earlier scan has read them.
    pub(crate) fn leave_all_before(&mut self, file: usize) {
        (self.first..file).for_each(|file| self.slot(file).done = true);
    }

    /// Opens a file that was left, to see whether anything is added to it yet.
    pub(crate) fn reopen_done(&mut self, file: usize) {
        if matches!(self.slot(file).file.input, Input::Plain(_)) {
            self.len(file);
            self.slot(file).done = true;
        }
    }

    /// The files up to the one of a place.
    pub(crate) fn up_to(&self, end: Option<Place>) -> Vec<LogFile> {
        let count = end.map_or(0, |(file, _)| file + 1 - self.first);
        self.slots.iter().take(count).map(|slot| slot.file.clone()).collect()
    }

    /// Takes the set to end at a place in its last file, where a scan that follows it goes on.
    pub(crate) fn end_at(&mut self, end: Option<Place>) {
        self.growth = Some(Growth::default());
        self.slots.iter_mut().for_each(|slot| slot.done = true);
        if let (Some((_, end)), Some(last)) = (end, self.slots.back_mut()) {
            last.limit = Some(end);
        }
    }

    /// Takes note of what is listed now, while the scan stands in file `at` and nothing older than
    /// `reach` is needed any more; `created` files have come since the last time, if that is known.
    pub(crate) fn update(&mut self, listed: Vec<LogFile>, created: Option<usize>, at: usize, reach: usize) {
        let (count, is_gone) = (self.count(), listed.is_empty());
        self.take_listing(listed, at);
        let come = self.count() - count;
        let growth = self.growth.get_or_insert_default();
        match created {
            Some(created) => {
                // A file may be listed before it is told that it was created.
                let told = created.saturating_sub(std::mem::take(&mut growth.ahead));
                growth.ahead = come.saturating_sub(told);
                (count..count + come).for_each(|file| self.slot(file).after_gap = false);
                if told > come {
                    self.note_missed();
                }
            }
            None => {
                growth.ahead = 0;
                if is_gone && !std::mem::replace(&mut growth.is_gone, true) {
                    self.note_missed();
                }
            }
        }
        // Open, the file that is next can't be taken away any more.
        if at + 1 < self.count() {
            self.open_reader(at + 1);
        }
        self.forget(at, reach);
    }

    /// Tells that a file may have come and gone without having been listed.
    pub(crate) fn note_missed(&mut self) {
        let detail = "a file may have been written and deleted before it could be read";
        match self.slots.len() {
            0 => self.tell_of_none(Fault::new(GapReason::RotatedAway, detail)),
            _ => self.tell(self.count() - 1, Fault::new(GapReason::RotatedAway, detail)),
        }
    }

    fn take_listing(&mut self, listed: Vec<LogFile>, at: usize) {
        self.slots.iter_mut().for_each(|slot| slot.named = false);
        let known: Vec<Option<usize>> = listed.iter().map(|file| self.known(file)).collect();
        for (file, known) in listed.iter().zip(&known) {
            if let Some(known) = *known {
                self.rename(known, file);
            }
        }
        for (index, file) in listed.into_iter().enumerate() {
            if known[index].is_some() {
                continue;
            }
            match known[index..].iter().flatten().min() {
                // Listed before a file that is known, so it was overlooked.
                Some(&newer) if newer > at => self.insert(newer, file),
                Some(_) => self.overlooked(&file),
                None => self.append(file),
            }
        }
    }

    /// Which file a listed one is.
    fn known(&self, listed: &LogFile) -> Option<usize> {
        let begin = OnceCell::new();
        let begins = |head: Head| {
            let read = || Files::of_one(listed.clone(), self.keep.clone()).first_bytes(0).unwrap_or_default();
            head.is_telling() && head.begins(begin.get_or_init(read))
        };
        let slots = || (self.first..self.count()).zip(&self.slots).rev();
        let by_inode = slots().find(|(_, slot)| {
            // An open file's inode can't have become another's; a closed one's can.
            let is_sure = matches!(slot.state, State::Open(_))
                || slot.file.input.path() == listed.input.path()
                // Where nothing was read, nothing is lost if it has.
                || (slot.head.bytes == 0 && !slot.done);
            listed.identity.is_some()
                && slot.file.identity == listed.identity
                && (is_sure || begins(slot.head))
        });
        let is_gzip = matches!(listed.input, Input::Gzip(_));
        let compressed = || slots().find(|(_, slot)| is_gzip && begins(slot.head));
        by_inode.or_else(compressed).map(|(number, _)| number)
    }

    /// Notes under which name a file is now. One that is open is read on as it is.
    fn rename(&mut self, number: usize, listed: &LogFile) {
        let slot = self.slot(number);
        slot.named = true;
        let is_open = matches!(slot.state, State::Open(_));
        match (&slot.file.input, &listed.input) {
            (Input::Plain(_), Input::Gzip(_)) if is_open => {}
            _ => slot.file = LogFile { size: listed.size, ..listed.clone() },
        }
    }

    /// Adds a file behind all others. Whether anything stood between it and the one before is certain only
    /// when that one is still there.
    fn append(&mut self, file: LogFile) {
        let mut slot = Slot::new(file);
        slot.after_gap = self.slots.back().is_some_and(|last| !last.named);
        self.slots.push_back(slot);
        self.know_head(self.count() - 1);
    }

    fn insert(&mut self, number: usize, file: LogFile) {
        self.slots.insert(number - self.first, Slot::new(file));
        self.know_head(number);
    }

    /// A file that is older than what was given already: a copy of one that was read, or one that wasn't.
    fn overlooked(&mut self, file: &LogFile) {
        let begin = Files::of_one(file.clone(), self.keep.clone()).first_bytes(0).unwrap_or_default();
        let is_known = self.slots.iter().any(|slot| slot.head.bytes > 0 && slot.head.begins(&begin));
        if !begin.is_empty() && !is_known {
            let name =
                file.input.path().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
            let detail = format!("{name} turned up behind newer files and wasn't read");
            self.tell(self.first, Fault::new(GapReason::Missed, detail));
        }
    }

    /// Lets go of old files that aren't there any more.
    fn forget(&mut self, at: usize, reach: usize) {
        while self.first < at.saturating_sub(1).min(reach)
            && self.slots.front().is_some_and(|slot| !slot.named)
        {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Whether the scan, at the end of `file`, may go on to the next one.
    pub(crate) fn may_leave(&mut self, file: usize) -> bool {
        let next = file + 1;
        if !self.may_grow(file) {
            return next < self.count() || !self.is_growing();
        }
        // One that was emptied before it was read has another in its place.
        let next = (next..self.count()).find(|next| !self.is_lost(*next));
        let has_content = next.is_some_and(|next| self.len(next) > 0);
        let len = self.len(file);
        let growth = self.growth.as_mut().expect("a file that may grow is of a set that is followed");
        if !has_content {
            growth.settling = None;
            return false;
        }
        match growth.settling {
            Some((settling, known, look)) if settling == file && known == len => {
                let settled = growth.looks > look;
                growth.settling = growth.settling.filter(|_| !settled);
                settled
            }
            _ => {
                growth.settling = Some((file, len, growth.looks));
                false
            }
        }
    }

    /// The file before `file`, and, while it is watched, how much of it was read.
    pub(crate) fn left_behind(&mut self, file: usize) -> Option<Left> {
        // What was in a file before it was emptied can't be found again.
        let before = (self.first..file).rev().find(|before| !self.is_lost(*before))?;
        let is_watched = self.growth.is_some() && matches!(self.slot(before).file.input, Input::Plain(_));
        let slot = self.slot(before);
        let len = slot.len.filter(|_| is_watched && slot.done && matches!(slot.state, State::Open(_)));
        let unread = self.growth.as_ref().and_then(|growth| growth.straggler);
        let read = len.map(|len| unread.filter(|(file, _)| *file == before).map_or(len, |(_, from)| from));
        Some(Left { file: self.id(before), read })
    }

    /// Watches a file that was left for what is added to it behind `read`.
    pub(crate) fn watch_left(&mut self, file: usize, read: u64) {
        if self.growth.is_some() {
            self.reopen_done(file);
            self.set_straggler(file, read);
        }
    }

    /// A file that has grown after it was left, and where what was added starts.
    pub(crate) fn take_straggler(&mut self) -> Option<(usize, u64)> {
        self.growth.as_mut()?.straggler.take()
    }

    /// Notes up to where what was added to a left file has been read.
    pub(crate) fn set_straggler(&mut self, file: usize, read_to: u64) {
        let more = self.len(file) > read_to;
        if let Some(growth) = &mut self.growth {
            growth.straggler = more.then_some((file, read_to));
        }
    }

    /// Whether what stood in a file is gone.
    pub(crate) fn is_lost(&self, file: usize) -> bool {
        file < self.first || matches!(self.slots[file - self.first].state, State::Gone)
    }

    /// Whether a file is known to end at a place.
    pub(crate) fn is_known_end(&self, file: usize, offset: u64) -> bool {
        self.slots[file - self.first].len == Some(offset)
    }
}
