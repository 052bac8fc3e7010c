//! The filter `stats`: how many lines there are of each kind, in each stretch of time, and how many different values
//! of a field. Lines aren't shown; what comes out is a table, which is joined over agents.
//!
//! [`params`] reads what is wanted, [`groups`] counts in bounded memory, and here lines become keys of groups and
//! groups become the table.

#![forbid(unsafe_code)]

mod groups;
mod params;

use std::collections::HashMap;

use groups::{Group, Groups};
pub use params::Args;
use params::{NANOS, Wanted};
use weir_fields::Reader;
use weir_sdk::WriteJson;
use weir_sdk::prelude::*;
use weir_sdk::table::{Distinct, Table};
use weir_sdk::time::rfc3339;

/// Bytes of a value by which lines are counted apart: longer ones are cut there.
const VALUE_BYTES: usize = 256;
/// Rows of the table for each that is shown, in each step of time: what is rare on one agent may be frequent on all.
const ROWS_PER_SHOWN: usize = 10;
/// Bytes of rows: below the limit `summary_bytes` of 1 MiB, with room for the columns' names.
const TABLE_BYTES: usize = 900 << 10;

/// Counts lines by fields and by time: the most frequent values, rates, distinct values
#[derive(Debug)]
pub struct Stats {
    wanted: Wanted,
    groups: Groups,
    reader: Reader,
    key: Vec<u8>,
    value: Vec<u8>,
}

#[filter(
    name = "stats",
    summary = "Counts lines by fields and by time: most frequent values, rates, distinct values"
)]
impl Aggregate for Stats {
    type Params = Args;
    const COLUMNS: Columns = Columns::MESSAGE.with(Columns::TIMESTAMP);

    fn open(args: Args) -> Result<Stats, ParamError> {
        let wanted = args.wanted()?;
        let reader = Reader::new(wanted.format);
        let mut groups = Groups::new(wanted.distinct.as_ref().map(|_| wanted.sketch_size()));
        if wanted.has_one_group() {
            // None is a number too.
            groups.get(&[]);
        }
        Ok(Stats { wanted, groups, reader, key: Vec::new(), value: Vec::new() })
    }

    fn line(&mut self, line: Line<'_>) {
        let message = line.message();
        if self.wanted.reads_fields() {
            self.reader.look(message);
        }
        self.key.clear();
        if let Some(every) = self.wanted.every {
            push_time(&mut self.key, line.time_ns().map(|time| time.div_euclid(every) * every));
        }
        for field in &self.wanted.by {
            self.value.clear();
            let there = field.field.read(&self.reader, message, &mut self.value);
            push_value(&mut self.key, there.map(|()| &self.value[..]));
        }
        let group = self.groups.get(&self.key);
        group.lines += 1;
        if let (Some(field), Some(distinct)) = (&self.wanted.distinct, &mut group.distinct) {
            self.value.clear();
            if field.field.read(&self.reader, message, &mut self.value).is_some() {
                distinct.insert(&self.value);
            }
        }
    }

    fn finish(&mut self) -> Vec<String> {
        vec![self.table().to_json()]
    }
}

impl Stats {
    fn table(&self) -> Table {
        let wanted = &self.wanted;
        let (rows, left_out) = self.rows();
        let mut keys: Vec<&str> = wanted.every.iter().map(|_| "time").collect();
        keys.extend(wanted.by.iter().map(|field| field.name.as_str()));
        let mut table = Table::new(&keys).sum("lines");
        if wanted.every.is_some() {
            table = table.sum("per_second");
        }
        let distinct = wanted.distinct.as_ref().map(|field| format!("distinct {}", field.name));
        if let Some(name) = &distinct {
            table = table.distinct(name, wanted.sketch_size());
        }
        if !wanted.by.is_empty() {
            table = table.top(wanted.top, "lines").per(usize::from(wanted.every.is_some()));
        }
        table = table.low_by(self.groups.missed());
        let mut cut = left_out;
        for (key, group) in rows {
            if table.bytes() > TABLE_BYTES {
                cut = cut.max(group.lines);
                continue;
            }
            self.push_row(&mut table, key, group);
        }
        table.left_out(cut)
    }

