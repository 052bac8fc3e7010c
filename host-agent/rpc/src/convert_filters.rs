//! Wire types of filters into ours and back: how a query names one, what one did, and listings. A part of
//! [`convert`](crate::convert).

use std::time::Duration;

use weir_query::{
    FilterFailure, FilterInfo, FilterList, FilterRef, FilterSpec, FilterStatus, FolderFile, Kind, OnFailure,
    QueryError, ShadowSpec,
};

use crate::convert::{invalid, nanoseconds};
use crate::shadow;
use crate::wire::v1;

/// Finds the component of a digest that whoever asks has uploaded, for a field.
pub(crate) type FindUpload<'a> = dyn Fn(&str, v1::Upload) -> Result<FilterRef, QueryError> + 'a;

/// A list of filters.
pub(crate) fn wire_filter_list(list: FilterList) -> v1::ListFiltersResponse {
    v1::ListFiltersResponse {
        filters: list.filters.into_iter().map(wire_filter_info).collect(),
        files: list.files.into_iter().map(wire_file).collect(),
    }
}

/// A list of filters.
///
/// # Errors
/// As [`filter_info`].
pub(crate) fn filter_list(wire: v1::ListFiltersResponse) -> Result<FilterList, String> {
    Ok(FilterList {
        filters: wire.filters.into_iter().map(filter_info).collect::<Result<_, _>>()?,
        files: wire.files.into_iter().map(file).collect(),
    })
}

fn wire_file(file: FolderFile) -> v1::FilterFile {
    let state = match (&file.problem, &file.filter) {
        (None, _) => v1::FilterFileState::Loaded,
        (Some(_), None) => v1::FilterFileState::Refused,
        (Some(_), Some(_)) => v1::FilterFileState::Kept,
    };
    let FolderFile { file, filter, digest, size, problem } = file;
    v1::FilterFile {
        file,
        filter: filter.unwrap_or_default(),
        digest,
        size,
        state: state.into(),
        problem: problem.unwrap_or_default(),
    }
}

fn file(wire: v1::FilterFile) -> FolderFile {
    let v1::FilterFile { file, filter, digest, size, problem, .. } = wire;
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    FolderFile { file, filter: told(filter), digest, size, problem: told(problem) }
}

/// A filter for a listing.
pub(crate) fn wire_filter_info(info: FilterInfo) -> v1::Filter {
    v1::Filter {
        name: info.name,
        version: info.version,
        kind: wire_kind(info.kind).into(),
        summary: info.summary,
        params_schema: info.params_schema,
        digest: info.digest,
        size: info.size,
        file: info.file,
    }
}

/// A filter of a listing.
///
/// # Errors
/// A kind that isn't known.
pub(crate) fn filter_info(wire: v1::Filter) -> Result<FilterInfo, String> {
    Ok(FilterInfo {
        kind: kind(wire.kind)?,
        name: wire.name,
        version: wire.version,
        summary: wire.summary,
        params_schema: wire.params_schema,
        digest: wire.digest,
        size: wire.size,
        file: wire.file,
    })
}

/// Reads a filter and its parameters; `field` is what errors call it.
///
/// # Errors
/// No filter, an enum's value that isn't known; what `uploaded` says.
pub(crate) fn filter_spec(
    field: &str,
    wire: v1::FilterSpec,
    uploaded: &FindUpload<'_>,
) -> Result<FilterSpec, QueryError> {
    let filter = match wire.filter {
        Some(v1::filter_spec::Filter::Name(name)) => FilterRef::Name(name),
        Some(v1::filter_spec::Filter::Upload(upload)) => uploaded(field, upload)?,
        None => return Err(invalid(field, "names no filter; set name or upload")),
    };
    let on_failure = match v1::OnFailure::try_from(wire.on_failure) {
        Ok(v1::OnFailure::Unspecified) => OnFailure::Kind,
        Ok(v1::OnFailure::Pass) => OnFailure::Pass,
        Ok(v1::OnFailure::Drop) => OnFailure::Drop,
        Ok(v1::OnFailure::End) => OnFailure::End,
        Err(_) => {
            let message = format!("{} means nothing here", wire.on_failure);
            return Err(invalid(&format!("{field}.on_failure"), &message));
        }
    };
    let shadow =
        wire.shadow.map(|shadow| shadow_spec(&format!("{field}.shadow"), shadow, uploaded)).transpose()?;
    let limits = wire.limits.into_iter().collect();
    Ok(FilterSpec { filter, params: wire.params, limits, on_failure, shadow })
}

fn shadow_spec(
    field: &str,
    wire: v1::ShadowSpec,
    uploaded: &FindUpload<'_>,
) -> Result<ShadowSpec, QueryError> {
    let filter = match wire.filter {
        Some(v1::shadow_spec::Filter::Name(name)) => FilterRef::Name(name),
        Some(v1::shadow_spec::Filter::Upload(upload)) => uploaded(field, upload)?,
        None => return Err(invalid(field, "names no filter; set name or upload")),
    };
    Ok(ShadowSpec { filter, params: wire.params })
}

fn wire_shadow_spec(spec: &ShadowSpec) -> v1::ShadowSpec {
    let filter = match wire_filter(&spec.filter) {
        WireFilter::Name(name) => v1::shadow_spec::Filter::Name(name),
        WireFilter::Upload(upload) => v1::shadow_spec::Filter::Upload(upload),
    };
    v1::ShadowSpec { filter: Some(filter), params: spec.params.clone() }
}

