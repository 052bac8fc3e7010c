//! Named cases: what goes wrong with files, what a scan reads, what it waits for.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use flate2::write::GzEncoder;
use weir_scan::{
    AnyOf, Context, Direction, Flags, Gap, GapReason, Input, LogFile, LogRoot, LogSet, Matcher, MessageRegex,
    PatternLimits, PatternSpec, RecordBatch, Rewrites, ScanLimits, Scanner, Search, Source, Step, file_set,
    pipe_set,
};

fn cri(second: usize, message: &str) -> String {
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!("2026-11-24T{hour:02}:{minute:02}:{second:02}.5Z stdout F {message}\n")
}

fn set(inputs: Vec<Input>) -> LogSet {
    let files = inputs.into_iter().map(|input| LogFile { input, size: 0, identity: None }).collect();
    LogSet { source: Source::default(), files, dirs: Vec::new() }
}

fn matcher(pattern: &str) -> Option<Arc<Matcher>> {
    let spec = PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() };
    Matcher::new(&spec, &PatternLimits::default()).unwrap().map(Arc::new)
}

fn search(pattern: &str, direction: Direction) -> Arc<Search> {
    Arc::new(Search { matcher: matcher(pattern), direction, ..Search::default() })
}

/// Messages and gaps of a whole scan.
fn scan(set: LogSet, search: &Arc<Search>) -> (Vec<String>, Vec<Gap>) {
    let mut scanner = Scanner::new(set, 0, Arc::clone(search));
    let (mut batch, mut messages) = (RecordBatch::default(), Vec::new());
    while scanner.step(&mut batch) == Step::More {
        let message = |record| String::from_utf8_lossy(batch.message(record)).into_owned();
        messages.extend(batch.records.iter().map(message));
        batch.clear();
    }
    (messages, scanner.take_gaps())
}

fn gzip(path: &Path, content: &[u8]) {
    let mut encoder = GzEncoder::new(File::create(path).unwrap(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap();
}

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Backward];

#[test]
fn a_file_that_is_gone_is_a_gap_and_the_rest_is_given() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b.log"), cri(1, "here")).unwrap();
    let gone = Input::Plain(dir.path().join("a.log").into());
    for direction in BOTH {
        let set = set(vec![gone.clone(), Input::Plain(dir.path().join("b.log").into()), gone.clone()]);
        let (messages, gaps) = scan(set, &search("", direction));
        assert_eq!(messages, ["here"]);
        let told: Vec<_> = gaps.iter().map(|gap| (gap.file.as_str(), gap.reason)).collect();
        assert_eq!(told, [("a.log", GapReason::Vanished); 2]);
        // Both gaps are bounded by the record in between.
        let bounds: Vec<_> = gaps.iter().map(|gap| (gap.from.is_some(), gap.to.is_some())).collect();
        let newer_first = direction == Direction::Backward;
        assert_eq!(bounds, [(newer_first, !newer_first), (!newer_first, newer_first)]);
    }
}

#[test]
fn what_is_no_file_is_a_gap_and_never_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo.log");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::write(dir.path().join("real.log"), cri(1, "here")).unwrap();
    symlink("real.log", dir.path().join("link.log")).unwrap();
    let inputs = ["fifo.log", ".", "link.log"].map(|name| Input::Plain(dir.path().join(name).into()));
    let (messages, gaps) = scan(set(inputs.into()), &search("", Direction::Forward));
    assert_eq!(messages, ["here"]);
    let reasons: Vec<_> = gaps.iter().map(|gap| gap.reason).collect();
    assert_eq!(reasons, [GapReason::NotRegular; 2]);
}

