//! Between the generated bindings of `wit/filter.wit` and the driver. Guest only, and not an author's business:
//! only [`export!`](crate::export) names what is here.
//!
//! The bindings are `wit-bindgen`'s, and so is the only unsafe code of this crate. `tests/bindings.rs` makes them anew
//! and compares.

use std::cell::RefCell;

use crate::{Batch, Columns, Driver, Filter, Kind, KindName, params};

#[allow(unsafe_code, reason = "generated: lowers and lifts the canonical ABI")]
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
#[rustfmt::skip]
mod bindings;

pub use bindings::__export_log_filter;
pub use bindings::exports;
pub use bindings::exports::weir::filter::filter::{
    Description, Guest, ParamError, Plan, ProcessError, SourceMeta, SourceVerdict, Verdicts,
};
pub use wit_bindgen::rt;

/// The one filter of a component instance.
pub struct Slot<F: Filter>(RefCell<Option<Driver<F>>>);

impl<F: Filter> Slot<F> {
    /// Not open yet.
    #[must_use]
    pub const fn new() -> Slot<F> {
        Slot(RefCell::new(None))
    }

    /// See the contract's `open`.
    ///
    /// # Errors
    /// When the filter refuses its parameters.
    pub fn open(&self, params: &str) -> Result<Plan, ParamError> {
        let (driver, plan) = Driver::open(params).map_err(param_error)?;
        *self.0.borrow_mut() = Some(driver);
        Ok(Plan { columns: columns(plan.columns), prefilter: plan.prefilter })
    }

    /// See the contract's `begin-source`.
    pub fn begin_source(&self, id: u32, meta: SourceMeta) -> SourceVerdict {
        let SourceMeta { namespace, pod, container, node, restart, labels } = meta;
        let source = crate::SourceMeta { id, namespace, pod, container, node, restart, labels };
        match self.opened(|driver| driver.begin_source(source)) {
            crate::SourceVerdict::Scan => SourceVerdict::Scan,
            crate::SourceVerdict::Skip => SourceVerdict::Skip,
        }
    }

    /// See the contract's `process`.
    ///
    /// # Errors
    /// The line that the filter gave up.
    pub fn process(&self, source: u32, batch: Batch<'_>) -> Result<Verdicts, ProcessError> {
        match self.opened(|driver| driver.process(source, batch)) {
            Ok(v) => Ok(Verdicts {
                codes: v.codes,
                replaced_ends: v.replaced_ends,
                replaced_bytes: v.replaced_bytes,
                annotated: v.annotated,
                annotation_ends: v.annotation_ends,
                annotation_bytes: v.annotation_bytes,
            }),
            Err(error) => Err(ProcessError { index: error.index, message: error.message }),
        }
    }

    /// See the contract's `finish`.
    pub fn finish(&self) -> Vec<String> {
        self.opened(Driver::finish)
    }

    /// See the contract's `diagnostics`.
    pub fn diagnostics(&self) -> Vec<String> {
        self.opened(Driver::diagnostics)
    }

    fn opened<T>(&self, f: impl FnOnce(&mut Driver<F>) -> T) -> T {
        f(self.0.borrow_mut().as_mut().expect("the contract has `open` called first"))
    }
}

impl<F: Filter> Default for Slot<F> {
    fn default() -> Slot<F> {
        Slot::new()
    }
}

/// See the contract's `describe`.
#[must_use]
pub fn describe<F: Filter>() -> Description {
    use bindings::weir::filter::types::Kind as Wire;
    Description {
        name: F::NAME.to_owned(),
        version: F::VERSION.to_owned(),
        kind: match <F::Kind as Kind<F>>::NAME {
            KindName::Select => Wire::Select,
            KindName::Transform => Wire::Transform,
            KindName::Redact => Wire::Redact,
            KindName::Aggregate => Wire::Aggregate,
        },
        summary: F::SUMMARY.to_owned(),
        params_schema: <<F::Kind as Kind<F>>::Params as params::Params>::json_schema(),
    }
}

fn columns(columns: Columns) -> bindings::weir::filter::types::Columns {
    use bindings::weir::filter::types::Columns as Wire;
    let mut wire = Wire::empty();
    wire.set(Wire::MESSAGE, columns.contains(Columns::MESSAGE));
    wire.set(Wire::TIMESTAMP, columns.contains(Columns::TIMESTAMP));
    wire.set(Wire::ATTRS, columns.contains(Columns::ATTRS));
    wire
}

fn param_error(error: params::ParamError) -> ParamError {
    ParamError { field: error.field, message: error.message }
}
