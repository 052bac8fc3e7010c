//! Records of a followed set whose end is still to be written: they wait for it, and nothing waits for them.

use std::sync::Arc;

use crate::candidates::Candidates;
use crate::gap::GapReason;
use crate::lines::{Line, Place};
use crate::reader::Fault;
use crate::record::{Flags, RecordBatch, Stream};
use crate::scanner::Scanner;
use crate::search::Direction;
use crate::source::{LogFile, LogSet};
use crate::units::Run;

/// What a scanner that follows has to remember besides where it stands.
#[derive(Default)]
pub(crate) struct OpenRuns {
    /// First lines of the records that wait, at most one for each stream, and their times.
    starts: Vec<(Line, Option<i64>)>,
    /// The newest place of a record that was given.
    given: Option<Place>,
    /// Ends may have come before the scan stood where it began.
    resumed: bool,
}

impl OpenRuns {
    /// Where the records that wait start, and their times.
    pub(crate) fn starts(&self) -> impl Iterator<Item = (Place, Option<i64>)> {
        self.starts.iter().map(|(line, time)| (line.place(), *time))
    }

    /// The oldest file that one of them starts in.
    pub(crate) fn oldest_file(&self) -> Option<usize> {
        self.starts().map(|((file, _), _)| file).min()
    }

    /// Waits for the end of the record that starts with a line of that time.
    pub(crate) fn wait_for(&mut self, line: Line, time: Option<i64>) {
        self.starts.push((line, time));
    }

    /// Waits for the end of a record that an earlier scan waited for, and that may be there already, before the place
    /// where this scan goes on.
    pub(crate) fn wait_again(&mut self, line: Line, time: Option<i64>) {
        self.wait_for(line, time);
        self.resumed = true;
    }

    /// Whether a record that is waited for may have its end already, though nothing more was read, or can't get it any
    /// more, since the file that it starts in is lost.
    pub(crate) fn may_be_over(&mut self, is_lost: impl Fn(usize) -> bool) -> bool {
        let resumed = std::mem::take(&mut self.resumed);
        resumed || self.starts.iter().any(|(line, _)| is_lost(line.file))
    }

    pub(crate) fn note_given(&mut self, place: Place) {
        self.given = self.given.max(Some(place));
    }
}

impl Scanner {
    /// Follows the set from now on: at its end, [`Scanner::step`] says [`Step::Idle`](crate::Step::Idle), and
    /// goes on once [`Scanner::look`] or [`Scanner::update`] found more.
    pub fn follow(&mut self) {
        self.started = true;
        self.units.lines.files.follow();
    }

    /// Goes to the end of what is written in whole lines.
    pub fn seek_end(&mut self) {
        let Some((file, end)) = self.units.lines.whole_end() else {
            return;
        };
        (self.file, self.offset) = (Some(file), Some(end));
        self.open_runs.note_given((file, end));
        // What a runtime still holds goes to the file before.
        let before = file.checked_sub(1).filter(|before| *before >= self.units.lines.files.first);
        before.into_iter().for_each(|before| self.units.lines.files.reopen_done(before));
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(start) = self.units.run_before(file, end, stream) {
                let mut unit = self.units.open(start);
                if self.units.gather(&mut unit) == Run::Open {
                    self.open_runs.wait_for(start, unit.head.map(|head| head.time));
                }
            }
        }
        self.units.lines.files.close_far_from(file);
    }

    /// The scan of everything before the place where this one stands, newest first. Records that this scan waits
    /// for aren't given.
    pub fn before(&mut self) -> Scanner {
        let end = self.resume_place();
        let files = self.units.lines.files.up_to(end);
        let set = LogSet { source: self.source().clone(), files, dirs: Vec::new() };
        let search = Arc::clone(&self.search);
        let mut past = Scanner::towards(Direction::Backward, set, self.source, search);
        past.units.lines.files.end_at(end);
        past
    }

    /// Finds out how long the files are now.
    pub fn look(&mut self) {
        self.units.lines.forget_layout();
        self.units.lines.files.look();
    }

    /// Takes note of the files that are listed now, oldest first. Where it is known how many files were created
    /// since the last time, by whoever watches the directory, one that is gone already is told as a gap, and no
    /// other is suspected.
    pub fn update(&mut self, listed: Vec<LogFile>, created: Option<usize>) {
        // Before the listing is: a file may be known by what was written to it since, and by that alone.
        self.look();
        let files = &mut self.units.lines.files;
        let at = self.file.unwrap_or_else(|| files.count().saturating_sub(1));
        let reach = self.open_runs.oldest_file().unwrap_or(at);
        files.update(listed, created, at, reach);
        self.file = self.file.or_else(|| (files.count() > files.first).then_some(files.first));
    }

    /// Takes note of a file that came and went without having been listed.
    pub fn note_missed(&mut self) {
        self.units.lines.files.note_missed();
    }

    /// Nothing will be written any more: what is there is read to its end, then the scan ends.
    pub fn seal(&mut self) {
        self.units.lines.forget_layout();
        self.units.lines.files.seal();
    }

    /// Whether the scan waits for nothing but another look, a moment later: a newer file has content, and
    /// the one before it may get its last lines yet.
    pub fn is_settling(&self) -> bool {
        self.units.lines.files.is_settling()
    }

    /// Where the records start whose ends are waited for, as [`Record`](crate::Record) tells places: number of the file, offset. In the
    /// order of [`Position::open`](crate::Position::open).
    pub fn open_records(&self) -> impl Iterator<Item = (u32, u64)> {
        let number = |file| u32::try_from(file).expect("a set has far fewer files than 2^32");
        self.open_runs.starts().map(move |((file, offset), _)| (number(file), offset))
    }

    /// Whether nothing that is written is left to read, as far as is known without a look.
    pub fn is_caught_up(&self) -> bool {
        let files = &self.units.lines.files;
        self.file.is_some_and(|file| {
            file + 1 == files.count() && files.is_known_end(file, self.offset.unwrap_or(0))
        })
    }

    /// Gives the records whose end has come meanwhile.
    pub(crate) fn finish_open_runs(&mut self, batch: &mut RecordBatch) {
        for (line, time) in std::mem::take(&mut self.open_runs.starts) {
            if self.units.lines.files.is_lost(line.file) {
                let fault =
                    Fault::new(GapReason::Shrunk, "the beginning of a line was lost before its end came");
                self.units.lines.files.tell_since(line.file, fault, time);
                continue;
            }
            let mut unit = self.units.open(line);
            if self.is_rest(&unit) {
                continue;
            }
            if self.units.gather(&mut unit) == Run::Open {
                self.open_runs.wait_for(line, time);
                continue;
            }
            if self.confirm(&unit).1 {
                let mut record = self.units.record(&unit, self.source, batch);
                if self.open_runs.given > Some(line.place()) {
                    record.flags.set(Flags::LATE);
                }
                batch.records.push(record);
                self.open_runs.note_given(line.place());
            }
        }
    }

    /// Reads what was added to a file after it was left. Whether there was something.
    pub(crate) fn read_straggler(&mut self, candidates: &mut Candidates, batch: &mut RecordBatch) -> bool {
        let Some((file, from)) = self.units.lines.files.take_straggler() else {
            return false;
        };
        let (size, first) = (self.search.limits.block_bytes, batch.records.len());
        let Some(block) = self.units.lines.take_block_after(file, from, size) else {
            return false;
        };
        self.units.lines.files.set_straggler(file, block.end);
        self.search_taken_block(file, usize::MAX, candidates, batch);
        for record in &mut batch.records[first..] {
            record.flags.set(Flags::LATE);
        }
        true
    }
}