#[test]
fn damaged_gzip_gives_what_it_holds_then_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..5000).map(|n| cri(n, &format!("line {n} {}", n * 7919 % 10007))).collect();
    let path = dir.path().join("x.gz");
    gzip(&path, lines.concat().as_bytes());
    let whole = fs::read(&path).unwrap();
    let mut corrupt = whole.clone();
    let half = corrupt.len() / 2;
    corrupt[half..half + 64].fill(0xff);
    for (content, reason) in
        [(whole[..half].to_vec(), GapReason::TruncatedGzip), (corrupt, GapReason::CorruptGzip)]
    {
        fs::write(&path, content).unwrap();
        for direction in BOTH {
            let (mut messages, gaps) =
                scan(set(vec![Input::Gzip(path.clone().into())]), &search("^line", direction));
            assert_eq!(gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [reason]);
            if direction == Direction::Backward {
                messages.reverse();
            }
            assert!(messages.len() > 1000 && messages.len() < 4900, "{}", messages.len());
            assert!(messages[0].starts_with("line 0 ") && messages[1000].starts_with("line 1000 "));
        }
    }
    let name_lies = dir.path().join("plain.gz");
    fs::write(&name_lies, cri(1, "plain")).unwrap();
    let (messages, gaps) = scan(set(vec![Input::Gzip(name_lies.into())]), &search("", Direction::Forward));
    assert_eq!((messages.len(), gaps[0].reason), (0, GapReason::CorruptGzip));
}

#[test]
fn gzip_is_decoded_again_when_it_is_larger_than_its_window() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..20_000).map(|n| cri(n, &format!("line {n}"))).collect();
    gzip(&dir.path().join("x.gz"), lines.concat().as_bytes());
    let limits = ScanLimits { gzip_window_bytes: 100_000, ..ScanLimits::default() };
    let search = Arc::new(Search { direction: Direction::Backward, limits, ..Search::default() });
    let (messages, gaps) = scan(file_set(&dir.path().join("x.gz")).unwrap(), &search);
    assert_eq!(gaps, []);
    let expected: Vec<String> = (0..20_000).rev().map(|n| format!("line {n}")).collect();
    assert_eq!(messages, expected);
}

#[test]
fn a_file_cut_off_while_it_is_read_is_a_gap() {
    for keep in [0, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let lines: Vec<String> = (0..20_000).map(|n| cri(n, "x")).collect();
        fs::write(&path, lines.concat()).unwrap();
        let mut scanner = Scanner::new(file_set(&path).unwrap(), 0, search("", Direction::Forward));
        let mut batch = RecordBatch::default();
        assert_eq!(scanner.step(&mut batch), Step::More);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(keep).unwrap();
        while scanner.step(&mut batch) == Step::More {}
        let gaps = scanner.take_gaps();
        assert_eq!(gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::Shrunk]);
        assert!(gaps[0].from.is_some());
    }
}

#[test]
fn rotation_between_listing_and_opening_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let container = dir.path().join("ns_pod_uid/app");
    fs::create_dir_all(&container).unwrap();
    let [old, live] = ["0.log.20260101-000000", "0.log"].map(|name| container.join(name));
    let old_lines: Vec<String> = (0..2000).map(|n| cri(n, &format!("old {n}"))).collect();
    fs::write(&old, old_lines.concat()).unwrap();
    fs::write(&live, cri(3000, "live")).unwrap();
    let mut sets = LogRoot::new(dir.path()).list().unwrap();
    let mut scanner = Scanner::new(sets.remove(0), 0, search("", Direction::Forward));
    let (mut batch, mut count) = (RecordBatch::default(), 0);
    assert_eq!(scanner.step(&mut batch), Step::More);
    fs::rename(&live, container.join("0.log.20260102-000000")).unwrap();
    fs::write(&live, cri(4000, "newer than the scan")).unwrap();
    while scanner.step(&mut batch) == Step::More {
        count = batch.records.len();
    }
    assert_eq!(count, 2001);
    assert_eq!(batch.message(&batch.records[2000]), b"live");
    assert_eq!(scanner.take_gaps(), []);
}

