//! Verdicts as a hostile guest could send them: refused, or every record's bytes are where they say.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use weir_sandbox::Kind;
use weir_sandbox::verdicts::{RawVerdicts, validate};

#[derive(Arbitrary, Debug)]
struct Sent {
    records: u8,
    kind: u8,
    codes: Vec<u8>,
    replaced_ends: Vec<u32>,
    replaced_bytes: Vec<u8>,
    annotated: Vec<u32>,
    annotation_ends: Vec<u32>,
    annotation_bytes: Vec<u8>,
}

fuzz_target!(|sent: Sent| {
    let raw = RawVerdicts {
        codes: &sent.codes,
        replaced_ends: &sent.replaced_ends,
        replaced_bytes: &sent.replaced_bytes,
        annotated: &sent.annotated,
        annotation_ends: &sent.annotation_ends,
        annotation_bytes: &sent.annotation_bytes,
    };
    let kind = [Kind::Select, Kind::Transform, Kind::Redact, Kind::Aggregate][usize::from(sent.kind) % 4];
    let records = usize::from(sent.records);
    if validate(&raw, records, kind).is_err() {
        return;
    }
    assert_eq!(sent.codes.len(), records);
    assert!(sent.codes.iter().all(|code| *code <= 3));
    let replaced = sent.codes.iter().filter(|code| **code == 2).count();
    assert_eq!(sent.replaced_ends.len(), replaced);
    for (ends, bytes) in
        [(&sent.replaced_ends, &sent.replaced_bytes), (&sent.annotation_ends, &sent.annotation_bytes)]
    {
        assert!(ends.is_sorted());
        assert_eq!(ends.last().map_or(0, |end| *end as usize), bytes.len());
    }
    assert!(sent.annotated.iter().all(|index| (*index as usize) < records));
});
