//! The traits a filter implements, one per kind, and what makes each of them a filter of the contract.

use crate::out::Scratch;
use crate::params::{ParamError, Params};
use crate::verdicts::{DROP, KEEP};
use crate::{Columns, Line, Lines, Out, ProcessError, SourceMeta, SourceVerdict, Verdicts};

/// A filter that keeps or drops lines and never changes one.
pub trait Select: Sized + 'static {
    /// Its parameters; `()` for none.
    type Params: Params;

    /// The columns it reads. What it does not name here is not handed over.
    const COLUMNS: Columns = Columns::MESSAGE;

    /// Makes the filter ready to run: compiles, checks what a type cannot check.
    ///
    /// # Errors
    /// A [`ParamError`] that names the field at fault and says what would be right.
    fn open(params: Self::Params) -> Result<Self, ParamError>;

    /// A regular expression (syntax of the `regex` crate, matched on the message's bytes) that **every message
    /// this filter keeps must match**. The host runs it natively, so that lines without a match never enter the
    /// sandbox. When no such promise can be made, there is none. The test kit checks the promise.
    fn prefilter(&self) -> Option<String> {
        None
    }

    /// Called once per source, before its first line.
    fn begin_source(&mut self, source: &SourceMeta) -> SourceVerdict {
        let _ = source;
        SourceVerdict::Scan
    }

    /// Whether the line is kept.
    fn keep(&mut self, line: Line<'_>) -> bool;

    /// Asked before each line: true when no line from here on, of any source, can be kept. The host then stops
    /// reading.
    fn is_done(&self) -> bool {
        false
    }

    /// Notes for the filter's author, handed out once, at the end.
    fn diagnostics(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A filter that may rewrite lines. With `kind = redact` it is one whose failure withholds the line.
pub trait Transform: Sized + 'static {
    /// Its parameters; `()` for none.
    type Params: Params;

    /// The columns it reads. What it does not name here is not handed over.
    const COLUMNS: Columns = Columns::MESSAGE;

    /// As [`Select::open`].
    ///
    /// # Errors
    /// A [`ParamError`] that names the field at fault and says what would be right.
    fn open(params: Self::Params) -> Result<Self, ParamError>;

    /// A regular expression, as in [`Select::prefilter`], but with another promise: **a message that does not
    /// match it comes out unchanged**, with no field added.
    fn prefilter(&self) -> Option<String> {
        None
    }

    /// Called once per source, before its first line.
    fn begin_source(&mut self, source: &SourceMeta) -> SourceVerdict {
        let _ = source;
        SourceVerdict::Scan
    }

    /// Decides about one line through `out`; a line about which nothing is said is kept as it is.
    fn line(&mut self, line: Line<'_>, out: &mut Out<'_>);

    /// Notes for the filter's author, handed out once, at the end.
    fn diagnostics(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A filter that looks at every line and tells a summary at the end.
pub trait Aggregate: Sized + 'static {
    /// Its parameters; `()` for none.
    type Params: Params;

    /// The columns it reads. What it does not name here is not handed over.
    const COLUMNS: Columns = Columns::MESSAGE;

    /// Whether the lines themselves pass; by default only the summary is left of them.
    const PASSES_LINES: bool = false;

    /// As [`Select::open`].
    ///
    /// # Errors
    /// A [`ParamError`] that names the field at fault and says what would be right.
    fn open(params: Self::Params) -> Result<Self, ParamError>;

    /// Called once per source, before its first line.
    fn begin_source(&mut self, source: &SourceMeta) -> SourceVerdict {
        let _ = source;
        SourceVerdict::Scan
    }

    /// Takes one line into account.
    fn line(&mut self, line: Line<'_>);

    /// The summary: one JSON object per item.
    fn finish(&mut self) -> Vec<String>;

    /// Notes for the filter's author, handed out once, at the end.
    fn diagnostics(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A named filter: what [`export!`](crate::export) and [`#[filter]`](macro@crate::filter) make of a type with one
/// of the traits above. Nobody implements it by hand.
pub trait Filter: Sized + 'static {
    /// What kind of filter it is.
    type Kind: Kind<Self>;
    /// Lower-case name, `[a-z0-9-]{1,63}`, that neither starts nor ends with `-`.
    const NAME: &'static str;
    /// Semantic version: the version of the crate.
    const VERSION: &'static str;
    /// One line for listings, without a final period.
    const SUMMARY: &'static str;
}

/// The kinds of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindName {
    /// Keeps or drops.
    Select,
    /// May rewrite.
    Transform,
    /// Rewrites, and its failure withholds the line.
    Redact,
    /// Tells a summary at the end.
    Aggregate,
}

/// How lines are run through a filter `F`: one implementation per trait, so that the batch loop is compiled for
/// the filter with nothing between.
pub trait Kind<F> {
    /// The contract's name of it.
    const NAME: KindName;
    /// The columns of `F`.
    const COLUMNS: Columns;
    /// The parameters of `F`.
    type Params: Params;
    /// What is kept from batch to batch beside the filter.
    type Scratch: Default;

    /// Opens the filter.
    ///
    /// # Errors
    /// As [`Select::open`].
    fn open(params: Self::Params) -> Result<F, ParamError>;
    /// The filter's prefilter.
    fn prefilter(filter: &F) -> Option<String>;
    /// Announces a source.
    fn begin_source(filter: &mut F, source: &SourceMeta) -> SourceVerdict;
    /// Runs a batch.
    ///
    /// # Errors
    /// The line that the filter gave up.
    fn process(
        filter: &mut F,
        scratch: &mut Self::Scratch,
        lines: Lines<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), ProcessError>;
    /// The summary.
    fn finish(filter: &mut F) -> Vec<String>;
    /// Notes for the author.
    fn diagnostics(filter: &mut F) -> Vec<String>;
}

/// Kind of a [`Select`].
#[derive(Debug)]
pub enum SelectKind {}
/// Kind of a [`Transform`].
#[derive(Debug)]
pub enum TransformKind {}
/// Kind of a [`Transform`] whose failure withholds the line.
#[derive(Debug)]
pub enum RedactKind {}
/// Kind of an [`Aggregate`].
#[derive(Debug)]
pub enum AggregateKind {}

impl<F: Select> Kind<F> for SelectKind {
    const NAME: KindName = KindName::Select;
    const COLUMNS: Columns = F::COLUMNS;
    type Params = F::Params;
    type Scratch = ();

    fn open(params: F::Params) -> Result<F, ParamError> {
        F::open(params)
    }

    fn prefilter(filter: &F) -> Option<String> {
        filter.prefilter()
    }

    fn begin_source(filter: &mut F, source: &SourceMeta) -> SourceVerdict {
        filter.begin_source(source)
    }

    fn process(
        filter: &mut F,
        (): &mut (),
        lines: Lines<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), ProcessError> {
        for index in 0..lines.len() {
            if filter.is_done() {
                verdicts.stop(lines.len());
                break;
            }
            verdicts.push(if filter.keep(lines.get(index)) { KEEP } else { DROP });
        }
        Ok(())
    }

    fn finish(_filter: &mut F) -> Vec<String> {
        Vec::new()
    }

    fn diagnostics(filter: &mut F) -> Vec<String> {
        filter.diagnostics()
    }
}

macro_rules! transform_kind {
    ($kind:ident, $name:ident) => {
        impl<F: Transform> Kind<F> for $kind {
            const NAME: KindName = KindName::$name;
            const COLUMNS: Columns = F::COLUMNS;
            type Params = F::Params;
            type Scratch = TransformScratch;

            fn open(params: F::Params) -> Result<F, ParamError> {
                F::open(params)
            }

            fn prefilter(filter: &F) -> Option<String> {
                filter.prefilter()
            }

            fn begin_source(filter: &mut F, source: &SourceMeta) -> SourceVerdict {
                filter.begin_source(source)
            }

            fn process(
                filter: &mut F,
                scratch: &mut TransformScratch,
                lines: Lines<'_>,
                verdicts: &mut Verdicts,
            ) -> Result<(), ProcessError> {
                for index in 0..lines.len() {
                    filter.line(lines.get(index), &mut scratch.0.begin());
                    match scratch.0.commit(verdicts) {
                        Ok(false) => {}
                        Ok(true) => {
                            verdicts.stop(lines.len());
                            break;
                        }
                        Err(message) => {
                            let index = u32::try_from(index).expect("a batch is addressed by 32-bit offsets");
                            return Err(ProcessError { index, message });
                        }
                    }
                }
                Ok(())
            }

            fn finish(_filter: &mut F) -> Vec<String> {
                Vec::new()
            }

            fn diagnostics(filter: &mut F) -> Vec<String> {
                filter.diagnostics()
            }
        }
    };
}
transform_kind!(TransformKind, Transform);
transform_kind!(RedactKind, Redact);

/// The buffers of a transform, kept from batch to batch.
#[derive(Debug, Default)]
pub struct TransformScratch(Scratch);

impl<F: Aggregate> Kind<F> for AggregateKind {
    const NAME: KindName = KindName::Aggregate;
    const COLUMNS: Columns = F::COLUMNS;
    type Params = F::Params;
    type Scratch = ();

    fn open(params: F::Params) -> Result<F, ParamError> {
        F::open(params)
    }

    fn prefilter(_filter: &F) -> Option<String> {
        None
    }

    fn begin_source(filter: &mut F, source: &SourceMeta) -> SourceVerdict {
        filter.begin_source(source)
    }

    fn process(
        filter: &mut F,
        (): &mut (),
        lines: Lines<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), ProcessError> {
        for index in 0..lines.len() {
            filter.line(lines.get(index));
            verdicts.push(if F::PASSES_LINES { KEEP } else { DROP });
        }
        Ok(())
    }

    fn finish(filter: &mut F) -> Vec<String> {
        filter.finish()
    }

    fn diagnostics(filter: &mut F) -> Vec<String> {
        filter.diagnostics()
    }
}
