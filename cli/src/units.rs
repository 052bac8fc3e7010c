//! Sizes, durations and tables for people.

use std::time::Duration;

/// `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1.25 s`, `12.3 ms` or `45 us`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-3 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{} us", duration.as_micros())
    }
}

/// `1 record`, `2 records`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 {
        noun.to_owned()
    } else if let Some(stem) = noun.strip_suffix("ch") {
        format!("{stem}ches")
    } else {
        format!("{noun}s")
    };
    format!("{number} {plural}")
}

/// Rows under a heading, columns aligned. Columns named in `right` are aligned to the right.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>], right: &[&str]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            rows.iter().map(|row| width(&row[column])).chain([width(heading[column])]).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    let head: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let padding = " ".repeat(widths[column] - width(cell));
            if right.contains(&heading[column]) {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        for (number, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), ((1 << 20) - 1, "1.0 MiB")] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(duration(Duration::from_millis(1250)), "1.25 s");
        assert_eq!(duration(Duration::from_micros(12_345)), "12.3 ms");
        assert_eq!(duration(Duration::from_nanos(45_600)), "45 us");
        assert_eq!(
            (count(1, "match"), count(2, "match"), count(0, "record")),
            ("1 match".into(), "2 matches".into(), "0 records".into())
        );
    }

    #[test]
    fn tables_are_aligned() {
        let rows = vec![vec!["a".to_owned(), "10".to_owned()], vec!["ünder".to_owned(), "9".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows, &["N"]), "NAME    N\na      10\nünder   9\n");
    }
}
