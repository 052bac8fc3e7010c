//! Writes one container's log as kubelet and a container runtime leave it: rotated and gzip files, long
//! lines in parts, a line torn by each rotation, in both formats.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use weir_query::Stream;

use super::content::Writer;
use super::random::Random;
use super::tree::TreeSize;
use crate::json;
use crate::timestamp::TimeWriter;

/// Runtimes cut a line into parts of this many bytes.
const PART_BYTES: usize = 16 << 10;

/// How a line is written down.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    Cri,
    /// Docker's, of which old nodes keep some.
    JsonFile,
}

/// From a container's start to its end, or to now.
pub(crate) struct Life {
    pub(crate) restart: u32,
    pub(crate) lines: u64,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) dies: bool,
}

impl Life {
    /// Numbers of the messages at which the file was rotated: the first file is gzip by now, the second
    /// not yet. Of an earlier instance, one file is left.
    fn rotations(&self) -> [u64; 2] {
        if self.dies { [0, 0] } else { [self.lines / 2, self.lines * 4 / 5] }
    }

    fn time(&self, number: u64, random: &mut Random) -> i64 {
        if number + 1 == self.lines {
            return self.end;
        }
        // Ascending, each within its own stretch of time.
        let stretch = (self.end - self.start) / i64::try_from(self.lines.max(1)).unwrap_or(i64::MAX);
        let within = random.below(u64::try_from(stretch).unwrap_or(0).max(1));
        self.start + stretch * i64::try_from(number).unwrap_or(i64::MAX) + i64::try_from(within).unwrap_or(0)
    }
}

/// Writes one container's files.
pub(crate) struct Instance<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) writer: Writer,
    pub(crate) random: Random,
    pub(crate) layout: Layout,
    pub(crate) time: TimeWriter,
    pub(crate) size: &'a mut TreeSize,
}

impl Instance<'_> {
    /// Writes the files of one life.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub(crate) fn write(&mut self, life: &Life) -> io::Result<()> {
        let rotations = life.rotations();
        let live = format!("{}.log", life.restart);
        let mut file = LogFile::create(&self.dir.join(&live))?;
        let mut message = Vec::new();
        for number in 0..life.lines {
            message.clear();
            let time = life.time(number, &mut self.random);
            let last = life.dies && number + 1 == life.lines;
            let stream = if last {
                self.writer.last_words(&mut message)
            } else {
                self.writer.next(time, &mut message)
            };
            let mut done = 0;
            if number > 0 && rotations.contains(&number) {
                // What stood unfinished in the runtime's buffer ends the old file, the rest heads the new one.
                done = message.len() / 2;
                self.part(&mut file, &message[..done], time, stream, true)?;
                let rotated = format!("{live}.{}", rotation_name(time));
                file.finish()?;
                fs::rename(self.dir.join(&live), self.dir.join(&rotated))?;
                if number == rotations[0] {
                    compress(self.dir, &rotated)?;
                }
                file = LogFile::create(&self.dir.join(&live))?;
                self.size.files += 1;
            }
            self.message(&mut file, &message[done..], time, stream)?;
            self.size.lines += 1;
        }
        self.size.files += 1;
        file.finish()
    }

    /// Writes a message in as many parts as it takes.
    fn message(&mut self, file: &mut LogFile, message: &[u8], time: i64, stream: Stream) -> io::Result<()> {
        let mut rest = message;
        while rest.len() > PART_BYTES {
            let (part, next) = rest.split_at(PART_BYTES);
            self.part(file, part, time, stream, true)?;
            rest = next;
        }
        self.part(file, rest, time, stream, false)
    }

    fn part(
        &mut self,
        file: &mut LogFile,
        part: &[u8],
        time: i64,
        stream: Stream,
        partial: bool,
    ) -> io::Result<()> {
        let line = &mut file.line;
        line.clear();
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        match self.layout {
            Layout::Cri => {
                push_go_time(line, &mut self.time, time);
                line.extend_from_slice(format!(" {stream} {} ", if partial { 'P' } else { 'F' }).as_bytes());
                line.extend_from_slice(part);
            }
            Layout::JsonFile => {
                line.extend_from_slice(b"{\"log\":");
                // Docker replaces what isn't UTF-8 as well.
                let mut text = String::from_utf8_lossy(part).into_owned();
                if !partial {
                    text.push('\n');
                }
                json::push_string(line, &text);
                line.extend_from_slice(format!(",\"stream\":\"{stream}\",\"time\":\"").as_bytes());
                push_go_time(line, &mut self.time, time);
                line.extend_from_slice(b"\"}");
            }
        }
        line.push(b'\n');
        self.size.bytes += line.len() as u64;
        file.out.write_all(&file.line)
    }
}

/// A log file that is being written.
struct LogFile {
    out: BufWriter<File>,
    line: Vec<u8>,
}

impl LogFile {
    fn create(path: &Path) -> io::Result<LogFile> {
        Ok(LogFile { out: BufWriter::with_capacity(64 << 10, File::create(path)?), line: Vec::new() })
    }

    fn finish(self) -> io::Result<()> {
        self.out.into_inner().map(drop).map_err(io::IntoInnerError::into_error)
    }
}

/// Puts `<name>.gz` in place of `name`.
fn compress(dir: &Path, name: &str) -> io::Result<()> {
    let mut from = File::open(dir.join(name))?;
    let mut to = GzEncoder::new(File::create(dir.join(format!("{name}.gz")))?, Compression::default());
    io::copy(&mut from, &mut to)?;
    to.finish()?;
    fs::remove_file(dir.join(name))
}

/// `20261124-101500`.
fn rotation_name(nanos: i64) -> String {
    let text = crate::timestamp::text(nanos, 0);
    text.chars().filter_map(|c| if c == 'T' { Some('-') } else { c.is_ascii_digit().then_some(c) }).collect()
}

/// A time as Go's RFC 3339 with nanoseconds has it: without zeros at the fraction's end.
fn push_go_time(out: &mut Vec<u8>, writer: &mut TimeWriter, nanos: i64) {
    writer.push(out, nanos, 9);
    out.pop();
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_does() {
        for (nanos, text) in [
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (2_000_000_000, "1970-01-01T00:00:02Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
        ] {
            let mut out = Vec::new();
            push_go_time(&mut out, &mut TimeWriter::default(), nanos);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        assert_eq!(rotation_name(1_764_000_000_000_000_000), "20251124-160000");
    }
}
