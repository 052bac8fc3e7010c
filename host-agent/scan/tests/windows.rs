//! Time windows: what is found by looking for a part of the files is compared with what reading all gives.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::write::GzEncoder;
use proptest::prelude::*;
use weir_scan::{
    Context, Direction, GapReason, Input, LogFile, LogSet, Matcher, PatternLimits, PatternSpec, Record,
    RecordBatch, ScanLimits, ScanStats, Scanner, Search, Source, Step, file_set, pipe_set,
};

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Backward];

const SECOND: i64 = 1_000_000_000;

/// When the logs begin.
const BEGIN: i64 = 1_790_000_000 * SECOND;

/// SplitMix64 (Steele, Lea, Flood 2014): the same log for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound.max(1)
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Cri,
    Json,
}

fn line(layout: Layout, time: i64, stream: &str, partial: bool, message: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(time.into()).unwrap();
    match (layout, partial) {
        (Layout::Cri, _) => {
            let tag = if partial { 'P' } else { 'F' };
            format!("{time:.9} {stream} {tag} {message}\n")
        }
        (Layout::Json, true) => {
            format!("{{\"log\":\"{message}\",\"stream\":\"{stream}\",\"time\":\"{time:.9}\"}}\n")
        }
        (Layout::Json, false) => {
            format!("{{\"log\":\"{message}\\n\",\"stream\":\"{stream}\",\"time\":\"{time:.9}\"}}\n")
        }
    }
}

/// What a log of several files is made from.
#[derive(Clone, Debug)]
struct Shape {
    seed: u64,
    layout: Layout,
    files: usize,
    lines: u64,
    /// Nanoseconds from line to line.
    pace: i64,
    /// Most that a time is out of its order.
    jitter: i64,
    /// The clock is set back by so much at that line.
    step: Option<(u64, i64)>,
    /// Whether some lines are far longer than a probe.
    long: bool,
}

impl Shape {
    fn contents(&self) -> Vec<String> {
        let mut random = Random(self.seed);
        let mut contents = Vec::new();
        for file in 0..self.files as u64 {
            let mut content = String::new();
            for at in 0..self.lines {
                let at = file * self.lines + at;
                let back = self.step.filter(|(from, _)| at >= *from).map_or(0, |(_, back)| back);
                let jitter = random.below(self.jitter as u64 + 1) as i64;
                let time = BEGIN + at as i64 * self.pace + jitter - back;
                if at > 0 && random.one_in(150) {
                    content.push_str("a line of no format\n");
                }
                let length =
                    if self.long && random.one_in(1000) { 90_000 } else { 20 + random.below(200) as usize };
                let stream = if random.one_in(4) { "stderr" } else { "stdout" };
                let message = format!("{at} {}", "x".repeat(length));
                content.push_str(&line(self.layout, time, stream, random.one_in(20), &message));
            }
            contents.push(content);
        }
        contents
    }

    fn duration(&self) -> i64 {
        self.files as i64 * self.lines as i64 * self.pace
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let layout = prop_oneof![2 => Just(Layout::Cri), 1 => Just(Layout::Json)];
    // From 100,000 lines a second to one in three minutes.
    let pace = (1..18u32, 1..20_000i64).prop_map(|(scale, part)| part << scale);
    let step = proptest::option::of((any::<u64>(), 0..SECOND / 2));
    let lines = (1..3500u64, any::<bool>());
    (any::<u64>(), layout, 1..5usize, lines, pace, 0..SECOND * 3 / 2, step).prop_map(
        |(seed, layout, files, (lines, long), pace, jitter, step)| {
            let step = step.map(|(at, back)| (at % (files as u64 * lines), back));
            Shape { seed, layout, files, lines, pace, jitter, step, long }
        },
    )
}

fn store(dir: &Path, contents: &[String], gzip: u64) -> LogSet {
    let files = (0..).zip(contents).map(|(index, content)| {
        let path = dir.join(format!("{index}.log"));
        let input = if gzip >> index & 1 == 1 {
            let mut encoder = GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
            encoder.write_all(content.as_bytes()).unwrap();
            encoder.finish().unwrap();
            Input::Gzip(path.clone().into())
        } else {
            fs::write(&path, content).unwrap();
            Input::Plain(path.clone().into())
        };
        LogFile { input, size: fs::metadata(path).unwrap().len(), identity: None }
    });
    LogSet { source: Source::default(), files: files.collect(), dirs: Vec::new() }
}

/// What a scan gave: each record without its place in the batch, and its message.
type Given = Vec<(Record, Vec<u8>)>;

fn scan(set: &LogSet, search: Search) -> (Given, ScanStats) {
    let mut scanner = Scanner::new(set.clone(), 0, Arc::new(search));
    let (mut batch, mut given) = (RecordBatch::default(), Vec::new());
    while scanner.step(&mut batch) == Step::More {
        given.extend(batch.records.iter().map(|record| {
            let placeless = Record { start: 0, end: 0, fields_start: 0, fields_end: 0, ..*record };
            (placeless, batch.message(record).to_vec())
        }));
        batch.clear();
    }
    assert_eq!(scanner.take_gaps(), []);
    (given, scanner.stats())
}

fn search(window: std::ops::Range<i64>, direction: Direction) -> Search {
    Search { time: Some(window), direction, ..Search::default() }
}

/// The same search, with every file read.
fn whole(search: Search) -> Search {
    Search { limits: ScanLimits { bisect_bytes: u64::MAX, ..search.limits }, ..search }
}

fn matcher(pattern: &str) -> Option<Arc<Matcher>> {
    let spec = PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() };
    Matcher::new(&spec, &PatternLimits::default()).unwrap().map(Arc::new)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_window_gives_what_reading_all_gives(
        shape in shape(),
        gzip in any::<u64>(),
        windows in proptest::collection::vec((0..1000i64, 0..300i64), 3),
        blocks in proptest::sample::select(vec![1000, 20_000, 128 << 10]),
        context in prop_oneof![Just((0, 0)), (0..4usize, 0..4usize)],
        pattern in proptest::option::of(proptest::sample::select(vec!["7 ", "^1.*5 x"])),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let set = store(dir.path(), &shape.contents(), gzip);
        for (from, length) in windows {
            let from = BEGIN + shape.duration() / 1000 * from;
            let window = from..from + 1 + shape.duration() / 1000 * length;
            for direction in BOTH {
                let search = || Search {
                    matcher: pattern.and_then(matcher),
                    context: Context { before: context.0, after: context.1 },
                    limits: ScanLimits { block_bytes: blocks, bisect_bytes: 0, ..ScanLimits::default() },
                    ..search(window.clone(), direction)
                };
                let (expected, _) = scan(&set, whole(search()));
                let (given, _) = scan(&set, search());
                prop_assert_eq!(given.len(), expected.len());
                prop_assert!(given == expected, "{:?}", direction);
            }
        }
    }

