//! Runs filters natively, without a sandbox, in `cargo test`. It does not check the host's limits.
//!
//! ```
//! use weir_sdk::prelude::*;
//! use weir_sdk::testing::{FilterTest, Outcome, Record};
//!
//! /// Keeps what was written to stderr
//! #[filter(name = "stderr", columns = Columns::ATTRS)]
//! fn stderr(line: Line<'_>) -> bool {
//!     line.stream() == Stream::Stderr
//! }
//!
//! # fn main() -> Result<(), ParamError> {
//! let mut test = FilterTest::<Stderr>::open("{}")?;
//! let outcomes = test.run_records(&[Record::new("a").stderr(), Record::new("b")]);
//! assert_eq!(outcomes, [Outcome::keep(), Outcome::dropped()]);
//! # Ok(())
//! # }
//! ```
//!
//! Every run checks what the host would check or rely on: that verdicts are well formed, that a `select` changes
//! nothing, and that the promise of the filter's prefilter holds for every line it is given.

mod check;
mod golden;

pub use golden::{golden, params_schema};

pub use weir_golden::{Outcome, Record, Verdict};

use crate::{Batch, Columns, Driver, Filter, ParamError, Plan, SourceMeta, SourceVerdict};

/// A filter, opened for a test.
pub struct FilterTest<F: Filter> {
    driver: Driver<F>,
    plan: Plan,
    prefilter: Option<regex::bytes::Regex>,
}

impl<F: Filter> FilterTest<F> {
    /// Opens the filter and announces source 0, one without any identity.
    ///
    /// # Errors
    /// When the filter refuses the parameters.
    ///
    /// # Panics
    /// When its description or its prefilter breaks the contract.
    pub fn open(params_json: &str) -> Result<FilterTest<F>, ParamError> {
        check::description::<F>();
        let (driver, plan) = Driver::open(params_json)?;
        let prefilter = plan.prefilter.as_deref().map(check::prefilter::<F>);
        let mut test = FilterTest { driver, plan, prefilter };
        test.begin_source(SourceMeta::default());
        Ok(test)
    }

    /// What the filter asks the host for.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The promised expression, compiled as the host compiles it.
    pub fn prefilter(&self) -> Option<&regex::bytes::Regex> {
        self.prefilter.as_ref()
    }

    /// Announces a source: what comes next is of it. `id` 0 announces source 0 anew.
    pub fn begin_source(&mut self, source: SourceMeta) -> SourceVerdict {
        self.driver.begin_source(source)
    }

    /// Runs lines of source 0, without times, in one batch.
    ///
    /// # Panics
    /// When the filter breaks the contract or its promise.
    pub fn run(&mut self, lines: &[impl AsRef<[u8]>]) -> Vec<Outcome> {
        self.run_records(&lines.iter().map(Record::new).collect::<Vec<_>>())
    }

    /// Runs records of source 0 in one batch.
    ///
    /// # Panics
    /// As [`run`](FilterTest::run).
    pub fn run_records(&mut self, records: &[Record]) -> Vec<Outcome> {
        self.run_source(0, records)
    }

    /// Runs records of one source in one batch. As the host does, it splits the batch at a line that the filter
    /// gives up.
    ///
    /// # Panics
    /// As [`run`](FilterTest::run).
    pub fn run_source(&mut self, source: u32, records: &[Record]) -> Vec<Outcome> {
        let columns = ColumnBuffers::of(records, self.plan.columns);
        match self.driver.process(source, columns.batch()) {
            Ok(verdicts) => {
                let outcomes =
                    check::decode(&verdicts, records.len()).unwrap_or_else(|e| panic!("{}: {e}", F::NAME));
                for (record, outcome) in records.iter().zip(&outcomes) {
                    check::outcome::<F>(self.prefilter.as_ref(), &record.message, outcome);
                }
                outcomes
            }
            Err(error) => {
                let at = error.index as usize;
                assert!(at < records.len(), "{}: fails on record {at} of {}", F::NAME, records.len());
                let mut outcomes = self.run_source(source, &records[..at]);
                outcomes.push(Outcome::fail(error.message));
                outcomes.extend(self.run_source(source, &records[at + 1..]));
                outcomes
            }
        }
    }

    /// The summary.
    ///
    /// # Panics
    /// When an item is no JSON object.
    pub fn finish(&mut self) -> Vec<String> {
        let summary = self.driver.finish();
        for item in &summary {
            assert!(check::is_object(item.as_bytes()), "{}: a summary is no JSON object: {item}", F::NAME);
        }
        summary
    }

    /// The notes for the author.
    pub fn diagnostics(&mut self) -> Vec<String> {
        self.driver.diagnostics()
    }
}

/// Records as columns, laid out as the host does it: with bytes between messages that mean nothing.
struct ColumnBuffers {
    block: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    attrs: Vec<u8>,
}

impl ColumnBuffers {
    fn of(records: &[Record], asked: Columns) -> ColumnBuffers {
        let mut columns = ColumnBuffers {
            block: Vec::new(),
            starts: Vec::new(),
            ends: Vec::new(),
            timestamps: Vec::new(),
            attrs: Vec::new(),
        };
        for record in records {
            if asked.contains(Columns::MESSAGE) {
                columns.block.extend_from_slice(b"2026-01-01T00:00:00Z stdout F ");
                columns.starts.push(u32::try_from(columns.block.len()).expect("a test's batch is small"));
                columns.block.extend_from_slice(&record.message);
                columns.ends.push(u32::try_from(columns.block.len()).expect("a test's batch is small"));
                columns.block.push(b'\n');
            }
            if asked.contains(Columns::TIMESTAMP) {
                columns.timestamps.push(record.time);
            }
            if asked.contains(Columns::ATTRS) {
                columns.attrs.push(record.attrs);
            }
        }
        columns
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            block: &self.block,
            starts: &self.starts,
            ends: &self.ends,
            timestamps: &self.timestamps,
            attrs: &self.attrs,
        }
    }
}
