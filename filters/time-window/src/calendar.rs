//! The civil calendar: days since 1970, weekdays, and RFC 3339 times.

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// Nanoseconds of a second.
pub(crate) const NANOS: i64 = 1_000_000_000;

/// Days from 1970-01-01 to that date of the proleptic Gregorian calendar. After Howard Hinnant's
/// `days_from_civil`.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The weekday of a day since 1970; Monday is 0.
pub(crate) fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// An RFC 3339 time in nanoseconds since the epoch; `Err` says what is wrong with it.
///
/// A leap second counts as the second after it. Digits past nanoseconds are cut off.
pub(crate) fn parse_rfc3339(text: &str) -> Result<i64, &'static str> {
    const FORM: &str = "give a time such as 2026-03-01T12:00:00Z or 2026-03-01T12:00:00.5+01:00";
    let bytes = text.as_bytes();
    let separated = |at: usize, any_of: &[u8]| bytes.get(at).is_some_and(|b| any_of.contains(b));
    let number = |from: usize, len: usize| {
        let digits = bytes.get(from..from + len)?;
        digits.iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let marks: [(usize, &[u8]); 5] = [(4, b"-"), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")];
    if !marks.iter().all(|&(at, any_of)| separated(at, any_of)) {
        return Err(FORM);
    }
    let field = |from, len| number(from, len).ok_or(FORM);
    let (year, month, day) = (field(0, 4)?, field(5, 2)?, field(8, 2)?);
    let (hour, minute, second) = (field(11, 2)?, field(14, 2)?, field(17, 2)?);

    let mut at = 19;
    let mut nanos = 0;
    if separated(at, b".") {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Err(FORM);
        }
        nanos = field(at + 1, digits.min(9))? * 10i64.pow(9 - digits.min(9) as u32);
        at += 1 + digits;
    }
    let offset = match &bytes[at..] {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (field(at + 1, 2)?, field(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return Err("the offset is none of a day");
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        b"" => return Err("the offset is missing; end it with Z or an offset such as +01:00"),
        _ => return Err(FORM),
    };
    if !(1..=12).contains(&month)
        || day < 1
        || days_from_civil(year, month, day) >= first_of_next(year, month)
    {
        return Err("there is no such day");
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err("there is no such time of day");
    }
    let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    seconds
        .checked_mul(NANOS)
        .and_then(|n| n.checked_add(nanos))
        .ok_or("it lies outside of the years 1678 to 2261")
}

fn first_of_next(year: i64, month: i64) -> i64 {
    if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_jiff(
            year in 1678i64..2262, month in 0i64..14, day in 0i64..33, hour in 0i64..25, minute in 0i64..61,
            second in 0i64..60, fraction in "(\\.[0-9]{1,9})?", offset in "Z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]",
        ) {
            let text = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
            let theirs = text.parse::<Timestamp>().ok().and_then(|t| i64::try_from(t.as_nanosecond()).ok());
            prop_assert_eq!(parse_rfc3339(&text).ok(), theirs, "{}", text);
        }

        /// One character replaced by any other: refused, or read as jiff reads it where that reads it too.
        #[test]
        fn a_slip_is_refused_or_read_as_jiff_reads_it(at in 0usize..25, c: char) {
            let mut text: Vec<char> = "2026-03-01T12:34:56+01:30".chars().collect();
            text[at] = c;
            let text: String = text.into_iter().collect();
            if let (Ok(ours), Ok(theirs)) = (parse_rfc3339(&text), text.parse::<Timestamp>()) {
                // jiff counts a leap second as the one before it.
                let leap = i128::from(text.contains(":60")) * i128::from(NANOS);
                prop_assert_eq!(i128::from(ours), theirs.as_nanosecond() + leap, "{}", text);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, reason) in [
            ("2026-02-29T00:00:00Z", "no such day"),
            ("2026-02-28T24:00:00Z", "no such time"),
            ("2026-02-28T12:00:00", "offset is missing"),
            ("2026-02-28T12:00:00.Z", "give a time such as"),
            ("yesterday", "give a time such as"),
            ("9999-02-28T12:00:00Z", "outside"),
        ] {
            let error = parse_rfc3339(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert_eq!(parse_rfc3339("1970-01-01 00:00:01.1234567899z"), Ok(1_123_456_789));
        assert_eq!(parse_rfc3339("1969-12-31T23:59:60Z"), Ok(0));
    }
}
