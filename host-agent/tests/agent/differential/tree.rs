//! Random logs as runtimes write them: the records, and the files they become.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

/// 2026-11-24T10:00:00Z in nanoseconds.
pub(super) const START: i64 = 1_795_514_400_000_000_000;

/// One record, as its container wrote it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Milliseconds since the record before it.
    pub(super) gap: u16,
    pub(super) stderr: bool,
    pub(super) message: Vec<u8>,
    /// Where the runtime cuts it into parts, in thousandths of its length.
    pub(super) cuts: Vec<u16>,
    /// Lines of the other stream that may come between its parts.
    pub(super) interleave: bool,
    /// A line that isn't of the file's format.
    pub(super) malformed: bool,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Cri,
    JsonFile,
}

/// One container's log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) format: Format,
    pub(super) lines: Vec<Line>,
    /// After which physical lines (in thousandths of all) the file was rotated.
    pub(super) rotations: Vec<u16>,
    /// Whether all rotated files but the newest are gzipped.
    pub(super) gzip: bool,
    pub(super) final_newline: bool,
}

/// What a log says, record by record, in the order of first bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) time: Option<i64>,
    pub(super) stderr: bool,
    pub(super) message: Vec<u8>,
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "error",
        "warn",
        "info ",
        " ",
        "GET /about",
        "42",
        "2026",
        " F ",
        " P ",
        "stdout",
        "\u{e9}\u{e9}",
        "Stra\u{df}e",
        "\u{1b}[31m",
        "\u{1b}[0m",
        "\"",
        "\\",
        "\t",
        "a",
        "b",
        "=",
        "id=7f3a",
        "ERROR",
        "\u{2028}",
        "<&>",
    ];
    prop_oneof![
        12 => prop::sample::select(words.map(|word| word.as_bytes().to_vec()).to_vec()),
        1 => prop::sample::select(vec![vec![0], vec![0xff], vec![0xc3], vec![0x7f]]),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::collection::vec(piece(), 0..6).prop_map(|pieces| pieces.concat());
    let json = ("(error|info|warn)", 0u16..600, any::<bool>()).prop_map(|(level, status, ok)| {
        format!(r#"{{"level":"{level}","status":{status},"ok":{ok}}}"#).into_bytes()
    });
    let crlf =
        prop::collection::vec(piece(), 0..3).prop_map(|pieces| [pieces.concat(), b"\r".to_vec()].concat());
    prop_oneof![6 => text, 4 => json, 1 => crlf]
}

fn line() -> impl Strategy<Value = Line> {
    (
        prop_oneof![3 => Just(0u16), 2 => 0u16..1500],
        any::<bool>(),
        message(),
        prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(0u16..1000, 1..4)],
        any::<bool>(),
        prop::bool::weighted(0.03),
    )
        .prop_map(|(gap, stderr, message, cuts, interleave, malformed)| Line {
            gap,
            stderr,
            message,
            cuts,
            interleave,
            malformed,
        })
}

/// A random log.
pub(super) fn log() -> impl Strategy<Value = Log> {
    (
        prop_oneof![3 => Just(Format::Cri), 1 => Just(Format::JsonFile)],
        // Now and then a log that is worth several threads.
        (prop::collection::vec(line(), 1..40), prop_oneof![24 => Just(1), 1 => 60..160usize])
            .prop_map(|(lines, times)| vec![lines; times].concat()),
        prop::collection::vec(0u16..1000, 0..4),
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(format, mut lines, mut rotations, gzip, final_newline)| {
            rotations.sort_unstable();
            rotations.dedup();
            if format == Format::JsonFile {
                for line in &mut lines {
                    line.message = String::from_utf8_lossy(&line.message).into_owned().into_bytes();
                }
            }
            // The first line says what the format is.
            lines[0].malformed = false;
            for line in &mut lines {
                if line.malformed {
                    line.message = [b"torn: ".as_slice(), &line.message].concat();
                }
            }
            Log { format, lines, rotations, gzip, final_newline }
        })
}

impl Log {
    /// What the log says.
    pub(super) fn records(&self) -> Vec<Expected> {
        let mut time = START;
        let mut records = Vec::new();
        for line in &self.lines {
            time += i64::from(line.gap) * 1_000_000;
            records.push(Expected {
                time: (!line.malformed).then_some(time),
                stderr: line.stderr && !line.malformed,
                message: line.message.clone(),
            });
        }
        records
    }

