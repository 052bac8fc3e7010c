//! Records out of lines: which line starts a record, which parts belong to it, what its message is.
//!
//! The join rule is local, so that it holds in any direction and for any block: two lines of one
//! stream with none of that stream between them belong together when the first is marked partial and
//! at most [`ScanLimits::join_bytes`](crate::ScanLimits::join_bytes) of other lines lie between. A
//! record stands where its first line stands.

use std::ops::Range;

use crate::lines::{Line, Lines, Place};
use crate::record::{Flags, Record, RecordBatch, Stream};
use crate::search::ScanLimits;
use crate::source::{Format, LineHead};
use crate::workspace::Buffers;
use crate::{cri, json_file};

/// A line that may start a record, taken apart.
pub(crate) struct Unit {
    pub(crate) line: Line,
    /// `None` for lines without a head: plain ones, malformed ones.
    pub(crate) head: Option<LineHead>,
    pub(crate) flags: Flags,
    text: Text,
}

impl Unit {
    /// Where the message starts in the raw line, if it is all of the rest of that line.
    pub(crate) fn raw_start(&self) -> Option<usize> {
        match &self.text {
            Text::Raw(range) if !self.flags.has(Flags::TRUNCATED) => Some(range.start),
            Text::Raw(_) | Text::Scratch => None,
        }
    }
}

/// Where the message of a unit is.
enum Text {
    /// In the raw line.
    Raw(Range<usize>),
    /// In the scratch buffer, decoded or joined.
    Scratch,
}

/// What is known of the parts that follow a partial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// The record has its end, or is known to have none.
    Ended,
    /// More may be written yet.
    Open,
}

/// What stands before a line on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// A partial line, and how many bytes lie between.
    Partial(u64),
    /// A whole line.
    Whole,
    /// None that is near enough.
    Far,
    /// Nothing, from this file on as far back as there are files.
    Nothing(usize),
}

/// What follows a partial line on its stream.
enum Next {
    Part(Line, LineHead),
    /// The next line is too far away, or nothing will come any more.
    None,
    /// Nothing yet.
    Unwritten,
}

/// The records of a set.
pub(crate) struct Units {
    pub(crate) lines: Lines,
    limits: ScanLimits,
    /// Whether records come with their messages.
    messages: bool,
    /// Message of the unit that was opened last, where it isn't in the raw line.
    scratch: Vec<u8>,
    part: Vec<u8>,
    passed: Passed,
    whole: Whole,
    /// The headless line that was looked at last: its place, the bytes of headless lines right before it,
    /// and the time before those.
    headless: Option<((usize, u64), u64, Option<i64>)>,
}

/// The lines that were passed one after the other, up to here: what spares the way back to the line
/// before on the same stream. Says nothing that the files don't.
#[derive(Default)]
struct Passed {
    since: Place,
    next: Place,
    /// For each stream, where its last line ends and whether it is partial.
    last: [Option<(u64, bool)>; 2],
}

/// For each stream, whether a whole line of it was passed and no partial one after it: then no line behind
/// it continues an earlier one of that stream. Holds for lines of the block in their order.
#[derive(Default)]
struct Whole {
    /// Where the block ends; lines of another block that starts there follow on.
    next: Place,
    seen: [bool; 2],
}

impl Units {
    pub(crate) fn new(lines: Lines, limits: ScanLimits, messages: bool) -> Units {
        Units {
            lines,
            limits,
            messages,
            scratch: Vec::new(),
            part: Vec::new(),
            passed: Passed::default(),
            whole: Whole::default(),
            headless: None,
        }
    }

    /// Exchanges the buffers that only count while a block is searched.
    pub(crate) fn swap_buffers(&mut self, buffers: &mut Buffers) {
        self.lines.swap_buffers(buffers);
        std::mem::swap(&mut self.scratch, &mut buffers.joined);
        std::mem::swap(&mut self.part, &mut buffers.part);
    }

    /// Takes one line apart. Its message is that line's only, until [`Units::gather`] adds the rest.
    pub(crate) fn open(&mut self, line: Line) -> Unit {
        let limit = self.limits.line_bytes;
        let format = self.lines.format(line.file);
        let over_cap = self.lines.is_over_cap(line);
        let visible = self.lines.visible(line);
        let (head, mut text, length) = match format {
            Format::Cri => match cri::parse_line(visible) {
                Some((head, from)) => (Some(head), Text::Raw(from..visible.len()), visible.len() - from),
                None => (None, Text::Raw(0..visible.len()), visible.len()),
            },
            Format::JsonFile if !over_cap => match json_file::parse_line(visible, &mut self.scratch) {
                Some(head) => (Some(head), Text::Scratch, self.scratch.len()),
                None => (None, Text::Raw(0..visible.len()), visible.len()),
            },
            Format::JsonFile | Format::Plain => (None, Text::Raw(0..visible.len()), visible.len()),
        };
        let mut flags = Flags::default();
        if length > limit {
            flags.set(Flags::TRUNCATED);
            self.lines.cut = true;
            match &mut text {
                Text::Raw(range) => range.end = range.start + limit,
                Text::Scratch => self.scratch.truncate(limit),
            }
        }
        if head.is_none() && format != Format::Plain {
            flags.set(Flags::MALFORMED);
        }
        // A runtime ends every line: this one is still being written, or its writer died.
        let goes_on = head.is_some_and(|head| head.partial);
        if format != Format::Plain && !goes_on && !line.is_ended() && !flags.has(Flags::TRUNCATED) {
            flags.set(Flags::UNFINISHED);
        }
        self.lines.note_head(line, head);
        Unit { line, head, flags, text }
    }

