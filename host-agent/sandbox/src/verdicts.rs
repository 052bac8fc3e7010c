//! The answer to one batch: how it is checked, and how it is handed out.
//!
//! A guest's answer is hostile until [`validate`] has seen all of it; nothing of it is used before.

use std::ops::Range;

use crate::description::Kind;
use crate::json;

const KEEP: u8 = 0;
const DROP: u8 = 1;
const REPLACE: u8 = 2;
const STOP: u8 = 3;

/// The lists of a guest's `verdicts`, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawVerdicts<'a> {
    /// One code per record.
    pub codes: &'a [u8],
    /// Ends in `replaced_bytes`, one per code 2.
    pub replaced_ends: &'a [u32],
    /// Replaced messages, one after the other.
    pub replaced_bytes: &'a [u8],
    /// Indices of annotated records.
    pub annotated: &'a [u32],
    /// Ends in `annotation_bytes`, one per annotated record.
    pub annotation_ends: &'a [u32],
    /// Annotations, one after the other.
    pub annotation_bytes: &'a [u8],
}

/// How verdicts break the contract. Indices are those of the batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerdictError {
    /// Too few or too many codes.
    #[error("`codes` has {found} entries for {expected} records")]
    Codes {
        /// Entries found.
        found: usize,
        /// Records in the batch.
        expected: usize,
    },
    /// A code that means nothing.
    #[error("`codes[{index}]` is {code}; expected 0 (keep), 1 (drop), 2 (replace) or 3 (stop)")]
    Code {
        /// Index of the record.
        index: usize,
        /// The code found.
        code: u8,
    },
    /// A replacement by a kind of filter that must not change messages.
    #[error("`codes[{index}]` replaces the message, which a filter of kind `{kind}` must not do")]
    Replace {
        /// Index of the record.
        index: usize,
        /// The filter's kind.
        kind: Kind,
    },
    /// A list that must have one entry per replaced or annotated record has not.
    #[error("`{list}` has {found} entries; expected {expected}")]
    Entries {
        /// Name of the list in the contract.
        list: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// Ends that go back, leave their bytes, or leave bytes over.
    #[error("`{list}[{index}]` is {end}; expected {expected}")]
    End {
        /// Name of the list in the contract.
        list: &'static str,
        /// Index in that list; its length when bytes are left over.
        index: usize,
        /// The end found.
        end: usize,
        /// What would be right.
        expected: String,
    },
    /// An annotated index that does not exist or does not ascend.
    #[error("`annotated[{index}]` is {record}; expected ascending indices below {records}")]
    Annotated {
        /// Index in `annotated`.
        index: usize,
        /// The record index found.
        record: u32,
        /// Records in the batch.
        records: usize,
    },
    /// An annotation that isn't a JSON object.
    #[error("the annotation of record {record} is {problem}")]
    Annotation {
        /// Index of the record.
        record: u32,
        /// What is wrong with it.
        problem: String,
    },
}

/// Checks a guest's answer for a batch of `records` records. Pure; looks at every byte of it.
///
/// # Errors
/// The first breach found.
pub fn validate(raw: &RawVerdicts<'_>, records: usize, kind: Kind) -> Result<(), VerdictError> {
    if raw.codes.len() != records {
        return Err(VerdictError::Codes { found: raw.codes.len(), expected: records });
    }
    let mut replaced = 0;
    for (index, &code) in raw.codes.iter().enumerate() {
        match code {
            KEEP | DROP | STOP => {}
            REPLACE if kind.may_replace() => replaced += 1,
            REPLACE => return Err(VerdictError::Replace { index, kind }),
            _ => return Err(VerdictError::Code { index, code }),
        }
    }
    check_ends("replaced-ends", raw.replaced_ends, replaced, raw.replaced_bytes.len())?;

    let mut next = 0;
    for (index, &record) in raw.annotated.iter().enumerate() {
        if u64::from(record) < next || record as usize >= records {
            return Err(VerdictError::Annotated { index, record, records });
        }
        next = u64::from(record) + 1;
    }
    check_ends("annotation-ends", raw.annotation_ends, raw.annotated.len(), raw.annotation_bytes.len())?;
    let mut start = 0;
    for (&record, &end) in raw.annotated.iter().zip(raw.annotation_ends) {
        let end = end as usize;
        json::check_object(&raw.annotation_bytes[start..end])
            .map_err(|problem| VerdictError::Annotation { record, problem })?;
        start = end;
    }
    Ok(())
}

/// The first record that comes out as more bytes than `allowed` gives for it, of an answer that [`validate`] accepted,
/// and how many those are.
pub(crate) fn oversized(raw: &RawVerdicts<'_>, allowed: impl Fn(usize) -> usize) -> Option<(usize, usize)> {
    let length =
        |ends: &[u32], at: usize| (ends[at] - at.checked_sub(1).map_or(0, |before| ends[before])) as usize;
    let (mut replaced, mut annotated) = (0, 0);
    if raw.replaced_ends.is_empty() && raw.annotated.is_empty() {
        return None;
    }
    for (record, &code) in raw.codes.iter().enumerate() {
        let mut bytes = 0;
        if code == REPLACE {
            bytes += length(raw.replaced_ends, replaced);
            replaced += 1;
        }
        if raw.annotated.get(annotated).is_some_and(|index| *index as usize == record) {
            bytes += length(raw.annotation_ends, annotated);
            annotated += 1;
        }
        if bytes > allowed(record) {
            return Some((record, bytes));
        }
    }
    None
}

