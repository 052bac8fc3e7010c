//! Lines as Docker's json-file driver writes them: `{"log":"…\n","stream":"…","time":"…"}`.
//!
//! The form is that of Docker's `daemon/logger/jsonfilelog`. A `log` without its final `\n` is a part
//! whose rest follows. Members may come in any order and unknown ones are skipped.

use memchr::{memchr, memchr2, memmem, memrchr};

use crate::record::Stream;
use crate::source::LineHead;
use crate::time;

/// How deep unknown members may nest before the line counts as malformed.
const DEPTH_MAX: usize = 32;

const ESCAPE: u8 = 0x1b;

/// Takes a line (without its newline) apart and decodes its message, without the final newline, into
/// `message`, which is cleared first. `None` when the line isn't of this form.
pub fn parse_line(line: &[u8], message: &mut Vec<u8>) -> Option<LineHead> {
    message.clear();
    message.reserve(line.len());
    let head = read(line, |text| {
        message.clear();
        text.decoded_string(message)?;
        Some(message.last() != Some(&b'\n'))
    })?;
    if !head.partial {
        message.pop();
    }
    Some(head)
}

/// The head of a line, without the cost of decoding its message. Agrees with [`parse_line`].
pub(crate) fn parse_head(line: &[u8]) -> Option<LineHead> {
    read(line, |text| Some(!ends_in_newline(text.string()?)))
}

/// Calls `found` with the start of every line of a block that may be partial, each that isn't plainly in the
/// form and member order that Docker writes, ending in a newline; and of every line that holds an escape
/// character.
pub(crate) fn each_suspect(block: &[u8], mut found: impl FnMut(usize)) {
    let (mut start, mut time) = (0, 0);
    while start < block.len() {
        // What every full line begins with needs no search for the line's end.
        let from = if block[start..].starts_with(BEFORE_LOG) { start + BEFORE_LOG.len() } else { start };
        let stop = memchr2(b'\n', ESCAPE, &block[from..]).map_or(block.len(), |at| from + at);
        if block.get(stop) == Some(&ESCAPE) {
            found(start);
            start = memchr(b'\n', &block[stop..]).map_or(block.len(), |at| stop + at) + 1;
            continue;
        }
        let line = &block[start..stop];
        if !is_full_like_the_last(line, time) {
            match plainly_full(line) {
                Some(length) => time = length,
                None => found(start),
            }
        }
        start = stop + 1;
    }
}

const BEFORE_LOG: &[u8; 8] = b"{\"log\":\"";

/// What Docker writes between the text of a full line and its time, but for the stream.
const BEFORE_TIME: [&[u8; 30]; 2] =
    [b"\\n\",\"stream\":\"stdout\",\"time\":\"", b"\\n\",\"stream\":\"stderr\",\"time\":\""];

/// Whether a line is plainly full and ends in a time of `time` bytes. Misses some, such as those whose text
/// ends in a backslash.
fn is_full_like_the_last(line: &[u8], time: usize) -> bool {
    let Some((before, tail)) = line.len().checked_sub(30 + time + 2).and_then(|at| line.split_at_checked(at))
    else {
        return false;
    };
    let Some((names, tail)) = tail.split_first_chunk::<30>() else {
        return false;
    };
    before.starts_with(BEFORE_LOG)
        && before.last() != Some(&b'\\')
        && BEFORE_TIME.contains(&names)
        && tail.ends_with(b"\"}")
        && holds_no_quote(&tail[..time])
}

/// Calls `found` with the start of every line of a block that writes an escape character by number, or that
/// does so with printable ASCII, as no known writer does but for `<`, `>` and `&`.
pub(crate) fn each_odd_escape(finder: &memmem::Finder<'_>, block: &[u8], mut found: impl FnMut(usize)) {
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

/// What [`each_odd_escape`] looks for first.
pub(crate) fn escape_finder() -> memmem::Finder<'static> {
    memmem::Finder::new(b"\\u00")
}

