//! Lines of a set by place: the one that starts here, the one before, the one after, across files.
//!
//! Two pieces of the files are in memory: the block that is being searched, and a smaller window that
//! moves to wherever else a line is asked for. A line is looked at up to a cap, however long it is.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::files::Files;
use crate::format::line_cap;
use crate::source::{Format, LineHead};
use crate::window::Window;
use crate::workspace::Buffers;
use crate::{cri, json_file};

/// Bytes that the window reads at once, at first: most looks aside are for one line or two.
const WINDOW_BYTES: usize = 4 << 10;

/// Bytes read at once to find where a line starts.
const PROBE_BYTES: usize = 512;

/// A place in a set: index of a file, offset in it.
pub(crate) type Place = (usize, u64);

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Index of its file.
    pub(crate) file: usize,
    /// Offset of its first byte.
    pub(crate) start: u64,
    /// Offset behind its last byte, its newline not counted.
    pub(crate) end: u64,
    /// Where the next line starts: behind its newline, if it has one.
    pub(crate) next: u64,
}

impl Line {
    /// Orders lines as they stand in the set.
    pub(crate) fn place(&self) -> Place {
        (self.file, self.start)
    }

    /// Whether its newline is there.
    pub(crate) fn is_ended(&self) -> bool {
        self.end < self.next
    }
}

/// The lines of a set.
pub(crate) struct Lines {
    pub(crate) files: Files,
    /// The block that is being searched: whole lines, or the first part of one long line.
    pub(crate) block: Window,
    /// Set when the block is the first part of one long line.
    pub(crate) long: Option<Line>,
    /// A line was met that is longer than what is looked at.
    pub(crate) cut: bool,
    window: Window,
    line_bytes: usize,
    /// The heads that were parsed last. A line and its neighbour are asked for again and again.
    parsed: [Option<(Place, Option<LineHead>)>; 2],
    /// Format and cap of the file that was asked for last.
    layout: Option<(usize, Format, usize)>,
}

impl Lines {
    pub(crate) fn new(files: Files, line_bytes: usize) -> Lines {
        let (block, window) = (Window::default(), Window::default());
        Lines { files, block, long: None, cut: false, window, line_bytes, parsed: [None; 2], layout: None }
    }

    /// Exchanges the buffers that only count while a block is searched.
    pub(crate) fn swap_buffers(&mut self, buffers: &mut Buffers) {
        self.block.swap_buffer(&mut buffers.block);
        self.window.swap_buffer(&mut buffers.window);
    }

    /// How the lines of a file are laid out.
    pub(crate) fn format(&mut self, file: usize) -> Format {
        self.layout(file).0
    }

    /// Most bytes of one line of a file that are looked at.
    pub(crate) fn cap(&mut self, file: usize) -> usize {
        self.layout(file).1
    }

    fn layout(&mut self, file: usize) -> (Format, usize) {
        match self.layout {
            Some((known, format, cap)) if known == file => (format, cap),
            _ => {
                let format = self.files.format(file);
                let cap = line_cap(format, self.line_bytes);
                self.layout = Some((file, format, cap));
                (format, cap)
            }
        }
    }

    /// Has the file's layout asked for again: it may show only when there is more of the file.
    pub(crate) fn forget_layout(&mut self) {
        self.layout = None;
    }

    /// The first bytes of a line, up to the cap; all of it for all but extreme lines.
    pub(crate) fn visible(&mut self, line: Line) -> &[u8] {
        let cap = self.cap(line.file) as u64;
        let end = line.end.min(line.start.saturating_add(cap));
        if line.start == end {
            return &[];
        }
        if self.block.holds(line.file, line.start) && end <= self.block.end() {
            return self.block.slice(line.start, end);
        }
        if !(self.window.holds(line.file, line.start) && end <= self.window.end()) {
            self.window.load(&mut self.files, line.file, line.start, end);
        }
        self.window.slice(line.start, end.min(self.window.end()))
    }