fn check_ends(list: &'static str, ends: &[u32], expected: usize, bytes: usize) -> Result<(), VerdictError> {
    if ends.len() != expected {
        return Err(VerdictError::Entries { list, found: ends.len(), expected });
    }
    let mut start = 0;
    for (index, &end) in ends.iter().enumerate() {
        let end = end as usize;
        if end < start || end > bytes {
            let expected = format!("{start} to {bytes}");
            return Err(VerdictError::End { list, index, end, expected });
        }
        start = end;
    }
    if start != bytes {
        let expected = format!("{bytes}, the length of the bytes");
        return Err(VerdictError::End { list, index: ends.len(), end: start, expected });
    }
    Ok(())
}

/// What becomes of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Keep,
    /// It goes.
    Drop,
    /// It stays with another message: this range of [`Verdicts::bytes`].
    Replace(Range<u32>),
    /// It goes, and so do all later records of the query.
    Stop,
    /// The filter failed on it, or was given up before it: the filter's kind decides what that means.
    Failed,
}

/// Verdicts over one batch, in order. Reusable: [`Session::process`](crate::Session::process) clears it.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    verdicts: Vec<Verdict>,
    /// Replaced messages and annotations.
    arena: Vec<u8>,
    /// Record index and place in the arena, ascending by index.
    annotations: Vec<(u32, Range<u32>)>,
}

impl Verdicts {
    /// An empty list.
    pub fn new() -> Verdicts {
        Verdicts::default()
    }

    /// How many records it speaks of.
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// Whether it speaks of none.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// One verdict per record.
    pub fn as_slice(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The bytes behind a [`Verdict::Replace`] of this list.
    ///
    /// # Panics
    /// When the range is not one of this list.
    pub fn bytes(&self, range: Range<u32>) -> &[u8] {
        &self.arena[range.start as usize..range.end as usize]
    }

    /// The fields added to record `index`: one JSON object in UTF-8.
    pub fn fields(&self, index: usize) -> Option<&[u8]> {
        let index = u32::try_from(index).ok()?;
        let place = self.annotations.binary_search_by_key(&index, |(record, _)| *record).ok()?;
        Some(self.bytes(self.annotations[place].1.clone()))
    }

    /// Whether any record has added fields.
    pub fn has_fields(&self) -> bool {
        !self.annotations.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.verdicts.clear();
        self.arena.clear();
        self.annotations.clear();
    }

    /// Appends the same verdict for `records` records.
    pub(crate) fn extend_with(&mut self, verdict: &Verdict, records: usize) {
        self.verdicts.extend(std::iter::repeat_n(verdict, records).cloned());
    }

    /// Appends an answer that [`validate`] accepted. After a stop every later record is
    /// [`Verdict::Stop`], whatever its code says. True when there was one.
    ///
    /// # Errors
    /// When the arena would pass 4 GiB; nothing is appended then.
    pub(crate) fn append(&mut self, raw: &RawVerdicts<'_>) -> Result<bool, ArenaFull> {
        let base = u32::try_from(self.verdicts.len()).map_err(|_| ArenaFull)?;
        let replaced = u32::try_from(self.arena.len()).map_err(|_| ArenaFull)?;
        let added = raw.replaced_bytes.len() + raw.annotation_bytes.len();
        if u32::try_from(self.arena.len() + added).is_err() {
            return Err(ArenaFull);
        }
        self.arena.extend_from_slice(raw.replaced_bytes);
        let annotated = self.arena.len() as u32;
        self.arena.extend_from_slice(raw.annotation_bytes);

        let mut start = replaced;
        let mut ends = raw.replaced_ends.iter();
        let mut stopped = false;
        for &code in raw.codes {
            let verdict = match code {
                STOP => {
                    stopped = true;
                    Verdict::Stop
                }
                _ if stopped => Verdict::Stop,
                KEEP => Verdict::Keep,
                DROP => Verdict::Drop,
                _ => {
                    let end = replaced + ends.next().expect("validated: one end per replaced record");
                    let range = start..end;
                    start = end;
                    Verdict::Replace(range)
                }
            };
            self.verdicts.push(verdict);
        }
        let mut start = annotated;
        for (&record, &end) in raw.annotated.iter().zip(raw.annotation_ends) {
            let end = annotated + end;
            self.annotations.push((base + record, start..end));
            start = end;
        }
        Ok(stopped)
    }
}

/// The verdicts of one batch hold more than 4 GiB.
#[derive(Debug, thiserror::Error)]
#[error("the verdicts of one batch hold more than 4 GiB")]
pub(crate) struct ArenaFull;
