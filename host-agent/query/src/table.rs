//! Tables: summary records of a form that says how those of several agents are one.
//!
//! A summary record with the one member `table` has `keys` (names), `values` (columns with a way to merge) and `rows`
//! (cells, keys first). Which other members there are, and what they mean, is in `docs/filters.md`; the SDK's `table`
//! writes them. A record of any other form is no table, and is left as it is.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Hexadecimal digits of a hash in a sketch.
const HASH_DIGITS: usize = 16;

/// A table of an aggregating filter.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Names of the keys by which rows are told apart.
    pub keys: Vec<String>,
    values: Vec<Column>,
    /// The column that rows are shown by, the most first; else by their keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Rows that are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    /// Keys, from the first on, within whose equals `order` and `limit` count.
    #[serde(default, skip_serializing_if = "is_zero")]
    per: u64,
    /// By how much sums may be too low.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub low_by: u64,
    /// What a row that was left out has of the column `order` at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: u64,
    rows: Vec<Vec<Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Column {
    name: String,
    merge: Merge,
    /// Hashes of a full sketch.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Merge {
    Sum,
    Min,
    Max,
    /// The least hashes of distinct values, see the SDK's `Distinct`.
    Distinct,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    table: Table,
}

impl Table {
    /// The table in a summary record; `None` where it is none.
    #[must_use]
    pub fn read(summary: &str) -> Option<Table> {
        let Envelope { table } = serde_json::from_str(summary).ok()?;
        table.is_sound().then_some(table)
    }

    fn is_sound(&self) -> bool {
        let width = self.keys.len() + self.values.len();
        let ordered = self.order.as_ref().is_none_or(|order| self.column(order).is_some());
        let sized =
            self.values.iter().all(|column| (column.merge == Merge::Distinct) == column.size.is_some());
        let is_row = |row: &Vec<Value>| {
            row.len() == width
                && row[..self.keys.len()].iter().all(|key| !key.is_array() && !key.is_object())
                && self.values.iter().zip(&row[self.keys.len()..]).all(|(column, cell)| column.takes(cell))
        };
        ordered && sized && self.per <= self.keys.len() as u64 && self.rows.iter().all(is_row)
    }

    /// The place of a column in a row.
    fn column(&self, name: &str) -> Option<usize> {
        let at = self.values.iter().position(|column| column.name == name)?;
        Some(self.keys.len() + at)
    }

    /// Whether the rows of both can be in one table.
    fn is_like(&self, other: &Table) -> bool {
        (&self.keys, &self.values, &self.order, self.limit, self.per)
            == (&other.keys, &other.values, &other.order, other.limit, other.per)
    }

    /// Takes the rows of a table that is alike.
    fn merge(&mut self, other: Table) {
        // A row that only one of them shows may have had as much of the other as that one has left out.
        self.low_by += other.low_by + self.left_out.max(other.left_out);
        self.left_out += other.left_out;
        let keys = self.keys.len();
        let place = |row: &[Value]| row[..keys].iter().map(Value::to_string).collect::<Vec<String>>();
        let mut places: BTreeMap<Vec<String>, usize> =
            self.rows.iter().enumerate().map(|(at, row)| (place(row), at)).collect();
        for row in other.rows {
            let at = *places.entry(place(&row)).or_insert(self.rows.len());
            if at == self.rows.len() {
                self.rows.push(row);
                continue;
            }
            for (column, (cell, more)) in
                self.values.iter().zip(self.rows[at][keys..].iter_mut().zip(&row[keys..]))
            {
                *cell = column.merge(cell, more);
            }
        }
    }

