//! Times as text.

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// A time in nanoseconds since the epoch, as RFC 3339 in UTC, with as many digits below the second as it takes.
///
/// ```
/// use weir_sdk::time::rfc3339;
///
/// assert_eq!(rfc3339(1_772_366_400_000_000_000), "2026-03-01T12:00:00Z");
/// assert_eq!(rfc3339(-500_000_000), "1969-12-31T23:59:59.5Z");
/// ```
#[must_use]
pub fn rfc3339(nanos: i64) -> String {
    let (seconds, below) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND));
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if below > 0 {
        text.push_str(format!(".{below:09}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Year, month and day of a day since 1970-01-01, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March on.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + after, month, day)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn the_ends_of_what_there_is_and_leap_days() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-2_203_891_200, "1900-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000_000), text);
        }
        assert_eq!(rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(rfc3339(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    }
}
