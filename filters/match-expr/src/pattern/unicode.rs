//! The little of Unicode that patterns know: what `\w`, `\d` and `\s` are, and which characters are equal
//! without regard to case. The build script takes the data from `regex-syntax` and packs it.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

static WORD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/word.bin"));
static DIGIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/digit.bin"));
static SPACE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/space.bin"));
static FOLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fold.bin"));

/// The class `\w`.
pub(super) fn word() -> ClassUnicode {
    unpack(WORD)
}

/// The class `\d`.
pub(super) fn digit() -> ClassUnicode {
    unpack(DIGIT)
}

/// The class `\s`.
pub(super) fn space() -> ClassUnicode {
    unpack(SPACE)
}

fn unpack(packed: &'static [u8]) -> ClassUnicode {
    let mut numbers = Numbers(packed);
    let mut ranges = Vec::new();
    let mut before = 0;
    while let (Some(gap), Some(length)) = (numbers.next(), numbers.next()) {
        let (start, end) = (before + gap, before + gap + length);
        ranges.extend(range(start, end));
        before = end;
    }
    ClassUnicode::new(ranges)
}

/// Characters from `first` on in steps, each of which is equal to the one at a distance from it.
struct Run {
    first: u32,
    count: u32,
    step: u32,
    distance: i32,
}

/// Case folding, ready for use.
pub(super) struct Folding(Vec<Run>);

impl Folding {
    pub(super) fn new() -> Folding {
        let mut numbers = Numbers(FOLD);
        let mut runs = Vec::new();
        let mut before = 0;
        while let (Some(gap), Some(count), Some(step), Some(zigzag)) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        {
            let first = before + gap;
            let distance = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
            runs.push(Run { first, count, step, distance });
            before = first;
        }
        Folding(runs)
    }

    /// All that is equal to a character from `start` to `end` without regard to case, themselves included.
    pub(super) fn closure(&self, start: char, end: char) -> ClassUnicode {
        let (start, end) = (u32::from(start), u32::from(end));
        let mut ranges: Vec<ClassUnicodeRange> = range(start, end).into_iter().collect();
        for run in &self.0 {
            for index in 0..run.count {
                let code = run.first + index * run.step;
                if !(start..=end).contains(&code) {
                    continue;
                }
                let mut other = code.saturating_add_signed(run.distance);
                while other != code {
                    ranges.extend(range(other, other));
                    other = self.next(other).unwrap_or(code);
                }
            }
        }
        ClassUnicode::new(ranges)
    }

    /// The next in the circle of equal characters.
    fn next(&self, code: u32) -> Option<u32> {
        let run = self.0.iter().find(|run| {
            let place = code.wrapping_sub(run.first);
            place < run.count * run.step && place % run.step == 0
        })?;
        Some(code.saturating_add_signed(run.distance))
    }
}

/// The same for ASCII's letters alone.
pub(super) fn ascii_closure(start: char, end: char) -> ClassUnicode {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(start, end)]);
    for (letters, other_case) in [('a'..='z', b'A'), ('A'..='Z', b'a')] {
        let (first, last) = (*letters.start().max(&start), *letters.end().min(&end));
        if first <= last {
            let shifted = |c: char| char::from(c as u8 - *letters.start() as u8 + other_case);
            class.push(ClassUnicodeRange::new(shifted(first), shifted(last)));
        }
    }
    class
}

fn range(start: u32, end: u32) -> Option<ClassUnicodeRange> {
    Some(ClassUnicodeRange::new(char::from_u32(start)?, char::from_u32(end)?))
}

/// Numbers of seven bits a byte.
struct Numbers(&'static [u8]);

impl Iterator for Numbers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, HirKind};

    use super::*;

    fn of_regex_syntax(pattern: &str) -> ClassUnicode {
        match regex_syntax::parse(pattern).expect(pattern).into_kind() {
            HirKind::Class(Class::Unicode(class)) => class,
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).expect("one character");
                let c = text.chars().next().expect("one character");
                ClassUnicode::new([ClassUnicodeRange::new(c, c)])
            }
            other => panic!("{pattern}: {other:?}"),
        }
    }

    #[test]
    fn classes_are_those_of_regex_syntax() {
        assert_eq!(word(), of_regex_syntax(r"\w"));
        assert_eq!(digit(), of_regex_syntax(r"\d"));
        assert_eq!(space(), of_regex_syntax(r"\s"));
        assert!(WORD.len() + DIGIT.len() + SPACE.len() + FOLD.len() < 8 * 1024);
    }

    #[test]
    fn folding_is_that_of_regex_syntax() {
        let folding = Folding::new();
        for c in '\0'..='\u{20fff}' {
            let pattern = format!("(?i)\\u{{{:x}}}", u32::from(c));
            assert_eq!(folding.closure(c, c), of_regex_syntax(&pattern), "{c:?}");
        }
        for (start, end) in [('a', 'z'), ('K', 'é'), ('\u{370}', '\u{52f}'), ('\0', char::MAX)] {
            let pattern = format!("(?i)[\\u{{{:x}}}-\\u{{{:x}}}]", u32::from(start), u32::from(end));
            assert_eq!(folding.closure(start, end), of_regex_syntax(&pattern), "{pattern}");
        }
    }
}
