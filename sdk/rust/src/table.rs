//! Tables: summaries that mean the same when they are made of parts.
//!
//! An [`Aggregate`](crate::Aggregate) sees what one agent has. What several agents found is one answer where its
//! summary says how: a [`Table`] has rows by keys, and columns that are added up, or of which the least or the most
//! counts, or the number of distinct values. `weir logs` joins tables whose columns are the same, and shows one.
//!
//! ```
//! use weir_sdk::table::Table;
//!
//! let mut table = Table::new(&["status"]).sum("lines").max("slowest_ms").top(10, "lines");
//! table.row(&[&"500"], &[&12, &340]);
//! assert_eq!(
//!     table.to_json(),
//!     concat!(
//!         r#"{"table":{"keys":["status"],"#,
//!         r#""values":[{"name":"lines","merge":"sum"},{"name":"slowest_ms","merge":"max"}],"#,
//!         r#""order":"lines","limit":10,"rows":[["500",12,340]]}}"#
//!     )
//! );
//! ```

use std::collections::BTreeSet;

use crate::json::write_str;
use crate::out::WriteJson;

/// A table in the making; [`to_json`](Table::to_json) makes a summary record of it.
#[derive(Clone, Debug)]
pub struct Table {
    keys: usize,
    values: usize,
    /// Names of keys, as JSON without the brackets; so are the others.
    key_names: Vec<u8>,
    columns: Vec<u8>,
    /// What stands between columns and rows.
    settings: Vec<u8>,
    rows: Vec<u8>,
}

