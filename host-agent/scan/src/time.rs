//! RFC 3339 times as container runtimes write them, without going through text types: one is read
//! per line that is looked at.

/// Longest time text that is accepted: date, time, twelve digits of fraction, numeric offset.
pub(crate) const MAX_LEN: usize = 19 + 13 + 6;

const SECONDS_PER_DAY: i64 = 86_400;

/// Reads a whole RFC 3339 time (`2026-11-24T21:20:38.123456789Z`, or with an offset such as `+05:30`)
/// as nanoseconds since the epoch.
///
/// Digits past nanoseconds are dropped, a leap second counts as the second before it. `None` for
/// anything else, and for years before 1970 or times that an `i64` can't hold (from April 2262 on).
pub(crate) fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    if text.len() < 20 || text.len() > MAX_LEN {
        return None;
    }
    let (head, tail) = text.split_at(19);
    let separators = [head[4], head[7], head[10], head[13], head[16]];
    if !matches!(separators, [b'-', b'-', b'T' | b't', b':', b':']) {
        return None;
    }
    let year = two(head, 0)? * 100 + two(head, 2)?;
    let (month, day) = (two(head, 5)?, two(head, 8)?);
    let (hour, minute, second) = (two(head, 11)?, two(head, 14)?, two(head, 17)?);
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(tail)?;
    let clock = hour * 3600 + minute * 60 + second.min(59);
    let seconds = days_since_epoch(year, month, day) * SECONDS_PER_DAY + clock - offset(zone)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// The fraction as nanoseconds, and what follows it.
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = tail.strip_prefix(b".") else {
        return Some((0, tail));
    };
    // Nine digits are the rule, so they have a way of their own.
    if let Some((eight, [ninth @ b'0'..=b'9', rest @ ..])) = digits.split_first_chunk()
        && !rest.first().is_some_and(u8::is_ascii_digit)
        && let Some(value) = eight_digits(*eight)
    {
        return Some((value * 10 + i64::from(ninth - b'0'), rest));
    }
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 12 {
        return None;
    }
    let value = |sum, byte: &u8| sum * 10 + i64::from(byte - b'0');
    let nanos = digits[..count.min(9)].iter().fold(0, value);
    Some((nanos * 10_i64.pow(9 - count.min(9) as u32), &digits[count..]))
}

/// The value of eight digits, by adding up neighbours in parallel: ones to tens, pairs, then quads.
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    const BYTES: u64 = u64::MAX / 255;
    let word = u64::from_le_bytes(text);
    // A digit's high half is 3, and still is when 6 is added.
    let high = |word: u64| word & (BYTES * 0xf0);
    if high(word) != BYTES * 0x30 || high(word.wrapping_add(BYTES * 6)) != BYTES * 0x30 {
        return None;
    }
    let pairs = (word & (BYTES * 0x0f)).wrapping_mul(10 << 8 | 1) >> 8;
    let quads = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
    let value = (quads & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32;
    i64::try_from(value).ok()
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (two(zone, 1)?, two(zone, 4)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, by counting years from March so that the leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_rfc3339;
    use proptest::prelude::*;

    fn jiff_nanos(text: &str) -> Option<i64> {
        let time: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    }

    #[test]
    fn agrees_with_jiff_on_real_forms() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00+05:30",
            "2024-02-29T23:59:59.999999999Z",
            "2026-11-24T21:20:38.1234-08:00",
            "2026-12-31T23:59:60Z",
            "2262-04-11T23:47:16.854775807Z",
            "2000-02-29T00:00:00.5+00:00",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), jiff_nanos(text), "{text}");
            assert!(parse_rfc3339(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn drops_digits_past_nanoseconds() {
        let short = parse_rfc3339(b"2026-11-24T21:20:38.123456789Z");
        assert_eq!(parse_rfc3339(b"2026-11-24T21:20:38.123456789999Z"), short);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "Z",
            "2026-11-24T21:20:38",
            "2026-11-24 21:20:38Z",
            "2026-13-24T21:20:38Z",
            "2026-02-29T21:20:38Z",
            "2026-11-24T24:20:38Z",
            "2026-11-24T21:60:38Z",
            "2026-11-24T21:20:61Z",
            "2026-11-24T21:20:38.Z",
            "2026-11-24T21:20:38+5:30",
            "1969-12-31T23:59:59Z",
            "2262-04-11T23:47:16.854775808Z",
            "9999-01-01T00:00:00Z",
            "2026-11-24T21:20:38ZZ",
            "2026-11-24T21:20:38.1234567890123Z",
            "2026-1/-24T21:20:38Z",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_jiff(nanos in 0..i64::MAX, minutes in -1439..=1439i32, digits in 0..=9usize) {
            let time = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            let zone = jiff::tz::Offset::from_seconds(minutes * 60).unwrap().to_time_zone();
            let text = time.to_zoned_datetime(zone).strftime(&format!("%Y-%m-%dT%H:%M:%S%.{}f%:z", digits.max(1))).to_string();
            prop_assume!(!text.starts_with("1969"));
            prop_assert_eq!(parse_rfc3339(text.as_bytes()), jiff_nanos(&text), "{}", text);
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..48)) {
            parse_rfc3339(&text);
        }
    }
}
