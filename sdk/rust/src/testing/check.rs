//! What the host would check of a filter or rely on, checked in tests.

use super::{Outcome, Verdict};
use crate::{Filter, Kind, KindName, Params, Verdicts};

/// The contract's rules for `describe`.
pub(super) fn description<F: Filter>() {
    let name = F::NAME;
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let edges = !name.starts_with('-') && !name.ends_with('-');
    assert!(
        letters && edges && (1..=63).contains(&name.len()),
        "a filter's name is `[a-z0-9-]{{1,63}}` without a dash at either end, not {name:?}"
    );
    let summary = F::SUMMARY;
    assert!(
        (1..=200).contains(&summary.len())
            && !summary.chars().any(char::is_control)
            && !summary.ends_with('.'),
        "{name}: a summary is one line of at most 200 bytes without a final period, not {summary:?}"
    );
    let schema = <<F::Kind as Kind<F>>::Params as Params>::json_schema();
    assert!(
        is_object(schema.as_bytes()) && schema.len() <= 64 << 10,
        "{name}: the schema is no object up to 64 KiB"
    );
}

/// The promised expression, compiled as the host compiles it.
pub(super) fn prefilter<F: Filter>(pattern: &str) -> regex::bytes::Regex {
    assert!(
        <F::Kind as Kind<F>>::NAME != KindName::Aggregate,
        "{}: an aggregate has no prefilter: it sees every line",
        F::NAME
    );
    assert!(pattern.len() <= 64 << 10, "{}: the prefilter is over 64 KiB", F::NAME);
    regex::bytes::Regex::new(pattern)
        .unwrap_or_else(|e| panic!("{}: the prefilter does not compile: {e}", F::NAME))
}

/// That the kind allows the outcome, and the prefilter promised it.
pub(super) fn outcome<F: Filter>(prefilter: Option<&regex::bytes::Regex>, message: &[u8], outcome: &Outcome) {
    let kind = <F::Kind as Kind<F>>::NAME;
    let shown = String::from_utf8_lossy(message);
    if matches!(kind, KindName::Select | KindName::Aggregate) {
        assert!(!matches!(outcome.verdict, Verdict::Replace(_)), "{}: a {kind:?} changed {shown:?}", F::NAME);
    }
    let Some(promised) = prefilter.filter(|p| !p.is_match(message)) else {
        return;
    };
    let held = outcome.is_promised(kind == KindName::Select, message);
    assert!(
        held,
        "{}: the prefilter's promise is broken: {shown:?} does not match {promised}, but comes out as {outcome:?}",
        F::NAME
    );
}

/// Verdicts as outcomes.
pub(super) fn decode(verdicts: &Verdicts, records: usize) -> Result<Vec<Outcome>, String> {
    if verdicts.codes.len() != records {
        return Err(format!("{} verdicts for {records} records", verdicts.codes.len()));
    }
    let mut messages = slices(&verdicts.replaced_bytes, &verdicts.replaced_ends)?.into_iter();
    let mut outcomes = Vec::with_capacity(records);
    for code in &verdicts.codes {
        let verdict = match code {
            0 => Verdict::Keep,
            1 => Verdict::Drop,
            2 => Verdict::Replace(messages.next().ok_or("a replaced record has no bytes")?.to_vec()),
            3 => Verdict::Stop,
            other => return Err(format!("there is no verdict {other}")),
        };
        outcomes.push(Outcome { verdict, fields: None });
    }
    if messages.next().is_some() {
        return Err("bytes of no replaced record".to_owned());
    }
    let objects = slices(&verdicts.annotation_bytes, &verdicts.annotation_ends)?;
    if objects.len() != verdicts.annotated.len() || !verdicts.annotated.is_sorted_by(|a, b| a < b) {
        return Err("annotations do not fit their records".to_owned());
    }
    for (&index, object) in verdicts.annotated.iter().zip(objects) {
        let outcome = outcomes.get_mut(index as usize).ok_or("an annotation of no record")?;
        if !is_object(object) {
            return Err(format!("added fields are no JSON object: {}", String::from_utf8_lossy(object)));
        }
        outcome.fields = Some(String::from_utf8_lossy(object).into_owned());
    }
    Ok(outcomes)
}

/// Whether these bytes are a JSON object.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| value.is_object())
}

/// The slices of `bytes` that end where `ends` says, all of it used.
fn slices<'a>(bytes: &'a [u8], ends: &[u32]) -> Result<Vec<&'a [u8]>, String> {
    let mut start = 0;
    let mut slices = Vec::with_capacity(ends.len());
    for &end in ends {
        slices.push(bytes.get(start..end as usize).ok_or("ends that do not ascend within their bytes")?);
        start = end as usize;
    }
    if start == bytes.len() { Ok(slices) } else { Err("bytes past the last end".to_owned()) }
}
