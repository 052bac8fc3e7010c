//! A line as its reader sees it, with the way back to its bytes.
//!
//! A colour code in the middle of a token, or an `@` written as `\u0040`, hides a secret from a
//! search over the raw bytes. When a line has such a thing the detectors run on this view, and what
//! they find is mapped back. Undone are:
//! - control sequences (`ESC [ ... letter`), which vanish, also with ESC written as `\u001b`, `\x1b`,
//!   `\033` or `\e`;
//! - `\u00XX` for printable ASCII except quotes and the backslash, which would move the borders of
//!   strings;
//! - `%40`, `%3A` and `%3D`.

use core::ops::Range;

/// Matches every line that [`View::build`] changes.
pub(crate) const PATTERN: &str = r"\x1b\[|\\(?:u00|x1[bB]|033|e\[)|%(?:40|3[aAdD])";

/// The decoded text of one line. Its memory is used again for the next line.
#[derive(Debug, Default)]
pub(crate) struct View {
    text: Vec<u8>,
    /// For each byte of `text`, where the bytes it stands for begin and end in the line.
    origins: Vec<(u32, u32)>,
}

impl View {
    /// Decodes `line`.
    pub(crate) fn build(&mut self, line: &[u8]) {
        self.text.clear();
        self.origins.clear();
        let mut at = 0;
        while at < line.len() {
            let (length, shown) = match escape_at(line, at) {
                Some(Escape { length, shown }) => (length, shown),
                None => (1, Some(line[at])),
            };
            if let Some(byte) = shown {
                self.text.push(byte);
                // Messages are far below 4 GiB: a batch's offsets are 32 bits wide.
                self.origins.push((at as u32, (at + length) as u32));
            }
            at += length;
        }
    }

    /// The decoded text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The bytes of the line that a non-empty range of the text stands for.
    pub(crate) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let start = self.origins[range.start].0 as usize;
        let end = self.origins[range.end - 1].1 as usize;
        start..end
    }
}

/// An escape and what it shows: one byte, or nothing for a control sequence.
pub(crate) struct Escape {
    pub(crate) length: usize,
    pub(crate) shown: Option<u8>,
}

/// The escape that starts at `at`, if the view changes it.
pub(crate) fn escape_at(line: &[u8], at: usize) -> Option<Escape> {
    let rest = &line[at..];
    match rest[0] {
        0x1b => control_sequence(rest, 1),
        // A run of backslashes is looked at once, from its start.
        b'\\' if at > 0 && line[at - 1] == b'\\' => None,
        b'\\' => {
            let slashes = rest.iter().take_while(|&&byte| byte == b'\\').count();
            let name = &rest[slashes..];
            for escape in [&b"u001b"[..], b"u001B", b"x1b", b"x1B", b"033", b"e"] {
                if name.starts_with(escape) {
                    return control_sequence(rest, slashes + escape.len());
                }
            }
            let digits = name.strip_prefix(b"u00")?.first_chunk::<2>()?;
            let byte = hex_byte(digits)?;
            let plain = matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\'' | b'\\' | b'`');
            plain.then_some(Escape { length: slashes + 5, shown: Some(byte) })
        }
        b'%' => {
            let byte = hex_byte(rest[1..].first_chunk::<2>()?)?;
            matches!(byte, b'@' | b':' | b'=').then_some(Escape { length: 3, shown: Some(byte) })
        }
        _ => None,
    }
}

/// A control sequence whose `[` is at `at`: parameters, intermediates and a final byte, as ECMA-48 has
/// them. One that is cut off stays text.
fn control_sequence(rest: &[u8], at: usize) -> Option<Escape> {
    if rest.get(at) != Some(&b'[') {
        return None;
    }
    let skip = |from: usize, class: fn(u8) -> bool| {
        rest[from..].iter().take_while(|&&byte| class(byte)).count() + from
    };
    let parameters = skip(at + 1, |byte| matches!(byte, 0x30..=0x3f));
    let last = skip(parameters, |byte| matches!(byte, 0x20..=0x2f));
    matches!(rest.get(last), Some(0x40..=0x7e)).then_some(Escape { length: last + 1, shown: None })
}

fn hex_byte(digits: &[u8; 2]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    Some((value(digits[0])? << 4 | value(digits[1])?) as u8)
}

#[cfg(test)]
mod tests {
    use super::{PATTERN, View};
    use proptest::prelude::*;

    fn shown(line: &str) -> String {
        let mut view = View::default();
        view.build(line.as_bytes());
        String::from_utf8(view.text().to_vec()).expect("the cases are ASCII")
    }

    #[test]
    fn escapes_are_undone() {
        for (line, text) in [
            ("A\x1b[1;31mKIA", "AKIA"),
            (r"A\u001b[0mKIA", "AKIA"),
            (r"A\\u001B[0mKIA", "AKIA"),
            (r"A\x1b[mKIA \033[4m\e[mx", "AKIA x"),
            (r"bob\u0040x", "bob@x"),
            (r#"a\u0022b\u005cc"#, r#"a\u0022b\u005cc"#),
            ("bob%40x a%3db%3Ac%20d", "bob@x a=b:c%20d"),
            ("cut \x1b[31", "cut \x1b[31"),
            (r"C:\users\new", r"C:\users\new"),
        ] {
            assert_eq!(shown(line), text, "{line:?}");
        }
    }

    #[test]
    fn ranges_lead_back() {
        let mut view = View::default();
        view.build(b"x A\x1b[0mB\x1b[1mC");
        assert_eq!(view.text(), b"x ABC");
        assert_eq!(view.origin(2..4), 2..8);
        assert_eq!(view.origin(2..5), 2..13);
    }

    proptest! {
        #[test]
        fn a_changed_line_matches_the_pattern(
            parts in proptest::collection::vec(prop_oneof![
                Just("\x1b["), Just("31m"), Just("\\"), Just("u0040"), Just("u001b["), Just("x1b"),
                Just("033"), Just("e["), Just("[0m"), Just("%40"), Just("%3"), Just("d"), Just("z"),
            ], 0..12),
        ) {
            let line = parts.concat();
            let pattern = regex::bytes::Regex::new(&format!("(?-u:{PATTERN})")).expect("valid");
            let mut view = View::default();
            view.build(line.as_bytes());
            prop_assert!(view.text() == line.as_bytes() || pattern.is_match(line.as_bytes()));
        }
    }
}
