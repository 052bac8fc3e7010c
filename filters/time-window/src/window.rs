//! Windows of time: which instants are in, and how long the answer holds.

use crate::calendar::{DAY, NANOS};
use crate::zone::Zone;

/// Seconds of a week. A place in the week is counted from Monday, 00:00, local time.
pub(crate) const WEEK: i64 = 7 * DAY;

/// An absolute window, a recurring one, or both: an instant is in when it is in all that are given.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// First instant, in nanoseconds since the epoch.
    pub(crate) from: i64,
    /// First instant past the end.
    pub(crate) to: i64,
    /// The recurring part.
    pub(crate) weekly: Option<Weekly>,
}

/// Stretches of the week on a zone's wall clock.
#[derive(Clone, Debug)]
pub(crate) struct Weekly {
    /// Start and end in seconds of the week; ascending, and no two touch.
    stretches: Vec<(i64, i64)>,
    zone: Zone,
}

/// An answer, and the instants between which it holds, in nanoseconds, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) inside: bool,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Span {
    /// One that answers for no instant.
    pub(crate) const NONE: Span = Span { inside: false, from: 0, to: 0 };

    pub(crate) fn contains(&self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }
}

impl Window {
    /// Whether an instant, in nanoseconds since the epoch, is in.
    pub(crate) fn span(&self, at: i64) -> Span {
        if at < self.from {
            return Span { inside: false, from: i64::MIN, to: self.from };
        }
        if at >= self.to {
            // The last instant of all is answered each time anew: an end cannot be past it.
            return Span { inside: false, from: self.to, to: i64::MAX };
        }
        let Some(weekly) = &self.weekly else {
            return Span { inside: true, from: self.from, to: self.to };
        };
        let (inside, from, to) = weekly.span(at.div_euclid(NANOS));
        let nanos = |seconds: i64| seconds.saturating_mul(NANOS);
        Span { inside, from: nanos(from).max(self.from), to: nanos(to).min(self.to) }
    }
}

impl Weekly {
    /// The union of `stretches`, given as starts in `0..WEEK` and ends up to a week later.
    pub(crate) fn new(stretches: &[(i64, i64)], zone: Zone) -> Weekly {
        let mut parts = Vec::new();
        for &(start, end) in stretches {
            parts.push((start, end.min(WEEK)));
            if end > WEEK {
                parts.push((0, end - WEEK));
            }
        }
        parts.sort_unstable();
        let mut union: Vec<(i64, i64)> = Vec::new();
        for (start, end) in parts {
            match union.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => union.push((start, end)),
            }
        }
        Weekly { stretches: union, zone }
    }

    /// The answer at an instant, in seconds since the epoch, and the seconds between which it holds.
    fn span(&self, at: i64) -> (bool, i64, i64) {
        let offset = self.zone.offset(at);
        // 1970 began on a Thursday.
        let place = (at + offset.seconds + 3 * DAY).rem_euclid(WEEK);
        let next = self.stretches.partition_point(|&(_, end)| end <= place);
        let (inside, start, end) = match self.stretches.get(next) {
            Some(&(start, end)) if start <= place => (true, start, end),
            after => {
                let start = next.checked_sub(1).map_or(0, |before| self.stretches[before].1);
                (false, start, after.map_or(WEEK, |&(start, _)| start))
            }
        };
        (inside, (at - (place - start)).max(offset.from), (at + (end - place)).min(offset.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const ZONES: [&str; 6] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Casablanca",
    ];

    proptest! {
        /// A stretch asked second by second of jiff's wall clock.
        #[test]
        fn recurring_windows_agree_with_jiff(
            zone in proptest::sample::select(&ZONES[..]),
            stretches in proptest::collection::vec((0..WEEK, 1..=DAY), 1..6),
            seconds in proptest::collection::vec(0i64..4_102_444_800, 1..40),
        ) {
            let stretches: Vec<_> = stretches.into_iter().map(|(start, len)| (start, start + len)).collect();
            let weekly = Weekly::new(&stretches, Zone::get(zone).expect("the zone is known"));
            let expected = |at: i64| {
                let local = Timestamp::from_second(at).expect("in range").in_tz(zone).expect("jiff knows it");
                let time = local.time();
                let place = i64::from(local.weekday().to_monday_zero_offset()) * DAY
                    + i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
                stretches.iter().any(|&(s, e)| (s..e).contains(&place) || (s..e).contains(&(place + WEEK)))
            };
            for at in seconds {
                let (inside, from, to) = weekly.span(at);
                prop_assert_eq!(inside, expected(at), "{} at {}", zone, at);
                prop_assert!(from <= at && at < to);
                for held in [from, at, to - 1].into_iter().filter(|&s| s >= 0) {
                    prop_assert_eq!(weekly.span(held).0, inside, "the answer at {} does not hold at {}", at, held);
                }
            }
        }
    }

    #[test]
    fn spans_end_where_the_window_does() {
        let window = Window { from: 10, to: 20, weekly: None };
        assert_eq!(window.span(9), Span { inside: false, from: i64::MIN, to: 10 });
        assert_eq!(window.span(10), Span { inside: true, from: 10, to: 20 });
        assert_eq!(window.span(20), Span { inside: false, from: 20, to: i64::MAX });
        let all = Window { from: i64::MIN, to: i64::MAX, weekly: None };
        assert!(all.span(0).inside && all.span(i64::MAX - 1).inside);
    }
}
