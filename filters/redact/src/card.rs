//! Payment card numbers: 13 to 19 digits with a valid Luhn digit.

use crate::text::run_end;
use core::ops::Range;

/// Matches every line in which [`in_run`] finds a number. What may stand before it is a part, so that the many
/// lines with long decimal fractions don't match.
pub(crate) const PATTERN: &str = r"(?:^\.?|[^0-9.]|[^0-9]\.)(?:[3-6]|2[2-7])(?:[ \-]?[0-9]){11}";

/// Shortest and longest number (ISO/IEC 7812).
const DIGITS: core::ops::RangeInclusive<usize> = 13..=19;
/// Fewest digits in each group but the last of a number written in groups.
const GROUP: usize = 3;
/// Hexadecimal digits around a number that make it a part of a hash.
const HASH_DIGITS: usize = 8;

/// Reports the card numbers in the run of digits, spaces and dashes that starts at `start`. A number
/// is whole groups of digits with one space or dash between them; it begins as an issuer's does (3 to
/// 6, or 2221 to 2720), so that times in milli- or nanoseconds aren't taken for one.
pub(crate) fn in_run(text: &[u8], start: usize, mut found: impl FnMut(Range<usize>)) {
    let end = run_end(text, start, |byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'));
    let mut at = start;
    while let Some(skip) = text[at..end].iter().position(u8::is_ascii_digit) {
        at += skip;
        from_group(text, at, end, &mut found);
        at = run_end(text, at, |byte| byte.is_ascii_digit());
    }
}

/// Tries every number that starts with the group at `start`.
fn from_group(text: &[u8], start: usize, limit: usize, found: &mut impl FnMut(Range<usize>)) {
    if !is_issuer(&text[start..limit]) || fraction_before(text, start) {
        return;
    }
    let mut count = 0;
    let mut luhn = Luhn::default();
    let mut at = start;
    loop {
        let group = at;
        while at < limit && text[at].is_ascii_digit() {
            luhn.push(text[at] - b'0');
            count += 1;
            at += 1;
            if count > *DIGITS.end() {
                return;
            }
        }
        let number = start..at;
        if DIGITS.contains(&count) && luhn.is_valid() && !in_a_longer_word(text, number.clone()) {
            found(number);
        }
        let next_is_digit = text.get(at + 1).is_some_and(u8::is_ascii_digit);
        if at - group < GROUP || at + 1 >= limit || !next_is_digit {
            return;
        }
        at += 1;
    }
}

/// Whether a number starts as one of a payment card does.
fn is_issuer(digits: &[u8]) -> bool {
    match digits.first() {
        Some(b'3'..=b'6') => true,
        Some(b'2') => digits.first_chunk::<4>().is_some_and(|four| (b"2221"..=b"2720").contains(&four)),
        _ => false,
    }
}

/// Whether `at` is behind the point of a decimal fraction.
fn fraction_before(text: &[u8], at: usize) -> bool {
    at >= 2 && text[at - 1] == b'.' && text[at - 2].is_ascii_digit()
}

/// Whether the number is a part of something else: the whole part of a decimal fraction, or a stretch
/// of digits in a hexadecimal word.
fn in_a_longer_word(text: &[u8], number: Range<usize>) -> bool {
    let behind = &text[number.end..];
    if behind.first() == Some(&b'.') && behind.get(1).is_some_and(u8::is_ascii_digit) {
        return true;
    }
    let before = text[..number.start].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric());
    let behind = behind.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    let mut around = before.chain(behind).take(HASH_DIGITS);
    around.clone().count() == HASH_DIGITS && around.all(u8::is_ascii_hexdigit)
}

/// The Luhn sum of the digits so far, for both parities of their number.
#[derive(Default)]
struct Luhn {
    /// Sum in which the last digit counts once.
    once: u32,
    /// Sum in which the last digit counts twice.
    twice: u32,
}

impl Luhn {
    fn push(&mut self, digit: u8) {
        let digit = u32::from(digit);
        let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
        (self.once, self.twice) = (self.twice + digit, self.once + doubled);
    }

    fn is_valid(&self) -> bool {
        self.once.is_multiple_of(10)
    }
}

#[cfg(test)]
mod tests {
    use super::{Luhn, in_run};
    use proptest::prelude::*;

    fn cards(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let start = text.find(|c: char| c.is_ascii_digit()).expect("each case has a digit");
        in_run(text.as_bytes(), start, |range| found.push(&text[range]));
        found
    }

    /// The check as it is described: from the right, every second digit is doubled.
    fn luhn(digits: &[u8]) -> bool {
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
                (0, digit) => digit,
                (_, digit) => (2 * digit) / 10 + (2 * digit) % 10,
            })
            .sum();
        sum.is_multiple_of(10)
    }

    #[test]
    fn numbers_and_look_alikes() {
        for (text, expected) in [
            ("4111111111111111", &["4111111111111111"][..]),
            ("card 4111 1111 1111 1111 ok", &["4111 1111 1111 1111"]),
            ("4111-1111-1111-1111", &["4111-1111-1111-1111"]),
            ("3782 822463 10005", &["3782 822463 10005"]),
            ("2221000000000009", &["2221000000000009"]),
            ("2024-01-02 4111111111111111 7", &["4111111111111111"]),
            ("PAN4111111111111111", &["4111111111111111"]),
            ("cc4111111111111111", &["4111111111111111"]),
            ("4111111111111112", &[]),
            ("1700000000000", &[]),
            ("0.4111111111111111", &[]),
            ("deadbeef4111111111111111", &[]),
            ("4111  1111 1111 1111", &[]),
        ] {
            assert_eq!(cards(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn luhn_agrees_with_the_model(digits in proptest::collection::vec(0_u8..10, 1..24)) {
            let mut fast = Luhn::default();
            digits.iter().for_each(|&digit| fast.push(digit));
            prop_assert_eq!(fast.is_valid(), luhn(&digits));
        }

        #[test]
        fn a_number_is_found_exactly_if_luhn_holds(
            digits in proptest::collection::vec(0_u8..10, 12..19), first in 3_u8..7,
        ) {
            let digits: Vec<u8> = std::iter::once(first).chain(digits).collect();
            let text: String = digits.iter().map(|&digit| char::from(b'0' + digit)).collect();
            prop_assert_eq!(cards(&text).len(), usize::from(luhn(&digits)));
        }
    }
}
