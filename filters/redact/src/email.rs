//! E-mail addresses.

use crate::text::{is_word, run_start};
use core::ops::Range;

/// Matches every line in which [`at_sign`] finds an address. One byte alone is what a search is fastest at.
pub(crate) const PATTERN: &str = "@";

/// Longest local part looked at. RFC 5321 allows 64 octets.
const LOCAL: usize = 128;
/// Longest domain looked at, as RFC 1035 limits names.
const DOMAIN: usize = 255;

/// The address around the `@` at `at`: a local part, and a domain of at least two labels of which the
/// last has two letters or more. Names outside ASCII count. Quoted local parts don't.
pub(crate) fn at_sign(text: &[u8], at: usize) -> Option<Range<usize>> {
    let last = *text.get(at.checked_sub(1)?)?;
    if !(is_word(last) || matches!(last, b'%' | b'+' | b'-') || last >= 0x80) {
        return None;
    }
    let mut start = run_start(text, at, LOCAL, is_local);
    while start < at && matches!(text[start], b'.' | b'\'') {
        start += 1;
    }
    if start == at {
        return None;
    }
    let domain = &text[at + 1..text.len().min(at + 1 + DOMAIN)];
    let length = domain.iter().position(|&byte| !is_domain(byte)).unwrap_or(domain.len());
    let length = domain_length(&domain[..length])?;
    Some(start..at + 1 + length)
}

/// The part of `domain` that ends with a plausible top-level label.
fn domain_length(mut domain: &[u8]) -> Option<usize> {
    if !domain.first().is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte >= 0x80) {
        return None;
    }
    loop {
        let dot = domain.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
        let label = &domain[dot + 1..];
        let letters = label.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let label_length = match label {
            _ if label.starts_with(b"xn--") => label.len(),
            _ if letters >= 2 => letters,
            [first, ..] if *first >= 0x80 => label.len(),
            _ => {
                domain = &domain[..dot];
                continue;
            }
        };
        return Some(dot + 1 + label_length);
    }
}

fn is_local(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'%' | b'+' | b'-' | b'\'') || byte >= 0x80
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::at_sign;

    fn found(text: &str) -> Option<&str> {
        let at = text.find('@').expect("each case has an @");
        at_sign(text.as_bytes(), at).map(|range| &text[range])
    }

    #[test]
    fn addresses_and_look_alikes() {
        for (text, address) in [
            ("<bob@example.com>", Some("bob@example.com")),
            ("to=bob.b+tag@mail.example.co.uk, x", Some("bob.b+tag@mail.example.co.uk")),
            ("bob@example.com.", Some("bob@example.com")),
            ("bob@example.com.1", Some("bob@example.com")),
            ("'o'brien@example.org'", Some("o'brien@example.org")),
            ("bob@münchen.de", Some("bob@münchen.de")),
            ("jörg@例え.テスト", Some("jörg@例え.テスト")),
            ("bob@example.com邮箱", Some("bob@example.com")),
            (r"a\nbob@example.com", Some("bob@example.com")),
            ("pkg@1.2.3", None),
            ("bob@localhost", None),
            ("@example.com", None),
            ("bob@.com", None),
            ("bob@", None),
        ] {
            assert_eq!(found(text), address, "{text}");
        }
    }
}