    /// Names of all columns, those of the keys first.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().chain(self.values.iter().map(|column| &column.name)).map(String::as_str)
    }

    /// The rows to show, in their order: sketches are numbers, and no more rows than asked for.
    #[must_use]
    pub fn shown(&self) -> Vec<Vec<Value>> {
        let keys = self.keys.len();
        let shown = |row: &Vec<Value>| {
            let values = self.values.iter().zip(&row[keys..]).map(|(column, cell)| column.shown(cell));
            row[..keys].iter().cloned().chain(values).collect()
        };
        let mut rows: Vec<Vec<Value>> = self.rows.iter().map(shown).collect();
        let per = usize::try_from(self.per).expect("no more than there are keys");
        let order = self.order.as_deref().and_then(|order| self.column(order));
        rows.sort_by(|a, b| {
            let rank = order.map_or(Ordering::Equal, |at| compare(&b[at], &a[at]));
            compare_all(&a[..per], &b[..per]).then(rank).then_with(|| compare_all(&a[..keys], &b[..keys]))
        });
        let Some(limit) = self.limit else { return rows };
        let mut shown = 0;
        let mut last: Vec<Value> = Vec::new();
        rows.retain(|row| {
            if row[..per] != last[..] {
                last = row[..per].to_vec();
                shown = 0;
            }
            shown += 1;
            shown <= limit
        });
        rows
    }
}

/// Summary records of one filter, of several agents, as one list: tables that are alike become one.
#[must_use]
pub fn merge_summaries(summaries: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut tables: Vec<Table> = Vec::new();
    let mut others = Vec::new();
    for summary in summaries {
        match Table::read(&summary) {
            None => others.push(summary),
            Some(table) => match tables.iter_mut().find(|known| known.is_like(&table)) {
                Some(known) => known.merge(table),
                None => tables.push(table),
            },
        }
    }
    let write = |table| serde_json::to_string(&Envelope { table }).expect("texts and numbers are JSON");
    tables.into_iter().map(write).chain(others).collect()
}

impl Column {
    /// Whether a cell is what the column has.
    fn takes(&self, cell: &Value) -> bool {
        match self.merge {
            Merge::Sum | Merge::Min | Merge::Max => cell.is_number(),
            Merge::Distinct => cell.as_str().is_some_and(|sketch| {
                sketch.len().is_multiple_of(HASH_DIGITS)
                    && sketch.len() / HASH_DIGITS <= self.size.unwrap_or(0)
                    && sketch.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            }),
        }
    }

    fn merge(&self, a: &Value, b: &Value) -> Value {
        match self.merge {
            Merge::Sum => sum(a, b),
            Merge::Min if compare(a, b).is_le() => a.clone(),
            Merge::Max if compare(a, b).is_ge() => a.clone(),
            Merge::Min | Merge::Max => b.clone(),
            Merge::Distinct => {
                let mut all: Vec<&str> = hashes(a).chain(hashes(b)).collect();
                all.sort_unstable();
                all.dedup();
                all.truncate(self.size.unwrap_or(0));
                Value::String(all.concat())
            }
        }
    }

    fn shown(&self, cell: &Value) -> Value {
        let (Merge::Distinct, Some(size)) = (self.merge, self.size) else { return cell.clone() };
        let found = hashes(cell).count();
        let largest = hashes(cell).last().and_then(|hash| u64::from_str_radix(hash, 16).ok());
        match largest {
            // The hashes are spread evenly: this many lie below the largest of them.
            Some(largest) if found == size && size > 1 => {
                let share = largest as f64 / u64::MAX as f64;
                Value::from(((size - 1) as f64 / share).round() as u64)
            }
            _ => Value::from(found),
        }
    }
}

/// The hashes of a sketch, each as its digits.
fn hashes(sketch: &Value) -> impl Iterator<Item = &str> {
    let sketch = sketch.as_str().unwrap_or_default();
    (0..sketch.len() / HASH_DIGITS).map(move |at| &sketch[at * HASH_DIGITS..(at + 1) * HASH_DIGITS])
}

/// Exact where both are whole numbers and the sum fits.
fn sum(a: &Value, b: &Value) -> Value {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    let exact = whole(a).zip(whole(b)).and_then(|(a, b)| Number::from_i128(a + b));
    let near = || Number::from_f64(a.as_f64().unwrap_or(0.0) + b.as_f64().unwrap_or(0.0));
    exact.or_else(near).map_or(Value::Null, Value::Number)
}

fn compare_all(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// Numbers by their size, before texts by their bytes; what isn't there comes last.
fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Null => 3,
        _ => 2,
    };
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