#[test]
fn a_file_compressed_after_listing_is_read_from_its_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log.20260101-000000");
    gzip(&path.with_extension("log.20260101-000000.gz"), cri(1, "here").as_bytes());
    gzip(&dir.path().join("0.log.20260101-000000.gz"), cri(1, "here").as_bytes());
    let (messages, gaps) = scan(set(vec![Input::Plain(path.into())]), &search("", Direction::Forward));
    assert_eq!((messages, gaps), (vec!["here".to_owned()], vec![]));
}

#[test]
fn the_last_records_are_found_by_reading_little() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let lines: Vec<String> = (0..50_000).map(|n| cri(n, &format!("line {n}"))).collect();
    fs::write(&path, lines.concat()).unwrap();
    for (direction, first) in [(Direction::Forward, "line 0"), (Direction::Backward, "line 49999")] {
        let mut scanner = Scanner::new(file_set(&path).unwrap(), 0, search("line", direction));
        let mut batch = RecordBatch::default();
        assert_eq!(scanner.step(&mut batch), Step::More);
        assert!(batch.records.len() > 100);
        assert_eq!(batch.message(&batch.records[0]), first.as_bytes());
        assert!(scanner.stats().bytes_read < 40_000, "{:?}", scanner.stats());
    }
}

#[test]
fn a_live_pipe_gives_records_as_they_come() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let set = pipe_set(File::from(std::os::fd::OwnedFd::from(reader)), "-");
    let mut scanner = Scanner::new(set, 0, search("", Direction::Forward));
    let mut batch = RecordBatch::default();
    // Nobody writes while the scanner reads: a step that waited for more would never return.
    for round in 0..3 {
        writer.write_all(format!("{}{}half", cri(round, "a"), cri(round, "b")).as_bytes()).unwrap();
        assert_eq!(scanner.step(&mut batch), Step::More);
        // With the line that was half there in the round before.
        assert_eq!(batch.records.len(), if round == 0 { 2 } else { 3 });
        batch.clear();
        writer.write_all(b"\n").unwrap();
    }
    drop(writer);
    while scanner.step(&mut batch) == Step::More {}
    assert_eq!(scanner.stats().malformed, 3);
}

#[test]
fn a_compressed_pipe_is_told_by_its_content() {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(cri(1, "one").as_bytes()).unwrap();
    let content = encoder.finish().unwrap();
    for direction in BOTH {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&content).unwrap();
        drop(writer);
        let set = pipe_set(File::from(std::os::fd::OwnedFd::from(reader)), "-");
        assert_eq!(scan(set, &search("", direction)), (vec!["one".to_owned()], vec![]));
    }
}

#[test]
fn a_file_in_place_of_a_pipe_is_read_from_where_it_stands() {
    use std::io::{Seek, SeekFrom};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(format!("{}{}", cri(1, "one"), cri(2, "two")).as_bytes()).unwrap();
    file.seek(SeekFrom::Start(cri(1, "one").len() as u64)).unwrap();
    let (messages, gaps) = scan(pipe_set(file, "-"), &search("", Direction::Backward));
    assert_eq!((messages, gaps), (vec!["two".to_owned()], vec![]));
}

#[test]
fn a_line_over_the_limit_is_cut_and_the_search_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let long = format!("{}needle{}", "x".repeat(1_000_000), "y".repeat(5_000_000));
    fs::write(&path, [cri(1, "before"), cri(2, &long), cri(3, "after needle")].concat()).unwrap();
    for direction in BOTH {
        let mut scanner = Scanner::new(file_set(&path).unwrap(), 0, search("needle|before", direction));
        let mut batch = RecordBatch::default();
        while scanner.step(&mut batch) == Step::More {}
        if direction == Direction::Backward {
            batch.records.reverse();
        }
        let lengths: Vec<_> = batch.records.iter().map(|record| batch.message(record).len()).collect();
        assert_eq!(lengths, [6, 1 << 20, 12]);
        assert!(batch.records[1].flags.has(Flags::TRUNCATED));
        assert_eq!(scanner.stats().truncated, 1);
    }
}

