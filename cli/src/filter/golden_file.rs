//! Writes what a filter makes of its golden cases into their file, and leaves the rest of the file as it is: comments,
//! order and style.

use std::ops::Range;
use std::path::Path;

use saphyr_parser::{Event, Parser, Span};
use serde_json::Value;
use weir_golden::{Answer, Case, Verdict, verdict_yaml};

/// Longest line that a list is written on.
const WIDTH: usize = 110;
/// The keys whose values are written.
const KEYS: [&str; 3] = ["expect", "output", "finish"];

/// Writes the answers of some cases, each by its place in the file.
pub(super) fn update(file: &Path, answers: &[(usize, &Case, &Answer)]) -> Result<(), String> {
    let mut text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let places = places(&text)?;
    let mut changes = Vec::new();
    for (index, case, answer) in answers {
        let name = format!("case {} {}", index + 1, case.name);
        let Answer::Ran { outcomes, summary } = answer else {
            return Err(format!("{name}: refused parameters are to be written by hand, as `error`"));
        };
        if case.is_refusal() {
            return Err(format!("{name}: the parameters are accepted; take its `error` out by hand"));
        }
        let replaced = outcomes.iter().filter_map(|outcome| match &outcome.verdict {
            Verdict::Replace(message) => Some(message),
            _ => None,
        });
        if replaced.into_iter().any(|message| std::str::from_utf8(message).is_err()) {
            return Err(format!("{name}: a message that comes out isn't UTF-8, which YAML can't hold"));
        }
        for place in places.iter().filter(|place| place.case == *index) {
            let entries: Vec<String> = match place.key {
                "expect" => outcomes.iter().map(verdict_yaml).collect(),
                "output" => {
                    case.left(outcomes).into_iter().map(|line| Value::from(line).to_string()).collect()
                }
                _ => summary.iter().flatten().map(Value::to_string).collect(),
            };
            changes.push((place.range.clone(), list(&entries, place.column)));
        }
    }
    changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, list) in changes {
        text.replace_range(range, &list);
    }
    std::fs::write(file, text).map_err(|error| error.to_string())
}

/// A list behind its key, in one line or in one for each entry.
fn list(entries: &[String], column: usize) -> String {
    let line = format!(" [{}]", entries.join(", "));
    if column + "expect:".len() + line.chars().count() <= WIDTH {
        return line;
    }
    let indent = " ".repeat(column + 2);
    entries.iter().map(|entry| format!("\n{indent}- {entry}")).collect()
}

/// The value of a key of a case.
struct Place {
    case: usize,
    key: &'static str,
    /// Column of the key.
    column: usize,
    /// The value's bytes, from behind the key's colon.
    range: Range<usize>,
}

/// Finds the values in a list of cases.
fn places(text: &str) -> Result<Vec<Place>, String> {
    // Marks count characters.
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut places = Vec::new();
    let (mut depth, mut case, mut is_key) = (0_usize, 0_usize, true);
    // The key whose value comes, and the end of what was last of it.
    let mut key: Option<(String, Span)> = None;
    let mut last = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let is_start = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        let is_end = matches!(event, Event::SequenceEnd | Event::MappingEnd);
        depth -= usize::from(is_end);
        // A block ends where the next thing begins: what ends it for certain is what it holds last.
        if matches!(event, Event::Scalar(..) | Event::Alias(_)) {
            last = span.end.index();
        } else if is_end && text[bytes[span.start.index()]..].starts_with([']', '}']) {
            last = span.start.index() + 1;
        }
        // Depth 1 holds the cases, 2 their keys and values.
        if depth == 2 && !is_start {
            if is_key && let Event::Scalar(name, ..) = &event {
                key = Some((name.to_string(), span));
            } else if let Some((name, at)) = key.take()
                && let Some(&name) = KEYS.iter().find(|key| **key == name)
            {
                let colon = bytes[at.end.index()] + text[bytes[at.end.index()]..].find(':').unwrap_or(0);
                places.push(Place { case, key: name, column: at.start.col(), range: colon + 1..bytes[last] });
            }
            is_key = !is_key;
        }
        if depth == 1 && matches!(event, Event::MappingEnd) {
            case += 1;
            is_key = true;
        }
        depth += usize::from(is_start);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_and_nothing_else() {
        let before = "\
# A comment.
- name: é first
  params: {expect: [1]}
  lines: [a, b] # behind
  expect: [keep, drop] # why

# Between.
- name: block
  lines:
    - a
  expect:
    - keep
    # the last

- lines: [x]
  output:
    - x
  finish: [{n: 1}]
";
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), before).expect("it is written");
        let cases = weir_golden::read(file.path()).expect("cases");
        let ran = |outcomes: Vec<weir_golden::Outcome>, summary| Answer::Ran { outcomes, summary };
        let answers = [
            ran(vec![weir_golden::Outcome::dropped(), weir_golden::Outcome::replace("\"q\": é")], None),
            ran(vec![weir_golden::Outcome::replace("r".repeat(200))], None),
            ran(vec![weir_golden::Outcome::keep()], Some(vec![serde_json::json!({"n": 2})])),
        ];
        let answers: Vec<_> =
            cases.iter().zip(&answers).enumerate().map(|(i, (case, a))| (i, case, a)).collect();
        update(file.path(), &answers).expect("it is updated");
        let after = std::fs::read_to_string(file.path()).expect("it is read");
        let expected = before
            .replace("  expect: [keep, drop] # why", "  expect: [drop, {replace: \"\\\"q\\\": é\"}] # why")
            .replace(
                "  expect:\n    - keep\n",
                &format!("  expect:\n    - {{replace: \"{}\"}}\n", "r".repeat(200)),
            )
            .replace("  output:\n    - x\n  finish: [{n: 1}]", "  output: [\"x\"]\n  finish: [{\"n\":2}]");
        assert_eq!(after, expected);
        for (case, (_, _, answer)) in weir_golden::read(file.path()).expect("cases").iter().zip(&answers) {
            assert_eq!(case.mismatches(answer), []);
        }
    }
}
