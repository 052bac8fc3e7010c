//! What a filter beside another one would have done, as a query tells it.

use crate::FilterStatus;

/// What a filter beside another one would have done, and how that differs. Each record counts once at the most.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowStatus {
    /// What it did, and what that cost.
    pub status: FilterStatus,
    /// Records that both have seen.
    pub compared: u64,
    /// Records that one of them has failed on, and the other has not.
    pub failed: u64,
    /// Records that one of them has dropped, and the other has not.
    pub dropped: u64,
    /// Records whose message comes out of them in two ways.
    pub messages: u64,
    /// Records to which they add different fields.
    pub fields: u64,
    /// Summary records of aggregates that differ, in their order.
    pub summaries: u64,
    /// Records that it was not handed, since its time was over.
    pub left_out: u64,
    /// Its time was over before the query's end: [`QueryLimits::shadow_time`](crate::QueryLimits::shadow_time).
    pub spent: bool,
    /// The first records that differ.
    pub samples: Vec<ShadowSample>,
}

impl ShadowStatus {
    /// That of a shadow that has done nothing yet.
    pub(crate) fn of(status: FilterStatus) -> ShadowStatus {
        ShadowStatus {
            status,
            compared: 0,
            failed: 0,
            dropped: 0,
            messages: 0,
            fields: 0,
            summaries: 0,
            left_out: 0,
            spent: false,
            samples: Vec::new(),
        }
    }

    /// Records that differ.
    pub fn differing(&self) -> u64 {
        self.failed + self.dropped + self.messages + self.fields
    }
}

/// A record that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowSample {
    /// Number of its source.
    pub source: u32,
    /// Its file in the source's list of files.
    pub file: u32,
    /// Offset of its first byte in that file.
    pub offset: u64,
    /// In what.
    pub difference: Difference,
    /// What came out of the filter.
    pub filter: SampleSide,
    /// What would have come out of the filter beside it; of a redaction without its text, which may hold what the
    /// filter has taken out.
    pub shadow: SampleSide,
}

/// What comes out of a filter for one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleSide {
    /// What became of the record.
    pub outcome: Outcome,
    /// The message's first bytes, where it stays.
    pub message: Vec<u8>,
    /// The first bytes of the fields that were added.
    pub fields: Vec<u8>,
}

/// In what two filters differ about a record: the first of these that they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// One of them has failed.
    Failed,
    /// One of them drops it. A stop drops its record and all later ones.
    Dropped,
    /// The message.
    Message,
    /// The fields that are added.
    Fields,
}

/// What a filter does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays as it is.
    Kept,
    /// It goes.
    Dropped,
    /// It stays with another message.
    Replaced,
    /// The filter has failed on it.
    Failed,
}

impl Outcome {
    /// The outcome in one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Kept => "kept",
            Outcome::Dropped => "dropped",
            Outcome::Replaced => "replaced",
            Outcome::Failed => "failed",
        }
    }
}