    /// The message of the unit that was opened last.
    pub(crate) fn message(&mut self, unit: &Unit) -> &[u8] {
        match &unit.text {
            // A file that is cut off while it is read leaves less than was seen before.
            Text::Raw(range) => self.lines.visible(unit.line).get(range.clone()).unwrap_or_default(),
            Text::Scratch => &self.scratch,
        }
    }

    /// Tells that lines of the block are passed next, in their order, and all among them that are partial.
    pub(crate) fn begin_block(&mut self, file: usize, start: u64) {
        if self.whole.next != (file, start) {
            self.whole.seen = [false; 2];
        }
    }

    /// Tells that those lines were passed.
    pub(crate) fn end_block(&mut self, file: usize) {
        self.whole.next = (file, self.lines.block_end());
    }

    /// Whether a whole line of the block, the next to be passed, continues an earlier one.
    pub(crate) fn is_end_of_partial(&mut self, line: Line, stream: Stream) -> bool {
        let seen = std::mem::replace(&mut self.whole.seen[stream as usize], true);
        !seen && self.is_continuation(line, stream)
    }

    /// Whether a line of `stream` is the continuation of an earlier one.
    pub(crate) fn is_continuation(&mut self, line: Line, stream: Stream) -> bool {
        let most = self.limits.join_bytes;
        matches!(self.before(line, stream, most), Before::Partial(between) if between <= most)
    }

    /// Whether a line of `stream` may be the rest of one that began too far away to be joined, or in a file that isn't there
    /// any more. Looks back as far as it takes, since what was split can't be told by the rest alone: over all lines of a
    /// source, each is looked at once more.
    pub(crate) fn may_lack_its_beginning(&mut self, line: Line, stream: Stream) -> bool {
        match self.before(line, stream, u64::MAX) {
            Before::Partial(between) => between > self.limits.join_bytes,
            Before::Nothing(file) => !self.lines.files.have_all_before(file),
            Before::Whole | Before::Far => false,
        }
    }

    /// What stands before a line on its stream, of which no more than `most` bytes of other lines are looked at.
    fn before(&mut self, line: Line, stream: Stream, most: u64) -> Before {
        let known =
            |is_partial: bool, between| if is_partial { Before::Partial(between) } else { Before::Whole };
        if self.passed.next == line.place() {
            let last = self.passed.last[stream as usize];
            if let Some((end, partial)) = last {
                return known(partial, line.start - end);
            }
            if line.start - self.passed.since.1 > most {
                return Before::Far;
            }
        }
        let mut between = 0;
        let mut at = line;
        while let Some(prev) = self.lines.prev(at) {
            if between > most {
                return Before::Far;
            }
            if let Some(head) = self.lines.head(prev).filter(|head| head.stream == stream) {
                return known(head.partial, between);
            }
            between += prev.next - prev.start;
            at = prev;
        }
        Before::Nothing(at.file)
    }

    /// Notes that a line was looked at and the next one may follow.
    pub(crate) fn pass(&mut self, line: Line) {
        if self.passed.next != line.place() {
            self.passed = Passed { since: line.place(), ..Passed::default() };
        }
        if let Some(head) = self.lines.head(line) {
            if head.partial {
                self.whole.seen[head.stream as usize] = false;
            }
            self.passed.last[head.stream as usize] = Some((line.next, head.partial));
        }
        self.passed.next = (line.file, line.next);
    }

    /// Adds the parts that follow to a unit whose line is partial.
    pub(crate) fn gather(&mut self, unit: &mut Unit) -> Run {
        let Some(mut head) = unit.head.filter(|head| head.partial) else {
            return Run::Ended;
        };
        if let Text::Raw(range) = &unit.text {
            self.scratch.clear();
            let first = self.lines.visible(unit.line).get(range.clone()).unwrap_or_default();
            self.scratch.extend_from_slice(first);
            unit.text = Text::Scratch;
        }
        let mut joined = std::mem::take(&mut self.scratch);
        let mut at = unit.line;
        let mut run = Run::Ended;
        while head.partial && !unit.flags.has(Flags::TRUNCATED) {
            let (line, next) = match self.continuation(at, head.stream) {
                Next::Part(line, next) => (line, next),
                Next::None => {
                    unit.flags.set(Flags::UNFINISHED);
                    break;
                }
                Next::Unwritten => {
                    unit.flags.set(Flags::UNFINISHED);
                    run = Run::Open;
                    break;
                }
            };
            (at, head) = (line, next);
            self.append_part(line, &mut joined);
            if joined.len() > self.limits.line_bytes {
                joined.truncate(self.limits.line_bytes);
                unit.flags.set(Flags::TRUNCATED);
                self.lines.cut = true;
            }
        }
        if !at.is_ended() && !unit.flags.has(Flags::TRUNCATED) {
            unit.flags.set(Flags::UNFINISHED);
        }
        self.scratch = joined;
        run
    }

