//! Terminal escape sequences in a message: invisible to matching, kept in what is given out.
//!
//! The forms are those of ECMA-48: control sequences (`ESC [`), control strings (`ESC ]` and the like,
//! up to BEL or `ESC \`), and short escapes.

use std::ops::Range;

use memchr::memchr;

const ESC: u8 = 0x1b;

/// A message without its escape sequences, and how to find its bytes in the original.
pub(crate) struct Stripped {
    /// What a reader sees.
    pub(crate) text: Vec<u8>,
    /// Where sequences were taken out: the place in `text`, and how many bytes of the original were
    /// left out up to there. Ascending.
    cuts: Vec<(usize, usize)>,
}

impl Stripped {
    /// The part of the original message that holds `range` of the text: starts after sequences that
    /// stand before its first byte, and ends before those that stand behind its last.
    pub(crate) fn original(&self, range: Range<usize>) -> Range<usize> {
        let skipped = |count: usize| count.checked_sub(1).map_or(0, |last| self.cuts[last].1);
        let before_start = self.cuts.partition_point(|&(at, _)| at <= range.start);
        let before_end = self.cuts.partition_point(|&(at, _)| at < range.end);
        range.start + skipped(before_start)..range.end + skipped(before_end)
    }
}

/// Takes the escape sequences out of `message`; `None` when it has none.
pub(crate) fn strip(message: &[u8]) -> Option<Stripped> {
    let mut next = memchr(ESC, message)?;
    let mut stripped = Stripped { text: Vec::with_capacity(message.len()), cuts: Vec::new() };
    let mut from = 0;
    loop {
        stripped.text.extend_from_slice(&message[from..next]);
        from = next + sequence_len(&message[next..]);
        stripped.cuts.push((stripped.text.len(), from - stripped.text.len()));
        match memchr(ESC, &message[from..]) {
            Some(at) => next = from + at,
            None => break,
        }
    }
    stripped.text.extend_from_slice(&message[from..]);
    Some(stripped)
}

/// Length of the escape sequence that `text` starts with. A sequence that is broken off ends where it
/// breaks; a control string without an end is only its opening, so that it can't hide the rest.
fn sequence_len(text: &[u8]) -> usize {
    let run = |from: usize, bytes: Range<u8>| {
        from + text[from..].iter().take_while(|byte| bytes.contains(byte)).count()
    };
    match text.get(1) {
        Some(b'[') => {
            let end = run(run(2, 0x30..0x40), 0x20..0x30);
            end + usize::from(matches!(text.get(end), Some(0x40..=0x7e)))
        }
        Some(b']' | b'P' | b'X' | b'^' | b'_') => string_len(&text[2..]).map_or(2, |len| 2 + len),
        Some(0x20..=0x2f) => {
            let end = run(1, 0x20..0x30);
            end + usize::from(matches!(text.get(end), Some(0x30..=0x7e)))
        }
        Some(0x30..=0x7e) => 2,
        _ => 1,
    }
}

fn string_len(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr2(7, ESC, text)?;
    match (text[end], text.get(end + 1)) {
        (7, _) => Some(end + 1),
        (_, Some(b'\\')) => Some(end + 2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &str) -> String {
        strip(message.as_bytes()).map_or(message.to_owned(), |s| String::from_utf8(s.text).unwrap())
    }

    #[test]
    fn takes_sequences_out() {
        for (message, expected) in [
            ("plain", "plain"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("er\x1b[1;38:5:9mror", "error"),
            ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
            ("a\x1b(Bb\x1b7c", "abc"),
            ("cut\x1b[3", "cut"),
            ("cut\x1b", "cut"),
            ("bro\x1b[3\u{e9}ken", "bro\u{e9}ken"),
            ("open\x1b]0;title", "open0;title"),
            ("\x1b\x1b[mx", "x"),
        ] {
            assert_eq!(text(message), expected, "{message:?}");
        }
    }

    #[test]
    fn maps_ranges_back() {
        let message = b"a\x1b[1mbc\x1b[0md";
        let stripped = strip(message).unwrap();
        assert_eq!(&message[stripped.original(1..3)], b"bc");
        assert_eq!(&message[stripped.original(0..1)], b"a");
        assert_eq!(&message[stripped.original(3..4)], b"d");
        assert_eq!(&message[stripped.original(0..4)], message);
    }
}