#[test]
fn a_match_over_the_seam_of_two_files_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["a.log", "b.log"].map(|name| dir.path().join(name));
    let half = cri(1, "nee").replace(" F ", " P ");
    fs::write(&old, format!("{}{half}", cri(0, "x"))).unwrap();
    fs::write(&new, format!("{}{}", cri(2, "dle"), cri(3, "dle"))).unwrap();
    for direction in BOTH {
        let set = set(vec![Input::Plain(old.clone().into()), Input::Plain(new.clone().into())]);
        assert_eq!(scan(set, &search("needle|^dle", direction)).0.concat().len(), "needledle".len());
    }
}

#[test]
fn lines_that_the_prefilter_rules_out_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let lines: Vec<String> = (0..1000).map(|n| cri(n, if n % 10 == 0 { "keep" } else { "drop" })).collect();
    fs::write(&path, lines.concat()).unwrap();
    let limits = PatternLimits::default();
    let required = MessageRegex::new("keep|other", &limits).unwrap();
    let matcher = Some(Arc::new(Matcher::everything(&limits).requiring(Arc::new(required))));
    let search = Arc::new(Search { matcher, ..Search::default() });
    let mut scanner = Scanner::new(file_set(&path).unwrap(), 0, search);
    let mut batch = RecordBatch::default();
    while scanner.step(&mut batch) == Step::More {}
    let stats = scanner.stats();
    assert_eq!((batch.records.len(), stats.candidates, stats.skipped_by_prefilter), (100, 100, 900));
}

#[test]
fn neighbours_ahead_of_a_match_are_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let lines: Vec<String> = (0..100).map(|n| cri(n, &"x".repeat(100))).collect();
    fs::write(&path, lines.concat() + &cri(100, "match")).unwrap();
    let read = |before| {
        let search = Search {
            matcher: matcher("match"),
            context: Context { before, after: 90 },
            limits: ScanLimits { context_bytes: 1000, ..ScanLimits::default() },
            ..Search::default()
        };
        let mut scanner = Scanner::new(file_set(&path).unwrap(), 0, Arc::new(search));
        let mut batch = RecordBatch::default();
        while scanner.step(&mut batch) == Step::More {}
        (batch.records.len(), scanner.stats().cut_context)
    };
    assert_eq!(read(90), (11, true));
    assert_eq!(read(5), (6, false));
}

#[test]
fn records_for_counts_are_the_same_without_messages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let lines: Vec<String> = (0..1000).map(|n| cri(n, &format!("line {n}"))).collect();
    fs::write(&path, lines.concat()).unwrap();
    for direction in BOTH {
        let records = |messages| {
            let search = Search { matcher: matcher("7"), direction, messages, ..Search::default() };
            let mut scanner = Scanner::new(file_set(&path).unwrap(), 0, Arc::new(search));
            let mut batch = RecordBatch::default();
            while scanner.step(&mut batch) == Step::More {}
            batch
        };
        let (with, without) = (records(true), records(false));
        let places = |batch: &RecordBatch| -> Vec<_> {
            batch.records.iter().map(|record| (record.time, record.offset, record.flags)).collect()
        };
        assert_eq!(with.records.len(), 271);
        assert_eq!(places(&with), places(&without));
        assert!(without.bytes.is_empty());
    }
}

#[test]
fn a_set_without_files_ends_at_once() {
    for direction in BOTH {
        assert_eq!(scan(set(Vec::new()), &search("", direction)), (vec![], vec![]));
    }
}