/// Reads a line's members. `log` reads the value of `log` and tells whether it is partial.
fn read<'a>(line: &'a [u8], mut log: impl FnMut(&mut Text<'a>) -> Option<bool>) -> Option<LineHead> {
    let mut text = Text { line, at: 0 };
    let (mut partial, mut stream, mut time) = (None, Stream::Stdout, None);
    text.expect(b'{')?;
    loop {
        let key = text.string()?;
        text.expect(b':')?;
        match key {
            b"log" => partial = Some(log(&mut text)?),
            b"time" => time = Some(time::parse_rfc3339(text.string()?)?),
            b"stream" => {
                stream = match text.string()? {
                    b"stdout" => Stream::Stdout,
                    b"stderr" => Stream::Stderr,
                    _ => return None,
                }
            }
            _ => text.skip_value(DEPTH_MAX)?,
        }
        match text.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    text.skip_spaces();
    if text.at < line.len() {
        return None;
    }
    Some(LineHead { time: time?, stream, partial: partial? })
}

/// For texts as long as times are; false for others. Both ends at a fixed length, without a branch for each byte.
fn holds_no_quote(time: &[u8]) -> bool {
    let none = |text: &[u8; 20]| !text.iter().fold(false, |any, byte| any | (*byte == b'"'));
    let ends = (time.first_chunk(), time.last_chunk());
    matches!(ends, (Some(first), Some(last)) if time.len() <= 40 && none(first) && none(last))
}

/// The length of the time of a line that is plainly full.
fn plainly_full(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let body = line.strip_prefix(BEFORE_LOG)?.strip_suffix(b"\"}")?;
    let quote = memrchr(b'"', body)?;
    let time = body.len() - quote - 1;
    let body = body[..quote].strip_suffix(b",\"time\":")?;
    let body = body.strip_suffix(b"\"stdout\"").or_else(|| body.strip_suffix(b"\"stderr\""))?;
    let text = body.strip_suffix(b"\",\"stream\":")?;
    ends_in_newline(text).then_some(time)
}

/// Whether an escaped text ends in the escape of a newline.
fn ends_in_newline(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n").or_else(|| {
        let (before, last) = text.split_at_checked(text.len().checked_sub(5)?)?;
        last.eq_ignore_ascii_case(b"u000a").then_some(before)
    }) else {
        return false;
    };
    // The backslash counts only when it isn't itself escaped.
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// Length of the run that starts here and has neither a quote nor a backslash. In log text these come
/// every few bytes, so short runs are looked at eight bytes at a time before memchr is called in.
fn plain_run(text: &[u8]) -> usize {
    const SHORT: usize = 64;
    const ONES: u64 = u64::MAX / 255;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    for (index, word) in text.as_chunks().0.iter().take(SHORT / 8).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = has_zero(word ^ (ONES * u64::from(b'"'))) | has_zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            // The lowest mark is exact; only those above it may be false.
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let done = (text.len() / 8 * 8).min(SHORT);
    memchr2(b'"', b'\\', &text[done..]).map_or(text.len(), |at| done + at)
}

/// Reads what follows `\u`: one unit, or two when they are a surrogate pair. A lone surrogate becomes
/// the replacement character. `None` when no unit follows.
fn decode_unit(text: &[u8]) -> Option<(char, usize)> {
    let first = hex(text.get(..4)?)?;
    if let Some(char) = char::from_u32(first) {
        return Some((char, 4));
    }
    let second = text.get(4..6).filter(|mark| *mark == b"\\u").and_then(|_| text.get(6..10)?.into());
    Some(match (first, second.and_then(hex)) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
            let point = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 10)
        }
        _ => (char::REPLACEMENT_CHARACTER, 4),
    })
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
}

