//! Writes times as RFC 3339 in UTC. Neighbouring records mostly share their second, so its text is kept.

use jiff::Timestamp;
use jiff::tz::Offset;

const NANOS: i64 = 1_000_000_000;

/// Writes times; remembers the text of the last second.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeWriter {
    second: i64,
    /// `2026-11-24T10:00:00`, of `second`; empty before the first use.
    text: Vec<u8>,
}

impl TimeWriter {
    /// Appends the time `nanos` after the epoch with `digits` (0 to 9) digits of the second's fraction;
    /// the rest is cut off.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, nanos: i64, digits: usize) {
        let (second, fraction) = (nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS));
        if self.text.is_empty() || second != self.second {
            self.set(second);
        }
        out.extend_from_slice(&self.text);
        if digits > 0 {
            out.push(b'.');
            let mut divisor = NANOS / 10;
            for _ in 0..digits.min(9) {
                out.push(digit(fraction / divisor % 10));
                divisor /= 10;
            }
        }
        out.push(b'Z');
    }

    fn set(&mut self, second: i64) {
        let timestamp =
            Timestamp::from_second(second).expect("64 bits of nanoseconds span the years 1677 to 2262");
        let datetime = Offset::UTC.to_datetime(timestamp);
        self.second = second;
        self.text.clear();
        for (number, width, after) in [
            (i64::from(datetime.year()), 4, b'-'),
            (i64::from(datetime.month()), 2, b'-'),
            (i64::from(datetime.day()), 2, b'T'),
            (i64::from(datetime.hour()), 2, b':'),
            (i64::from(datetime.minute()), 2, b':'),
            (i64::from(datetime.second()), 2, b'.'),
        ] {
            let mut divisor = 10_i64.pow(width - 1);
            while divisor > 0 {
                self.text.push(digit(number / divisor % 10));
                divisor /= 10;
            }
            self.text.push(after);
        }
        self.text.pop();
    }
}

/// The time with so many digits of the second's fraction.
pub(crate) fn text(nanos: i64, digits: usize) -> String {
    let mut out = Vec::with_capacity(30);
    TimeWriter::default().push(&mut out, nanos, digits);
    String::from_utf8(out).expect("a time is ASCII")
}

fn digit(value: i64) -> u8 {
    b'0' + u8::try_from(value).expect("a digit is 0 to 9")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fractions_are_cut() {
        assert_eq!(text(1_764_000_000_123_456_789, 9), "2025-11-24T16:00:00.123456789Z");
        assert_eq!(text(1_764_000_000_999_999_999, 3), "2025-11-24T16:00:00.999Z");
        assert_eq!(text(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(text(-1, 9), "1969-12-31T23:59:59.999999999Z");
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(times in prop::collection::vec(any::<i64>(), 1..4)) {
            let mut writer = TimeWriter::default();
            for nanos in times {
                let mut out = Vec::new();
                writer.push(&mut out, nanos, 9);
                let read: Timestamp = std::str::from_utf8(&out).expect("ASCII").parse().expect("RFC 3339");
                prop_assert_eq!(read.as_nanosecond(), i128::from(nanos));
            }
        }
    }
}