/// How a filter is named on the wire, wherever one is.
enum WireFilter {
    Name(String),
    Upload(v1::Upload),
}

fn wire_filter(filter: &FilterRef) -> WireFilter {
    let (label, digest) = match filter {
        FilterRef::Name(name) => return WireFilter::Name(name.clone()),
        FilterRef::Component { label, bytes, .. } => (label, weir_query::digest(bytes)),
        FilterRef::Uploaded { label, component } => (label, component.digest.clone()),
    };
    WireFilter::Upload(v1::Upload { label: label.clone(), digest })
}

/// A filter and its parameters.
pub(crate) fn wire_filter_spec(spec: &FilterSpec) -> v1::FilterSpec {
    let filter = match wire_filter(&spec.filter) {
        WireFilter::Name(name) => v1::filter_spec::Filter::Name(name),
        WireFilter::Upload(upload) => v1::filter_spec::Filter::Upload(upload),
    };
    let on_failure = match spec.on_failure {
        OnFailure::Kind => v1::OnFailure::Unspecified,
        OnFailure::Pass => v1::OnFailure::Pass,
        OnFailure::Drop => v1::OnFailure::Drop,
        OnFailure::End => v1::OnFailure::End,
    };
    let limits = spec.limits.iter().map(|(name, value)| (name.clone(), *value)).collect();
    v1::FilterSpec {
        filter: Some(filter),
        params: spec.params.clone(),
        limits,
        on_failure: on_failure.into(),
        shadow: spec.shadow.as_ref().map(wire_shadow_spec),
    }
}

/// What a filter did.
pub(crate) fn wire_filter_status(status: FilterStatus) -> v1::FilterStatus {
    v1::FilterStatus {
        index: status.index,
        name: status.name,
        version: status.version,
        digest: status.digest,
        kind: wire_kind(status.kind).into(),
        records_in: status.records_in,
        skipped_by_prefilter: status.skipped_by_prefilter,
        kept: status.kept,
        dropped: status.dropped,
        replaced: status.replaced,
        withheld: status.withheld,
        failed: status.failed,
        time: nanoseconds(status.time),
        peak_memory: status.peak_memory,
        compile_cached: status.compile_cached,
        compile_time: nanoseconds(status.compile_time),
        failures: status.failures.into_iter().map(wire_filter_failure).collect(),
        diagnostics: status.diagnostics,
        summaries: status.summaries,
        paused: status.paused,
        breaker_opened: status.breaker_opened,
        shadow: status.shadow.map(|shadow| Box::new(shadow::wire(*shadow))),
    }
}

fn wire_filter_failure(failure: FilterFailure) -> v1::FilterFailure {
    let FilterFailure { call, reason, detail, source, place } = failure;
    let place = place.map(|(file, offset)| v1::filter_failure::Place { file, offset });
    v1::FilterFailure { call, reason, detail, source, place }
}

fn filter_failure(wire: v1::FilterFailure) -> FilterFailure {
    let v1::FilterFailure { call, reason, detail, source, place } = wire;
    FilterFailure { call, reason, detail, source, place: place.map(|place| (place.file, place.offset)) }
}

/// What a filter did.
///
/// # Errors
/// A kind, or something in what its shadow did, that isn't known.
pub(crate) fn filter_status(wire: v1::FilterStatus) -> Result<FilterStatus, String> {
    Ok(FilterStatus {
        kind: kind(wire.kind)?,
        index: wire.index,
        name: wire.name,
        version: wire.version,
        digest: wire.digest,
        records_in: wire.records_in,
        skipped_by_prefilter: wire.skipped_by_prefilter,
        kept: wire.kept,
        dropped: wire.dropped,
        replaced: wire.replaced,
        withheld: wire.withheld,
        failed: wire.failed,
        time: Duration::from_nanos(wire.time),
        peak_memory: wire.peak_memory,
        compile_cached: wire.compile_cached,
        compile_time: Duration::from_nanos(wire.compile_time),
        failures: wire.failures.into_iter().map(filter_failure).collect(),
        diagnostics: wire.diagnostics,
        summaries: wire.summaries,
        paused: wire.paused,
        breaker_opened: wire.breaker_opened,
        shadow: wire.shadow.map(|wire| shadow::status(*wire).map(Box::new)).transpose()?,
    })
}

pub(crate) fn wire_kind(kind: Kind) -> v1::FilterKind {
    match kind {
        Kind::Select => v1::FilterKind::Select,
        Kind::Transform => v1::FilterKind::Transform,
        Kind::Redact => v1::FilterKind::Redact,
        Kind::Aggregate => v1::FilterKind::Aggregate,
    }
}

pub(crate) fn kind(value: i32) -> Result<Kind, String> {
    match v1::FilterKind::try_from(value) {
        Ok(v1::FilterKind::Select) => Ok(Kind::Select),
        Ok(v1::FilterKind::Transform) => Ok(Kind::Transform),
        Ok(v1::FilterKind::Redact) => Ok(Kind::Redact),
        Ok(v1::FilterKind::Aggregate) => Ok(Kind::Aggregate),
        Ok(v1::FilterKind::Unspecified) | Err(_) => Err(format!("a filter of unknown kind {value}")),
    }
}