/// A JSON text that is read once, from left to right.
struct Text<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    fn skip_spaces(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        self.skip_spaces();
        let byte = *self.line.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string's text between its quotes, still escaped. Escapes are checked, raw control characters
    /// and invalid UTF-8 are let through: a writer may produce them and the message is bytes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            self.at += plain_run(self.line.get(self.at..)?);
            if *self.line.get(self.at)? == b'"' {
                self.at += 1;
                return Some(&self.line[start..self.at - 1]);
            }
            self.at += match self.line.get(self.at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' => self.line.get(self.at + 2..self.at + 6).and_then(hex).map(|_| 6)?,
                _ => return None,
            };
        }
    }

    /// Appends what a string stands for. Refuses and lets through what [`Text::string`] does.
    fn decoded_string(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let rest = self.line.get(self.at..)?;
            let run = plain_run(rest);
            out.extend_from_slice(&rest[..run]);
            self.at += run + 1;
            if *rest.get(run)? == b'"' {
                return Some(());
            }
            self.at += 1;
            out.push(match *rest.get(run + 1)? {
                byte @ (b'"' | b'\\' | b'/') => byte,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                b'u' => {
                    let (char, used) = decode_unit(&rest[run + 2..])?;
                    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    self.at += used;
                    continue;
                }
                _ => return None,
            });
        }
    }

    fn skip_value(&mut self, depth: usize) -> Option<()> {
        self.skip_spaces();
        match self.line.get(self.at)? {
            b'"' => self.string().map(|_| ()),
            open @ (b'{' | b'[') => {
                let (is_object, depth) = (*open == b'{', depth.checked_sub(1)?);
                let close = if is_object { b'}' } else { b']' };
                self.at += 1;
                self.skip_spaces();
                if *self.line.get(self.at)? == close {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    if is_object {
                        self.string()?;
                        self.expect(b':')?;
                    }
                    self.skip_value(depth)?;
                    match self.next()? {
                        b',' => {}
                        end if end == close => return Some(()),
                        _ => return None,
                    }
                }
            }
            _ => {
                let scalar = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = self.line[self.at..].iter().take_while(|byte| scalar(byte)).count();
                self.at += length;
                (length > 0).then_some(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Option<(LineHead, String)> {
        let mut message = Vec::new();
        let head = parse_line(line.as_bytes(), &mut message);
        assert_eq!(head, parse_head(line.as_bytes()), "{line}");
        Some((head?, String::from_utf8(message).unwrap()))
    }

    const TIME: &str = r#""time":"1970-01-01T00:00:01Z""#;
    const HEAD: LineHead = LineHead { time: 1_000_000_000, stream: Stream::Stderr, partial: false };

    #[test]
    fn takes_lines_apart() {
        let line = |log: &str| format!(r#"{{"log":"{log}","stream":"stderr",{TIME}}}"#);
        let part = LineHead { partial: true, ..HEAD };
        for (log, head, message) in [
            (r"hello\n", HEAD, "hello"),
            (r"hello\r\n", HEAD, "hello\r"),
            (r"\n", HEAD, ""),
            (r"", part, ""),
            (r"half", part, "half"),
            (r"back\\n", part, "back\\n"),
            (r"back\\\n", HEAD, "back\\"),
            (r"x\u000A", HEAD, "x"),
            (r"\u001b[1m\u00e9\ud83d\ude00\ud83d!\/\n", HEAD, "\u{1b}[1mé😀\u{fffd}!/"),
            (r"a\nb\n", HEAD, "a\nb"),
        ] {
            assert_eq!(parse(&line(log)), Some((head, message.to_owned())), "{log}");
            let line = line(log);
            assert_eq!(plainly_full(line.as_bytes()), (!head.partial).then_some(20), "{log}");
            // The quick look may miss, but never takes a part for whole.
            assert!(!(is_full_like_the_last(line.as_bytes(), 20) && head.partial), "{log}");
        }
        let odd =
            format!(r#" {{ {TIME} , "attrs":{{"a":[1,-2.5e3,null,{{}}],"b":"\"}}"}},"log" : "x\n" }}  "#);
        assert_eq!(parse(&odd), Some((LineHead { stream: Stream::Stdout, ..HEAD }, "x".to_owned())));
        assert_eq!(plainly_full(odd.as_bytes()), None);
    }

    #[test]
    fn suspects_each_line_that_may_be_partial() {
        let line = |log: &str, stream: &str, time: &str| {
            format!("{{\"log\":\"{log}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
        };
        let lines = [
            (line(r"a\n", "stdout", "1970-01-01T00:00:01Z"), false),
            (line(r"b\n", "stderr", "1970-01-01T00:00:01Z"), false),
            (line("part", "stdout", "1970-01-01T00:00:01Z"), true),
            (line(r"back\\n", "stdout", "1970-01-01T00:00:01Z"), true),
            (line(r"c\n", "stdout", "1970-01-01T00:00:01.25Z"), false),
            (line(r"\n", "stdout", "1970-01-01T00:00:01.25Z"), false),
            (line(r"back\\\n", "stdout", "1970-01-01T00:00:01.25Z"), false),
            ("{}\n".to_owned(), true),
            (line(r"x\n", "stdout", r#"1","log":"","t":"25Z"#), true),
            ("\n".to_owned(), true),
            (line("\x1b[1mred\\n", "stdout", "1970-01-01T00:00:01.25Z"), true),
            (line(r"d\n", "stdout", "1970-01-01T00:00:01.25Z"), false),
        ];
        let (mut block, mut expected) = (String::new(), Vec::new());
        for (line, is_suspect) in &lines {
            expected.extend(is_suspect.then_some(block.len()));
            block.push_str(line);
        }
        let mut found = Vec::new();
        each_suspect(block.as_bytes(), |start| found.push(start));
        assert_eq!(found, expected);
    }

    #[test]
    fn refuses_other_lines() {
        for line in [
            "",
            "{}",
            "x",
            r#"{"log":"x\n"}"#,
            r#"{"log":"x\n","time":"soon"}"#,
            r#"{"log":"x\n","time":"1970-01-01T00:00:01Z"}}"#,
            r#"{"log":"x\q","time":"1970-01-01T00:00:01Z"}"#,
            r#"{"log":"x\u12"#,
            r#"{"log":"x"#,
            r#"{"log":1,"time":"1970-01-01T00:00:01Z"}"#,
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        let deep = format!(r#"{{"a":{}{},"log":"x\n",{TIME}}}"#, "[".repeat(99), "]".repeat(99));
        assert_eq!(parse(&deep), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn decodes_like_serde_json(message in ".{0,40}") {
            let log = serde_json::to_string(&format!("{message}\n")).unwrap();
            let line = format!(r#"{{"log":{log},"stream":"stderr",{TIME}}}"#);
            prop_assert_eq!(parse(&line), Some((HEAD, message)));
        }

        #[test]
        fn never_panics(line in r#"[{}\[\]",:\\un0-9a\x1blogtime ]{0,40}"#, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            for text in [line.as_bytes(), &bytes] {
                for line in [text.to_vec(), [br#"{"log":""#, text].concat(), [br#"{"log":"\u"#, text, br#"","#, TIME.as_bytes(), b"}"].concat()] {
                    prop_assert_eq!(parse_line(&line, &mut out), parse_head(&line));
                    each_odd_escape(&escape_finder(), &line, |_| {});
                    let mut suspect = false;
                    each_suspect(&line, |_| suspect = true);
                    // What the guard lets pass is never partial.
                    prop_assert!(suspect || parse_head(&line).is_none_or(|head| !head.partial));
                }
            }
        }
    }
}
