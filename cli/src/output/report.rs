//! What goes to standard error: gaps, filters, the summary. Names and reasons may come from log files,
//! filters or an agent, so their controls are shown.

use std::io::Write as _;

use weir_query::{FilterStatus, Gap, PolicyStatus, Summary};

use super::jsonl::kind_name;
use super::label::Label;
use crate::failure::Exit;
use crate::timestamp;
use crate::units;
use crate::visible;

/// One line on standard error.
pub(crate) fn say(text: &str) {
    // A standard error that nobody reads is no reason to end: the answer and the exit code tell the same.
    writeln!(std::io::stderr(), "weir: {}", visible::message(text)).unwrap_or_default();
}

/// Agents that have no part in a listing, and what that makes of it.
pub(crate) fn missing_agents(problems: &[(String, String)]) -> Exit {
    problems.iter().for_each(|(agent, problem)| say(&format!("nothing of agent {agent} is here: {problem}")));
    if problems.is_empty() { Exit::Complete } else { Exit::Incomplete }
}

/// A hole in the answer.
pub(crate) fn gap(gap: &Gap, label: Option<&Label>) {
    let whose = label.map_or_else(|| format!("source {}", gap.source), |label| label.name.clone());
    let time =
        |nanos: Option<i64>, otherwise: &str| nanos.map_or(otherwise.to_owned(), |n| timestamp::text(n, 3));
    let span = match (gap.from, gap.to) {
        (None, None) => String::new(),
        (from, to) => format!(" (between {} and {})", time(from, "the start"), time(to, "the end")),
    };
    say(&format!("missing from {whose}: {} {}: {}{span}", gap.file, gap.reason, gap.detail));
}

/// What one filter did. `name` gives a source's name by its number.
pub(crate) fn filter(status: &FilterStatus, name: impl Fn(u32) -> Option<String>) {
    let mut done = vec![format!("{} in", status.records_in)];
    for (number, what) in [
        (status.skipped_by_prefilter, "decided by prefilter"),
        (status.kept, "kept"),
        (status.dropped, "dropped"),
        (status.replaced, "replaced"),
        (status.withheld, "withheld"),
        (status.failed, "failed"),
        (status.paused, "of those not handed over"),
    ] {
        if number > 0 {
            done.push(format!("{number} {what}"));
        }
    }
    let compiled = if status.compile_cached { "from the cache" } else { "compiled" };
    say(&format!(
        "filter {} {} ({}, {}): {}; {} in the guest, at most {} of memory; {compiled} in {}",
        status.name,
        status.version,
        kind_name(status.kind),
        short_digest(&status.digest),
        done.join(", "),
        units::duration(status.time),
        units::bytes(status.peak_memory),
        units::duration(status.compile_time),
    ));
    for failure in &status.failures {
        let whose = failure.source.and_then(&name).map(|name| format!(" in {name}")).unwrap_or_default();
        say(&format!("filter {}{whose}: {failure}", status.name));
    }
}

/// What one policy did, in a line where it did something; with what each of its filters did if that is wanted.
pub(crate) fn policy(status: &PolicyStatus, with_filters: bool) {
    let PolicyStatus { name, redacted, withheld, filters } = status;
    let dropped: u64 = filters.iter().map(|filter| filter.dropped).sum();
    if redacted + withheld + dropped > 0 || with_filters {
        let dropped = if dropped > 0 { format!(", {dropped} dropped") } else { String::new() };
        say(&format!(
            "policy {name}: {} redacted, {withheld} withheld{dropped}",
            units::count(*redacted, "line")
        ));
    }
    for filter in filters.iter().filter(|_| with_filters) {
        say(&format!(
            "policy {name}: filter {} {} ({}, {}): {} in, {} replaced, {} dropped, {} withheld",
            filter.name,
            filter.version,
            kind_name(filter.kind),
            short_digest(&filter.digest),
            filter.records_in,
            filter.replaced,
            filter.dropped,
            filter.withheld,
        ));
    }
}

/// What a filter wants to tell its author.
pub(crate) fn diagnostics(status: &FilterStatus) {
    status.diagnostics.iter().for_each(|text| say(&format!("filter {}: {text}", status.name)));
}

/// Figures of the whole search.
pub(crate) fn summary(summary: &Summary) {
    let mut text = format!(
        "{} in {} from {}; {} read in {}",
        units::count(summary.matched, "match"),
        units::count(summary.records, "record"),
        units::count(summary.sources, "source"),
        units::bytes(summary.bytes_read),
        units::duration(summary.elapsed),
    );
    for (number, what) in [(summary.malformed, "malformed"), (summary.truncated, "truncated")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    if summary.limited {
        text.push_str("; the limit was reached, there may be more");
    }
    say(&text);
    if let Some(oldest) = summary.oldest {
        say(&format!("the oldest record on disk is of {}", timestamp::text(oldest, 3)));
    }
    if !summary.trace_id.is_empty() {
        say(&format!("the agent's log has it as trace_id {}", summary.trace_id));
    }
    if summary.is_complete() {
        say("the answer is complete");
    }
}

/// Why the answer isn't whole, in one line, when it isn't.
pub(crate) fn incomplete(summary: &Summary) {
    if !summary.is_complete() {
        say(&format!("the answer is incomplete: {}", summary.incomplete.join("; ")));
    }
}

/// Enough of a digest to tell two filters apart.
fn short_digest(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}
