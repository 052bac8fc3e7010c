//! Lines as CRI runtimes (containerd, CRI-O) write them: `<time> <stdout|stderr> <tags> <message>`.
//!
//! The form is fixed by Kubernetes' CRI (`pkg/kubelet/kuberuntime/logs` reads it): tags are joined by
//! `:`, the first is `P` for a part whose rest follows or `F` for the last or only part.

use memchr::{memchr, memchr_iter, memmem};

use crate::record::Stream;
use crate::source::LineHead;
use crate::time;

/// Longest tag list that is accepted, so that the prefix of a line is bounded.
const TAGS_MAX: usize = 128;

/// Takes a line (without its newline) apart: its head, and where the message starts. `None` when the
/// line isn't of this form.
///
/// A line cut anywhere past its prefix is still read, since the prefix has at most 200 bytes.
pub fn parse_line(line: &[u8]) -> Option<(LineHead, usize)> {
    let space = memchr(b' ', &line[..line.len().min(time::MAX_LEN + 1)])?;
    let time = time::parse_rfc3339(&line[..space])?;
    let rest = &line[space + 1..];
    let stream = match rest.get(..7)? {
        b"stdout " => Stream::Stdout,
        b"stderr " => Stream::Stderr,
        _ => return None,
    };
    let tags = &rest[7..];
    let partial = match tags.first()? {
        b'P' => true,
        b'F' => false,
        _ => return None,
    };
    let message = match tags.get(1) {
        None => 1,
        Some(b' ') => 2,
        // An empty message of a writer that ends its lines in CR LF.
        Some(b'\r') if tags.len() == 2 => 1,
        Some(b':') => match memchr(b' ', &tags[..tags.len().min(TAGS_MAX)]) {
            Some(end) => end + 1,
            None if tags.len() < TAGS_MAX => tags.len(),
            None => return None,
        },
        _ => return None,
    };
    Some((LineHead { time, stream, partial }, space + 8 + message))
}

/// Calls `found` with the start of every partial line of a block of whole lines, in order.
///
/// Exact: a text that merely contains ` P ` is not reported.
pub(crate) fn each_partial(finder: &memmem::Finder<'_>, block: &[u8], mut found: impl FnMut(usize)) {
    let mut from = 0;
    while let Some(at) = finder.find(&block[from..]).map(|at| from + at) {
        from = at + 1;
        let tagged = matches!(block.get(at + 2), None | Some(b' ' | b':' | b'\r' | b'\n'));
        if !tagged || !matches!(block.get(at.wrapping_sub(6)..at), Some(b"stdout" | b"stderr")) {
            continue;
        }
        let window = at.saturating_sub(time::MAX_LEN + 8);
        let start = memchr::memrchr(b'\n', &block[window..at]).map_or(window, |nl| window + nl + 1);
        // A window that starts in mid-line can hold a whole head by chance only inside of a message.
        if start != 0 && block[start - 1] != b'\n' {
            continue;
        }
        let end = memchr(b'\n', &block[at..]).map_or(block.len(), |nl| at + nl);
        if parse_line(&block[start..end]).is_some_and(|(head, _)| head.partial) {
            found(start);
        }
        from = end.max(from);
    }
}

/// What [`each_partial`] looks for first.
pub(crate) fn partial_finder() -> memmem::Finder<'static> {
    memmem::Finder::new(b" P")
}

/// The starts of the lines of a block that hold an escape character.
pub(crate) fn each_escape(block: &[u8], mut found: impl FnMut(usize)) {
    let mut line_end = 0;
    for at in memchr_iter(0x1b, block) {
        if at < line_end {
            continue;
        }
        found(memchr::memrchr(b'\n', &block[..at]).map_or(0, |nl| nl + 1));
        line_end = memchr(b'\n', &block[at..]).map_or(block.len(), |nl| at + nl);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Option<(LineHead, &str)> {
        parse_line(line.as_bytes()).map(|(head, at)| (head, &line[at..]))
    }

    #[test]
    fn takes_lines_apart() {
        let head = LineHead { time: 1_000_000_000, stream: Stream::Stdout, partial: false };
        assert_eq!(parse("1970-01-01T00:00:01Z stdout F hello F"), Some((head, "hello F")));
        assert_eq!(parse("1970-01-01T05:30:01+05:30 stdout F:x:y  a"), Some((head, " a")));
        assert_eq!(parse("1970-01-01T00:00:01Z stdout F "), Some((head, "")));
        assert_eq!(parse("1970-01-01T00:00:01Z stdout F"), Some((head, "")));
        assert_eq!(parse("1970-01-01T00:00:01Z stdout F:x"), Some((head, "")));
        assert_eq!(parse("1970-01-01T00:00:01Z stdout F\r"), Some((head, "\r")));
        let head = LineHead { stream: Stream::Stderr, partial: true, ..head };
        assert_eq!(parse("1970-01-01T00:00:01Z stderr P half"), Some((head, "half")));
    }

    #[test]
    fn refuses_other_lines() {
        for line in [
            "",
            " ",
            "hello",
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:00:01Z stdout",
            "1970-01-01T00:00:01Z stdout ",
            "1970-01-01T00:00:01Z stdio F x",
            "1970-01-01T00:00:01Z stdout G x",
            "1970-01-01T00:00:01Z stdout FP x",
            "1970-01-01T00:00:01Z  stdout F x",
            "x1970-01-01T00:00:01Z stdout F x",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn finds_partial_lines_only_at_the_tag() {
        let block = b"1970-01-01T00:00:01Z stdout P a\n1970-01-01T00:00:01Z stdout F say P now\n\
            1970-01-01T00:00:01Z stdout F 1970-01-01T00:00:01Z stdout P quoted\n\
            1970-01-01T00:00:01Z stderr P:x b\nstdout P torn\n1970-01-01T00:00:01Z stderr P";
        let mut found = Vec::new();
        each_partial(&partial_finder(), block, |at| found.push(at));
        let expected: Vec<usize> = [0, 3, 5]
            .map(|n| block.split_inclusive(|&byte| byte == b'\n').take(n).map(<[u8]>::len).sum())
            .into();
        assert_eq!(found, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..64), tail in ".{0,40}") {
            parse_line(&line);
            let mut block = b"1970-01-01T00:00:01Z stdout P".to_vec();
            block.extend_from_slice(tail.as_bytes());
            parse_line(&block);
            block.extend_from_slice(&line);
            each_partial(&partial_finder(), &block, |_| {});
            each_escape(&block, |_| {});
        }
    }
}
