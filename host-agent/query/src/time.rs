//! Points and spans of time as people write them. Whoever asks knows the local zone, so this runs where
//! the question is typed; a query itself carries nanoseconds since the epoch.

use std::num::NonZeroU64;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, SpanRelativeTo, Timestamp, ZonedDateTime};

/// A time or a span that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not a point in time.
    #[error(
        "'{text}' is not a time: give RFC 3339 (2026-11-24T10:00:00Z), a local date or time \
         (2026-11-24, '2026-11-24 10:00', 10:00), a span before now (5m, 1h30m, 2d, PT5M), \
         or one of now, today, yesterday"
    )]
    Time {
        /// What was given.
        text: String,
    },
    /// Not a width of time.
    #[error("'{text}' is not a step: give a positive span such as 30s, 1m, 6h, 1d or PT5M")]
    Step {
        /// What was given.
        text: String,
    },
    /// Nanoseconds since the epoch can't hold it.
    #[error("'{text}' is outside of the years 1678 to 2262, which is what log times can hold")]
    Range {
        /// What was given.
        text: String,
    },
}

/// Reads a point in time, in nanoseconds since the epoch.
///
/// Takes RFC 3339; a local date (its first instant), date and time, or time of today, in the zone of
/// `now` (in a fold the earlier, in a gap the later instant); a span before `now` in jiff's friendly form
/// or ISO 8601; `now`, `today`, `yesterday`.
///
/// # Errors
/// Text of none of these forms, or a time that does not fit into 64 bits.
pub fn parse_time(text: &str, now: &ZonedDateTime) -> Result<i64, TimeError> {
    let trimmed = text.trim();
    let timestamp = point(trimmed, now).ok_or_else(|| TimeError::Time { text: text.to_owned() })?;
    i64::try_from(timestamp.as_nanosecond()).map_err(|_| TimeError::Range { text: text.to_owned() })
}

/// Reads the width of a histogram's step, in nanoseconds. A day counts 24 hours, a week seven days.
///
/// # Errors
/// Text that isn't a positive span, or one of months or years, which have no fixed width.
pub fn parse_step(text: &str) -> Result<NonZeroU64, TimeError> {
    let refused = || TimeError::Step { text: text.to_owned() };
    let span: Span = text.trim().parse().map_err(|_| refused())?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(refused());
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refused())?;
    u64::try_from(duration.as_nanos()).ok().and_then(NonZeroU64::new).ok_or_else(refused)
}

fn point(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    match text.to_ascii_lowercase().as_str() {
        "now" => return Some(now.timestamp()),
        "today" => return Some(now.start_of_day().ok()?.timestamp()),
        "yesterday" => return Some(now.yesterday().ok()?.start_of_day().ok()?.timestamp()),
        _ => {}
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let zone = now.time_zone();
    // jiff reads a date and time where only a date is asked for and drops the rest: the longer form comes
    // first, and a bare date has no time to drop.
    if text.contains([' ', 'T', 't', ':'])
        && let Ok(datetime) = text.parse::<DateTime>()
    {
        return zone.to_timestamp(datetime).ok();
    }
    if let Ok(date) = text.parse::<Date>() {
        return zone.to_timestamp(date.at(0, 0, 0, 0)).ok();
    }
    if text.contains(':')
        && let Ok(time) = text.parse::<Time>()
    {
        return zone.to_timestamp(now.date().to_datetime(time)).ok();
    }
    let ago = text.strip_suffix("ago").map_or(text, str::trim_end);
    let span: Span = ago.parse().ok()?;
    if span.is_negative() {
        return None;
    }
    Some(now.checked_sub(span).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> ZonedDateTime {
        "2026-11-24T10:30:00+01:00[Europe/Berlin]".parse().expect("a valid time")
    }

    fn at(text: &str) -> String {
        let nanos = parse_time(text, &now()).expect(text);
        Timestamp::from_nanosecond(i128::from(nanos)).expect("in range").to_string()
    }

    #[test]
    fn every_documented_form() {
        for (text, expected) in [
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("2026-11-24T10:00:00.123456789+05:30", "2026-11-24T04:30:00.123456789Z"),
            ("2026-11-24", "2026-11-23T23:00:00Z"),
            ("2026-11-24 10:00", "2026-11-24T09:00:00Z"),
            ("2026-11-24T10:00:01.5", "2026-11-24T09:00:01.5Z"),
            ("08:15", "2026-11-24T07:15:00Z"),
            ("5m", "2026-11-24T09:25:00Z"),
            ("5m ago", "2026-11-24T09:25:00Z"),
            ("1h30m", "2026-11-24T08:00:00Z"),
            ("PT5M", "2026-11-24T09:25:00Z"),
            ("2d", "2026-11-22T09:30:00Z"),
            ("now", "2026-11-24T09:30:00Z"),
            ("today", "2026-11-23T23:00:00Z"),
            ("yesterday", "2026-11-22T23:00:00Z"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    /// Daylight saving ended at 03:00 on this day: two days before it are 49 hours, not 48.
    #[test]
    fn spans_of_days_follow_the_zone() {
        let now: ZonedDateTime = "2026-10-26T01:00:00+01:00[Europe/Berlin]".parse().expect("a valid time");
        let nanos = parse_time("2d", &now).expect("a span");
        assert_eq!(now.timestamp().as_nanosecond() - i128::from(nanos), 49 * 3600 * 1_000_000_000);
    }

    #[test]
    fn what_is_no_time_is_refused_by_name() {
        for text in ["", "soon", "5", "-5m", "2026-13-01", "25:00", "5 parsecs", "2026-11-24T10:00:00Zz"] {
            let error = parse_time(text, &now()).expect_err(text);
            assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
        }
        assert!(matches!(parse_time("9999-01-01T00:00:00Z", &now()), Err(TimeError::Range { .. })));
    }

    #[test]
    fn steps() {
        assert_eq!(parse_step("1m").expect("a step").get(), 60_000_000_000);
        assert_eq!(parse_step("1d").expect("a step").get(), 86_400_000_000_000);
        assert_eq!(parse_step("PT0.5S").expect("a step").get(), 500_000_000);
        for text in ["0s", "-1m", "1mo", "1y", "x", ""] {
            assert!(parse_step(text).is_err(), "{text}");
        }
    }
}
