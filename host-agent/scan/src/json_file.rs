//! Lines as Docker's json-file driver writes them: `{"log":"…\n","stream":"…","time":"…"}`.
//!
//! The form is that of Docker's `daemon/logger/jsonfilelog`. A `log` without its final `\n` is a part
//! whose rest follows. Members may come in any order and unknown ones are skipped.

use crate::json_text::Text;
use crate::record::Stream;
use crate::source::LineHead;
use crate::time;

/// How deep unknown members may nest before the line counts as malformed.
const DEPTH_MAX: usize = 32;

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

/// Whether an escaped text ends in the escape of a newline.
pub(crate) fn ends_in_newline(text: &[u8]) -> bool {
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
        }
        let odd =
            format!(r#" {{ {TIME} , "attrs":{{"a":[1,-2.5e3,null,{{}}],"b":"\"}}"}},"log" : "x\n" }}  "#);
        assert_eq!(parse(&odd), Some((LineHead { stream: Stream::Stdout, ..HEAD }, "x".to_owned())));
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
                }
            }
        }
    }
}
