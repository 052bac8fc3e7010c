//! What a filter beside another one would have done, for people and as JSON.

use serde_json::{Value, json};
use weir_query::{Difference, FilterStatus, SampleSide, ShadowSample, ShadowStatus};

use super::aggregate;
use super::report::say;
use crate::json::Object;
use crate::units;

/// Lines of a shadow's summary that are told.
const SUMMARY_LINES: usize = 20;

/// Tells on standard error how often a shadow differs, what it cost, and the first records that differ. `name` gives a
/// source's name by its number.
pub(crate) fn report(status: &FilterStatus, shadow: &ShadowStatus, name: impl Fn(u32) -> Option<String>) {
    let beside = format!("shadow {} {} of {}", shadow.status.name, shadow.status.version, status.name);
    let differs = match parts(shadow) {
        parts if parts.is_empty() => "none differs".to_owned(),
        parts => format!("{} differ ({})", shadow.differing(), parts.join(", ")),
    };
    say(&format!(
        "{beside}: of {} compared, {differs}; {} in the guest, at most {} of memory (the filter: {}, {})",
        units::count(shadow.compared, "record"),
        units::duration(shadow.status.time),
        units::bytes(shadow.status.peak_memory),
        units::duration(status.time),
        units::bytes(status.peak_memory),
    ));
    if shadow.spent {
        say(&format!(
            "{beside}: {} were not handed to it: its time was over",
            units::count(shadow.left_out, "record")
        ));
    }
    if shadow.summaries > 0 {
        say(&format!(
            "{beside}: {} {}; it would have told:",
            units::count(shadow.summaries, "summary record"),
            if shadow.summaries == 1 { "differs" } else { "differ" }
        ));
        let lines: Vec<String> = shadow.status.summaries.iter().flat_map(|it| aggregate::text(it)).collect();
        lines.iter().take(SUMMARY_LINES).for_each(|line| say(&format!("  {line}")));
        if lines.len() > SUMMARY_LINES {
            say(&format!(
                "  … and {} more; -o jsonl has all",
                units::count((lines.len() - SUMMARY_LINES) as u64, "line")
            ));
        }
    }
    for failure in &shadow.status.failures {
        say(&format!("{beside}: {failure}"));
    }
    for sample in &shadow.samples {
        let whose = name(sample.source).unwrap_or_else(|| format!("source {}", sample.source));
        let ShadowSample { file, offset, difference, filter, shadow, .. } = sample;
        say(&format!(
            "{beside}: the {} differs for the record at byte {offset} of file {file} of {whose}: {}; the filter: {}",
            word(*difference),
            told(shadow),
            told(filter)
        ));
    }
}

/// Appends what a shadow did. `name` gives a source's name by its number.
pub(crate) fn push(
    out: &mut Vec<u8>,
    status: &FilterStatus,
    shadow: &ShadowStatus,
    name: impl Fn(u32) -> Option<String>,
) {
    let summaries: &[String] = if shadow.summaries > 0 { &shadow.status.summaries } else { &[] };
    let samples: Value = shadow.samples.iter().map(|sample| sample_json(sample, &name)).collect();
    Object::new(out)
        .string("type", "shadow")
        .value("index", status.index)
        .string("filter", &status.name)
        .string("name", &shadow.status.name)
        .string("version", &shadow.status.version)
        .string("digest", &shadow.status.digest)
        .value("compared", shadow.compared)
        .value("differing", shadow.differing())
        .value("differing_failed", shadow.failed)
        .value("differing_dropped", shadow.dropped)
        .value("differing_messages", shadow.messages)
        .value("differing_fields", shadow.fields)
        .value("differing_summaries", shadow.summaries)
        .value("left_out", shadow.left_out)
        .value("spent", shadow.spent)
        .value("failed", shadow.status.failed)
        .value("time_ns", shadow.status.time.as_nanos())
        .value("peak_memory", shadow.status.peak_memory)
        .value("filter_time_ns", status.time.as_nanos())
        // The sandbox has checked them: each is an object.
        .json("summaries", format!("[{}]", summaries.join(",")).as_bytes())
        .json("samples", samples.to_string().as_bytes())
        .end();
}

fn sample_json(sample: &ShadowSample, name: impl Fn(u32) -> Option<String>) -> Value {
    let side = |side: &SampleSide| {
        json!({
            "outcome": side.outcome.name(),
            "message": String::from_utf8_lossy(&side.message),
            "fields": String::from_utf8_lossy(&side.fields),
        })
    };
    json!({
        "source": name(sample.source),
        "file": sample.file,
        "offset": sample.offset,
        "difference": word(sample.difference),
        "filter": side(&sample.filter),
        "shadow": side(&sample.shadow),
    })
}

fn parts(shadow: &ShadowStatus) -> Vec<String> {
    let parts = [
        (shadow.failed, "failed"),
        (shadow.dropped, "kept or dropped"),
        (shadow.messages, "in the message"),
        (shadow.fields, "in the fields"),
    ];
    parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect()
}

fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::Failed => "failure",
        Difference::Dropped => "verdict",
        Difference::Message => "message",
        Difference::Fields => "fields",
    }
}

/// What comes out of a filter, in few words.
fn told(side: &SampleSide) -> String {
    let mut text = side.outcome.name().to_owned();
    for part in [&side.message, &side.fields].into_iter().filter(|part| !part.is_empty()) {
        text.push(' ');
        text.push_str(&String::from_utf8_lossy(part));
    }
    text
}
