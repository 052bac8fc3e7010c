//! A piece of a file in memory: one buffer, used again for piece after piece.

use crate::files::Files;

/// Bytes that a processor reads from memory together.
const CACHE_LINE: usize = 64;

/// A piece of a file in memory.
#[derive(Default)]
pub(crate) struct Window {
    file: usize,
    start: u64,
    /// Only `from..to` counts; the rest keeps its old content, so that nothing is zeroed twice.
    buf: Vec<u8>,
    from: usize,
    to: usize,
}

impl Window {
    /// What is in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.from..self.to]
    }

    /// Offset of the first byte.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Offset behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + (self.to - self.from) as u64
    }

    /// Whether the byte at a place is in it.
    pub(crate) fn holds(&self, file: usize, at: u64) -> bool {
        self.file == file && self.start <= at && at < self.end()
    }

    /// The bytes from `from` to `to`, which must be inside.
    pub(crate) fn slice(&self, from: u64, to: u64) -> &[u8] {
        let at = |offset: u64| usize::try_from(offset - self.start).expect("a window is in memory");
        &self.bytes()[at(from)..at(to)]
    }

    /// Exchanges the buffer for another and stands empty.
    pub(crate) fn swap_buffer(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.buf, buffer);
        (self.from, self.to) = (0, 0);
    }

    /// Forgets everything and stands empty at a place.
    pub(crate) fn reset(&mut self, file: usize, start: u64) {
        let lead = self.lead();
        (self.file, self.start, self.from, self.to) = (file, start, lead, lead);
    }

    /// Where in the buffer to begin so that vectors are read from one cache line each, where that can be. It also
    /// spares the processor's copy from a page of the cache: to a place 1 to 31 bytes further into a page
    /// than where it comes from, some take up to three times as long (measured on Zen 4), and allocators
    /// like to give places 16 bytes into a page.
    fn lead(&self) -> usize {
        let lead = self.buf.as_ptr().align_offset(CACHE_LINE);
        if lead <= self.buf.len() { lead } else { 0 }
    }

    /// Reads up to `count` more bytes behind the end, by one read. 0 when the file ends there.
    pub(crate) fn extend(&mut self, files: &mut Files, count: usize) -> usize {
        if self.buf.len() < self.to + count {
            self.buf.resize(self.to + count, 0);
        }
        let read = files.read_at(self.file, self.end(), &mut self.buf[self.to..self.to + count]);
        self.to += read;
        read
    }

    /// Reads all of `start..end`, or less when the file ends before.
    pub(crate) fn load(&mut self, files: &mut Files, file: usize, start: u64, end: u64) {
        self.reset(file, start);
        loop {
            let missing = usize::try_from(end.saturating_sub(self.end())).unwrap_or(usize::MAX);
            if missing == 0 || self.extend(files, missing) == 0 {
                return;
            }
        }
    }

    /// Lets go of the bytes before `start`, so that walking on doesn't pile up what lies behind.
    pub(crate) fn forget_before(&mut self, start: u64) {
        let surplus = usize::try_from(start - self.start).expect("a window is in memory");
        let (lead, left) = (self.lead().min(self.from), self.to - self.from - surplus);
        self.buf.copy_within(self.from + surplus..self.to, lead);
        (self.start, self.from, self.to) = (start, lead, lead + left);
    }

    /// Cuts bytes off the front.
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.from += count;
        self.start += count as u64;
    }

    /// Keeps the first `count` bytes.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.to = self.from + count;
    }
}