    #[test]
    fn a_clock_set_back_far_loses_nothing(
        seed in any::<u64>(),
        layout in proptest::sample::select(vec![Layout::Cri, Layout::Json]),
        at in 300..700u64,
        back in 250..300i64,
        from in 100..150i64,
    ) {
        const LINES: u64 = 10_000;
        let pace = SECOND / 10;
        let step = (LINES * at / 1000, LINES as i64 * pace * back / 1000);
        let shape = Shape { seed, layout, pace, jitter: SECOND, step: Some(step), ..steady(LINES) };
        let dir = tempfile::tempdir().unwrap();
        let set = store(dir.path(), &shape.contents(), 0);
        // Well inside of the time that the clock showed twice.
        let from = BEGIN + LINES as i64 * pace * (at as i64 - from) / 1000;
        let window = from..from + LINES as i64 * pace / 100;
        for direction in BOTH {
            let (expected, _) = scan(&set, whole(search(window.clone(), direction)));
            let (given, _) = scan(&set, search(window.clone(), direction));
            prop_assert!(given == expected, "{:?}", direction);
        }
    }
}

/// A log of one line each second.
fn steady(lines: u64) -> Shape {
    Shape { seed: 1, layout: Layout::Cri, files: 1, lines, pace: SECOND, jitter: 0, step: None, long: false }
}

#[test]
fn a_minute_of_a_large_file_is_found_by_reading_little() {
    let dir = tempfile::tempdir().unwrap();
    for layout in [Layout::Cri, Layout::Json] {
        let set = store(dir.path(), &Shape { layout, ..steady(60_000) }.contents(), 0);
        assert!(set.files[0].size > 9 << 20);
        for minute in [0, 1, 499, 998, 999] {
            let from = BEGIN + minute * 60 * SECOND;
            for direction in BOTH {
                let (given, stats) = scan(&set, search(from..from + 60 * SECOND, direction));
                let times = given.iter().filter(|(record, _)| record.time.is_some());
                assert!((50..=60).contains(&times.count()));
                assert!(stats.bytes_read < 1 << 20, "{stats:?}");
            }
        }
        for minute in [-10, 2000] {
            let from = BEGIN + minute * 60 * SECOND;
            let (given, stats) = scan(&set, search(from..from + 60 * SECOND, Direction::Forward));
            assert_eq!((given.len(), stats.blocks), (0, 0));
            assert!(stats.bytes_read < 300_000, "{stats:?}");
        }
    }
}

