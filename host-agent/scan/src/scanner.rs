//! The one loop: blocks of a set in scan order, their candidates, the records that are wanted.

use std::fmt;
use std::sync::Arc;

use crate::bounds::Bounds;
use crate::candidates::{Candidate, Candidates};
use crate::context::Context;
use crate::files::Files;
use crate::gap::{Gap, ScanStats};
use crate::interrupt::Interrupt;
use crate::line_count::line_count;
use crate::lines::{Line, Lines};
use crate::open_runs::OpenRuns;
use crate::reader::Keep;
use crate::record::{Flags, Record, RecordBatch};
use crate::search::{Direction, Search};
use crate::source::{Format, Input, LogSet, Source};
use crate::trial::Run;
use crate::units::{self, Unit, Units};
use crate::workspace::{Buffers, Workspace};

/// Size of the first block where messages are asked for, of which a few may be enough, in bytes; while steps give
/// little, each block is twice as large as the one before it, up to
/// [`ScanLimits::block_bytes`](crate::ScanLimits::block_bytes).
const FIRST_BLOCK: usize = 16 << 10;

/// A block after one that gave all that a step may give isn't smaller than this, in bytes.
const LEAST_BLOCK: usize = 1 << 10;

/// Bytes of a stream kept besides those that a scan can name a reason for.
const STREAM_SLACK: usize = 128 << 10;

/// Whether a scanner has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A block was searched; more may come.
    More,
    /// Everything that is written so far was searched; only for a set that is followed. Nothing was added to
    /// the batch.
    Idle,
    /// Nothing is left. Nothing was added to the batch either.
    End,
}

/// Searches all files of one set, block by block.
pub struct Scanner {
    pub(crate) source: u32,
    direction: Direction,
    pub(crate) search: Arc<Search>,
    pub(crate) units: Units,
    /// The file that is being searched; `None` when the last one is done.
    pub(crate) file: Option<usize>,
    /// Where in it the next block starts (forward) or ends (backward); `None` at the file's start or end.
    pub(crate) offset: Option<u64>,
    pub(crate) bounds: Bounds,
    pub(crate) block_size: usize,
    /// Matches of the block that is being searched.
    pub(crate) found: Vec<(Line, Record)>,
    pub(crate) context: Context,
    pub(crate) frontier: Option<i64>,
    pub(crate) stats: ScanStats,
    pub(crate) started: bool,
    pub(crate) open_runs: OpenRuns,
    /// Whether all that was there at the beginning has been searched: what is added later isn't measured
    /// against the time window, whatever the clock says.
    live: bool,
}

impl Scanner {
    /// A scanner of `set`, which is number `source` of the query. Opens nothing yet.
    pub fn new(set: LogSet, source: u32, search: Arc<Search>) -> Scanner {
        Scanner::towards(search.direction, set, source, search)
    }

    /// A scanner that reads in a direction, whatever the search's own is.
    pub(crate) fn towards(direction: Direction, set: LogSet, source: u32, search: Arc<Search>) -> Scanner {
        let limits = search.limits;
        let backward = direction == Direction::Backward;
        // Parts of a joined line, the lines they are in, and the block that is being searched.
        let join = usize::try_from(limits.join_bytes).unwrap_or(usize::MAX);
        let reach = [join, limits.line_bytes, limits.line_bytes, limits.block_bytes, STREAM_SLACK]
            .into_iter()
            .fold(0, usize::saturating_add);
        // Forward, only what a neighbourhood can reach is worth keeping.
        let window = if backward { usize::MAX } else { reach };
        let window = limits.gzip_window_bytes.min(window);
        let keep = Keep {
            window,
            reach,
            spool: search.context.before > 0,
            backward,
            gzip_output: limits.gzip_output_bytes,
            ..Keep::default()
        };
        Scanner::with_files(Files::new(set, source, keep), source, search)
    }

    /// A scanner that is at the first of `files` in scan order.
    pub(crate) fn with_files(files: Files, source: u32, search: Arc<Search>) -> Scanner {
        let limits = search.limits;
        let backward = files.keep.backward;
        let last = files.count().checked_sub(1);
        let file = if backward { last } else { last.map(|_| 0) };
        let lines = Lines::new(files, limits.line_bytes);
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        Scanner {
            source,
            direction,
            units: Units::new(lines, limits, search.messages),
            file,
            offset: None,
            bounds: Bounds::default(),
            block_size: match search.messages {
                true => FIRST_BLOCK.min(limits.block_bytes).min(limits.batch_bytes),
                false => limits.block_bytes,
            },
            found: Vec::new(),
            context: Context::new(search.context, direction),
            frontier: None,
            stats: ScanStats::default(),
            started: false,
            open_runs: OpenRuns::default(),
            live: false,
            search,
        }
    }

