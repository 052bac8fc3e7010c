//! Lines as CRI runtimes (containerd, CRI-O) write them: `<time> <stdout|stderr> <tags> <message>`.
//!
//! The form is fixed by Kubernetes' CRI (`pkg/kubelet/kuberuntime/logs` reads it): tags are joined by
//! `:`, the first is `P` for a part whose rest follows or `F` for the last or only part.

use memchr::{memchr, memchr2, memmem, memrchr};

use crate::record::Stream;
use crate::source::LineHead;
use crate::time;

/// Longest tag list that is accepted, so that the prefix of a line is bounded.
const TAGS_MAX: usize = 128;

/// Bytes of a line that are sure to hold its head.
pub(crate) const HEAD_BYTES: usize = 200;

const ESCAPE: u8 = 0x1b;

/// How many Ps that are no tags are met before it matters how many there are.
const WORDS_MIN: usize = 8;

/// Bytes for each further one, so that stopping at them costs less than the pass that is spared.
const WORD_BYTES: usize = 4 << 10;

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

/// Calls `found` with the start of every line of a block of whole lines that is partial or holds an escape
/// character, in no particular order; with a line that is both, more than once.
///
/// Exact: a text that merely contains ` P ` is not reported.
pub(crate) fn each_unjudged(finder: &memmem::Finder<'_>, block: &[u8], mut found: impl FnMut(usize)) {
    // One pass for both takes half the time of two, unless most of the Ps that it meets are in words.
    let (mut from, mut words) = (0, 0);
    while words <= WORDS_MIN + from / WORD_BYTES {
        let Some(at) = memchr2(ESCAPE, b'P', &block[from..]).map(|at| from + at) else {
            return;
        };
        from = at + 1;
        if block[at] == ESCAPE {
            found(line_start(block, at));
            from = line_end(block, at);
        } else if let Some(start) = at.checked_sub(1).and_then(|space| partial_at(block, space)) {
            found(start);
        } else {
            words += 1;
        }
    }
    each_escape(block, from, &mut found);
    while let Some(space) = finder.find(&block[from..]).map(|at| from + at) {
        from = space + 2;
        partial_at(block, space).into_iter().for_each(&mut found);
    }
}

/// What [`each_unjudged`] looks for where many words begin with it.
pub(crate) fn partial_finder() -> memmem::Finder<'static> {
    memmem::Finder::new(b" P")
}

/// The starts of the lines of a block that hold an escape character, from `from` on.
pub(crate) fn each_escape(block: &[u8], from: usize, mut found: impl FnMut(usize)) {
    let mut from = from;
    while let Some(at) = memchr(ESCAPE, &block[from..]).map(|at| from + at) {
        found(line_start(block, at));
        from = line_end(block, at);
    }
}

/// The start of the partial line whose tag follows the space at `space`, if it is one.
fn partial_at(block: &[u8], space: usize) -> Option<usize> {
    let is_tag = block[space..].starts_with(b" P")
        && matches!(block.get(space + 2), None | Some(b' ' | b':' | b'\r' | b'\n'))
        && matches!(block.get(space.wrapping_sub(6)..space), Some(b"stdout" | b"stderr"));
    if !is_tag {
        return None;
    }
    let window = space.saturating_sub(time::MAX_LEN + 8);
    let start = window + line_start(&block[window..], space - window);
    // A window that starts in mid-line can hold a whole head by chance only inside of a message.
    if start != 0 && block[start - 1] != b'\n' {
        return None;
    }
    let (head, _) = parse_line(&block[start..line_end(block, space)])?;
    head.partial.then_some(start)
}

fn line_start(block: &[u8], at: usize) -> usize {
    memrchr(b'\n', &block[..at]).map_or(0, |newline| newline + 1)
}

fn line_end(block: &[u8], at: usize) -> usize {
    memchr(b'\n', &block[at..]).map_or(block.len(), |newline| at + newline)
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
        each_unjudged(&partial_finder(), block, |at| found.push(at));
        let expected: Vec<usize> = [0, 3, 5]
            .map(|n| block.split_inclusive(|&byte| byte == b'\n').take(n).map(<[u8]>::len).sum())
            .into();
        assert_eq!(found, expected);
    }

    #[test]
    fn finds_the_same_lines_among_many_words() {
        let mut block = Vec::new();
        let mut expected = Vec::new();
        for number in 0..1000 {
            let (tag, text) =
                [("F", "POST P"), ("P", "P"), ("F", "\x1b[1mP"), ("F:P", "say")][number * 7 % 16 % 4];
            let is_rare = number % 100 < 10;
            let (tag, text) = if is_rare { (tag, text) } else { ("F", "Post PUT P P") };
            if tag == "P" || text.contains('\x1b') {
                expected.push(block.len());
            }
            block.extend_from_slice(format!("1970-01-01T00:00:01Z stdout {tag} {text}\n").as_bytes());
        }
        assert_eq!(expected.len(), 40);
        for from in [0, 500] {
            // With and without a run of lines at first in which a P is rare.
            let quiet = b"1970-01-01T00:00:01Z stdout F quiet\n".repeat(from);
            let mut found = Vec::new();
            each_unjudged(&partial_finder(), &[&quiet, block.as_slice()].concat(), |at| found.push(at));
            found.sort_unstable();
            let moved: Vec<usize> = expected.iter().map(|start| start + quiet.len()).collect();
            assert_eq!(found, moved);
        }
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
            each_unjudged(&partial_finder(), &block, |_| {});
        }
    }
}
