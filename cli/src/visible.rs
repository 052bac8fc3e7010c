//! Shows what a terminal would obey. Log text is anyone's: it may carry sequences that move the cursor,
//! set the title or hide what stands beside them.
//!
//! Shown as text are: C0 controls except the tab, so also a newline inside of a message (`\n`) and ESC
//! (`\x1b`), colour codes included; DEL; C1 controls (`\x9b`); the line and paragraph separators and
//! the marks that turn the writing direction (`\u{202e}`); and bytes that aren't UTF-8 (`\xff`).

use std::fmt::Write as _;

/// A stretch of log text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Safe to print.
    Text(&'a str),
    /// To be shown, not obeyed.
    Control(char),
    /// A byte that isn't part of UTF-8 text.
    Byte(u8),
}

impl Piece<'_> {
    /// Appends what is to be seen.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let byte = |out: &mut Vec<u8>, byte: u8| {
            out.extend_from_slice(b"\\x");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        };
        match self {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Control('\n') => out.extend_from_slice(b"\\n"),
            Piece::Control('\r') => out.extend_from_slice(b"\\r"),
            Piece::Control('\t') => out.extend_from_slice(b"\\t"),
            Piece::Control(control) => match u8::try_from(control) {
                Ok(value) => byte(out, value),
                Err(_) => out.extend_from_slice(control.escape_unicode().to_string().as_bytes()),
            },
            Piece::Byte(value) => byte(out, value),
        }
    }
}

/// Takes `bytes` apart, in order and without a gap.
pub(crate) fn for_each_piece<'a>(bytes: &'a [u8], mut f: impl FnMut(Piece<'a>)) {
    for chunk in bytes.utf8_chunks() {
        let mut text = chunk.valid();
        while let Some((at, control)) = first_control(text) {
            if at > 0 {
                f(Piece::Text(&text[..at]));
            }
            f(Piece::Control(control));
            text = &text[at + control.len_utf8()..];
        }
        if !text.is_empty() {
            f(Piece::Text(text));
        }
        chunk.invalid().iter().for_each(|byte| f(Piece::Byte(*byte)));
    }
}

/// The first character of `text` that a terminal might obey, and its place. The tab doesn't count.
pub(crate) fn first_control(text: &str) -> Option<(usize, char)> {
    // Byte by byte up to a suspect: most text has none, and no character need be decoded for it.
    let mut from = 0;
    while let Some(offset) = text.as_bytes()[from..].iter().position(|byte| SUSPECT[usize::from(*byte)]) {
        let at = from + offset;
        let character = text[at..].chars().next().expect("a suspect byte starts a character");
        if is_control(character) {
            return Some((at, character));
        }
        from = at + character.len_utf8();
    }
    None
}

/// Text for standard error: newlines stay, every other control is shown.
pub(crate) fn message(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && is_control(character) {
            write!(shown, "{}", character.escape_default()).expect("writing to a String does not fail");
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a terminal might obey `character`. The tab does not count.
pub(crate) fn is_control(character: char) -> bool {
    match character {
        '\t' => false,
        // Arabic letter mark, left-to-right and right-to-left marks, separators, embeddings, isolates.
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    }
}

/// First bytes of the characters that [`is_control`] may take.
pub(crate) static SUSPECT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'\t' as usize] = false;
    table[0x7f] = true;
    table[0xc2] = true;
    table[0xd8] = true;
    table[0xe2] = true;
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        for_each_piece(bytes, |piece| piece.push_to(&mut out));
        String::from_utf8(out).expect("what is shown is text")
    }

    #[test]
    fn controls_are_shown() {
        assert_eq!(shown(b"plain \t text"), "plain \t text");
        assert_eq!(shown("Größe – 日本 € ©".as_bytes()), "Größe – 日本 € ©");
        assert_eq!(shown(b"\x1b[31mred\x1b[0m"), "\\x1b[31mred\\x1b[0m");
        assert_eq!(shown(b"a\x1b]0;title\x07b\r\n\0\x7f"), "a\\x1b]0;title\\x07b\\r\\n\\x00\\x7f");
        assert_eq!(shown("\u{9b}2J".as_bytes()), "\\x9b2J");
        assert_eq!(shown(b"\x9b2J \xff\xfe"), "\\x9b2J \\xff\\xfe");
        assert_eq!(
            shown("a\u{202e}b\u{2066}c\u{61c}\u{2028}".as_bytes()),
            "a\\u{202e}b\\u{2066}c\\u{61c}\\u{2028}"
        );
    }

    proptest! {
        /// Whatever the bytes, nothing is left that a terminal obeys, and nothing is lost between pieces.
        #[test]
        fn nothing_is_obeyed(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let text = shown(&bytes);
            prop_assert!(text.chars().all(|c| !is_control(c)), "{text:?}");
            let mut back = Vec::new();
            for_each_piece(&bytes, |piece| match piece {
                Piece::Text(text) => back.extend_from_slice(text.as_bytes()),
                Piece::Control(c) => back.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Piece::Byte(byte) => back.push(byte),
            });
            prop_assert_eq!(back, bytes);
        }

        /// The quick look at first bytes misses no control.
        #[test]
        fn every_control_has_a_suspect_first_byte(character in any::<char>()) {
            let text = character.to_string();
            prop_assert_eq!(first_control(&text).is_some(), is_control(character));
        }
    }
}