impl Table {
    /// A table without rows, whose rows are told apart by these keys.
    #[must_use]
    pub fn new(keys: &[&str]) -> Table {
        let mut key_names = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            comma(&mut key_names, index);
            write_str(&mut key_names, key);
        }
        let (columns, settings, rows) = Default::default();
        Table { keys: keys.len(), values: 0, key_names, columns, settings, rows }
    }

    /// Adds a column of numbers that are added up.
    #[must_use]
    pub fn sum(self, name: &str) -> Table {
        self.column(name, r#""merge":"sum""#)
    }

    /// Adds a column of numbers of which the least counts.
    #[must_use]
    pub fn min(self, name: &str) -> Table {
        self.column(name, r#""merge":"min""#)
    }

    /// Adds a column of numbers of which the most counts.
    #[must_use]
    pub fn max(self, name: &str) -> Table {
        self.column(name, r#""merge":"max""#)
    }

    /// Adds a column of [`Distinct`], all made for `size` hashes.
    #[must_use]
    pub fn distinct(self, name: &str, size: usize) -> Table {
        self.column(name, &format!(r#""merge":"distinct","size":{size}"#))
    }

    fn column(mut self, name: &str, rest: &str) -> Table {
        comma(&mut self.columns, self.values);
        self.columns.extend_from_slice(br#"{"name":"#);
        write_str(&mut self.columns, name);
        self.columns.extend_from_slice(format!(",{rest}}}").as_bytes());
        self.values += 1;
        self
    }

    /// Shows no more than `limit` rows, those with the most in the column `by`. Without it, rows come in the order of
    /// their keys.
    #[must_use]
    pub fn top(mut self, limit: usize, by: &str) -> Table {
        self.settings.extend_from_slice(br#","order":"#);
        write_str(&mut self.settings, by);
        self.settings.extend_from_slice(format!(r#","limit":{limit}"#).as_bytes());
        self
    }

    /// Has [`top`](Table::top) count among rows whose first `keys` keys are the same; these come in the keys' order.
    #[must_use]
    pub fn per(self, keys: usize) -> Table {
        self.setting("per", keys as u64)
    }

    /// Says that sums may be too low by up to so much: not everything was counted.
    #[must_use]
    pub fn low_by(self, most: u64) -> Table {
        self.setting("low_by", most)
    }

    /// Says that rows were left out, none of which has more than this in the column that rows are ordered by.
    #[must_use]
    pub fn left_out(self, most: u64) -> Table {
        self.setting("left_out", most)
    }

    fn setting(mut self, name: &str, value: u64) -> Table {
        if value > 0 {
            self.settings.extend_from_slice(format!(r#","{name}":{value}"#).as_bytes());
        }
        self
    }

    /// Adds a row. A key that is `None` says that there is no such thing.
    ///
    /// # Panics
    /// When there are more or fewer of either than columns.
    pub fn row(&mut self, keys: &[&dyn WriteJson], values: &[&dyn WriteJson]) {
        assert_eq!((keys.len(), values.len()), (self.keys, self.values), "a row has a cell for each column");
        let before = self.rows.len();
        comma(&mut self.rows, before);
        self.rows.push(b'[');
        for (index, cell) in keys.iter().chain(values).enumerate() {
            comma(&mut self.rows, index);
            cell.write_json(&mut self.rows);
        }
        self.rows.push(b']');
    }

    /// Bytes that the rows take so far: summaries have a limit, `summary_bytes`.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    /// The summary record.
    #[must_use]
    pub fn to_json(&self) -> String {
        let parts: [&[u8]; 9] = [
            br#"{"table":{"keys":["#,
            &self.key_names,
            br#"],"values":["#,
            &self.columns,
            b"]",
            &self.settings,
            br#","rows":["#,
            &self.rows,
            b"]}}",
        ];
        String::from_utf8_lossy(&parts.concat()).into_owned()
    }
}

fn comma(out: &mut Vec<u8>, before: usize) {
    if before > 0 {
        out.push(b',');
    }
}

/// Counts distinct values in bounded memory: exactly up to `size` of them, and by estimate above, off by
/// `1 / sqrt(size - 2)` as a rule (256: 6 %, 4096: 1.6 %).
///
/// It keeps the `size` least of the values' hashes. The union of two is the least of both, so that a value which two
/// agents have seen counts once.
#[derive(Clone, Debug)]
pub struct Distinct {
    size: usize,
    hashes: BTreeSet<u64>,
}

impl Distinct {
    /// One that has seen nothing, and keeps up to `size` hashes, of 8 bytes and some overhead each.
    #[must_use]
    pub fn new(size: usize) -> Distinct {
        Distinct { size, hashes: BTreeSet::new() }
    }

    /// Takes a value into account.
    pub fn insert(&mut self, value: &[u8]) {
        let hash = hash(value);
        if self.hashes.len() < self.size {
            self.hashes.insert(hash);
        } else if self.hashes.last().is_some_and(|&last| hash < last) && self.hashes.insert(hash) {
            self.hashes.pop_last();
        }
    }
}

/// The hashes in their order, each as 16 hexadecimal digits.
impl WriteJson for Distinct {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        for hash in &self.hashes {
            out.extend_from_slice(format!("{hash:016x}").as_bytes());
        }
        out.push(b'"');
    }
}

/// FNV-1a, with SplitMix64's finish to spread it: the same everywhere and always, since sketches of many agents meet.
fn hash(value: &[u8]) -> u64 {
    let fnv = value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_missing_keys() {
        let mut table = Table::new(&["time", "user"]).sum("n").top(3, "n").per(1).low_by(0).left_out(7);
        table.row(&[&"t", &None::<&str>], &[&1.5]);
        table.row(&[&"t", &"u"], &[&2]);
        let json = table.to_json();
        assert!(
            json.contains(
                r#""order":"n","limit":3,"per":1,"left_out":7,"rows":[["t",null,1.5],["t","u",2]]"#
            ),
            "{json}"
        );
    }

    #[test]
    fn distinct_values_are_kept_once_and_bounded() {
        let mut few = Distinct::new(4);
        for value in ["a", "b", "a", "b", "a"] {
            few.insert(value.as_bytes());
        }
        let mut json = Vec::new();
        few.write_json(&mut json);
        assert_eq!(json.len(), 2 * 16 + 2);
        // The least of all that there were, in whatever order they came.
        let (mut up, mut down) = (Distinct::new(8), Distinct::new(8));
        (0..100u32).for_each(|n| up.insert(&n.to_le_bytes()));
        (0..100u32).rev().for_each(|n| down.insert(&n.to_le_bytes()));
        let mut all: Vec<u64> = (0..100u32).map(|n| hash(&n.to_le_bytes())).collect();
        all.sort_unstable();
        assert!(up.hashes.iter().eq(&all[..8]) && down.hashes.iter().eq(&all[..8]));
    }
}
