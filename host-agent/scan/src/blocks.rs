//! Blocks: the runs of whole lines in which a file is searched.
//!
//! What a block yields depends on the lines that start in it and on nothing else, so blocks can be
//! taken in any order and of any size.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::bisect::Span;
use crate::candidates::Candidate;
use crate::lines::{Line, Lines};

impl Lines {
    /// Where the block ends in its file: where the next line starts.
    pub(crate) fn block_end(&self) -> u64 {
        self.long.map_or(self.block.end(), |long| long.next)
    }

    /// The line of a candidate of the block.
    pub(crate) fn block_line(&mut self, file: usize, candidate: &Candidate) -> Option<Line> {
        let start = self.block.start() + candidate.start() as u64;
        let (Candidate::Match(hit), None) = (candidate, self.long) else {
            return self.line_at(file, start);
        };
        let newline = self.block.bytes()[hit.next - 1] == b'\n';
        let next = self.block.start() + hit.next as u64;
        Some(Line { file, start, end: next - u64::from(newline), next })
    }

    /// The last or first line of the block.
    pub(crate) fn block_edge(&mut self, file: usize, last: bool) -> Option<Line> {
        match last {
            true => self.line_before(file, self.block_end()),
            false => self.line_at(file, self.block.start()),
        }
    }

    /// Makes the next lines of a part of a file the block, from `from` on or from where the part starts, as
    /// [`Lines::take_block_after`] does. `None` at the end of the part.
    pub(crate) fn take_span_after(
        &mut self,
        file: usize,
        from: Option<u64>,
        span: Span,
        size: usize,
    ) -> Option<Range<u64>> {
        let from = from.unwrap_or(span.start);
        let left = span.end.map_or(u64::MAX, |end| end.saturating_sub(from));
        let size = size.min(usize::try_from(left).unwrap_or(usize::MAX));
        (left > 0).then(|| self.take_block_after(file, from, size))?
    }

    /// Makes the lines of a part of a file that end at `end`, or at the end of the part, the block. `None`
    /// at the start of the part.
    pub(crate) fn take_span_before(
        &mut self,
        file: usize,
        end: Option<u64>,
        span: Span,
        size: usize,
    ) -> Option<Range<u64>> {
        let end = end.or(span.end).unwrap_or_else(|| self.files.len(file));
        let left = end.saturating_sub(span.start);
        // With the byte before, which tells that a line starts behind it.
        let size = size.min(usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX));
        (left > 0).then(|| self.take_block_before(file, end, size))?
    }

    /// Makes the lines from `from` on the block: at least one, and about `size` bytes. Returns where the
    /// block starts and ends, or `None` at the end of the file, or of what is written of it in whole lines.
    pub(crate) fn take_block_after(&mut self, file: usize, from: u64, size: usize) -> Option<Range<u64>> {
        let cap = self.cap(file);
        self.long = None;
        self.block.reset(file, from);
        let mut size = size.max(1);
        loop {
            let loaded = self.block.bytes().len();
            let read = self.block.extend(&mut self.files, size - loaded);
            let bytes = self.block.bytes();
            if let Some(newline) = memrchr(b'\n', &bytes[loaded..]) {
                self.block.truncate(loaded + newline + 1);
                return Some(from..self.block.end());
            }
            if read == 0 {
                if loaded > 0 && !self.files.may_grow(file) {
                    return Some(from..self.block.end());
                }
                // A torn line isn't one yet, whoever asks for the line that starts there.
                self.block.reset(file, from);
                return None;
            }
            if bytes.len() > cap {
                let line = self.long_line_from(file, from, self.block.end());
                if line.end == line.next && self.files.may_grow(file) {
                    self.block.reset(file, from);
                    return None;
                }
                self.block.truncate(cap);
                self.cut = true;
                self.long = Some(line);
                return Some(from..line.next);
            }
            // One byte past the cap tells a line that is over it.
            size = size.max(bytes.len().saturating_mul(2).min(cap.saturating_add(1)));
            if size == bytes.len() {
                size += 1;
            }
        }
    }

    /// Makes a part of the block, in whole lines, the block.
    pub(crate) fn narrow_block(&mut self, part: Range<usize>) {
        self.block.truncate(part.end);
        self.block.drop_front(part.start);
    }

    /// Takes the lines that start at `to` or behind it from the end of a block that starts before.
    pub(crate) fn cut_block(&mut self, to: u64) {
        if self.long.is_some() || self.block.end() <= to {
            return;
        }
        let inner = usize::try_from(to - self.block.start()).expect("a block is in memory");
        if let Some(newline) = memchr(b'\n', &self.block.bytes()[inner - 1..]) {
            self.block.truncate(inner + newline);
        }
    }

    /// Makes the lines before `end` the block, as [`Lines::take_block_after`] does. `None` at the start
    /// of the file.
    pub(crate) fn take_block_before(&mut self, file: usize, end: u64, size: usize) -> Option<Range<u64>> {
        let cap = self.cap(file);
        self.long = None;
        let (mut end, mut size) = (end, size.max(1));
        while end > 0 {
            let start = end.saturating_sub(size as u64);
            self.block.load(&mut self.files, file, start, end);
            let bytes = self.block.bytes();
            let Some(inner) = bytes.len().checked_sub(1) else {
                // The file became shorter and nothing of this piece is left.
                end = start;
                continue;
            };
            end = self.block.end();
            if start == 0 {
                return Some(0..end);
            }
            if let Some(newline) = memchr(b'\n', &bytes[..inner]) {
                self.block.drop_front(newline + 1);
                return Some(self.block.start()..end);
            }
            if inner >= cap {
                let newline = u64::from(bytes[inner] == b'\n');
                let start = self.long_line_start(file, start);
                self.block.load(&mut self.files, file, start, end.min(start + cap as u64));
                self.cut = true;
                self.long = Some(Line { file, start, end: end - newline, next: end });
                return Some(start..end);
            }
            size = size.saturating_mul(2).min(cap.saturating_add(1)).max(size + 1);
        }
        None
    }
}