    /// Has the scan end early when the flag says so: the step that runs then gives nothing, and is the last.
    pub fn interrupted_by(&mut self, interrupt: Interrupt) {
        self.units.lines.files.interrupted_by(interrupt);
    }

    /// Searches one block and appends its records to `batch`, in scan order. What can't be read becomes
    /// a gap, and the scan goes on behind it. Waits only for the writer of a pipe.
    pub fn step(&mut self, batch: &mut RecordBatch) -> Step {
        if !std::mem::replace(&mut self.started, true) {
            self.units.lines.files.note_identities();
        }
        let (records, bytes) = (batch.records.len(), batch.bytes.len());
        let mut work = Workspace::take();
        self.swap_buffers(&mut work.buffers);
        let mut step = self.step_with(&mut work.candidates, batch);
        if self.units.lines.files.is_interrupted() {
            step = Step::End;
            batch.records.truncate(records);
            batch.bytes.truncate(bytes);
        }
        self.swap_buffers(&mut work.buffers);
        work.give_back();
        if step == Step::End {
            self.units.lines.files.close();
        }
        step
    }

    /// Bytes of all files whose length is known, as of when they were opened or looked at last.
    pub fn known_bytes(&self) -> u64 {
        self.units.lines.files.known_bytes()
    }

    /// What couldn't be read since this was asked for last.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        self.units.lines.files.take_gaps()
    }

    /// What has been done so far.
    pub fn stats(&self) -> ScanStats {
        ScanStats {
            bytes_read: self.units.lines.files.bytes_read + self.bounds.bytes_read,
            met_long_line: self.units.lines.cut,
            ..self.stats
        }
    }

    /// Whether reading can wait for a writer.
    pub fn may_wait(&self) -> bool {
        self.units.lines.files.slots.iter().any(|slot| match &slot.file.input {
            Input::Plain(_) | Input::Gzip(_) => false,
            Input::Pipe(file) => !file.metadata().is_ok_and(|metadata| metadata.is_file()),
        })
    }

    /// Whose log is searched.
    pub fn source(&self) -> &Source {
        self.units.lines.files.source()
    }

    pub(crate) fn backward(&self) -> bool {
        self.direction == Direction::Backward
    }

    fn step_with(&mut self, candidates: &mut Candidates, batch: &mut RecordBatch) -> Step {
        if self.read_straggler(candidates, batch) {
            return Step::More;
        }
        self.units.lines.files.needed = self.open_runs.oldest_file();
        let told = self.units.lines.files.gap_count();
        let Some(file) = self.next_block() else {
            return self.at_end(batch);
        };
        if self.units.lines.files.gap_count() > told {
            let time = self.time_at_edge(file, self.backward());
            self.units.lines.files.bound_gaps_behind(told, file, time);
        }
        let told = self.units.lines.files.gap_count();
        let first = batch.records.len();
        self.finish_open_runs(batch);
        let most = self.batch_bytes();
        self.search_taken_block(file, most, candidates, batch);
        self.offset =
            Some(if self.backward() { self.units.lines.block.start() } else { self.units.lines.block_end() });
        self.size_next_block(&batch.records[first..]);
        self.count_flags(&batch.records[first..]);
        self.move_frontier(file);
        self.units.lines.files.bound_gaps_ahead(told, self.frontier);
        self.stats.blocks += 1;
        Step::More
    }

    /// Exchanges the buffers that only count while a block is searched.
    pub(crate) fn swap_buffers(&mut self, buffers: &mut Buffers) {
        self.units.swap_buffers(buffers);
        std::mem::swap(&mut self.found, &mut buffers.found);
    }

    /// Bytes of lines that may match after which a step gives what it has found. What is written while a set is
    /// followed is little at a time: in pieces it would only cost more steps.
    fn batch_bytes(&self) -> usize {
        let most = self.search.limits.batch_bytes;
        if self.live { most.max(FIRST_BLOCK) } else { most }
    }

    /// Has the next block be as large as what gave enough, or larger than what gave little.
    fn size_next_block(&mut self, given: &[Record]) {
        let (batch_bytes, block_bytes) = (self.batch_bytes(), self.search.limits.block_bytes);
        let bytes = given.iter().map(|record| record.len() + size_of::<Record>()).sum::<usize>();
        let searched = self.units.lines.block.bytes().len();
        self.block_size = if bytes < batch_bytes / 2 {
            self.block_size.saturating_mul(2)
        } else if bytes < batch_bytes {
            self.block_size
        } else {
            self.block_size.min(searched.max(LEAST_BLOCK))
        };
        self.block_size = self.block_size.min(block_bytes);
    }

    /// Searches the block that was taken, of `file`, up to candidates of `most` bytes, and gives its records.
    /// The block is then what was searched.
    pub(crate) fn search_taken_block(
        &mut self,
        file: usize,
        most: usize,
        candidates: &mut Candidates,
        batch: &mut RecordBatch,
    ) {
        self.search_block(file, most, candidates, batch);
        if self.backward() {
            self.found.reverse();
        }
        if let Some((line, _)) = self.found.last() {
            self.open_runs.note_given(line.place());
        }
        self.weave(file, batch);
    }

    /// What to say when there is no next block.
    fn at_end(&mut self, batch: &mut RecordBatch) -> Step {
        let first = batch.records.len();
        if !self.backward() && self.units.lines.files.is_growing() {
            // Before a newer file with content, it waits for a second look at this one, with more of the past to come.
            self.live |= !self.units.lines.files.is_settling();
            let files = &self.units.lines.files;
            if self.open_runs.may_be_over(|file| files.is_lost(file)) {
                self.finish_open_runs(batch);
                self.count_flags(&batch.records[first..]);
            }
            return if batch.records.len() == first { Step::Idle } else { Step::More };
        }
        // Records whose ends were waited for won't get them any more.
        self.finish_open_runs(batch);
        self.count_flags(&batch.records[first..]);
        if batch.records.len() == first { Step::End } else { Step::More }
    }

    /// Takes the next block, going from file to file. Returns the file that it is of.
    fn next_block(&mut self) -> Option<usize> {
        let size = self.block_size;
        while let Some(file) = self.file {
            let lines = &mut self.units.lines;
            if self.offset.is_none() {
                lines.files.begin(file);
            }
            let span = self.bounds.span(lines, file, &self.search);
            let (block, next) = match self.direction {
                Direction::Forward => {
                    let block = lines.take_span_after(file, self.offset, span, size);
                    let next = Some(file + 1).filter(|next| *next < lines.files.count());
                    (block.map(|block| block.end), next)
                }
                Direction::Backward => {
                    let block = lines.take_span_before(file, self.offset, span, size);
                    (block.map(|block| block.start), file.checked_sub(1))
                }
            };
            if block.is_some() {
                self.offset = block;
                return Some(file);
            }
            if self.direction == Direction::Forward && !lines.files.may_leave(file) {
                return None;
            }
            lines.files.leave(file, next.unwrap_or(file));
            (self.file, self.offset) = (next, None);
        }
        None
    }

    pub(crate) fn search_block(
        &mut self,
        file: usize,
        most: usize,
        candidates: &mut Candidates,
        batch: &mut RecordBatch,
    ) {
        let backward = self.backward();
        let lines = &mut self.units.lines;
        let format = lines.format(file);
        let search = Arc::clone(&self.search);
        let limit = search.limits.line_bytes;
        // Where most messages may be rewritten, to look for their lines first takes longer than it saves.
        let raw_lines = search.raw_lines(format);
        let rewrites = search.rewrites.as_ref().filter(|_| raw_lines.is_some());
        let trial = rewrites.map(|rewrites| rewrites.trial.begin(lines.block.bytes().len()));
        let raw_lines = raw_lines.filter(|_| !trial.as_ref().is_some_and(Run::is_second));
        let run = candidates.find(raw_lines, format, lines.block.bytes(), limit);
        if lines.long.is_none() {
            let part = candidates.cut(lines.block.bytes(), most, backward);
            lines.narrow_block(part);
        }
        let start = lines.block.start();
        let mut wanted_by_required = 0;
        self.units.begin_block(file, start);
        for candidate in candidates.found() {
            let Some(line) = self.units.lines.block_line(file, candidate) else { continue };
            wanted_by_required += u64::from(self.consider(line, candidate, batch));
            self.units.pass(line);
        }
        self.units.end_block(file);
        if let Some(run) = run {
            run.end();
        }
        if let Some(trial) = trial {
            trial.end_after(self.units.lines.block.bytes().len());
        }
        self.stats.candidates += candidates.found().len() as u64;
        if self.search.matcher.as_ref().is_some_and(|matcher| matcher.has_required()) {
            let lines = line_count(self.units.lines.block.bytes());
            self.stats.skipped_by_prefilter += lines.saturating_sub(wanted_by_required);
        }
    }

    /// Adds the record that starts at a line to the matches, if one does and it is wanted. Returns
    /// whether its message got past the required expressions.
    fn consider(&mut self, line: Line, candidate: &Candidate, batch: &mut RecordBatch) -> bool {
        let mut unit = self.units.open(line);
        if !self.in_time(&unit) || self.is_rest(&unit) {
            return false;
        }
        if let Some(head) = unit.head
            && head.partial
        {
            if self.units.is_continuation(line, head.stream) {
                return false;
            }
            if self.units.gather(&mut unit) == units::Run::Open {
                self.open_runs.wait_for(line, unit.head.map(|head| head.time));
                return false;
            }
        }
        let (required, wanted) = match self.is_decided(&unit, candidate) {
            true => (true, true),
            false => self.confirm(&unit),
        };
        if !wanted {
            return required;
        }
        // Asked last: a message that isn't wanted needs no look at what stands before it.
        let continued = unit.head.filter(|head| !head.partial);
        if continued.is_some_and(|head| self.units.is_end_of_partial(line, head.stream)) {
            return required;
        }
        let record = self.units.record(&unit, self.source, batch);
        self.found.push((line, record));
        required
    }

    /// Whether a unit may be the rest of one whose beginning isn't with it, in which what rewrites messages would have found
    /// more. It is given to nobody and not counted: whether it is looked at at all depends on what is in it.
    pub(crate) fn is_rest(&mut self, unit: &Unit) -> bool {
        let head = unit.head.filter(|_| self.search.rewrites.is_some());
        head.is_some_and(|head| self.units.may_lack_its_beginning(unit.line, head.stream))
    }

    /// Whether the match in the raw line is one in the message, so that nothing is left to confirm.
    fn is_decided(&self, unit: &Unit, candidate: &Candidate) -> bool {
        let (Candidate::Match(hit), Some(message), None) =
            (candidate, unit.raw_start(), &self.search.rewrites)
        else {
            return false;
        };
        let longest = self.search.matcher.as_ref().and_then(|matcher| matcher.decided_by_raw_match());
        longest.is_some_and(|longest| hit.match_end - hit.start >= message + longest)
    }

    /// Whether the message matches what is required, and all that is asked for; or whether that is to be found out
    /// behind the scan.
    pub(crate) fn confirm(&mut self, unit: &Unit) -> (bool, bool) {
        let rewrites = self.search.rewrites.as_ref();
        let is_whole = !unit.flags.has(Flags::TRUNCATED) && !unit.flags.has(Flags::UNFINISHED);
        if rewrites.is_some_and(|it| !is_whole || it.may_change(self.units.message(unit))) {
            return (true, true);
        }
        let seen = rewrites.map_or(usize::MAX, |rewrites| rewrites.line_bytes);
        self.units.lines.cut |= self.units.message(unit).len() > seen;
        let Some(matcher) = &self.search.matcher else {
            return (true, true);
        };
        let message = self.units.message(unit);
        let message = &message[..message.len().min(seen)];
        let required = matcher.matches_required(message);
        (required, required && matcher.matches_patterns(message))
    }

    /// Whether a unit is in the time window. One without a time is taken for as old as the line before
    /// it; when nothing tells how old that is, it passes.
    pub(crate) fn in_time(&mut self, unit: &Unit) -> bool {
        let Some(window) = self.search.time.as_ref().filter(|_| !self.live) else {
            return true;
        };
        let time = match unit.head {
            Some(head) => Some(head.time),
            None if self.units.lines.format(unit.line.file) == Format::Plain => None,
            None => self.units.time_before(unit.line),
        };
        time.is_none_or(|time| window.contains(&time))
    }

    pub(crate) fn count_flags(&mut self, records: &[Record]) {
        for record in records {
            self.stats.malformed += u64::from(record.flags.has(Flags::MALFORMED));
            self.stats.truncated += u64::from(record.flags.has(Flags::TRUNCATED));
        }
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("source", &self.source)
            .field("source", self.source())
            .field("file", &self.file)
            .field("offset", &self.offset)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
