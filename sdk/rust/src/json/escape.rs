//! Strings in JSON: written with their escapes, read without.

use crate::bytes;

/// Appends `text` as a JSON string.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let hex = b"0123456789abcdef";
                let (high, low) = (hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// `escaped` without its escapes, the first of which is at `first`.
pub(super) fn unescape(escaped: &[u8], first: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(escaped.len());
    out.extend_from_slice(&escaped[..first]);
    let mut rest = &escaped[first..];
    loop {
        // `rest` starts with a backslash.
        let taken = unescape_one(rest, &mut out);
        rest = &rest[taken..];
        let plain = bytes::find_byte(rest, b'\\').unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            return out;
        }
    }
}

/// Unescapes the one escape that `text` starts with and tells its length.
fn unescape_one(text: &[u8], out: &mut Vec<u8>) -> usize {
    let plain = match text.get(1) {
        Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => match hex4(text) {
            Some(unit) => {
                let low = hex4(&text[6..]).filter(|low| (0xDC00..0xE000).contains(low));
                let (c, len) = match (unit, low) {
                    (0xD800..0xDC00, Some(low)) => (0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), 12),
                    _ => (unit, 6),
                };
                let c = char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return len;
            }
            None => return verbatim(text, out),
        },
        _ => return verbatim(text, out),
    };
    out.push(plain);
    2
}

/// Copies what is no escape.
fn verbatim(text: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(text[0]);
    1
}

/// The code unit of the `\uXXXX` that `text` starts with.
fn hex4(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}
