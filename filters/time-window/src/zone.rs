//! Time zones: the offset from UTC that holds at an instant, from the IANA database as the build script packed it.
//!
//! Exact from 1970 on; before it, the offset of 1970 holds. The format, all of it varints of 7 bits, low bits
//! first, signed ones in zigzag: the number of offsets and the offsets, in seconds, the first being that of 1970;
//! the unit of times; the number of transitions, and for each the time since the one before and one byte, the
//! index of the offset that holds from there; the standing rule, see `Rule`.

use crate::calendar::{DAY, days_from_civil, weekday};

static ZONES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.bin"));
/// Per name: its length, its letters, and the zone's place in `ZONES` in two bytes.
static NAMES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/names.bin"));
const UNITS: [i64; 3] = [1800, 60, 1];
/// Rules are written out up to here: nanoseconds in 64 bits end in 2262.
const LAST_YEAR: i64 = 2262;

/// A time zone: the instants at which its offset changes, and the offsets.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    first: i64,
    changes: Vec<(i64, i64)>,
}

/// An offset and the instants between which it holds, in seconds since the epoch, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) seconds: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Zone {
    /// The zone of that IANA name, in any case.
    pub(crate) fn get(name: &str) -> Option<Zone> {
        names().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, at)| Zone::decode(&ZONES[at..]))
    }

    /// The offset at an instant, in seconds since the epoch.
    pub(crate) fn offset(&self, at: i64) -> Offset {
        let next = self.changes.partition_point(|&(from, _)| from <= at);
        let (from, seconds) = next.checked_sub(1).map_or((i64::MIN, self.first), |last| self.changes[last]);
        let to = self.changes.get(next).map_or(i64::MAX, |&(from, _)| from);
        Offset { seconds, from, to }
    }

    fn decode(packed: &'static [u8]) -> Zone {
        let mut reader = Reader(packed);
        let offsets: Vec<i64> = (0..reader.unsigned()).map(|_| reader.signed()).collect();
        let unit = UNITS[usize::from(reader.byte())];
        let mut at = 0;
        let mut changes: Vec<(i64, i64)> = (0..reader.unsigned())
            .map(|_| {
                at += reader.unsigned() * unit;
                (at, offsets[usize::from(reader.byte())])
            })
            .collect();
        if let Some(rule) = Rule::read(&mut reader, unit) {
            rule.append_to(&mut changes);
        }
        Zone { first: offsets[0], changes }
    }
}

/// All names of zones.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, usize)> {
    let mut rest = NAMES;
    std::iter::from_fn(move || {
        let (&len, after) = rest.split_first()?;
        let (name, after) = after.split_at(usize::from(len));
        let (at, after) =
            after.split_first_chunk::<2>().expect("the build script ends each name with a place");
        rest = after;
        Some((std::str::from_utf8(name).expect("names are ASCII"), usize::from(u16::from_le_bytes(*at))))
    })
}

/// When daylight saving starts and ends, each year, in a zone of today.
struct Rule {
    /// The first change that it gives, in seconds since the epoch.
    from: i64,
    standard: i64,
    daylight: i64,
    start: Change,
    end: Change,
}

/// A day such as "the last Sunday of March", and the seconds since its midnight in the time that holds until then.
struct Change {
    month: i64,
    /// 1 to 5, and 5 is the last.
    week: i64,
    /// Sunday is 0.
    day: i64,
    time: i64,
}

impl Rule {
    /// A zero for none, else a one, the first change, both offsets, start and end.
    fn read(reader: &mut Reader, unit: i64) -> Option<Rule> {
        if reader.byte() == 0 {
            return None;
        }
        let from = reader.unsigned() * unit;
        let (standard, daylight) = (reader.signed(), reader.signed());
        Some(Rule { from, standard, daylight, start: Change::read(reader), end: Change::read(reader) })
    }

    /// Adds what the rule gives.
    fn append_to(&self, changes: &mut Vec<(i64, i64)>) {
        let given = changes.len();
        for year in 1969..=LAST_YEAR {
            changes.push((self.start.at(year) - self.standard, self.daylight));
            changes.push((self.end.at(year) - self.daylight, self.standard));
        }
        changes[given..].sort_unstable();
        let mut kept = given;
        for i in given..changes.len() {
            if changes[i].0 >= self.from {
                changes[kept] = changes[i];
                kept += 1;
            }
        }
        changes.truncate(kept);
    }
}

impl Change {
    fn read(reader: &mut Reader) -> Change {
        let [month, week, day] = [(); 3].map(|()| i64::from(reader.byte()));
        Change { month, week, day, time: reader.signed() }
    }

    /// In local seconds since 1970.
    fn at(&self, year: i64) -> i64 {
        let first = days_from_civil(year, self.month, 1);
        let next_month = if self.month == 12 { (year + 1, 1) } else { (year, self.month + 1) };
        let after = days_from_civil(next_month.0, next_month.1, 1);
        // `weekday` counts from Monday, POSIX from Sunday.
        let mut day = first + (self.day + 6 - weekday(first)).rem_euclid(7) + (self.week - 1) * 7;
        while day >= after {
            day -= 7;
        }
        day * DAY + self.time
    }
}

struct Reader(&'static [u8]);

impl Reader {
    fn byte(&mut self) -> u8 {
        let (&byte, rest) = self.0.split_first().expect("the build script writes whole zones");
        self.0 = rest;
        byte
    }

    fn unsigned(&mut self) -> i64 {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            n |= i64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return n;
            }
            shift += 7;
        }
    }

    fn signed(&mut self) -> i64 {
        let n = self.unsigned();
        (n >> 1) ^ -(n & 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, tz::TimeZone};

    /// Every zone, at every change of it that jiff knows from 1970 to 2262, a second before and at it, and in
    /// between.
    #[test]
    fn every_zone_agrees_with_jiff() {
        let mut seen = 0;
        for (name, _) in names() {
            let (ours, theirs) =
                (Zone::get(name).expect("the name is listed"), TimeZone::get(name).expect("jiff has it"));
            let changes =
                theirs.following(Timestamp::UNIX_EPOCH).map(|change| change.timestamp().as_second());
            let mut instants: Vec<i64> = changes.take_while(|&at| at < i64::MAX / 1_000_000_000).collect();
            instants.extend([0, 1_000_000_000, i64::MAX / 1_000_000_000 - 1]);
            for at in instants.into_iter().flat_map(|at| [at - 1, at, at + 7_000_000]).filter(|&at| at >= 0) {
                let theirs = theirs.to_offset(Timestamp::from_second(at).expect("the instant is in range"));
                assert_eq!(ours.offset(at).seconds, i64::from(theirs.seconds()), "{name} at {at}");
                seen += 1;
            }
        }
        assert!(seen > 100_000, "only {seen} instants were compared");
    }

    #[test]
    fn an_offset_holds_from_its_change_to_the_next() {
        let berlin = Zone::get("europe/berlin").expect("any case will do");
        let summer = berlin.offset(1_774_746_000); // 2026-03-29T01:00:00Z
        assert_eq!(summer, Offset { seconds: 7200, from: 1_774_746_000, to: 1_792_890_000 });
        assert_eq!(berlin.offset(1_774_745_999).seconds, 3600);
        assert_eq!(
            Zone::get("UTC").map(|utc| utc.offset(0)),
            Some(Offset { seconds: 0, from: i64::MIN, to: i64::MAX })
        );
        assert!(Zone::get("Europe/Atlantis").is_none());
    }
}