#[test]
fn compressed_files_outside_of_the_window_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { files: 5, ..steady(2000) };
    let set = store(dir.path(), &shape.contents(), 0b01111);
    // All but their heads is lost, which nobody sees who needn't read them.
    for index in [0, 1, 3] {
        let path = dir.path().join(format!("{index}.log"));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 4]).unwrap();
    }
    let from = BEGIN + 4500 * SECOND;
    for direction in BOTH {
        let (given, stats) = scan(&set, search(from..from + 600 * SECOND, direction));
        assert!((500..=600).contains(&given.len()), "{}", given.len());
        assert!(given.iter().all(|(record, _)| record.file == 2));
        let size = shape.contents()[2].len() as u64;
        assert!(stats.bytes_read < size + (128 << 10), "{stats:?}");
    }
    let mut scanner = Scanner::new(set, 0, Arc::new(search(BEGIN..from, Direction::Forward)));
    while scanner.step(&mut RecordBatch::default()) == Step::More {}
    let told: Vec<_> = scanner.take_gaps().into_iter().map(|gap| (gap.file, gap.reason)).collect();
    assert_eq!(told, ["0.log", "1.log"].map(|name| (name.to_owned(), GapReason::TruncatedGzip)));
}

#[test]
fn a_clock_set_back_before_the_window_has_all_read() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { step: Some((4000, 1000 * SECOND)), ..steady(20_000) };
    let set = store(dir.path(), &shape.contents(), 0);
    for direction in BOTH {
        let window = BEGIN + 10_000 * SECOND..BEGIN + 10_060 * SECOND;
        let (given, stats) = scan(&set, search(window, direction));
        assert!((50..=60).contains(&given.len()));
        assert!(stats.bytes_read > set.files[0].size, "{stats:?}");
    }
}

#[test]
fn a_set_whose_files_are_out_of_order_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut contents = Shape { files: 3, ..steady(2000) }.contents();
    contents.swap(0, 1);
    let set = store(dir.path(), &contents, 0b011);
    let window = BEGIN + 500 * SECOND..BEGIN + 600 * SECOND;
    let (given, stats) = scan(&set, search(window.clone(), Direction::Forward));
    let (expected, _) = scan(&set, whole(search(window, Direction::Forward)));
    assert!(given == expected && given.len() >= 90);
    assert!(stats.bytes_read > contents.iter().map(|content| content.len() as u64).sum());
}

#[test]
fn lines_without_a_time_at_the_head_of_a_file_are_as_old_as_the_file_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut contents = Shape { files: 2, ..steady(2000) }.contents();
    contents[1].insert_str(0, "torn off\n");
    // The second file begins long after the first one's end.
    let late = Shape { files: 1, seed: 2, ..steady(2000) }.contents().remove(0);
    contents[1].truncate("torn off\n".len());
    contents[1].push_str(&late.replace("2026-", "2027-"));
    for gzip in [0b00, 0b10, 0b11] {
        let set = store(dir.path(), &contents, gzip);
        for direction in BOTH {
            let window = BEGIN + 1990 * SECOND..BEGIN + 2100 * SECOND;
            let (given, stats) = scan(&set, search(window.clone(), direction));
            let (expected, _) = scan(&set, whole(search(window, direction)));
            assert!(given == expected, "{gzip} {direction:?}");
            assert!(given.iter().any(|(_, message)| message == b"torn off"));
            assert!(gzip > 0 || stats.bytes_read < 500_000, "{stats:?}");
        }
    }
}

#[test]
fn a_line_that_is_still_written_neither_misleads_nor_gets_lost() {
    let dir = tempfile::tempdir().unwrap();
    for layout in [Layout::Cri, Layout::Json] {
        let mut contents = Shape { layout, ..steady(5000) }.contents();
        let last = line(layout, BEGIN + 5000 * SECOND, "stdout", false, "last");
        let whole_lines = contents[0].len();
        for cut in 1..last.len() {
            contents[0].push_str(&last[..cut]);
            let set = store(dir.path(), &contents, 0);
            contents[0].truncate(whole_lines);
            for since in [4990, 5000, 5010] {
                let window = BEGIN + since * SECOND..i64::MAX;
                let (given, _) = scan(&set, search(window.clone(), Direction::Forward));
                let (expected, _) = scan(&set, whole(search(window, Direction::Forward)));
                assert!(given == expected, "{layout:?} {cut} {since}");
            }
        }
    }
}

#[test]
fn lines_without_times_and_pipes_are_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let text = "no time at all\n".repeat(50_000);
    let set = store(dir.path(), std::slice::from_ref(&text), 0);
    let (given, stats) = scan(&set, search(BEGIN..BEGIN + 1, Direction::Forward));
    assert_eq!(given.len(), 50_000);
    assert!(stats.bytes_read >= text.len() as u64);
    let content = steady(5000).contents().remove(0);
    let window = BEGIN + 4000 * SECOND..BEGIN + 4100 * SECOND;
    let path = dir.path().join("all.log");
    fs::write(&path, &content).unwrap();
    let (expected, _) = scan(&file_set(&path).unwrap(), search(window.clone(), Direction::Forward));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let writer = std::thread::spawn(move || writer.write_all(content.as_bytes()).unwrap());
    let set = pipe_set(File::from(std::os::fd::OwnedFd::from(reader)), "-");
    let (given, _) = scan(&set, search(window, Direction::Forward));
    writer.join().unwrap();
    assert!(given == expected && given.len() >= 90);
}
