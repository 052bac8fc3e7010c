//! Byte classes of log text, and what counts as a border when text is escaped.
//!
//! Log lines often carry JSON strings, where `\n` before a word puts a letter in front of it, and
//! URLs, where `%20` does the same with a digit. A detector that asks for a word border must see
//! through both.

/// A letter, a digit or `_`.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// One of the unreserved characters of RFC 3986.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A character of the standard base64 alphabet, without padding.
pub(crate) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// A blank within a line.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// End of the run of `class` bytes that starts at `start`.
pub(crate) fn run_end(text: &[u8], start: usize, class: impl Fn(u8) -> bool) -> usize {
    text[start..].iter().position(|&byte| !class(byte)).map_or(text.len(), |length| start + length)
}

/// Start of the run of `class` bytes that ends before `end`, at most `most` bytes long. A run never
/// starts within an escape such as `\n` or `\u00e9`.
pub(crate) fn run_start(text: &[u8], end: usize, most: usize, class: impl Fn(u8) -> bool) -> usize {
    let mut start = end;
    while start > 0 && end - start < most && class(text[start - 1]) {
        start -= 1;
    }
    (start + escape_tail(text, start)).min(end)
}

/// How many bytes at `at` belong to an escape that began before: 1 behind the backslash of `\n`, 5
/// behind that of `\u00e9`, 2 behind the `%` of `%20`, else 0.
fn escape_tail(text: &[u8], at: usize) -> usize {
    let Some(&before) = at.checked_sub(1).and_then(|index| text.get(index)) else {
        return 0;
    };
    match (before, text.get(at)) {
        (b'\\', Some(b'n' | b't' | b'r' | b'b' | b'f')) => 1,
        (b'\\', Some(b'u')) if hex_digits(text, at + 1, 4) => 5,
        (b'%', Some(_)) if hex_digits(text, at, 2) => 2,
        _ => 0,
    }
}

fn hex_digits(text: &[u8], at: usize, count: usize) -> bool {
    text.get(at..at + count).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Whether a word may start at `at`: no letter or digit stands before it, unless that one ends an
/// escape. `_` counts as a border, since names are glued to tokens with it.
pub(crate) fn starts_word(text: &[u8], at: usize) -> bool {
    let before = |length: usize| at.checked_sub(length).map(|index| text[index]);
    if before(1).is_none_or(|byte| !byte.is_ascii_alphanumeric()) {
        return true;
    }
    let ends = |length: usize, sign: u8| {
        before(length + 1) == Some(sign) && escape_tail(text, at - length) == length
    };
    ends(1, b'\\') || ends(2, b'%') || ends(5, b'\\')
}

/// Whether `text` at `at` reads `word`, ASCII case ignored. `word` is in lower case.
pub(crate) fn has_word_at(text: &[u8], at: usize, word: &[u8]) -> bool {
    text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

/// Number of backslashes right before `at`.
pub(crate) fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::{run_start, starts_word};

    #[test]
    fn escapes_are_borders() {
        for (text, border) in [
            ("x\\nAKIA", true),
            ("\\u00e9AKIA", true),
            ("a%20AKIA", true),
            ("a%2AKIA", false),
            ("xAKIA", false),
            ("_AKIA", true),
            ("AKIA", true),
        ] {
            let at = text.find("AKIA").expect("each text holds the word");
            assert_eq!(starts_word(text.as_bytes(), at), border, "{text}");
        }
    }

    #[test]
    fn a_run_does_not_start_within_an_escape() {
        let text = b"a\\nbob@x";
        assert_eq!(run_start(text, 6, 64, |b| b.is_ascii_alphanumeric()), 3);
        let text = b"\\u00e9bob@x";
        assert_eq!(run_start(text, 9, 64, |b| b.is_ascii_alphanumeric()), 6);
    }
}