    /// Whether a line is longer than what is looked at.
    pub(crate) fn is_over_cap(&mut self, line: Line) -> bool {
        line.end - line.start > self.cap(line.file) as u64
    }

    /// The head of a line; `None` for lines that have none.
    pub(crate) fn head(&mut self, line: Line) -> Option<LineHead> {
        for (place, head) in self.parsed.into_iter().flatten() {
            if place == line.place() {
                return head;
            }
        }
        let head = match self.format(line.file) {
            Format::Plain => None,
            Format::Cri => cri::parse_line(self.visible(line)).map(|(head, _)| head),
            Format::JsonFile if self.is_over_cap(line) => None,
            Format::JsonFile => json_file::parse_head(self.visible(line)),
        };
        self.note_head(line, head);
        head
    }

    /// Remembers a head that was parsed elsewhere.
    pub(crate) fn note_head(&mut self, line: Line, head: Option<LineHead>) {
        self.parsed = [Some((line.place(), head)), self.parsed[0]];
    }

    /// The line after `line` in the set, as far as it is written.
    pub(crate) fn next(&mut self, line: Line) -> Option<Line> {
        let (mut file, mut at) = (line.file, line.next);
        while file < self.files.count() {
            let found = self.line_at(file, at);
            if found.is_some() || self.files.may_grow(file) || !self.files.reaches_on(file) {
                return found;
            }
            (file, at) = (file + 1, 0);
        }
        None
    }

    /// The line before `line` in the set.
    pub(crate) fn prev(&mut self, line: Line) -> Option<Line> {
        let found = self.line_before(line.file, line.start);
        if found.is_some() {
            return found;
        }
        for file in (self.files.first..line.file).rev() {
            if !self.files.reaches_on(file) {
                return None;
            }
            let len = self.files.len(file);
            if let Some(found) = self.line_before(file, len) {
                return Some(found);
            }
        }
        None
    }

    /// The line that starts at `start`, which must be a line's start. `None` at the end of the file, and for
    /// a line whose end may be still to be written.
    pub(crate) fn line_at(&mut self, file: usize, start: u64) -> Option<Line> {
        if self.block.holds(file, start) {
            if let Some(long) = self.long {
                return Some(long);
            }
            let rest = self.block.slice(start, self.block.end());
            return Some(line(file, start, memchr(b'\n', rest), self.block.end()));
        }
        if self.files.is_known_end(file, start) && !self.files.may_grow(file) {
            return None;
        }
        if !self.window.holds(file, start) {
            self.window.reset(file, start);
        }
        let cap = self.cap(file);
        let mut searched = 0;
        loop {
            let rest = self.window.slice(start, self.window.end());
            if let Some(newline) = memchr(b'\n', &rest[searched..]) {
                return Some(line(file, start, Some(searched + newline), 0));
            }
            searched = rest.len();
            if searched >= cap {
                return Some(self.long_line_from(file, start, self.window.end()));
            }
            self.window.forget_before(start);
            if self.window.extend(&mut self.files, WINDOW_BYTES.max(searched)) == 0 {
                let is_whole = searched > 0 && !self.files.may_grow(file);
                return is_whole.then(|| line(file, start, None, self.window.end()));
            }
        }
    }

    /// The line that ends at `end`, which must be a line's start or the end of the file. `None` when
    /// `end` is 0.
    pub(crate) fn line_before(&mut self, file: usize, end: u64) -> Option<Line> {
        let last = end.checked_sub(1)?;
        if self.block.holds(file, last) {
            let body = self.block.slice(self.block.start(), end);
            let start = last_line_start(body).map_or(self.block.start(), |at| self.block.start() + at);
            return Some(ended(file, start, end, body));
        }
        if let Some(long) = self.long
            && long.file == file
            && long.next == end
        {
            return Some(long);
        }
        let cap = self.cap(file);
        if !self.window.holds(file, last) {
            self.load_before(file, end, WINDOW_BYTES);
        }
        loop {
            if !self.window.holds(file, last) {
                // The file became shorter, so there is no such line any more.
                return None;
            }
            let from = self.window.start();
            let body = self.window.slice(from, end);
            if let Some(start) = last_line_start(body).map(|at| from + at).or((from == 0).then_some(0)) {
                return Some(ended(file, start, end, body));
            }
            let loaded = body.len();
            if loaded >= cap {
                let newline = body.last() == Some(&b'\n');
                let start = self.long_line_start(file, from);
                return Some(Line { file, start, end: end - u64::from(newline), next: end });
            }
            self.load_before(file, end, loaded.saturating_mul(2).max(WINDOW_BYTES));
        }
    }

