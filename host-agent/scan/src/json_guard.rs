//! The lines of a block that an expression over raw json-file lines can't judge: partial ones, those with escape
//! characters, those that write by number what others write as it is.
//!
//! Nearly no line is one of these, so the pass that finds them is most of what they cost: 64 bytes at a time,
//! with whatever vectors the processor has. It steps from line end to line end and looks at the bytes before
//! each, where a line tells whether it is whole.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask8x64, u8x64};
use memchr::{memchr, memmem, memrchr};

use crate::json_file::ends_in_newline;

/// Bytes that are looked at together.
const CHUNK: usize = 64;

/// Bytes of which the control characters are noted before they are looked at.
const PIECE: usize = 2 << 10;

const ESCAPE: u8 = 0x1b;

/// What Docker begins each line with.
const BEFORE_LOG: &[u8; 8] = b"{\"log\":\"";

/// What Docker writes between the text of a full line and its time, but for the stream.
const BEFORE_TIME: &[u8; 30] = b"\\n\",\"stream\":\"stdout\",\"time\":\"";

/// Where in [`BEFORE_TIME`] the letters are that tell the streams apart. A line with others there isn't of the
/// form, and so isn't partial either.
const STREAM_LETTERS: std::ops::Range<usize> = 17..20;

/// The shortest time in UTC: no fraction.
const TIME_MIN: usize = 20;

/// How times in UTC can end a full line: one more byte of fraction each, to nanoseconds.
static TAILS: [Tail; 11] = {
    let mut tails = [Tail::new(TIME_MIN); 11];
    let mut more = 1;
    while more < tails.len() {
        tails[more] = Tail::new(TIME_MIN + more);
        more += 1;
    }
    tails
};

/// The last bytes of a full line whose time has a certain length.
#[derive(Clone, Copy)]
struct Tail {
    bytes: [u8; CHUNK],
    /// A bit for each of the bytes that are the same in all such lines.
    fixed: u64,
    /// How many bytes stand behind the text.
    len: usize,
}

impl Tail {
    const fn new(time: usize) -> Tail {
        let mut tail = Tail { bytes: [0; CHUNK], fixed: 0, len: BEFORE_TIME.len() + time + 2 };
        let from = CHUNK - tail.len;
        let mut at = 0;
        while at < BEFORE_TIME.len() {
            tail.bytes[from + at] = BEFORE_TIME[at];
            if at < STREAM_LETTERS.start || at >= STREAM_LETTERS.end {
                tail.fixed |= 1 << (from + at);
            }
            at += 1;
        }
        [tail.bytes[CHUNK - 2], tail.bytes[CHUNK - 1]] = *b"\"}";
        tail.fixed |= 3 << (CHUNK - 2);
        tail
    }
}

/// Calls `found` with the start of every line of a block of whole lines that can't be judged as it stands, in no
/// particular order, with some more than once: each that may be partial, which is each that isn't plainly in the
/// form and member order that Docker writes, ending in a newline; each that holds an escape character, or writes
/// one by number, or does so with printable ASCII, as no known writer does but for `<`, `>` and `&`.
///
/// A line that begins and ends as Docker's do is taken to have nothing but its text between.
pub(crate) fn each_unjudged(escape: &memmem::Finder<'_>, block: &[u8], found: impl FnMut(usize)) {
    each_unjudged_at(Level::new(), escape, block, found);
}

/// What [`each_unjudged`] looks for where a block has numbers of characters.
pub(crate) fn escape_finder() -> memmem::Finder<'static> {
    memmem::Finder::new(b"\\u00")
}

fn each_unjudged_at(level: Level, escape: &memmem::Finder<'_>, block: &[u8], mut found: impl FnMut(usize)) {
    let has_numbers = dispatch!(level, simd => each_suspect(simd, block, &mut found));
    if has_numbers {
        each_odd_escape(escape, block, found);
    }
}

/// Finds the lines that may be partial or hold an escape character. Returns whether a character may be written
/// by its number somewhere.
///
/// Inlined, as what it calls, so that it is compiled for the processor's vectors.
#[inline(always)]
fn each_suspect<S: Simd>(simd: S, block: &[u8], found: &mut impl FnMut(usize)) -> bool {
    let mut controls = [0; PIECE / CHUNK];
    // Filled up with what is nothing to look at.
    let mut rest = [b' '; PIECE + 1];
    let mut has_numbers = false;
    let (mut start, mut at) = (0, 0);
    while at < block.len() {
        let left = &block[at..];
        let piece = left.first_chunk().unwrap_or_else(|| {
            rest[..left.len()].copy_from_slice(left);
            &rest
        });
        has_numbers |= look_for_controls(simd, piece, &mut controls);
        for (index, controls) in controls.iter().enumerate() {
            let mut controls = *controls;
            while controls != 0 {
                let stop = at + index * CHUNK + controls.trailing_zeros() as usize;
                controls &= controls - 1;
                if block[stop] == b'\n' {
                    if !is_full(simd, block, start, stop) && !is_plainly_full(&block[start..stop]) {
                        found(start);
                    }
                    start = stop + 1;
                } else if block[stop] == ESCAPE {
                    found(start);
                }
            }
        }
        at += PIECE;
    }
    if start < block.len() && !is_plainly_full(&block[start..]) {
        found(start);
    }
    has_numbers
}

