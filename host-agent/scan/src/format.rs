//! Which format a file is of, told by its content.

use memchr::memchr;

use crate::source::Format;
use crate::{cri, json_file};

/// How far into a file its format is looked for, in bytes.
pub(crate) const DETECT_BYTES: usize = 64 << 10;

/// The format of the first line that has one. `None` when no line has.
pub(crate) fn detect(head: &[u8]) -> Option<Format> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        if cri::parse_line(line).is_some() {
            Some(Format::Cri)
        } else if json_file::parse_head(line).is_some() {
            Some(Format::JsonFile)
        } else {
            None
        }
    })
}

/// The format of the first line, of which `head` has the beginning. `None` when that line has none, or when it
/// takes more bytes to tell.
pub(crate) fn of_first_line(head: &[u8]) -> Option<Format> {
    let end = memchr(b'\n', head);
    let is_told = end.is_some() || head.len() >= cri::HEAD_BYTES;
    is_told.then(|| detect(&head[..end.unwrap_or(head.len())]))?
}

/// Most bytes of one raw line that are looked at, so that a message of `line_bytes` always fits: the
/// prefix, and what escaping can add. What Docker writes fits in any case, since there the time stands last.
pub(crate) fn line_cap(format: Format, line_bytes: usize) -> usize {
    const PREFIX: usize = 512;
    const DOCKER_BYTES: usize = 16 << 10;
    match format {
        Format::Cri | Format::Plain => line_bytes.saturating_add(PREFIX),
        Format::JsonFile => line_bytes.max(DOCKER_BYTES).saturating_mul(6).saturating_add(PREFIX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_a_format_decides() {
        let cri = "1970-01-01T00:00:01Z stdout F hello";
        let json = r#"{"log":"hello\n","stream":"stdout","time":"1970-01-01T00:00:01Z"}"#;
        assert_eq!(detect(format!("torn\n\n{cri}\n{json}\n").as_bytes()), Some(Format::Cri));
        assert_eq!(detect(format!("torn\n{json}\n{cri}\n").as_bytes()), Some(Format::JsonFile));
        assert_eq!(detect(cri.as_bytes()), Some(Format::Cri));
        assert_eq!(detect(b"torn\nhello"), None);
        for (head, format) in [
            (format!("{cri}\n{json}"), Some(Format::Cri)),
            (format!("{json}\n{cri}"), Some(Format::JsonFile)),
            (format!("torn\n{cri}\n"), None),
            // What follows may not be a space.
            (cri.replace(" hello", ""), None),
            (format!("{cri}{}", "o".repeat(200)), Some(Format::Cri)),
            (json.to_owned(), None),
        ] {
            assert_eq!(of_first_line(head.as_bytes()), format, "{head}");
        }
        assert_eq!(detect(b""), None);
    }
}
