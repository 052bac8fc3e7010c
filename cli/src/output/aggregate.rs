//! What aggregates found: on standard output, as it is their result. Tables are shown as such.

use serde_json::Value;
use weir_query::{FilterStatus, Table};

use super::{Look, report};
use crate::args::Format;
use crate::json::Object;
use crate::units;
use crate::visible;

/// Appends the summary records of one filter, or says them where standard output is for messages only.
pub(crate) fn push(out: &mut Vec<u8>, status: &FilterStatus, look: &Look) {
    for summary in &status.summaries {
        let table = Table::read(summary);
        match (look.format, &table) {
            (Format::Jsonl, Some(table)) => push_rows(out, &status.name, table),
            (Format::Jsonl, None) => push_value(out, &status.name, summary.as_bytes()),
            (Format::Text, _) => {
                for line in lines(summary, table.as_ref()) {
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
            }
            (Format::Raw, _) => lines(summary, table.as_ref())
                .iter()
                .for_each(|line| report::say(&format!("filter {}: {line}", status.name))),
        }
        if let Some(low_by) = table.map(|table| table.low_by).filter(|&low_by| low_by > 0) {
            report::say(&format!(
                "filter {}: there were too many different rows to count them all: what is shown may be too low by {low_by} \
                 at most",
                status.name
            ));
        }
    }
}

fn push_value(out: &mut Vec<u8>, filter: &str, value: &[u8]) {
    Object::new(out).string("type", "aggregate").string("filter", filter).json("value", value).end();
}

/// A line for each row, with the columns' names.
fn push_rows(out: &mut Vec<u8>, filter: &str, table: &Table) {
    for row in table.shown() {
        let mut value = Vec::new();
        let object =
            table.columns().zip(&row).fold(Object::new(&mut value), |object, (name, cell)| match cell {
                Value::String(text) => object.string(name, text),
                other => object.value(name, other),
            });
        object.close();
        push_value(out, filter, &value);
    }
}

/// Lines for people, of one summary record.
pub(crate) fn text(summary: &str) -> Vec<String> {
    lines(summary, Table::read(summary).as_ref())
}

fn lines(summary: &str, table: Option<&Table>) -> Vec<String> {
    let Some(table) = table else { return vec![one_line(summary)] };
    let heading: Vec<String> = table.columns().map(one_line).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = table.shown().iter().map(|row| row.iter().map(cell).collect()).collect();
    let text = units::table(&heading, &rows, &heading[table.keys.len()..]);
    text.lines().map(str::to_owned).collect()
}

/// A cell: what isn't there is a dash, and fractions have three digits.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => one_line(text),
        Value::Number(number) if number.is_f64() => format!("{:.3}", number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

fn one_line(text: &str) -> String {
    visible::message(&text.replace(['\n', '\r'], " "))
}
