//! A plain model of a log: lines are known by what they were made from, joined naively, and searched
//! one by one. What the scanner gives is compared with it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::write::GzEncoder;
use weir_scan::{
    Direction, Flags, Input, LogFile, LogSet, RecordBatch, Scanner, Search, Source, Step, Stream, pipe_set,
};

/// A line as its writer meant it.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// With a head. `style` chooses among equal ways to write it.
    Good { delta: u32, stream: Stream, partial: bool, message: Vec<u8>, style: u32 },
    /// Anything else.
    Junk(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cri,
    Json,
}

/// How one file is stored.
#[derive(Clone, Debug)]
pub(crate) struct FileSpec {
    pub(crate) lines: Vec<Line>,
    pub(crate) gzip: bool,
    pub(crate) final_newline: bool,
}

/// What a record must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) file: u32,
    pub(crate) offset: u64,
    pub(crate) time: Option<i64>,
    pub(crate) stream: Stream,
    pub(crate) message: Vec<u8>,
    pub(crate) flags: u8,
}

/// A line with its place.
struct Placed {
    file: u32,
    offset: u64,
    /// With its newline.
    size: u64,
    raw: Vec<u8>,
    time: i64,
    plain: bool,
    /// Its newline is there.
    ended: bool,
    /// Stream, partial, message; `None` when the line has no head.
    good: Option<(Stream, bool, Vec<u8>)>,
}

/// The files of a log, as bytes, and the model's view of them.
pub(crate) struct Log {
    pub(crate) contents: Vec<Vec<u8>>,
    lines: Vec<Placed>,
}

impl Log {
    pub(crate) fn new(kind: Kind, files: &[FileSpec], line_bytes: usize) -> Log {
        let cap = match kind {
            Kind::Cri => line_bytes.saturating_add(512),
            Kind::Json => line_bytes.max(16 << 10).saturating_mul(6).saturating_add(512),
        };
        let (mut contents, mut lines, mut time) = (Vec::new(), Vec::new(), 0);
        for (index, file) in files.iter().enumerate() {
            let plain = !file.lines.iter().any(|line| matches!(line, Line::Good { .. }));
            let mut content = Vec::new();
            for (at, line) in file.lines.iter().enumerate() {
                let (raw, good) = match line {
                    Line::Junk(bytes) => (bytes.clone(), None),
                    Line::Good { delta, stream, partial, message, style } => {
                        time += i64::from(*delta);
                        let raw = match kind {
                            Kind::Cri => cri(time, *stream, *partial, message, *style),
                            Kind::Json => json(time, *stream, *partial, message, *style),
                        };
                        (raw, Some((*stream, *partial, message.clone())))
                    }
                };
                let offset = content.len() as u64;
                content.extend_from_slice(&raw);
                let ended = at + 1 < file.lines.len() || file.final_newline || raw.is_empty();
                if ended {
                    content.push(b'\n');
                }
                let size = content.len() as u64 - offset;
                let good = good.filter(|_| kind == Kind::Cri || raw.len() <= cap);
                lines.push(Placed { file: index as u32, offset, size, raw, time, plain, ended, good });
            }
            contents.push(content);
        }
        Log { contents, lines }
    }