    /// The next line of the same stream, if it is near enough to belong to the partial line `line`.
    fn continuation(&mut self, line: Line, stream: Stream) -> Next {
        let mut between = 0;
        let mut at = line;
        loop {
            // Before the end is looked for: a line that is too far away isn't waited for either.
            if between > self.limits.join_bytes {
                return Next::None;
            }
            let Some(next) = self.lines.next(at) else {
                return if self.lines.files.goes_on(at.file) { Next::Unwritten } else { Next::None };
            };
            if let Some(head) = self.lines.head(next).filter(|head| head.stream == stream) {
                return Next::Part(next, head);
            }
            between += next.next - next.start;
            at = next;
        }
    }

    /// The first line of the run of partial lines of `stream` that ends right before a place, if there is one.
    pub(crate) fn run_before(&mut self, file: usize, end: u64, stream: Stream) -> Option<Line> {
        let mut start = None;
        let mut between = 0;
        let mut at = self.lines.line_before(file, end);
        while let Some(line) = at.filter(|_| between <= self.limits.join_bytes) {
            match self.lines.head(line).filter(|head| head.stream == stream) {
                Some(head) if !head.partial => break,
                Some(_) => (start, between) = (Some(line), 0),
                None => between += line.next - line.start,
            }
            at = self.lines.prev(line);
        }
        start
    }

    fn append_part(&mut self, line: Line, joined: &mut Vec<u8>) {
        let format = self.lines.format(line.file);
        let visible = self.lines.visible(line);
        if format == Format::JsonFile {
            if json_file::parse_line(visible, &mut self.part).is_some() {
                joined.extend_from_slice(&self.part);
            }
        } else if let Some((_, from)) = cri::parse_line(visible) {
            joined.extend_from_slice(&visible[from..]);
        }
    }

    /// Whether a record starts at this line.
    fn is_start(&mut self, line: Line) -> bool {
        self.lines.head(line).is_none_or(|head| !self.is_continuation(line, head.stream))
    }

    /// The line of the next record after (`newer`) or before the one at `line`. With `until`, only a
    /// newer record that starts before that place, or an older one that starts there or behind it.
    pub(crate) fn neighbour(&mut self, line: Line, newer: bool, until: Option<Place>) -> Option<Line> {
        let mut at = line;
        loop {
            // Looked at before the step too, so that a step never reads beyond.
            let may_step = until.is_none_or(|until| match newer {
                true => (at.file, at.next) < until,
                false => at.place() > until,
            });
            if !may_step {
                return None;
            }
            at = if newer { self.lines.next(at) } else { self.lines.prev(at) }?;
            if until.is_some_and(|until| (at.place() < until) != newer) {
                return None;
            }
            if self.is_start(at) {
                return Some(at);
            }
        }
    }

    /// Time of the last line with a head before `line`, within the join distance: about when a line
    /// without a time of its own was written. What was found for the line before is used again, so that a
    /// long run of such lines isn't walked for each of them.
    pub(crate) fn time_before(&mut self, line: Line) -> Option<i64> {
        let mut between = 0;
        let mut at = line;
        let mut found = None;
        while let Some(prev) = self.lines.prev(at) {
            if between > self.limits.join_bytes {
                break;
            }
            if let Some(head) = self.lines.head(prev) {
                found = Some(head.time);
                break;
            }
            between += prev.next - prev.start;
            if let Some((place, headless, time)) = self.headless
                && place == prev.place()
            {
                between += headless;
                found = time.filter(|_| between <= self.limits.join_bytes);
                break;
            }
            at = prev;
        }
        self.headless = Some((line.place(), between, found));
        found
    }

    /// Puts the message of the unit that was opened last into the batch, and returns its record, which
    /// isn't in the batch yet.
    pub(crate) fn record(&mut self, unit: &Unit, source: u32, batch: &mut RecordBatch) -> Record {
        let message = if self.messages { self.message(unit) } else { &[] };
        let (start, end) = batch.append(message);
        Record {
            start,
            end,
            fields_start: end,
            fields_end: end,
            time: unit.head.map(|head| head.time),
            source,
            file: u32::try_from(unit.line.file).expect("a set has far fewer files than 2^32"),
            offset: unit.line.start,
            stream: unit.head.map(|head| head.stream).unwrap_or_default(),
            flags: unit.flags,
        }
    }
}