    /// The place behind the last whole line of the set, in the newest file that has content.
    pub(crate) fn whole_end(&mut self) -> Option<Place> {
        let newest = self.files.count().checked_sub(1).filter(|newest| *newest >= self.files.first)?;
        let mut all = (self.files.first..=newest).rev();
        let file = all.find(|file| self.files.len(*file) > 0).unwrap_or(newest);
        let len = self.files.len(file);
        let last = self.line_before(file, len);
        let end = last.map_or(0, |last| if last.end < last.next { last.next } else { last.start });
        Some((file, if self.files.may_grow(file) { end } else { len }))
    }

    /// Where the first line starts that starts in a piece of a file; `None` when none does.
    pub(crate) fn first_start(&mut self, file: usize, piece: Range<u64>) -> Option<u64> {
        let Some(mut from) = piece.start.checked_sub(1) else {
            return (piece.end > 0).then_some(0);
        };
        // From the byte before the piece on: when that ends a line, the piece starts with one.
        while from + 1 < piece.end {
            self.window.reset(file, from);
            if self.window.extend(&mut self.files, PROBE_BYTES) == 0 {
                return None;
            }
            if let Some(newline) = memchr(b'\n', self.window.bytes()) {
                return Some(from + newline as u64 + 1).filter(|start| *start < piece.end);
            }
            from = self.window.end();
        }
        None
    }

    /// The rest of a line that starts at `start` and has no newline before `from`.
    pub(crate) fn long_line_from(&mut self, file: usize, start: u64, mut from: u64) -> Line {
        loop {
            self.window.reset(file, from);
            if self.window.extend(&mut self.files, WINDOW_BYTES) == 0 {
                return Line { file, start, end: from, next: from };
            }
            if let Some(newline) = memchr(b'\n', self.window.bytes()) {
                let end = from + newline as u64;
                return Line { file, start, end, next: end + 1 };
            }
            from = self.window.end();
        }
    }

    /// The start of a line that has no newline from there up to `to`.
    pub(crate) fn long_line_start(&mut self, file: usize, mut to: u64) -> u64 {
        while to > 0 {
            self.load_before(file, to, WINDOW_BYTES);
            if let Some(newline) = memrchr(b'\n', self.window.bytes()) {
                return self.window.start() + newline as u64 + 1;
            }
            to = self.window.start();
        }
        0
    }

    fn load_before(&mut self, file: usize, end: u64, count: usize) {
        self.window.load(&mut self.files, file, end.saturating_sub(count as u64), end);
    }
}

fn line(file: usize, start: u64, newline: Option<usize>, otherwise: u64) -> Line {
    match newline {
        Some(at) => Line { file, start, end: start + at as u64, next: start + at as u64 + 1 },
        None => Line { file, start, end: otherwise, next: otherwise },
    }
}

/// The line from `start` to `end`, where `body` ends at `end`.
fn ended(file: usize, start: u64, end: u64, body: &[u8]) -> Line {
    Line { file, start, end: end - u64::from(body.last() == Some(&b'\n')), next: end }
}

/// Where the last line of `body` starts, if a newline before it is in `body`.
pub(crate) fn last_line_start(body: &[u8]) -> Option<u64> {
    let inner = body.len().checked_sub(1)?;
    memrchr(b'\n', &body[..inner]).map(|at| at as u64 + 1)
}
