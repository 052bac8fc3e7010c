//! The check of a guest's answer against a plain model of the contract.

use proptest::prelude::*;
use weir_sandbox::Kind;
use weir_sandbox::verdicts::{RawVerdicts, VerdictError, validate};

/// The contract, said as plainly as possible.
fn model(raw: &RawVerdicts<'_>, records: usize, kind: Kind) -> bool {
    let cut = |ends: &[u32], bytes: &[u8]| -> Option<Vec<Vec<u8>>> {
        let mut start = 0;
        let mut parts = Vec::new();
        for end in ends {
            parts.push(bytes.get(start..*end as usize)?.to_vec());
            start = *end as usize;
        }
        (start == bytes.len()).then_some(parts)
    };
    let replaced = raw.codes.iter().filter(|code| **code == 2).count();
    let may_replace = matches!(kind, Kind::Transform | Kind::Redact);
    let mut ascending = raw.annotated.to_vec();
    ascending.sort_unstable();
    ascending.dedup();
    let is_object = |part: &Vec<u8>| {
        std::str::from_utf8(part).is_ok_and(|text| {
            serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
        })
    };
    raw.codes.len() == records
        && raw.codes.iter().all(|code| *code <= 3)
        && (may_replace || replaced == 0)
        && raw.replaced_ends.len() == replaced
        && cut(raw.replaced_ends, raw.replaced_bytes).is_some()
        && ascending == raw.annotated
        && raw.annotated.iter().all(|index| (*index as usize) < records)
        && raw.annotation_ends.len() == raw.annotated.len()
        && cut(raw.annotation_ends, raw.annotation_bytes).is_some_and(|parts| parts.iter().all(is_object))
}

fn ends_of(lengths: &[usize]) -> Vec<u32> {
    let mut end = 0;
    let next = |length: &usize| {
        end += *length as u32;
        end
    };
    lengths.iter().map(next).collect()
}

#[derive(Clone, Debug)]
struct Answer {
    codes: Vec<u8>,
    replaced_ends: Vec<u32>,
    replaced_bytes: Vec<u8>,
    annotated: Vec<u32>,
    annotation_ends: Vec<u32>,
    annotation_bytes: Vec<u8>,
}

impl Answer {
    fn raw(&self) -> RawVerdicts<'_> {
        RawVerdicts {
            codes: &self.codes,
            replaced_ends: &self.replaced_ends,
            replaced_bytes: &self.replaced_bytes,
            annotated: &self.annotated,
            annotation_ends: &self.annotation_ends,
            annotation_bytes: &self.annotation_bytes,
        }
    }
}

prop_compose! {
    /// An answer that keeps the contract.
    fn good()(
        codes in prop::collection::vec(0_u8..4, 0..12),
        lengths in prop::collection::vec(0_usize..5, 12),
        marked in prop::collection::vec(any::<bool>(), 12),
        objects in prop::collection::vec(
            prop::sample::select(vec!["{}", "{\"a\":1}", " {\"é\":[null,{\"b\":\"\\n\"}]}"]), 12),
    ) -> Answer {
        let replaced = codes.iter().filter(|code| **code == 2).count();
        let replaced_ends = ends_of(&lengths[..replaced]);
        let replaced_bytes = vec![b'z'; replaced_ends.last().map_or(0, |end| *end as usize)];
        let annotated: Vec<u32> = (0..codes.len() as u32).filter(|index| marked[*index as usize]).collect();
        let objects = &objects[..annotated.len()];
        let annotation_ends = ends_of(&objects.iter().map(|object| object.len()).collect::<Vec<_>>());
        let annotation_bytes = objects.concat().into_bytes();
        Answer { codes, replaced_ends, replaced_bytes, annotated, annotation_ends, annotation_bytes }
    }
}

proptest! {
    #[test]
    fn a_good_answer_passes(answer in good()) {
        prop_assert_eq!(validate(&answer.raw(), answer.codes.len(), Kind::Redact), Ok(()));
    }

    /// One or two changes to a good answer: the check and the model agree on every one.
    #[test]
    fn a_changed_answer_passes_only_if_the_model_says_so(
        mut answer in good(),
        changes in prop::collection::vec((0_usize..12, any::<prop::sample::Index>(), 0_u32..14), 1..3),
        kind in prop::sample::select(vec![Kind::Select, Kind::Transform, Kind::Redact, Kind::Aggregate]),
        more in 0_usize..2,
    ) {
        let records = answer.codes.len();
        for (change, place, value) in changes {
            let byte = value as u8;
            let words = match change % 3 {
                0 => &mut answer.replaced_ends,
                1 => &mut answer.annotated,
                _ => &mut answer.annotation_ends,
            };
            let bytes = match change % 3 {
                0 => &mut answer.codes,
                1 => &mut answer.replaced_bytes,
                _ => &mut answer.annotation_bytes,
            };
            match change / 3 {
                0 if !words.is_empty() => { let at = place.index(words.len()); words[at] = value; }
                1 => words.push(value),
                2 if !bytes.is_empty() => { let at = place.index(bytes.len()); bytes[at] = byte; }
                3 if !bytes.is_empty() => { bytes.pop(); }
                _ => bytes.push(b'{'),
            }
        }
        let records = records + more;
        let verdict = validate(&answer.raw(), records, kind);
        prop_assert_eq!(verdict.is_ok(), model(&answer.raw(), records, kind), "{:?}", verdict);
    }

    /// No bytes at all make the check panic.
    #[test]
    fn any_answer_is_judged(
        codes in prop::collection::vec(any::<u8>(), 0..8),
        replaced_ends in prop::collection::vec(any::<u32>(), 0..8),
        replaced_bytes in prop::collection::vec(any::<u8>(), 0..8),
        annotated in prop::collection::vec(any::<u32>(), 0..8),
        annotation_ends in prop::collection::vec(any::<u32>(), 0..8),
        annotation_bytes in prop::collection::vec(any::<u8>(), 0..8),
        records in 0_usize..8,
    ) {
        let answer =
            Answer { codes, replaced_ends, replaced_bytes, annotated, annotation_ends, annotation_bytes };
        let verdict = validate(&answer.raw(), records, Kind::Transform);
        prop_assert_eq!(verdict.is_ok(), model(&answer.raw(), records, Kind::Transform));
    }
}

#[test]
fn an_error_says_where_what_and_what_was_expected() {
    let check = |raw: RawVerdicts<'_>| validate(&raw, 2, Kind::Transform).expect_err("broken").to_string();
    let codes = &[2, 2][..];
    let raw = RawVerdicts { codes, replaced_ends: &[3, 2], replaced_bytes: b"abc", ..RawVerdicts::default() };
    assert_eq!(check(raw), "`replaced-ends[1]` is 2; expected 3 to 3");
    let raw = RawVerdicts { codes, replaced_ends: &[1, 2], replaced_bytes: b"abc", ..RawVerdicts::default() };
    assert_eq!(check(raw), "`replaced-ends[2]` is 2; expected 3, the length of the bytes");
    let raw = RawVerdicts { codes: &[0, 0], annotated: &[1, 1], ..RawVerdicts::default() };
    assert_eq!(check(raw), "`annotated[1]` is 1; expected ascending indices below 2");
    let raw = RawVerdicts { codes: &[2, 0], ..RawVerdicts::default() };
    assert_eq!(validate(&raw, 2, Kind::Select), Err(VerdictError::Replace { index: 0, kind: Kind::Select }));
}
