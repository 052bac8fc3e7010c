//! One instance of a filter in its own store: calls into it, the limits on them, and what went wrong.
//!
//! After a failed call the instance is not to be used again; whoever holds it drops it.

use std::sync::Arc;

use wasmtime::Store;

use crate::abi::weir::filter::types as wire;
use crate::abi::{LogFilter, LogFilterPre};
use crate::batch::Lists;
use crate::description::{Description, Kind, Plan, SourceMeta, SourceVerdict, check_description, check_plan};
use crate::engine::Runtime;
use crate::failure::{FailureReason, FilterFailure, GuestCall};
use crate::json;
use crate::limits::FilterLimits;
use crate::store::{Caller, HostState, Spent, new_store};
use crate::text::{cut, one_line};
use crate::verdicts::{RawVerdicts, oversized};

/// Bytes that any record may come out as, however short it is.
const RECORD_BYTES: usize = 64 << 10;

/// A filter's answer to `open`.
pub(crate) enum Opened {
    Plan(Plan),
    Refused(wire::ParamError),
}

/// A filter's answer to `process`.
pub(crate) enum Processed {
    Verdicts(wire::Verdicts),
    /// It names the record that it could not filter; the instance lives on.
    Failed {
        index: u32,
        failure: FilterFailure,
    },
}

/// A live instance.
pub(crate) struct Guest {
    store: Store<HostState>,
    exports: LogFilter,
    runtime: Arc<Runtime>,
    filter: Arc<str>,
    limits: FilterLimits,
    spent: Spent,
    is_fresh: bool,
}

impl Guest {
    pub(crate) fn new(
        runtime: &Arc<Runtime>,
        pre: &LogFilterPre<HostState>,
        filter: &Arc<str>,
        limits: &FilterLimits,
    ) -> Result<Guest, FilterFailure> {
        let mut store = new_store(runtime, limits);
        let mut spent = Spent::default();
        let caller = Caller { runtime, filter, limits };
        let instantiate = |store: &mut Store<HostState>| pre.instantiate(store);
        let exports = caller.call(GuestCall::Instantiate, &mut store, &mut spent, instantiate)?;
        Ok(Guest {
            store,
            exports,
            runtime: Arc::clone(runtime),
            filter: Arc::clone(filter),
            limits: limits.clone(),
            spent,
            is_fresh: true,
        })
    }

    pub(crate) fn describe(&mut self, schema_bytes: usize) -> Result<Description, FilterFailure> {
        let raw = self
            .call(GuestCall::Describe, |exports, store| exports.weir_filter_filter().call_describe(store))?;
        check_description(raw, schema_bytes).map_err(|problem| self.breach(GuestCall::Describe, problem))
    }

    pub(crate) fn open(&mut self, params: &str, kind: Kind) -> Result<Opened, FilterFailure> {
        let answer = self
            .call(GuestCall::Open, |exports, store| exports.weir_filter_filter().call_open(store, params))?;
        match answer {
            Ok(plan) => check_plan(plan, kind, self.limits.prefilter_bytes)
                .map(Opened::Plan)
                .map_err(|problem| self.breach(GuestCall::Open, problem)),
            Err(refused) => Ok(Opened::Refused(wire::ParamError {
                field: one_line(&refused.field),
                message: one_line(&refused.message),
            })),
        }
    }

    pub(crate) fn begin_source(
        &mut self,
        id: u32,
        meta: &SourceMeta,
    ) -> Result<SourceVerdict, FilterFailure> {
        let meta = meta.to_wire();
        let verdict = self.call(GuestCall::BeginSource, |exports, store| {
            exports.weir_filter_filter().call_begin_source(store, id, &meta)
        })?;
        Ok(match verdict {
            wire::SourceVerdict::Scan => SourceVerdict::Scan,
            wire::SourceVerdict::Skip => SourceVerdict::Skip,
        })
    }

    /// The verdicts are as they came: not yet checked, but for their size.
    pub(crate) fn process(&mut self, source: u32, lists: &Lists<'_>) -> Result<Processed, FilterFailure> {
        let Lists { block, starts, ends, timestamps, attrs, .. } = *lists;
        let answer = self.call(GuestCall::Process, |exports, store| {
            let filter = exports.weir_filter_filter();
            filter.call_process(store, source, block, starts, ends, timestamps, attrs)
        })?;
        match answer {
            Ok(verdicts) => {
                self.check_growth(&verdicts, lists)?;
                self.is_fresh = false;
                Ok(Processed::Verdicts(verdicts))
            }
            Err(wire::ProcessError { index, .. }) if index as usize >= lists.records => {
                let records = lists.records;
                Err(self.breach(
                    GuestCall::Process,
                    format!("the error names record {index} of a batch of {records}"),
                ))
            }
            Err(wire::ProcessError { index, message }) => {
                let failure = self.failure(GuestCall::Process, FailureReason::Reported, one_line(&message));
                Ok(Processed::Failed { index, failure })
            }
        }
    }

