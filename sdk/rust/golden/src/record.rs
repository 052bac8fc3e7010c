//! One record to hand to a filter, and what became of it.

use jiff::Timestamp;

/// Bits of [`Record::attrs`], as the contract has them.
const STDERR: u8 = 1;
const TRUNCATED: u8 = 2;
const MALFORMED: u8 = 4;

/// One record to hand to a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes.
    pub message: Vec<u8>,
    /// Nanoseconds since 1970-01-01T00:00:00Z; -1 without a time.
    pub time: i64,
    /// Bit 0 set for stderr, bit 1 cut at the line limit, bit 2 malformed.
    pub attrs: u8,
}

impl Record {
    /// A line of stdout, without a time.
    pub fn new(message: impl AsRef<[u8]>) -> Record {
        Record { message: message.as_ref().to_vec(), time: -1, attrs: 0 }
    }

    /// With that time, in nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn at_ns(mut self, time: i64) -> Record {
        self.time = time;
        self
    }

    /// With that time, in RFC 3339.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn at(self, time: &str) -> Record {
        let ns = parse_time(time).unwrap_or_else(|e| panic!("{e}"));
        self.at_ns(ns)
    }

    /// Written to stderr.
    #[must_use]
    pub fn stderr(mut self) -> Record {
        self.attrs |= STDERR;
        self
    }

    /// Cut at the line limit.
    #[must_use]
    pub fn truncated(mut self) -> Record {
        self.attrs |= TRUNCATED;
        self
    }

    /// Not of its log format.
    #[must_use]
    pub fn malformed(mut self) -> Record {
        self.attrs |= MALFORMED;
        self
    }
}

/// Nanoseconds since the epoch of a time in RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    let time: Timestamp = text.parse().map_err(|e| format!("{text:?} is no RFC 3339 time: {e}"))?;
    i64::try_from(time.as_nanosecond()).map_err(|_| format!("{text:?} is not between 1678 and 2262"))
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The fields added to it, a JSON object.
    pub fields: Option<String>,
}

/// The verdict on one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Passes as it is.
    Keep,
    /// Is left out.
    Drop,
    /// Passes with this message.
    Replace(Vec<u8>),
    /// Is left out with all that come after.
    Stop,
    /// The filter gave the line up, or failed on it, with this message.
    Fail(String),
}

impl Outcome {
    /// Kept as it is.
    #[must_use]
    pub fn keep() -> Outcome {
        Outcome { verdict: Verdict::Keep, fields: None }
    }

    /// Left out.
    #[must_use]
    pub fn dropped() -> Outcome {
        Outcome { verdict: Verdict::Drop, fields: None }
    }

    /// Left out with all that come after.
    #[must_use]
    pub fn stop() -> Outcome {
        Outcome { verdict: Verdict::Stop, fields: None }
    }

    /// Kept with that message.
    pub fn replace(message: impl AsRef<[u8]>) -> Outcome {
        Outcome { verdict: Verdict::Replace(message.as_ref().to_vec()), fields: None }
    }

    /// Failed on, with that message.
    pub fn fail(message: impl Into<String>) -> Outcome {
        Outcome { verdict: Verdict::Fail(message.into()), fields: None }
    }

    /// The same with added fields, a JSON object.
    #[must_use]
    pub fn with_fields(mut self, object: &str) -> Outcome {
        self.fields = Some(object.to_owned());
        self
    }

    /// Whether the line is left of it, changed or not.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self.verdict, Verdict::Keep | Verdict::Replace(_))
    }

    /// Whether it has come out as `before`, nothing added.
    #[must_use]
    pub fn is_unchanged(&self, before: &[u8]) -> bool {
        self.fields.is_none() && self.message(before) == Some(before)
    }

    /// Whether it is what a prefilter promises of a line that doesn't match: a select doesn't keep it, other filters
    /// don't change it.
    #[must_use]
    pub fn is_promised(&self, selects: bool, before: &[u8]) -> bool {
        if selects { !self.is_kept() } else { self.is_unchanged(before) }
    }

    /// The message after the filter, given the one before; `None` when the line is left out.
    #[must_use]
    pub fn message<'a>(&'a self, before: &'a [u8]) -> Option<&'a [u8]> {
        match &self.verdict {
            Verdict::Keep => Some(before),
            Verdict::Replace(after) => Some(after),
            Verdict::Drop | Verdict::Stop | Verdict::Fail(_) => None,
        }
    }
}
