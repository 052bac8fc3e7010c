//! Text as JSON and logfmt quote it: a raw slice of the line that is decoded only when it holds a
//! backslash and something reads it.

use crate::block;

/// Bytes that break a rule of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What an escape that the format doesn't know means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The line is malformed: JSON.
    Refused,
    /// The backslash stands for itself: logfmt.
    Kept,
}

/// The inside of a quoted text, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    /// Whether `raw` holds a backslash.
    pub(crate) escaped: bool,
}

impl<'a> Text<'a> {
    /// The text itself, put into `scratch` if it differs from what is written.
    #[inline]
    pub(crate) fn decode<'b>(&self, scratch: &'b mut Vec<u8>, unknown: Unknown) -> Result<&'b [u8], Malformed>
    where
        'a: 'b,
    {
        if !self.escaped {
            return Ok(self.raw);
        }
        unescape(self.raw, scratch, unknown)?;
        Ok(scratch)
    }
}

/// Where the text that begins at `from` (just after its opening quote) ends: the place of the closing
/// quote and whether a backslash came before it. Without a closing quote, none.
#[inline(always)]
pub(crate) fn closing_quote(line: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut at = from;
    let mut escaped = false;
    loop {
        at = block::find(line, at, |b| b.eq(b'"').or(b.eq(b'\\')))?;
        if line[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

/// Replaces `out` by what `raw` means. A surrogate without its other half becomes U+FFFD, as in jq 1.7.
#[inline(never)]
fn unescape(raw: &[u8], out: &mut Vec<u8>, unknown: Unknown) -> Result<(), Malformed> {
    out.clear();
    let mut at = 0;
    while let Some(slash) = block::find(raw, at, |b| b.eq(b'\\')) {
        out.extend_from_slice(&raw[at..slash]);
        let simple = match raw.get(slash + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'u') if hex4(raw, slash + 2).is_some() => {
                let (char, after) = unicode_escape(raw, slash);
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                at = after;
                continue;
            }
            _ if unknown == Unknown::Refused => return Err(Malformed),
            _ => {
                out.push(b'\\');
                at = slash + 1;
                continue;
            }
        };
        out.push(simple);
        at = slash + 2;
    }
    out.extend_from_slice(&raw[at..]);
    Ok(())
}

/// The character that `\uXXXX` at `slash` (or it and a second one) stands for, and the place after it.
fn unicode_escape(raw: &[u8], slash: usize) -> (char, usize) {
    let after = slash + 6;
    let unit = hex4(raw, slash + 2).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&unit)
        && raw[after..].starts_with(b"\\u")
        && let Some(low @ 0xdc00..0xe000) = hex4(raw, after + 2)
    {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), after + 6);
    }
    (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), after)
}

fn hex4(raw: &[u8], at: usize) -> Option<u32> {
    let digits = raw.get(at..at + 4)?;
    digits.iter().try_fold(0, |n, &b| Some(n << 4 | char::from(b).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &str, unknown: Unknown) -> Result<String, Malformed> {
        let mut scratch = Vec::new();
        let text = Text { raw: raw.as_bytes(), escaped: true };
        let bytes = text.decode(&mut scratch, unknown)?;
        Ok(String::from_utf8(bytes.to_vec()).expect("the input is UTF-8"))
    }

    #[test]
    fn escapes_mean_what_rfc_8259_says() {
        let all = decoded(r#"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00x"#, Unknown::Refused);
        assert_eq!(all.as_deref(), Ok("\"\\/\u{8}\u{c}\n\r\tAé😀x"));
    }

    #[test]
    fn half_a_surrogate_pair_is_a_replacement_character() {
        for (raw, want) in
            [(r"\ud83dx", "\u{fffd}x"), (r"\ude00\ud83d", "\u{fffd}\u{fffd}"), (r"\ud83d\u0041", "\u{fffd}A")]
        {
            assert_eq!(decoded(raw, Unknown::Refused).as_deref(), Ok(want), "{raw}");
        }
    }

    #[test]
    fn unknown_escapes_are_refused_or_kept() {
        for raw in [r"C:\dir", r"\x41", r"\u12", r"\u12g4", r"end\"] {
            assert_eq!(decoded(raw, Unknown::Refused), Err(Malformed), "{raw}");
            assert_eq!(decoded(raw, Unknown::Kept).as_deref(), Ok(raw), "{raw}");
        }
    }

    #[test]
    fn a_quote_after_a_backslash_does_not_close() {
        assert_eq!(closing_quote(br#"abc"rest"#, 0), Some((3, false)));
        assert_eq!(closing_quote(br#"a\"b\\"rest"#, 0), Some((6, true)));
        assert_eq!(closing_quote(br#"a\"#, 0), None);
    }
}
