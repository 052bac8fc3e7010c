//! What a redacted place looks like, so that a second run leaves it alone.

/// Hexadecimal digits in the token of a keyed hash.
pub(crate) const HASH_DIGITS: usize = 12;
/// Longest label.
pub(crate) const LABEL: usize = 63;

/// The end of the marker that starts at `start`: `[REDACTED:label]` or `[label:0123456789ab]`. Labels
/// are short and hold no secret, and twelve hexadecimal digits are too few for one.
pub(crate) fn at(text: &[u8], start: usize) -> Option<usize> {
    let inner = text.get(start..)?.strip_prefix(b"[")?;
    let inner = &inner[..inner.len().min(LABEL + 16)];
    let colon = inner.iter().position(|&byte| byte == b':')?;
    let close = colon + 1 + inner[colon + 1..].iter().position(|&byte| byte == b']')?;
    let (name, value) = (&inner[..colon], &inner[colon + 1..close]);
    let hashed =
        value.len() == HASH_DIGITS && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let marker = (name == b"REDACTED" && is_label(value)) || (hashed && is_label(name));
    marker.then_some(start + 1 + close + 1)
}

/// Whether a marker ends at `end`.
pub(crate) fn ends_at(text: &[u8], end: usize) -> bool {
    let within = &text[end.saturating_sub(LABEL + 16)..end];
    let start = within.iter().rposition(|&byte| byte == b'[');
    start.is_some_and(|start| at(text, end - within.len() + start) == Some(end))
}

/// Whether `label` is one: a letter, then letters, digits and dashes, in lower case.
pub(crate) fn is_label(label: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=LABEL).contains(&label.len()) && label[0].is_ascii_lowercase() && label.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn markers() {
        for (text, end) in [
            ("[REDACTED:email]x", Some(16)),
            ("[email:0123456789ab]", Some(20)),
            ("[REDACTED:4111111111111111]", None),
            ("[email:0123456789AB]", None),
            ("[email:hunter2]", None),
            ("[REDACTED:email", None),
            ("REDACTED:email]", None),
        ] {
            assert_eq!(at(text.as_bytes(), 0), end, "{text}");
        }
    }
}