/// Sets a bit for each control character of a piece, and returns whether a character may be written by its number
/// in it or across its end.
///
/// JSON has no control characters but between its lines, so one comparison finds line ends and escape
/// characters.
#[inline(always)]
fn look_for_controls<S: Simd>(simd: S, piece: &[u8; PIECE + 1], controls: &mut [u64; PIECE / CHUNK]) -> bool {
    let mut numbers = mask8x64::splat(simd, false);
    for (index, controls) in controls.iter_mut().enumerate() {
        let bytes = u8x64::from_slice(simd, &piece[index * CHUNK..][..CHUNK]);
        let behind = u8x64::from_slice(simd, &piece[index * CHUNK + 1..][..CHUNK]);
        numbers |= bytes.simd_eq(b'\\') & behind.simd_eq(b'u');
        *controls = bytes.simd_lt(b' ').to_bitmask();
    }
    numbers.to_bitmask() != 0
}

/// Whether the line from `start` to `stop` is plainly full. Misses those that end in a time which isn't in UTC,
/// whose text ends in a backslash, or that stand right at the start of the block.
#[inline(always)]
fn is_full<S: Simd>(simd: S, block: &[u8], start: usize, stop: usize) -> bool {
    let Some(end) = block[..stop].last_chunk::<CHUNK>() else {
        return false;
    };
    let end = u8x64::from_slice(simd, end);
    // The last quote before the one that ends the time begins it, so there is none inside.
    let quotes = end.simd_eq(b'"').to_bitmask() << 2;
    let time = quotes.leading_zeros() as usize;
    let Some(tail) = time.checked_sub(TIME_MIN).and_then(|more| TAILS.get(more)) else {
        return false;
    };
    let same = end.simd_eq(u8x64::from_slice(simd, &tail.bytes)).to_bitmask();
    let text_end = stop - tail.len;
    same & tail.fixed == tail.fixed
        && block[start..].starts_with(BEFORE_LOG)
        && start + BEFORE_LOG.len() <= text_end
        && block[text_end - 1] != b'\\'
}

/// Whether a line is plainly full, whatever the length of its time.
fn is_plainly_full(line: &[u8]) -> bool {
    let text = || {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let body = line.strip_prefix(BEFORE_LOG)?.strip_suffix(b"\"}")?;
        let body = body[..memrchr(b'"', body)?].strip_suffix(b",\"time\":")?;
        let body = body.strip_suffix(b"\"stdout\"").or_else(|| body.strip_suffix(b"\"stderr\""))?;
        body.strip_suffix(b"\",\"stream\":")
    };
    text().is_some_and(ends_in_newline)
}

/// Finds the lines that write an escape character by number, or that do so with printable ASCII, as no known
/// writer does but for `<`, `>` and `&`.
fn each_odd_escape(finder: &memmem::Finder<'_>, block: &[u8], mut found: impl FnMut(usize)) {
    let mut from = 0;
    while let Some(at) = finder.find(&block[from..]).map(|at| from + at) {
        from = at + 4;
        let digits = block.get(from..from + 2).unwrap_or_default();
        let is_odd = match [digits.first(), digits.get(1)].map(|digit| digit.map(u8::to_ascii_lowercase)) {
            [Some(b'1'), Some(b'b')] => true,
            [Some(b'3'), Some(b'c' | b'e')] | [Some(b'2'), Some(b'6')] => false,
            [first, _] => matches!(first, Some(b'2'..=b'7')),
        };
        if is_odd {
            found(memrchr(b'\n', &block[..at]).map_or(0, |nl| nl + 1));
            from = memchr(b'\n', &block[at..]).map_or(block.len(), |nl| at + nl);
        }
    }
}