    /// Writes the files that a runtime and kubelet would leave below `dir`.
    pub(super) fn write(&self, dir: &Path, namespace: &str, pod: &str) {
        let physical = self.physical_lines();
        let mut ends: Vec<usize> =
            self.rotations.iter().map(|at| physical.len() * usize::from(*at) / 1000).collect();
        ends.retain(|end| *end > 0 && *end < physical.len());
        ends.dedup();
        ends.push(physical.len());
        let folder = dir.join(format!("{namespace}_{pod}_0f1e2d3c-0000-0000-0000-000000000001/app"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut first = 0;
        for (index, end) in ends.iter().enumerate() {
            let live = index + 1 == ends.len();
            let mut bytes = physical[first..*end].concat();
            if live && !self.final_newline {
                bytes.pop();
            }
            let rotated = format!("0.log.20261124-1000{index:02}");
            let gzip = self.gzip && index + 2 < ends.len();
            match (live, gzip) {
                (true, _) => std::fs::write(folder.join("0.log"), bytes).expect("a file"),
                (false, false) => std::fs::write(folder.join(rotated), bytes).expect("a file"),
                (false, true) => {
                    let file = std::fs::File::create(folder.join(format!("{rotated}.gz"))).expect("a file");
                    let mut encoder = GzEncoder::new(file, Compression::fast());
                    encoder.write_all(&bytes).expect("written");
                    encoder.finish().expect("finished");
                }
            }
            first = *end;
        }
    }

    /// The lines of the files, in order, each with its newline. A part has the time at which it is written,
    /// as with real runtimes: later parts may come after lines of the other stream.
    fn physical_lines(&self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        // Of each stream: parts that are still to come.
        let mut rest: [Vec<Part>; 2] = [Vec::new(), Vec::new()];
        let mut written = START;
        let mut time = START;
        for line in &self.lines {
            time += i64::from(line.gap) * 1_000_000;
            if line.malformed {
                lines.push([line.message.as_slice(), b"\n"].concat());
                continue;
            }
            let stream = usize::from(line.stderr);
            lines.extend(rest[stream].drain(..).map(|part| self.physical_line(&part, line.stderr, written)));
            written = time;
            let mut parts = self.parts(&line.message, &line.cuts);
            lines.push(self.physical_line(&parts.remove(0), line.stderr, time));
            if line.interleave {
                rest[stream] = parts;
            } else {
                lines.extend(parts.iter().map(|part| self.physical_line(part, line.stderr, time)));
            }
        }
        for (stream, parts) in rest.iter().enumerate() {
            lines.extend(parts.iter().map(|part| self.physical_line(part, stream == 1, written)));
        }
        lines
    }

    fn parts(&self, message: &[u8], cuts: &[u16]) -> Vec<Part> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| message.len() * usize::from(*cut) / 1000).collect();
        if self.format == Format::JsonFile {
            let text = std::str::from_utf8(message).expect("json-file messages are UTF-8");
            cuts.retain(|cut| text.is_char_boundary(*cut));
        }
        cuts.sort_unstable();
        cuts.push(message.len());
        let mut start = 0;
        let mut parts = Vec::new();
        for (index, cut) in cuts.iter().enumerate() {
            parts.push(Part { text: message[start..*cut].to_vec(), last: index + 1 == cuts.len() });
            start = *cut;
        }
        parts
    }

    fn physical_line(&self, part: &Part, stderr: bool, time: i64) -> Vec<u8> {
        let stream = if stderr { "stderr" } else { "stdout" };
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(time)).expect("in range");
        let mut bytes = match self.format {
            Format::Cri => {
                let tag = if part.last { "F" } else { "P" };
                let head = format!("{stamp:.9} {stream} {tag} ");
                [head.as_bytes(), part.text.as_slice()].concat()
            }
            Format::JsonFile => {
                let mut log = String::from_utf8(part.text.clone()).expect("cut at a character");
                if part.last {
                    log.push('\n');
                }
                let object =
                    serde_json::json!({ "log": log, "stream": stream, "time": format!("{stamp:.9}") });
                serde_json::to_vec(&object).expect("JSON")
            }
        };
        bytes.push(b'\n');
        bytes
    }
}

/// One part of a record, as a runtime writes it.
struct Part {
    text: Vec<u8>,
    last: bool,
}