    /// The groups that become rows, the largest first, and the most lines of one that doesn't.
    fn rows(&self) -> (Vec<(&[u8], &Group)>, u64) {
        let mut all: Vec<(&[u8], &Group)> = self.groups.iter().collect();
        all.sort_unstable_by(|a, b| b.1.lines.cmp(&a.1.lines).then(a.0.cmp(b.0)));
        if self.wanted.by.is_empty() {
            return (all, 0);
        }
        let most = self.wanted.top.saturating_mul(ROWS_PER_SHOWN);
        let mut of_step: HashMap<&[u8], usize> = HashMap::new();
        let mut left_out = 0;
        all.retain(|(key, group)| {
            let step = if self.wanted.every.is_some() { time_part(key) } else { &[] };
            let rows = of_step.entry(step).or_default();
            *rows += 1;
            if *rows > most {
                left_out = left_out.max(group.lines);
            }
            *rows <= most
        });
        (all, left_out)
    }

    fn push_row(&self, table: &mut Table, key: &[u8], group: &Group) {
        let mut key = key;
        let mut texts: Vec<Option<String>> = Vec::new();
        if self.wanted.every.is_some() {
            texts.push(pull_time(&mut key).map(rfc3339));
        }
        for _ in &self.wanted.by {
            texts.push(pull_value(&mut key));
        }
        let rate = self.wanted.every.map(|every| group.lines as f64 * NANOS as f64 / every as f64);
        let keys: Vec<&dyn WriteJson> = texts.iter().map(|text| text as &dyn WriteJson).collect();
        let mut values: Vec<&dyn WriteJson> = vec![&group.lines];
        values.extend(rate.iter().map(|rate| rate as &dyn WriteJson));
        values.extend(group.distinct.iter().map(|distinct: &Distinct| distinct as &dyn WriteJson));
        table.row(&keys, &values);
    }
}

/// Appends the start of a line's step of time to a key.
fn push_time(key: &mut Vec<u8>, step: Option<i64>) {
    // No step starts there: it is no multiple of a second.
    key.extend_from_slice(&step.unwrap_or(i64::MIN).to_le_bytes());
}

fn time_part(key: &[u8]) -> &[u8] {
    &key[..size_of::<i64>()]
}

fn pull_time(key: &mut &[u8]) -> Option<i64> {
    let (time, rest) = key.split_first_chunk().expect("the key begins with a time");
    *key = rest;
    Some(i64::from_le_bytes(*time)).filter(|&time| time != i64::MIN)
}

/// Appends a value to a key, behind its length.
fn push_value(key: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else {
        key.extend_from_slice(&u16::MAX.to_le_bytes());
        return;
    };
    let value = &value[..value.len().min(VALUE_BYTES)];
    key.extend_from_slice(&(value.len() as u16).to_le_bytes());
    key.extend_from_slice(value);
}

fn pull_value(key: &mut &[u8]) -> Option<String> {
    let (length, rest) = key.split_first_chunk().expect("a value has a length");
    let length = u16::from_le_bytes(*length);
    *key = rest;
    if length == u16::MAX {
        return None;
    }
    let (value, rest) = rest.split_at(usize::from(length));
    *key = rest;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    weir_sdk::golden_tests!(Stats);

    #[test]
    fn keys_are_read_as_they_were_written() {
        let long = vec![b'x'; 2 * VALUE_BYTES];
        let mut key = Vec::new();
        push_time(&mut key, Some(-60 * NANOS));
        for value in [Some(&b""[..]), None, Some(&long), Some(b"\xff")] {
            push_value(&mut key, value);
        }
        let mut rest = &key[..];
        assert_eq!(pull_time(&mut rest), Some(-60 * NANOS));
        assert_eq!(pull_value(&mut rest).as_deref(), Some(""));
        assert_eq!(pull_value(&mut rest), None);
        assert_eq!(pull_value(&mut rest).map(|value| value.len()), Some(VALUE_BYTES));
        assert_eq!(pull_value(&mut rest).as_deref(), Some("\u{fffd}"));
        assert!(rest.is_empty());
    }
}
