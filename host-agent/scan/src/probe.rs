//! Probes: the time of the first line at or behind an offset, from as few bytes as that takes.

use memchr::memchr;

use crate::files::Files;
use crate::format::DETECT_BYTES;
use crate::lines::Lines;
use crate::source::Format;
use crate::{cri, json_file};

/// Bytes of the first read of a probe: most lines begin and tell their time within that.
const PROBE_BYTES: usize = 1 << 10;

/// Most bytes that a probe reads to find a line with a time.
pub(crate) const RESYNC_BYTES: usize = 64 << 10;

/// A line that has a time: where it starts, and the time in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(crate) start: u64,
    pub(crate) time: i64,
}

/// Looks into one file.
pub(crate) struct Probe<'a> {
    files: &'a mut Files,
    file: usize,
    format: Format,
    buf: Vec<u8>,
}

impl<'a> Probe<'a> {
    /// A probe into a file of that format.
    pub(crate) fn new(files: &'a mut Files, file: usize, format: Format) -> Probe<'a> {
        Probe { files, file, format, buf: Vec::new() }
    }

    /// The first line with a time that starts at `at` or behind it. `None` when there is none, or none
    /// within [`RESYNC_BYTES`].
    pub(crate) fn stamp_from(&mut self, at: u64) -> Option<Stamp> {
        // The byte before tells whether a line starts at `at`.
        let from = at.saturating_sub(1);
        self.buf.clear();
        let mut line = (at == 0).then_some(0);
        let mut searched = 0;
        loop {
            let ended = !self.read_on(from)?;
            loop {
                let Some(start) = line else {
                    let Some(newline) = memchr(b'\n', &self.buf[searched..]) else {
                        searched = self.buf.len();
                        break;
                    };
                    line = Some(searched + newline + 1);
                    continue;
                };
                let rest = &self.buf[start..];
                let newline = memchr(b'\n', rest);
                let is_told = newline.is_some() || ended || self.is_head_whole(rest);
                if !is_told {
                    break;
                }
                if let Some(time) = self.time(&rest[..newline.unwrap_or(rest.len())]) {
                    return Some(Stamp { start: from + start as u64, time });
                }
                (line, searched) = (None, start + newline.unwrap_or(rest.len()));
            }
            if ended {
                return None;
            }
        }
    }

    /// Reads as much again as there is. `None` when that is too much, `false` at the end of the file.
    fn read_on(&mut self, from: u64) -> Option<bool> {
        let old = self.buf.len();
        let wanted = old.max(PROBE_BYTES).min(RESYNC_BYTES - old);
        if wanted == 0 {
            return None;
        }
        self.buf.resize(old + wanted, 0);
        let read = self.files.read_at(self.file, from + old as u64, &mut self.buf[old..]);
        self.buf.truncate(old + read);
        Some(read > 0)
    }

    /// Whether the head of a line whose end isn't known is certainly in `rest`.
    fn is_head_whole(&self, rest: &[u8]) -> bool {
        self.format == Format::Cri && rest.len() >= cri::HEAD_BYTES
    }

    fn time(&self, line: &[u8]) -> Option<i64> {
        match self.format {
            Format::Cri => cri::parse_line(line).map(|(head, _)| head.time),
            Format::JsonFile => json_file::parse_head(line).map(|head| head.time),
            Format::Plain => None,
        }
    }
}

/// The first line of a file that has a time, or its last one, if it is near that end. Reads a compressed
/// file through for its last line.
pub(crate) fn stamp_near(lines: &mut Lines, file: usize, end: bool) -> Option<Stamp> {
    let len = if end { lines.files.len(file) } else { 0 };
    let mut at = if end { lines.line_before(file, len) } else { lines.line_at(file, 0) };
    while let Some(line) = at {
        if let Some(head) = lines.head(line) {
            return Some(Stamp { start: line.start, time: head.time });
        }
        let seen = if end { len - line.start } else { line.next };
        if seen > DETECT_BYTES as u64 {
            return None;
        }
        at = if end { lines.line_before(file, line.start) } else { lines.line_at(file, line.next) };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::{ends, file_set};

    #[test]
    fn every_offset_leads_to_the_next_line_with_a_time() {
        let long = "x".repeat(3000);
        let cri = format!(
            "1970-01-01T00:00:01Z stdout F a\n\ntorn\n1970-01-01T00:00:02Z stdout F {long}\n{long}\n\
             1970-01-01T00:00:03Z stdout F"
        );
        let json = format!(
            "{{\"log\":\"{long}\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01Z\"}}\n{{\"log\":\n\n"
        );
        for (format, content) in [(Format::Cri, cri), (Format::JsonFile, json)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("0.log");
            std::fs::write(&path, &content).unwrap();
            let (mut lines, _) = ends(&file_set(&path).unwrap());
            let (mut starts, mut at) = (Vec::new(), lines.line_at(0, 0));
            while let Some(line) = at {
                starts.extend(lines.head(line).map(|head| Stamp { start: line.start, time: head.time }));
                at = lines.line_at(0, line.next);
            }
            assert_eq!(starts.len(), if format == Format::Cri { 3 } else { 1 });
            let mut probe = Probe::new(&mut lines.files, 0, format);
            for at in 0..content.len() as u64 + 10 {
                let expected = starts.iter().find(|stamp| stamp.start >= at).copied();
                assert_eq!(probe.stamp_from(at), expected, "{format:?} {at}");
            }
        }
    }

    #[test]
    fn a_probe_reads_no_more_than_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let line = "1970-01-01T00:00:01Z stdout F a\n";
        std::fs::write(&path, ["x".repeat(2 * RESYNC_BYTES), format!("\n{line}")].concat()).unwrap();
        let (mut lines, _) = ends(&file_set(&path).unwrap());
        assert_eq!(Probe::new(&mut lines.files, 0, Format::Cri).stamp_from(1), None);
        assert_eq!(lines.files.bytes_read, RESYNC_BYTES as u64);
    }
}
