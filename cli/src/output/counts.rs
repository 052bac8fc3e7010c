//! Counts and histograms, as text and as JSON.

use std::collections::HashMap;
use std::io::Write as _;
use std::num::NonZeroU64;

use anstyle::{AnsiColor, Style};
use weir_query::{Bucket, Count};

use super::Look;
use super::label::Label;
use crate::json::Object;
use crate::timestamp;
use crate::units;
use crate::visible;

/// Empty steps in a row that are shown one by one; more become one line.
const EMPTY_STEPS: i64 = 3;

/// Widest bar, in columns: longer ones are no easier to compare.
const BAR_WIDTH: usize = 100;

type Labels = HashMap<u32, Label>;

/// The number alone, or a number before each source.
pub(crate) fn count_text(out: &mut Vec<u8>, counts: &[Count], labels: &Labels) {
    let width = counts.iter().map(|count| digits(count.matched)).max().unwrap_or(0);
    for count in counts {
        match count.source {
            None => line(out, format_args!("{}", count.matched)),
            Some(id) => line(out, format_args!("{:>width$}  {}", count.matched, name(id, labels))),
        }
    }
}

/// One object for each count.
pub(crate) fn count_json(out: &mut Vec<u8>, counts: &[Count], labels: &Labels) {
    for count in counts {
        let object = Object::new(out).string("type", "count");
        members(object, count.source, labels).value("matched", count.matched).end();
    }
}

/// A bar for each step, fitted to the width.
pub(crate) fn histogram_text(
    out: &mut Vec<u8>,
    buckets: &[Bucket],
    step: NonZeroU64,
    labels: &Labels,
    look: &Look,
) {
    const WITHOUT_TIME: &str = "without a time";
    let step = step_nanos(step);
    let time_digits = if step % 1_000_000_000 == 0 { 0 } else { 9 };
    let time_width = if time_digits == 0 { 20 } else { 30 };
    let most = buckets.iter().map(|bucket| bucket.matched).max().unwrap_or(0);
    let count_width = digits(most);
    let room = look.width.saturating_sub(time_width + count_width + 4).clamp(1, BAR_WIDTH);
    let style = if look.color { Style::new().fg_color(Some(AnsiColor::Cyan.into())) } else { Style::new() };
    let row = |out: &mut Vec<u8>, title: &str, matched: u64| {
        let text = format!(
            "{title:<time_width$}  {matched:>count_width$}  {style}{}{style:#}",
            bar(matched, most, room)
        );
        line(out, format_args!("{}", text.trim_end()));
    };
    let mut last: Option<Bucket> = None;
    for bucket in buckets {
        if let Some(id) = bucket.source
            && last.is_none_or(|last| last.source != bucket.source)
        {
            line(out, format_args!("{}", name(id, labels)));
        }
        let Some(start) = bucket.start else {
            row(out, WITHOUT_TIME, bucket.matched);
            last = Some(*bucket);
            continue;
        };
        let before = last.filter(|last| last.source == bucket.source).and_then(|last| last.start);
        if let Some(before) = before {
            let empty = (start.saturating_sub(before) / step - 1).max(0);
            if empty > EMPTY_STEPS {
                line(out, format_args!("  … {} without a match", units::count(empty.unsigned_abs(), "step")));
            } else {
                (1..=empty).for_each(|n| row(out, &timestamp::text(before + n * step, time_digits), 0));
            }
        }
        row(out, &timestamp::text(start, time_digits), bucket.matched);
        last = Some(*bucket);
    }
}

/// One object for each step that has a match.
pub(crate) fn histogram_json(out: &mut Vec<u8>, buckets: &[Bucket], step: NonZeroU64, labels: &Labels) {
    for bucket in buckets {
        let object = Object::new(out).string("type", "bucket");
        members(object, bucket.source, labels)
            .time("start", bucket.start)
            .time("end", bucket.start.map(|start| start.saturating_add(step_nanos(step))))
            .value("matched", bucket.matched)
            .end();
    }
}

fn members<'a>(object: Object<'a>, source: Option<u32>, labels: &Labels) -> Object<'a> {
    match source.and_then(|id| labels.get(&id)) {
        Some(label) => object.members(&label.json),
        None => object,
    }
}

fn name(id: u32, labels: &Labels) -> String {
    labels.get(&id).map_or_else(|| format!("source {id}"), |label| visible::message(&label.name))
}

/// A step over 292 years is as good as one of 292 years.
fn step_nanos(step: NonZeroU64) -> i64 {
    i64::try_from(step.get()).unwrap_or(i64::MAX)
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// A bar in eighths of a column; anything but zero shows.
fn bar(value: u64, most: u64, room: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if value == 0 || most == 0 {
        return String::new();
    }
    let eighths = (u128::from(value) * room as u128 * 8 / u128::from(most)).max(1);
    let (full, rest) = (eighths / 8, eighths % 8);
    "█".repeat(full as usize) + EIGHTHS[rest as usize]
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a Vec does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar(0, 10, 10), "");
        assert_eq!(bar(10, 10, 3), "███");
        assert_eq!(bar(1, 1000, 10), "▏");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
    }

    #[test]
    fn digit_counts() {
        assert_eq!([0, 9, 10, 999, u64::MAX].map(digits), [1, 1, 2, 3, 20]);
    }
}