#[test]
fn scanners_stepped_in_turn_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (mut scanners, mut batches) = (Vec::new(), Vec::new());
    for (index, direction) in [0, 1, 2].into_iter().zip([BOTH[0], BOTH[1], BOTH[0]]) {
        let path = dir.path().join(format!("{index}.log"));
        let lines: Vec<String> = (0..3000).map(|n| cri(n, &format!("{index} line {n}"))).collect();
        fs::write(&path, lines.concat()).unwrap();
        let context = Context { before: 1, after: 1 };
        let search = Search { matcher: matcher("7$"), direction, context, ..Search::default() };
        scanners.push(Scanner::new(file_set(&path).unwrap(), index, Arc::new(search)));
        batches.push(RecordBatch::default());
    }
    let mut open = true;
    while open {
        open = false;
        for (scanner, batch) in scanners.iter_mut().zip(&mut batches) {
            open |= scanner.step(batch) == Step::More;
        }
    }
    for (index, batch) in batches.iter().enumerate() {
        assert_eq!(batch.records.len(), 900);
        let own = format!("{index} line ");
        assert!(batch.records.iter().all(|record| batch.message(record).starts_with(own.as_bytes())));
    }
}

#[test]
fn a_line_that_is_still_being_written_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    for (torn, message, malformed) in [
        ("2026-11-24T10:00:02Z stdout F hal", "hal", false),
        ("2026-11-24T10:00:02Z stdout P hal", "hal", false),
        ("2026-11-24T10:0", "2026-11-24T10:0", true),
    ] {
        fs::write(&path, format!("{}{torn}", cri(1, "whole"))).unwrap();
        for direction in BOTH {
            let mut scanner =
                Scanner::new(set(vec![Input::Plain(path.clone().into())]), 0, search("", direction));
            let (mut batch, mut found) = (RecordBatch::default(), Vec::new());
            while scanner.step(&mut batch) == Step::More {
                found.extend(batch.records.iter().map(|record| {
                    let message = String::from_utf8_lossy(batch.message(record)).into_owned();
                    (message, record.flags.has(Flags::UNFINISHED), record.flags.has(Flags::MALFORMED))
                }));
                batch.clear();
            }
            if direction == Direction::Backward {
                found.reverse();
            }
            assert_eq!(found, [("whole".to_owned(), false, false), (message.to_owned(), true, malformed)]);
        }
    }
}

/// Both ways to find what may be rewritten are taken in turn at first, and give the same, however often it is met.
#[test]
fn what_may_be_rewritten_is_given_by_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    for every in [2, 50, 5000] {
        let message = |number: usize| match (number.is_multiple_of(every), number.is_multiple_of(7)) {
            (true, _) => format!("{number} secret=x{number}"),
            (false, true) => format!("{number} wanted"),
            (false, false) => format!("{number} neither {}", "-".repeat(number % 90)),
        };
        // Twice as much as it takes to know which way is faster.
        let all: Vec<String> = (0..90_000).map(message).collect();
        fs::write(&path, all.iter().enumerate().map(|(at, text)| cri(at, text)).collect::<String>()).unwrap();
        assert!(fs::metadata(&path).unwrap().len() > 4 << 20);
        let given = |text: &&String| text.contains("secret=") || text.contains("wanted");
        let expected: Vec<String> = all.iter().filter(given).cloned().collect();
        for direction in BOTH {
            let secret = Arc::new(MessageRegex::new("secret=x[0-9]+", &PatternLimits::default()).unwrap());
            let changed = Arc::new(AnyOf::new(vec![secret], PatternLimits::default().compiled_bytes));
            let rewrites = Some(Rewrites::new(Some(changed), 1 << 20));
            let search = Search { matcher: matcher("wanted"), rewrites, direction, ..Search::default() };
            let (mut found, gaps) = scan(file_set(&path).unwrap(), &Arc::new(search));
            if direction == Direction::Backward {
                found.reverse();
            }
            assert_eq!(gaps, []);
            assert!(found == expected, "{every}: {} records, not {}", found.len(), expected.len());
        }
    }
}