    /// Every record of the log, and whether its time is in the search's window.
    fn records(&self, search: &Search) -> Vec<(Expected, bool)> {
        let (limit, join) = (search.limits.line_bytes, search.limits.join_bytes);
        let in_time = |time: Option<i64>| match (&search.time, time) {
            (Some(window), Some(time)) => window.contains(&time),
            _ => true,
        };
        let mut records = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let mut flags = Flags::default();
            let (message, stream, time, window_time) = match &line.good {
                None => {
                    if !line.plain {
                        flags.set(Flags::MALFORMED);
                        if !line.ended && line.raw.len() <= limit {
                            flags.set(Flags::UNFINISHED);
                        }
                    }
                    let before = self.before(index, join, |placed| placed.good.is_some());
                    let near = before.filter(|_| !line.plain).map(|at| self.lines[at].time);
                    (line.raw.clone(), Stream::Stdout, None, near)
                }
                Some((stream, partial, message)) => {
                    let before = self.before(index, join, |placed| is_of(placed, *stream));
                    if before.is_some_and(|at| matches!(self.lines[at].good, Some((_, true, _)))) {
                        continue;
                    }
                    let (mut joined, mut partial, mut at) = (message.clone(), *partial, index);
                    while partial {
                        let Some(next) = self.after(at, join, *stream) else {
                            break;
                        };
                        let (_, goes_on, part) = self.lines[next].good.as_ref().unwrap();
                        joined.extend_from_slice(part);
                        (partial, at) = (*goes_on, next);
                    }
                    if (partial || !self.lines[at].ended) && joined.len() <= limit {
                        flags.set(Flags::UNFINISHED);
                    }
                    (joined, *stream, Some(line.time), Some(line.time))
                }
            };
            if message.len() > limit {
                flags.set(Flags::TRUNCATED);
            }
            let message = message[..message.len().min(limit)].to_vec();
            let (file, offset, flags) = (line.file, line.offset, flags.bits());
            let record = Expected { file, offset, time, stream, message, flags };
            records.push((record, in_time(window_time)));
        }
        records
    }

    /// The nearest earlier line that `is_it`, if no more than `join` bytes of others are between.
    fn before(&self, index: usize, join: u64, is_it: impl Fn(&Placed) -> bool) -> Option<usize> {
        let at = (0..index).rev().find(|&at| is_it(&self.lines[at]))?;
        (self.between(at, index) <= join).then_some(at)
    }

    fn after(&self, index: usize, join: u64, stream: Stream) -> Option<usize> {
        let at = (index + 1..self.lines.len()).find(|&at| is_of(&self.lines[at], stream))?;
        (self.between(index, at) <= join).then_some(at)
    }

    fn between(&self, from: usize, to: usize) -> u64 {
        self.lines[from + 1..to].iter().map(|line| line.size).sum()
    }

    /// What a search must give.
    pub(crate) fn search(&self, search: &Search) -> Vec<Expected> {
        let mut records = self.records(search);
        let context = search.context;
        let (mut lead, mut trail) = (context.before, context.after);
        if search.direction == Direction::Backward {
            records.reverse();
            (lead, trail) = (trail, lead);
        }
        let is_match = |(record, in_time): &(Expected, bool)| {
            *in_time && search.matcher.as_ref().is_none_or(|matcher| matcher.is_match(&record.message))
        };
        let matches: Vec<bool> = records.iter().map(is_match).collect();
        let (mut given, mut last) = (Vec::new(), None);
        for (index, (record, in_time)) in records.iter().enumerate() {
            let near =
                |at: usize| matches[at] && if at > index { at - index <= lead } else { index - at <= trail };
            if !in_time || !(0..records.len()).any(near) && !matches[index] {
                continue;
            }
            let mut flags = Flags::from_bits(record.flags);
            if !matches[index] {
                flags.set(Flags::CONTEXT);
            }
            let with_context = lead + trail > 0;
            if with_context && last.is_some_and(|last| last + 1 != index) {
                flags.set(Flags::BREAK);
            }
            last = Some(index);
            given.push(Expected { flags: flags.bits(), ..record.clone() });
        }
        given
    }
}

fn is_of(placed: &Placed, wanted: Stream) -> bool {
    matches!(placed.good, Some((stream, _, _)) if stream == wanted)
}

fn time_text(time: i64, style: u32) -> String {
    let zone = jiff::tz::Offset::from_seconds(if style.is_multiple_of(3) { 19_800 } else { 0 }).unwrap();
    let zoned = jiff::Timestamp::from_nanosecond(time.into()).unwrap().to_zoned_datetime(zone.to_time_zone());
    let text = zoned.strftime("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    text + if style.is_multiple_of(3) { "+05:30" } else { "Z" }
}

fn stream_name(stream: Stream) -> &'static str {
    if stream == Stream::Stdout { "stdout" } else { "stderr" }
}

fn cri(time: i64, stream: Stream, partial: bool, message: &[u8], style: u32) -> Vec<u8> {
    let tag = if partial { "P" } else { "F" };
    let more = if style.is_multiple_of(5) { ":x" } else { "" };
    let mut line = format!("{} {} {tag}{more}", time_text(time, style), stream_name(stream)).into_bytes();
    if !(message.is_empty() && style.is_multiple_of(2)) {
        line.push(b' ');
        line.extend_from_slice(message);
    }
    line
}

fn json(time: i64, stream: Stream, partial: bool, message: &[u8], style: u32) -> Vec<u8> {
    let mut log = Vec::new();
    for chunk in message.utf8_chunks() {
        for char in chunk.valid().chars() {
            let plain = char.is_ascii_alphanumeric() || " -_.:=,()[]{}@#%!?*+;|~'`^$".contains(char);
            match char {
                'a' if style.is_multiple_of(11) => log.extend(b"\\u0061"),
                '"' if style.is_multiple_of(11) => log.extend(b"\\u0022"),
                '"' | '\\' => log.extend([b'\\', char as u8]),
                '\r' if style.is_multiple_of(2) => log.extend(b"\\r"),
                '\u{1b}' if style.is_multiple_of(4) => log.extend(b"\x1b"),
                char if !plain && style % 2 == 1 || char.is_ascii_control() => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        log.extend(format!("\\u{unit:04x}").into_bytes());
                    }
                }
                char => log.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        log.extend_from_slice(chunk.invalid());
    }
    if !partial {
        log.extend(if style.is_multiple_of(7) { &b"\\u000a"[..] } else { b"\\n" });
    }
    let (time, stream) = (time_text(time, style), stream_name(stream));
    let (before, after) = match style % 3 {
        0 => ("{\"log\":\"".to_owned(), format!("\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}")),
        1 => (
            "{\"log\":\"".to_owned(),
            format!("\",\"stream\":\"{stream}\",\"attrs\":{{\"a\":\"b\"}},\"time\":\"{time}\"}}"),
        ),
        _ => (format!("{{\"time\":\"{time}\",\"stream\":\"{stream}\",\"log\":\""), "\"}".to_owned()),
    };
    [before.as_bytes(), &log, after.as_bytes()].concat()
}

