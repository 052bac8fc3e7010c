//! Lines as Docker's json-file driver writes them: `{"log":"…\n","stream":"…","time":"…"}`.
//!
//! The form is that of Docker's `daemon/logger/jsonfilelog`. A `log` without its final `\n` is a part
//! whose rest follows. Members may come in any order and unknown ones are skipped.

use memchr::{memchr, memchr2, memmem, memrchr};

use crate::json_text::Text;
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
    let mut text = Text::new(line);
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
    if !text.is_at_end() {
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
