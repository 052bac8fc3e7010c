//! Private keys in PEM armour.
//!
//! A container's output comes line by line, and lines of one key may reach a filter out of order or
//! not at all: a search runs backwards, in parallel, or starts in the middle. So nothing is remembered
//! from line to line; each line is judged alone:
//! - `-----BEGIN ... PRIVATE KEY-----` to the matching end, or to the end of the line or JSON string;
//! - `-----END ... PRIVATE KEY-----` with the base64 before it;
//! - a base64 word of exactly 64, 70 or 76 characters with small letters, capitals and digits: a full
//!   line of PEM, OpenSSH or MIME;
//! - a longer base64 word that begins as the DER of a key or certificate, an OpenSSH key, or PEM in
//!   base64 (as in Kubernetes secrets) does.
//!
//! What remains is the last, shorter line of a key that is logged line by line.

use crate::text::{is_base64, run_end};
use crate::tokens::is_mixed;
use core::ops::Range;

/// Matches every line in which this module finds a key.
pub(crate) const PATTERN: &str = r"-----(?:BEGIN|END) [A-Z0-9 ]{0,32}PRIVATE KEY|[A-Za-z0-9+/]{64}";

/// Lengths of the full lines of PEM (RFC 7468), OpenSSH and MIME.
const FULL_LINES: [usize; 3] = [64, 70, 76];
/// How keys begin in base64: PKCS #1 and #8, short elliptic curve keys, OpenSSH, and PEM itself.
const BEGINNINGS: [&[u8]; 7] =
    [b"MII", b"MIG", b"MC4CAQ", b"MHcCAQ", b"MHQCAQ", b"b3BlbnNzaC1rZXk", b"LS0tLS1CRUdJTi"];
/// PEM in base64 that holds a certificate or a public key.
const PUBLIC: [&[u8]; 2] = [b"LS0tLS1CRUdJTiBDRVJU", b"LS0tLS1CRUdJTiBQVUJM"];

/// The key at the dashes that start at `dashes`.
pub(crate) fn armour(text: &[u8], dashes: usize) -> Option<Range<usize>> {
    let word = run_end(text, dashes, |byte| byte == b'-');
    let begins = text[word..].starts_with(b"BEGIN ");
    if !begins && !text[word..].starts_with(b"END ") {
        return None;
    }
    let label_end = private_label_end(text, word)?;
    if begins {
        return Some(dashes..block_end(text, label_end));
    }
    Some(body_start(text, dashes)..label_end)
}

/// The end of the dashes of a label that starts at `word` and names a private key.
fn private_label_end(text: &[u8], word: usize) -> Option<usize> {
    let end = run_end(text, word, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let label = &text[word..end];
    let is_private = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    // The pattern allows this much between BEGIN and PRIVATE KEY.
    let is_short = label.len() <= b"BEGIN PRIVATE KEY".len() + 32;
    (is_private && is_short).then(|| run_end(text, end, |byte| byte == b'-'))
}

/// The end of the block whose first label ends at `from`: behind its end label, else before the next
/// quote, else the end of the line.
fn block_end(text: &[u8], from: usize) -> usize {
    let quote = run_end(text, from, |byte| byte != b'"');
    let mut at = from;
    while let Some(skip) = text[at..quote].windows(9).position(|part| part == b"-----END ") {
        let label = at + skip + 5;
        if let Some(end) = private_label_end(text, label) {
            return end;
        }
        at = label;
    }
    if quote == text.len() { quote } else { quote - crate::text::backslashes_before(text, quote) }
}

/// The start of the base64 text before the end label at `dashes`.
fn body_start(text: &[u8], dashes: usize) -> usize {
    let body = |byte: u8| is_base64(byte) || matches!(byte, b'=' | b' ' | b'\\' | b'\r' | b'\n');
    let length = text[..dashes].iter().rev().take_while(|&&byte| body(byte)).count();
    let start = dashes - length;
    // Only whole words: a blank or an escape in front stays.
    let start = run_end(text, start, |byte| matches!(byte, b' ' | b'\r' | b'\n')).min(dashes);
    if text[start..dashes].starts_with(br"\n") { start + 2 } else { start }
}

/// The line of a key that the base64 word at `start` is.
pub(crate) fn body(text: &[u8], start: usize) -> Option<Range<usize>> {
    let end = run_end(text, start, is_base64);
    let word = &text[start..end];
    let begins = BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
        && !PUBLIC.iter().any(|beginning| word.starts_with(beginning));
    let padded = run_end(text, end, |byte| byte == b'=');
    (begins || (FULL_LINES.contains(&(padded - start)) && is_mixed(word))).then_some(start..padded)
}

#[cfg(test)]
mod tests {
    use super::{armour, body};

    const LINE: &str = "MIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aozN3tihPmUnnudb9G3HECdnH9";

    fn key(text: &str) -> Option<&str> {
        let dashes = text.find("-----").expect("each case has dashes");
        armour(text.as_bytes(), dashes).map(|range| &text[range])
    }

    #[test]
    fn blocks_on_one_line() {
        for (text, expected) in [
            (
                r#"{"k":"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"}"#,
                Some(r"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
            ),
            (r#""-----BEGIN PRIVATE KEY-----\nMIIE","x":1"#, Some(r"-----BEGIN PRIVATE KEY-----\nMIIE")),
            ("k=-----BEGIN PRIVATE KEY----- MIIE x", Some("-----BEGIN PRIVATE KEY----- MIIE x")),
            ("x: abc= -----END EC PRIVATE KEY----- y", Some("abc= -----END EC PRIVATE KEY-----")),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----", Some("-----BEGIN PGP PRIVATE KEY BLOCK-----")),
            ("-----BEGIN CERTIFICATE-----", None),
            ("-----BEGIN PUBLIC KEY-----", None),
            ("----- done -----", None),
        ] {
            assert_eq!(key(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_of_a_body() {
        let long = format!("{LINE}{LINE}");
        let hash = "0123456789abcdef".repeat(4);
        let certificate = format!("LS0tLS1CRUdJTiBDRVJU{LINE}");
        for (text, is_key) in
            [(LINE, true), (&long, true), (&hash, false), (&certificate, false), (&LINE[4..], false)]
        {
            assert_eq!(body(text.as_bytes(), 0).is_some(), is_key, "{text}");
        }
    }
}