/// The ways in which a test has to run what is compiled for each kind of vectors: with the best that the processor
/// has, those that every one has, and those between.
#[cfg(test)]
pub(crate) fn levels() -> Vec<Level> {
    let mut levels = vec![Level::new(), Level::baseline()];
    #[cfg(target_arch = "x86_64")]
    levels.extend(Level::new().as_avx2().map(|avx2| avx2.level()));
    levels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json_file::{parse_head, parse_line};

    fn found_at(level: Level, block: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        each_unjudged_at(level, &escape_finder(), block, |start| found.push(start));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn suspects_each_line_that_may_be_partial() {
        let line = |log: &str, stream: &str, time: &str| {
            format!("{{\"log\":\"{log}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
        };
        let (whole, fraction, nanos) =
            ("1970-01-01T00:00:01Z", "1970-01-01T00:00:01.25Z", "1970-01-01T00:00:01.123456789Z");
        let lines = [
            (line(r"a\n", "stdout", whole), false),
            (line(r"b\n", "stderr", whole), false),
            (line("part", "stdout", whole), true),
            (line(r"back\\n", "stdout", whole), true),
            (line(r"c\n", "stdout", fraction), false),
            (line(r"c\n", "stderr", nanos), false),
            (line(r"\n", "stdout", fraction), false),
            (line(r"\n", "stdout", nanos), false),
            (line(r"n", "stdout", nanos), true),
            (line(r"back\\\n", "stdout", fraction), false),
            (line(r"offset\n", "stdout", "1970-01-01T00:00:01.123456789+05:30"), false),
            ("{}\n".to_owned(), true),
            (line(r"x\n", "stdout", r#"1","log":"","t":"25Z"#), true),
            (line(r"x\n", "stdout", r#"1970-01-01T00:00:01Z","log":"","t":"1970-01-01T00:00:01Z"#), true),
            ("\n".to_owned(), true),
            ("\x1b\n".to_owned(), true),
            (line("\x1b[1mred\\n", "stdout", fraction), true),
            (line("a\ttab\\n", "stdout", fraction), false),
            (line(r"\u001b[1mred\n", "stdout", fraction), true),
            (line(r"n\u0065edle\n", "stdout", fraction), true),
            (line(r"?a=1\u0026b=\u003c\u00e9\u4e16\n", "stdout", fraction), false),
            (line(&format!(r"{}\n", "long ".repeat(70)), "stdout", nanos), false),
            (line(&"long ".repeat(70), "stdout", nanos), true),
            (line(r"crlf\n", "stdout", whole).replace('\n', "\r\n"), false),
            (line(r"d\n", "stdout", fraction), false),
        ];
        let (mut block, mut expected) = (String::new(), Vec::new());
        for (line, is_suspect) in &lines {
            expected.extend(is_suspect.then_some(block.len()));
            block.push_str(line);
        }
        for level in levels() {
            // With line ends at every place of a chunk.
            for shift in 0..=CHUNK {
                let before = format!("{}\n", "x".repeat(shift));
                let shifted = expected.iter().map(|start| before.len() + start);
                let expected: Vec<usize> = std::iter::once(0).chain(shifted).collect();
                let block = format!("{before}{block}");
                assert_eq!(found_at(level, block.as_bytes()), expected, "{level:?} {shift}");
                // Without the last newline it is the same line.
                assert_eq!(found_at(level, block.trim_end().as_bytes()), expected, "{level:?} {shift}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_it_lets_pass_can_be_judged(
            lines in proptest::collection::vec(
                (
                    r#"[{}\[\]",:\\un0-9a\x1blogtime ]{0,40}|[a-z\\"]{60,70}(\\n)?"#,
                    0..5usize,
                    "(\\.[0-9]{1,9})?(Z|\\+05:30)",
                ),
                0..8,
            ),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut block = Vec::new();
            for (text, form, time) in &lines {
                let end = format!(r#"","stream":"stdout","time":"1970-01-01T00:00:01{time}"}}"#);
                let text = text.as_bytes();
                block.extend_from_slice(&match form {
                    0 => [b"{\"log\":\"", text, b"\\n", end.as_bytes()].concat(),
                    1 => [b"{\"log\":\"", text, end.as_bytes()].concat(),
                    2 => [b"{\"log\":\"", text].concat(),
                    3 => [&bytes, text, b"\\n", end.as_bytes()].concat(),
                    _ => bytes.clone(),
                });
                block.push(b'\n');
            }
            block.extend_from_slice(&bytes);
            let found = found_at(Level::new(), &block);
            for level in levels() {
                prop_assert_eq!(&found_at(level, &block), &found);
            }
            let mut start = 0;
            for line in block.split(|byte| *byte == b'\n') {
                if found.binary_search(&start).is_err() {
                    prop_assert!(parse_head(line).is_none_or(|head| !head.partial));
                    let mut message = Vec::new();
                    let is_read = parse_line(line, &mut message).is_some();
                    prop_assert!(!(is_read && message.contains(&ESCAPE)));
                }
                start += line.len() + 1;
            }
        }
    }
}