/// Writes the contents to `dir` and lists them.
pub(crate) fn store(dir: &Path, contents: &[Vec<u8>], gzip: &[bool]) -> LogSet {
    let mut files = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let path = dir.join(format!("{index}.log"));
        let mut file = File::create(&path).unwrap();
        let input = if gzip[index] {
            // Two members, as `cat a.gz b.gz` makes them.
            for half in [&content[..content.len() / 2], &content[content.len() / 2..]] {
                let mut encoder = GzEncoder::new(&mut file, flate2::Compression::fast());
                encoder.write_all(half).unwrap();
                encoder.finish().unwrap();
            }
            Input::Gzip(path.into())
        } else {
            file.write_all(content).unwrap();
            Input::Plain(path.into())
        };
        files.push(LogFile { input, size: content.len() as u64, identity: None });
    }
    LogSet { source: Source { container: "model".to_owned(), ..Source::default() }, files, dirs: Vec::new() }
}

/// A set of one pipe whose writer has written `content` and gone.
pub(crate) fn piped(content: Vec<u8>) -> (LogSet, std::thread::JoinHandle<()>) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let thread = std::thread::spawn(move || {
        // A scanner that stops early closes its end; that is no failure of the writer.
        for piece in content.chunks(37) {
            if writer.write_all(piece).is_err() {
                return;
            }
        }
    });
    (pipe_set(File::from(std::os::fd::OwnedFd::from(reader)), "-"), thread)
}

/// Runs a scan to its end, checking what must hold at every step.
pub(crate) fn scan(set: LogSet, search: &Arc<Search>) -> Vec<Expected> {
    let mut scan = Scan::new(set, search);
    while scan.step() == Step::More {}
    scan.given
}

/// Runs a scan to its end, some of it by `ahead` stripes at a time, of which the last is searched first.
pub(crate) fn scan_striped(set: LogSet, search: &Arc<Search>, steps: usize, ahead: usize) -> Striped {
    let mut scan = Scan::new(set, search);
    let (mut stripes, mut lagging) = (0, 0);
    loop {
        for _ in 0..=steps {
            if scan.step() == Step::End {
                return Striped { given: scan.given, stripes, lagging };
            }
        }
        let mut claimed = Vec::new();
        while let Some(stripe) =
            scan.scanner.next_stripe(claimed.last().copied()).filter(|_| claimed.len() < ahead)
        {
            claimed.push(stripe);
        }
        let mut fork = scan.scanner.fork();
        let mut done = Vec::new();
        for stripe in claimed.into_iter().rev() {
            let mut batch = RecordBatch::default();
            let end = fork.search_stripe(stripe, &mut batch).expect("everything can be read");
            done.push((batch, end));
            stripes += 1;
        }
        for (batch, end) in done.into_iter().rev() {
            scan.scanner.pass_stripe(&end);
            scan.take(&batch);
            lagging += usize::from(scan.lags());
        }
    }
}

/// What came of a scan by stripes.
pub(crate) struct Striped {
    pub(crate) given: Vec<Expected>,
    pub(crate) stripes: usize,
    /// Stripes after which the frontier was not as far as the last record.
    pub(crate) lagging: usize,
}

/// A scan, and what it gave.
struct Scan {
    scanner: Scanner,
    direction: Direction,
    given: Vec<Expected>,
    batch: RecordBatch,
    frontier: Option<i64>,
}

impl Scan {
    fn new(set: LogSet, search: &Arc<Search>) -> Scan {
        let (scanner, direction) = (Scanner::new(set, 9, Arc::clone(search)), search.direction);
        Scan { scanner, direction, given: Vec::new(), batch: RecordBatch::default(), frontier: None }
    }

    fn step(&mut self) -> Step {
        let mut batch = std::mem::take(&mut self.batch);
        let step = self.scanner.step(&mut batch);
        self.take(&batch);
        if step == Step::End {
            assert!(batch.records.is_empty());
            assert_eq!(self.scanner.take_gaps(), []);
        }
        batch.clear();
        self.batch = batch;
        step
    }

    fn lags(&self) -> bool {
        let last = self.given.last().and_then(|record| record.time);
        match self.direction {
            Direction::Forward => last > self.frontier,
            Direction::Backward => last.is_some_and(|last| self.frontier.is_none_or(|bound| last < bound)),
        }
    }

    fn take(&mut self, batch: &RecordBatch) {
        for record in &batch.records {
            assert_eq!((record.source, record.fields_start), (9, record.fields_end));
            if let (Some(bound), Some(time)) = (self.frontier, record.time) {
                match self.direction {
                    Direction::Forward => assert!(bound <= time, "{bound} {record:?}"),
                    Direction::Backward => assert!(bound >= time, "{bound} {record:?}"),
                }
            }
            self.given.push(Expected {
                file: record.file,
                offset: record.offset,
                time: record.time,
                stream: record.stream,
                message: batch.message(record).to_vec(),
                flags: record.flags.bits(),
            });
        }
        self.frontier = self.scanner.frontier();
    }
}
