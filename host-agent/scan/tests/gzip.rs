//! Compressed files: several members, padding, damage, limits; and scans that are interrupted.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use weir_scan::{
    Direction, Gap, GapReason, Input, Interrupt, LogFile, LogSet, RecordBatch, ScanLimits, ScanStats,
    Scanner, Search, Source, Step, pipe_set,
};

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Backward];

/// Lines that are hard to compress, so that damage hits some of them only.
fn lines(from: usize, to: usize) -> String {
    let word = |n: usize| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 7);
    let line = |n| format!("2026-11-24T10:00:00Z stdout F {n} {:x}{:x}\n", word(n), word(n + 1_000_000));
    (from..to).map(line).collect()
}

fn member(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn set(content: &[u8]) -> (tempfile::TempDir, LogSet) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log.gz");
    fs::write(&path, content).unwrap();
    let file = LogFile { input: Input::Gzip(path.into()), size: content.len() as u64, identity: None };
    (dir, LogSet { source: Source::default(), files: vec![file], dirs: Vec::new() })
}

/// The numbers of the lines that a scan gave, oldest first, and its gaps.
fn scan(set: &LogSet, direction: Direction, limits: ScanLimits) -> (Vec<usize>, Vec<Gap>, ScanStats) {
    let search = Arc::new(Search { direction, limits, ..Search::default() });
    let mut scanner = Scanner::new(set.clone(), 0, search);
    let (mut batch, mut numbers) = (RecordBatch::default(), Vec::new());
    while scanner.step(&mut batch) == Step::More {
        numbers.extend(batch.records.iter().filter_map(|record| {
            let message = std::str::from_utf8(batch.message(record)).ok()?;
            message.split(' ').next()?.parse::<usize>().ok()
        }));
        batch.clear();
    }
    if direction == Direction::Backward {
        numbers.reverse();
    }
    (numbers, scanner.take_gaps(), scanner.stats())
}

fn reasons(gaps: &[Gap]) -> Vec<GapReason> {
    gaps.iter().map(|gap| gap.reason).collect()
}

#[test]
fn members_and_padding_are_read_through() {
    let (one, two) = (member(&lines(0, 1000)), member(&lines(1000, 2000)));
    let zeros = vec![0; 200_000];
    let empty = member("");
    for content in [
        [&one[..], &two].concat(),
        [&one[..], &two, &zeros].concat(),
        [&one[..], &zeros, &two, &zeros[..1]].concat(),
        [&empty[..], &one, &empty, &two, &empty].concat(),
    ] {
        let (_dir, set) = set(&content);
        for direction in BOTH {
            let (numbers, gaps, _) = scan(&set, direction, ScanLimits::default());
            assert_eq!(gaps, []);
            assert!(numbers.into_iter().eq(0..2000));
        }
    }
}

#[test]
fn garbage_behind_the_last_member_is_a_gap() {
    for garbage in [&b"this is no gzip data"[..], b"\0\0this is no gzip data"] {
        let (_dir, set) = set(&[&member(&lines(0, 1000))[..], garbage].concat());
        for direction in BOTH {
            let (numbers, gaps, _) = scan(&set, direction, ScanLimits::default());
            assert_eq!(reasons(&gaps), [GapReason::CorruptGzip]);
            assert!(numbers.into_iter().eq(0..1000));
        }
    }
}

#[test]
fn what_stands_before_the_damage_of_a_member_is_given() {
    let [one, two, three] = [0, 1000, 2000].map(|from| member(&lines(from, from + 1000)));
    let flip = |at: usize| {
        let mut damaged = two.clone();
        damaged[at] ^= 0xff;
        damaged
    };
    // In the data, in the checksum, in the header.
    for (damaged, least) in [(flip(two.len() / 2), 1100), (flip(two.len() - 8), 2000), (flip(0), 1000)] {
        let (_dir, set) = set(&[&one[..], &damaged, &three].concat());
        for direction in BOTH {
            let (numbers, gaps, _) = scan(&set, direction, ScanLimits::default());
            assert_eq!(reasons(&gaps), [GapReason::CorruptGzip]);
            assert!(numbers.len() >= least && numbers.len() <= 2000, "{}", numbers.len());
            assert!(numbers.into_iter().take(least).eq(0..least));
        }
    }
}

#[test]
fn data_that_ends_anywhere_gives_what_it_holds() {
    let content = [member(&lines(0, 300)), member(&lines(300, 600))].concat();
    let first = member(&lines(0, 300)).len();
    for end in (1..content.len()).step_by(97).chain([first, first + 1, content.len() - 1]) {
        let (_dir, set) = set(&content[..end]);
        for direction in BOTH {
            let (mut numbers, gaps, _) = scan(&set, direction, ScanLimits::default());
            let expected = if end == first { vec![] } else { vec![GapReason::TruncatedGzip] };
            assert_eq!(reasons(&gaps), expected, "{end}");
            if end > first {
                assert!(numbers.len() >= 300, "{end} {}", numbers.len());
            }
            // The last line is cut off anywhere, so also within its number.
            numbers.pop();
            assert!(numbers.iter().copied().eq(0..numbers.len()), "{end}");
        }
    }
}

