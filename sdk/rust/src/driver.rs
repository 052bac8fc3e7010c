//! A filter at work: opened once, handed sources and batches. The same code runs in the sandbox and in tests.

use crate::params::{ParamError, Params};
use crate::source::Sources;
use crate::{Batch, Columns, Filter, Kind, Lines, ProcessError, SourceMeta, SourceVerdict, Verdicts};

/// How the host is to call a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The columns that it reads.
    pub columns: Columns,
    /// The regular expression it promises; see [`Select::prefilter`](crate::Select::prefilter).
    pub prefilter: Option<String>,
}

/// An opened filter with its sources.
pub struct Driver<F: Filter> {
    filter: F,
    scratch: <F::Kind as Kind<F>>::Scratch,
    sources: Sources,
}

impl<F: Filter> Driver<F> {
    /// Opens the filter with a JSON object of parameters.
    ///
    /// # Errors
    /// When the parameters are refused; the error names the field.
    pub fn open(params_json: &str) -> Result<(Driver<F>, Plan), ParamError> {
        let filter = <F::Kind as Kind<F>>::open(Params::parse(params_json)?)?;
        let plan = Plan {
            columns: <F::Kind as Kind<F>>::COLUMNS,
            prefilter: <F::Kind as Kind<F>>::prefilter(&filter),
        };
        Ok((Driver { filter, scratch: Default::default(), sources: Sources::default() }, plan))
    }

    /// Announces a source.
    pub fn begin_source(&mut self, source: SourceMeta) -> SourceVerdict {
        <F::Kind as Kind<F>>::begin_source(&mut self.filter, self.sources.insert(source))
    }

    /// Runs a batch of lines of one source.
    ///
    /// # Errors
    /// The line that the filter gave up; it lives on.
    pub fn process(&mut self, source: u32, batch: Batch<'_>) -> Result<Verdicts, ProcessError> {
        let mut verdicts = Verdicts::with_capacity(batch.len());
        let lines = Lines::new(batch, <F::Kind as Kind<F>>::COLUMNS, self.sources.get(source));
        <F::Kind as Kind<F>>::process(&mut self.filter, &mut self.scratch, lines, &mut verdicts)?;
        Ok(verdicts)
    }

    /// The summary, after the last batch.
    pub fn finish(&mut self) -> Vec<String> {
        <F::Kind as Kind<F>>::finish(&mut self.filter)
    }

    /// Notes for the filter's author.
    pub fn diagnostics(&mut self) -> Vec<String> {
        <F::Kind as Kind<F>>::diagnostics(&mut self.filter)
    }
}