    /// Summary records, each a JSON object, and the failure of the first one that is not.
    pub(crate) fn finish(&mut self) -> Result<(Vec<String>, Option<FilterFailure>), FilterFailure> {
        let mut records =
            self.call(GuestCall::Finish, |exports, store| exports.weir_filter_filter().call_finish(store))?;
        let limit = self.limits.summaries;
        if records.len() > limit {
            let found = records.len();
            let detail = format!("{found} summary records; the limit summaries is {limit}");
            return Err(self.failure(GuestCall::Finish, FailureReason::Output, detail));
        }
        let (bytes, limit) = (records.iter().map(String::len).sum::<usize>(), self.limits.summary_bytes);
        if bytes > limit {
            let detail = format!("{bytes} bytes of summary records; the limit summary_bytes is {limit}");
            return Err(self.failure(GuestCall::Finish, FailureReason::Output, detail));
        }
        let mut breach = None;
        records.retain(|record| match json::check_object(record.as_bytes()) {
            Ok(()) => true,
            Err(problem) => {
                breach.get_or_insert(problem);
                false
            }
        });
        let breach =
            breach.map(|problem| self.breach(GuestCall::Finish, format!("a summary record is {problem}")));
        Ok((records, breach))
    }

    pub(crate) fn diagnostics(&mut self) -> Result<Vec<String>, FilterFailure> {
        let mut lines = self.call(GuestCall::Diagnostics, |exports, store| {
            exports.weir_filter_filter().call_diagnostics(store)
        })?;
        lines.truncate(self.limits.diagnostics);
        for line in &mut lines {
            cut(line, self.limits.diagnostic_bytes);
        }
        Ok(lines)
    }

    /// A failure of a call whose result broke the contract.
    pub(crate) fn breach(&self, call: GuestCall, detail: String) -> FilterFailure {
        self.failure(call, FailureReason::Contract, detail)
    }

    /// Whether it has filtered nothing yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// The time spent since this was last asked.
    pub(crate) fn take_spent(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }

    /// The most linear memory that the instance ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        self.store.data().peak_memory()
    }

    fn failure(&self, call: GuestCall, reason: FailureReason, detail: String) -> FilterFailure {
        FilterFailure { filter: self.filter.to_string(), call, reason, detail }
    }

    fn check_growth(&self, verdicts: &wire::Verdicts, lists: &Lists<'_>) -> Result<(), FilterFailure> {
        let growth = self.limits.output_growth;
        let found = verdicts.replaced_bytes.len() + verdicts.annotation_bytes.len();
        let allowed = lists
            .message_bytes
            .saturating_mul(growth as usize)
            .saturating_add(lists.records.saturating_mul(1024));
        if found <= allowed {
            return Ok(());
        }
        let detail = format!(
            "{found} bytes came out of {} bytes in {} records; the limit output_growth is {growth}",
            lists.message_bytes, lists.records
        );
        Err(self.failure(GuestCall::Process, FailureReason::Output, detail))
    }

    /// Checks what single records came out as, of verdicts that are otherwise good.
    pub(crate) fn check_records(
        &self,
        verdicts: &RawVerdicts<'_>,
        lists: &Lists<'_>,
    ) -> Result<(), FilterFailure> {
        let growth = self.limits.record_growth;
        let allowed = |record| lists.message_len(record).saturating_mul(growth as usize) + RECORD_BYTES;
        match oversized(verdicts, allowed) {
            None => Ok(()),
            Some((record, found)) => {
                let length = lists.message_len(record);
                let detail = format!(
                    "a record of {length} bytes came out as {found}; the limit record_growth is {growth}"
                );
                Err(self.failure(GuestCall::Process, FailureReason::Output, detail))
            }
        }
    }

    fn call<R>(
        &mut self,
        call: GuestCall,
        body: impl FnOnce(&LogFilter, &mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, FilterFailure> {
        let caller = Caller { runtime: &self.runtime, filter: &self.filter, limits: &self.limits };
        let exports = &self.exports;
        caller.call(call, &mut self.store, &mut self.spent, |store| body(exports, store))
    }
}