#[test]
fn a_file_that_decompresses_to_too_much_is_cut_off_and_told() {
    let text = lines(0, 50_000);
    let (_dir, set) = set(&member(&text));
    for direction in BOTH {
        let exact = ScanLimits { gzip_output_bytes: text.len() as u64, ..ScanLimits::default() };
        let (numbers, gaps, _) = scan(&set, direction, exact);
        assert_eq!((numbers.len(), gaps), (50_000, vec![]));
        let limits = ScanLimits { gzip_output_bytes: 1_000_000, ..ScanLimits::default() };
        let (numbers, gaps, stats) = scan(&set, direction, limits);
        assert_eq!(reasons(&gaps), [GapReason::GzipLimit]);
        assert_eq!(gaps[0].file, "0.log.gz");
        assert_eq!(gaps[0].detail, "more than 1000000 bytes to decompress (limit gzip_output_bytes)");
        let whole = text[..1_000_000].matches('\n').count();
        assert!((whole..=whole + 1).contains(&numbers.len()), "{} {whole}", numbers.len());
        assert!(numbers.iter().copied().eq(0..numbers.len()));
        assert!(stats.bytes_read < 1_100_000);
    }
}

#[test]
fn decompressing_again_and_again_to_read_backward_has_an_end() {
    let text = lines(0, 50_000);
    let (_dir, set) = set(&member(&text));
    let limits = |passes: usize| ScanLimits {
        gzip_window_bytes: 400_000,
        gzip_output_bytes: (text.len() * passes) as u64,
        ..ScanLimits::default()
    };
    let (numbers, gaps, _) = scan(&set, Direction::Backward, limits(12));
    assert_eq!((numbers.len(), gaps), (50_000, vec![]));
    for passes in [1, 2, 3] {
        let (numbers, gaps, _) = scan(&set, Direction::Backward, limits(passes));
        assert_eq!(reasons(&gaps), [GapReason::GzipLimit]);
        // The newest ones, and none left out between.
        assert!(numbers.len() > 1000 * passes && numbers.len() < 45_000, "{passes} {}", numbers.len());
        assert!(numbers.iter().copied().eq(50_000 - numbers.len()..50_000));
    }
}

/// Bytes that a writer hands over before it interrupts the scan, and the most it does after that.
const BEFORE_INTERRUPT: usize = 8 << 20;
const AFTER_INTERRUPT: usize = 256 << 20;

/// Steps a scan of a pipe whose writer interrupts it in the middle of a step. Returns how many of the
/// writer's bytes, before compression, were taken off its hands after that.
fn interrupted(compressed: bool, direction: Direction) -> usize {
    let (reader, writer) = std::io::pipe().unwrap();
    let interrupt = Interrupt::default();
    let flag = interrupt.clone();
    let writer = std::thread::spawn(move || {
        let level = if compressed { Compression::fast() } else { Compression::none() };
        let mut encoder = compressed.then(|| GzEncoder::new(writer.try_clone().unwrap(), level));
        let mut plain = writer;
        let piece = vec![b'x'; 64 << 10];
        let mut written = 0;
        // One line without an end: no step can be done with it.
        while written < BEFORE_INTERRUPT + AFTER_INTERRUPT {
            let result = match &mut encoder {
                Some(encoder) => encoder.write_all(&piece),
                None => plain.write_all(&piece),
            };
            // The scanner, gone, has closed its end.
            if result.is_err() {
                break;
            }
            written += piece.len();
            if written == BEFORE_INTERRUPT {
                flag.interrupt();
            }
        }
        written - BEFORE_INTERRUPT
    });
    let set = pipe_set(File::from(OwnedFd::from(reader)), "-");
    let search = Arc::new(Search { direction, ..Search::default() });
    let mut scanner = Scanner::new(set, 0, search);
    scanner.interrupted_by(interrupt);
    let mut batch = RecordBatch::default();
    assert_eq!(scanner.step(&mut batch), Step::End);
    assert_eq!((batch.records.len(), batch.bytes.len(), scanner.take_gaps()), (0, 0, vec![]));
    drop(scanner);
    writer.join().unwrap()
}

#[test]
fn an_interrupted_scan_ends_within_a_step() {
    for compressed in [false, true] {
        for direction in BOTH {
            let after = interrupted(compressed, direction);
            assert!(after < AFTER_INTERRUPT / 2, "{compressed} {direction:?} {after}");
        }
    }
}

#[test]
fn an_interrupted_scanner_reads_nothing() {
    let (_dir, set) = set(&member(&lines(0, 1000)));
    for direction in BOTH {
        let search = Arc::new(Search { direction, ..Search::default() });
        let mut scanner = Scanner::new(set.clone(), 0, search);
        let interrupt = Interrupt::default();
        scanner.interrupted_by(interrupt.clone());
        interrupt.interrupt();
        assert_eq!(scanner.step(&mut RecordBatch::default()), Step::End);
        assert_eq!((scanner.stats().bytes_read, scanner.take_gaps()), (0, vec![]));
    }
}
