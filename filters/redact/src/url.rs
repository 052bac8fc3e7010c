//! Secrets in URLs: the password of `scheme://user:password@host`, and the paths of webhooks, which
//! are passwords themselves.

use crate::text::has_word_at;
use core::ops::Range;

/// Matches every line in which [`password`] finds one.
pub(crate) const PASSWORD_PATTERN: &str = r"://|:\\+/";
/// Matches every line in which [`webhook`] finds one.
pub(crate) const WEBHOOK_PATTERN: &str = r"(?i:hooks\.slack\.com|discord(?:app)?\.com|webhook\.office\.com)";

/// How far behind `://` a password may reach.
const LONGEST: usize = 512;

/// Hosts whose paths are secrets, and the part of the path that isn't.
const WEBHOOKS: [(&[u8], &[u8]); 4] = [
    (b"hooks.slack.com", b"/services/"),
    (b"discord.com", b"/api/webhooks/"),
    (b"discordapp.com", b"/api/webhooks/"),
    (b"webhook.office.com", b"/webhookb2/"),
];

/// The password in the URL whose `://` starts at `colon`. It may hold an `@` (the last one before the
/// path ends it), and a `/`, `?` or `#` where what stands before that can't be a port.
pub(crate) fn password(text: &[u8], colon: usize) -> Option<Range<usize>> {
    let start = authority(text, colon)?;
    let rest = &text[start..text.len().min(start + LONGEST)];
    let rest = &rest[..rest.iter().position(|&byte| ends_url(byte)).unwrap_or(rest.len())];
    let host_end = rest.iter().position(|&byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let first = &rest[..host_end];
    let user_end = first.iter().position(|&byte| byte == b':')?;
    if first.starts_with(b"[") {
        return None;
    }
    let end = match first.iter().rposition(|&byte| byte == b'@') {
        Some(at) if at < user_end => return None,
        Some(at) => at,
        None if first[user_end + 1..].iter().all(u8::is_ascii_digit) => return None,
        None => host_end + rest[host_end..].iter().position(|&byte| byte == b'@')?,
    };
    (end > user_end + 1).then_some(start + user_end + 1..start + end)
}

/// The secret part of the webhook URL whose `://` starts at `colon`.
pub(crate) fn webhook(text: &[u8], colon: usize) -> Option<Range<usize>> {
    let host = authority(text, colon)?;
    let (name, path) = WEBHOOKS.iter().find(|(name, _)| {
        let end = crate::text::run_end(text, host, |b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        text[host..end].to_ascii_lowercase().ends_with(name)
    })?;
    let name_end = host
        + text[host..].windows(name.len()).position(|part| part.eq_ignore_ascii_case(name))?
        + name.len();
    let start = name_end + path.len();
    let start = has_word_at(text, name_end, path).then_some(start)?;
    let end = crate::text::run_end(text, start, |byte| !ends_url(byte));
    (end > start).then_some(start..end)
}

/// Where the host or user begins behind `://`, the slashes of which may be escaped.
fn authority(text: &[u8], colon: usize) -> Option<usize> {
    let mut at = colon + 1;
    for _ in 0..2 {
        at = crate::text::run_end(text, at, |byte| byte == b'\\');
        if text.get(at) != Some(&b'/') {
            return None;
        }
        at += 1;
    }
    Some(at)
}

fn ends_url(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::{password, webhook};

    #[test]
    fn passwords_and_ports() {
        for (text, expected) in [
            ("postgres://app:hunter2@db:5432/x", Some("hunter2")),
            ("redis://:hunter2@db", Some("hunter2")),
            ("http://u:p@ss@host/", Some("p@ss")),
            ("mysql://u:pa/ss@host/db", Some("pa/ss")),
            (r"http:\/\/u:pw@host\/x", Some("pw")),
            ("ssh://git@host:22/x", None),
            ("http://host:8080/@user", None),
            ("http://[::1]:80/@x", None),
            ("http://host/a:b@c", None),
            ("http://u:@host", None),
            ("http://u:\"pw@host", None),
        ] {
            let colon = text.find(':').expect("each case has a colon");
            let found = password(text.as_bytes(), colon).map(|range| &text[range]);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn webhooks() {
        for (text, expected) in [
            ("https://hooks.slack.com/services/T0/B0/xyz ok", Some("T0/B0/xyz")),
            ("https://discord.com/api/webhooks/1/abc\"", Some("1/abc")),
            ("https://a.webhook.office.com/webhookb2/u/v", Some("u/v")),
            ("https://discord.com/channels/1", None),
            ("https://example.com/services/T0/B0/xyz", None),
        ] {
            let colon = text.find(':').expect("each case has a colon");
            let found = webhook(text.as_bytes(), colon).map(|range| &text[range]);
            assert_eq!(found, expected, "{text}");
        }
    }
}
