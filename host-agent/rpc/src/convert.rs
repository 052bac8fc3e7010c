//! Wire types into ours and back: requests, events and listings. Columns of records are [`batch`]'s part.
//!
//! What a client sends is checked as [`QueryError::Invalid`], by the field's name on the wire; what a server
//! sends is checked as text, for the client to report.

use std::num::NonZeroU64;
use std::time::Duration;

use weir_query::{
    Bucket, Case, Context, Count, Direction, Event, FileInfo, FilterFailure, FilterInfo, FilterList,
    FilterRef, FilterSpec, FilterStatus, FolderFile, Gap, Kind, Limit, OnFailure, Output, PatternSpec,
    Progress, QueryError, QuerySpec, ResumeToken, ShadowSpec, Source, SourceInfo, SourceStatus, Summary,
};

use crate::wire::v1;
use crate::{batch, shadow};
use v1::query_response::Event as WireEvent;

/// Finds the component of a digest that whoever asks has uploaded, for a field.
pub(crate) type FindUpload<'a> = dyn Fn(&str, v1::Upload) -> Result<FilterRef, QueryError> + 'a;

/// Reads a request.
///
/// # Errors
/// An enum's value that isn't known, a part that must be there and isn't, a number out of range; what `uploaded` says.
pub(crate) fn query_spec(wire: v1::QueryRequest, uploaded: &FindUpload<'_>) -> Result<QuerySpec, QueryError> {
    let direction = match known::<v1::Direction>("direction", wire.direction)? {
        v1::Direction::Unspecified | v1::Direction::Forward => Direction::Forward,
        v1::Direction::Backward => Direction::Backward,
    };
    let limit = match wire.limit {
        None => Limit::All,
        Some(v1::query_request::Limit::Head(count)) => Limit::Head(count),
        Some(v1::query_request::Limit::Tail(count)) => Limit::Tail(count),
    };
    let context = wire.context.unwrap_or_default();
    let context = Context {
        before: records("context.before", context.before)?,
        after: records("context.after", context.after)?,
    };
    let output = match wire.output {
        None => Output::Records,
        Some(v1::query_request::Output::Count(count)) => Output::Count { per_source: count.per_source },
        Some(v1::query_request::Output::Histogram(histogram)) => Output::Histogram {
            step: NonZeroU64::new(histogram.step)
                .ok_or_else(|| invalid("histogram.step", "is 0 nanoseconds wide; give at least 1"))?,
            per_source: histogram.per_source,
        },
    };
    Ok(QuerySpec {
        sources: wire.sources,
        pattern: pattern(wire.pattern.unwrap_or_default())?,
        since: wire.since,
        until: wire.until,
        direction,
        limit,
        context,
        filters: wire
            .filters
            .into_iter()
            .enumerate()
            .map(|(index, filter)| filter_spec(&format!("filters[{index}]"), filter, uploaded))
            .collect::<Result<_, _>>()?,
        output,
        line_bytes: wire.line_bytes,
        follow: wire.follow,
        resume: resume_token(wire.resume, wire.resume_live)?,
    })
}

fn resume_token(wire: Vec<v1::ResumePosition>, live: bool) -> Result<ResumeToken, QueryError> {
    let mut token = ResumeToken::default();
    token.live = live;
    for (index, position) in wire.into_iter().enumerate() {
        let of = position
            .source
            .ok_or_else(|| invalid(&format!("resume[{index}]"), "names no source; set source"))?;
        token.note(&source(of), position.position);
    }
    Ok(token)
}

/// The request that asks for `spec`.
pub(crate) fn query_request(spec: &QuerySpec) -> v1::QueryRequest {
    let pattern = &spec.pattern;
    v1::QueryRequest {
        sources: spec.sources.clone(),
        pattern: Some(v1::Pattern {
            patterns: pattern.patterns.clone(),
            require: pattern.and.clone(),
            exclude: pattern.not.clone(),
            fixed: pattern.fixed,
            case: match pattern.case {
                Case::Sensitive => v1::Case::Sensitive,
                Case::Insensitive => v1::Case::Insensitive,
                Case::Smart => v1::Case::Smart,
            }
            .into(),
            word: pattern.word,
            line: pattern.line,
            invert: pattern.invert,
        }),
        since: spec.since.or(spec.resume.since),
        until: spec.until,
        direction: match spec.direction {
            Direction::Forward => v1::Direction::Forward,
            Direction::Backward => v1::Direction::Backward,
        }
        .into(),
        limit: match spec.limit {
            Limit::All => None,
            Limit::Head(count) => Some(v1::query_request::Limit::Head(count)),
            Limit::Tail(count) => Some(v1::query_request::Limit::Tail(count)),
        },
        context: Some(v1::Context { before: spec.context.before as u64, after: spec.context.after as u64 }),
        filters: spec.filters.iter().map(wire_filter_spec).collect(),
        output: match spec.output {
            Output::Records => None,
            Output::Count { per_source } => {
                Some(v1::query_request::Output::Count(v1::CountOutput { per_source }))
            }
            Output::Histogram { step, per_source } => {
                Some(v1::query_request::Output::Histogram(v1::HistogramOutput {
                    step: step.get(),
                    per_source,
                }))
            }
        },
        line_bytes: spec.line_bytes,
        follow: spec.follow,
        resume_live: spec.resume.live,
        resume: spec
            .resume
            .positions()
            .map(|(source, position)| v1::ResumePosition {
                source: Some(wire_source(source)),
                position: position.to_vec(),
            })
            .collect(),
    }
}

/// The response that tells `event`. Records of one event become one batch.
pub(crate) fn response(event: Event) -> v1::QueryResponse {
    let event = match event {
        Event::Source { id, source } => {
            WireEvent::Source(v1::SourceEntry { id, source: Some(wire_source(source)) })
        }
        Event::Records { batch: records, positions } => {
            let mut columns = batch::Columns::default();
            columns.append(records);
            columns.note(positions);
            WireEvent::Records(columns.take())
        }
        Event::Positions(positions) => {
            let positions = positions.into_iter().map(|position| (position.source, position.position));
            WireEvent::Positions(v1::SourcePositions { positions: batch::wire_positions(positions) })
        }
        Event::Notice(notice) => WireEvent::Notice(notice),
        Event::Gap(Gap { source, file, reason, detail, from, to }) => {
            WireEvent::Gap(v1::Gap { source, file, reason, detail, from, to })
        }
        Event::Progress(Progress { bytes_read, bytes_total, matched }) => {
            WireEvent::Progress(v1::Progress { bytes_read, bytes_total, matched })
        }
        Event::Counts(counts) => WireEvent::Counts(v1::Counts {
            counts: counts
                .into_iter()
                .map(|Count { source, matched }| v1::Count { source, matched })
                .collect(),
        }),
        Event::Histogram(buckets) => WireEvent::Histogram(v1::Histogram {
            buckets: buckets
                .into_iter()
                .map(|Bucket { source, start, matched }| v1::Bucket { source, start, matched })
                .collect(),
        }),
        Event::SourceEnd(SourceStatus { source, matched, bytes_read, gaps }) => {
            WireEvent::SourceEnd(v1::SourceStatus { source, matched, bytes_read, gaps })
        }
        Event::Filter(status) => WireEvent::Filter(wire_filter_status(status)),
        Event::Summary(summary) => WireEvent::Summary(wire_summary(summary)),
    };
    v1::QueryResponse { event: Some(event) }
}

/// Reads a response; `None` for an event that a newer server knows and we don't.
///
/// # Errors
/// What in the response can't be.
pub(crate) fn event(wire: v1::QueryResponse) -> Result<Option<Event>, String> {
    let Some(event) = wire.event else {
        return Ok(None);
    };
    Ok(Some(match event {
        WireEvent::Source(entry) => Event::Source {
            id: entry.id,
            source: source(entry.source.ok_or("a source entry without its source")?),
        },
        WireEvent::Records(mut wire) => {
            let positions = batch::positions(std::mem::take(&mut wire.positions));
            Event::Records { batch: batch::records(wire)?, positions }
        }
        WireEvent::Positions(wire) => Event::Positions(batch::positions(wire.positions)),
        WireEvent::Notice(notice) => Event::Notice(notice),
        WireEvent::Gap(v1::Gap { source, file, reason, detail, from, to }) => {
            Event::Gap(Gap { source, file, reason, detail, from, to })
        }
        WireEvent::Progress(v1::Progress { bytes_read, bytes_total, matched }) => {
            Event::Progress(Progress { bytes_read, bytes_total, matched })
        }
        WireEvent::Counts(wire) => Event::Counts(
            wire.counts.into_iter().map(|v1::Count { source, matched }| Count { source, matched }).collect(),
        ),
        WireEvent::Histogram(wire) => Event::Histogram(
            wire.buckets
                .into_iter()
                .map(|v1::Bucket { source, start, matched }| Bucket { source, start, matched })
                .collect(),
        ),
        WireEvent::SourceEnd(v1::SourceStatus { source, matched, bytes_read, gaps }) => {
            Event::SourceEnd(SourceStatus { source, matched, bytes_read, gaps })
        }
        WireEvent::Filter(wire) => Event::Filter(filter_status(wire)?),
        WireEvent::Summary(wire) => Event::Summary(summary(wire)),
    }))
}

/// A source for a listing.
pub(crate) fn wire_source_info(info: SourceInfo) -> v1::SourceInfo {
    v1::SourceInfo {
        source: Some(wire_source(info.source)),
        files: info.files.into_iter().map(|FileInfo { name, size }| v1::File { name, size }).collect(),
        bytes: info.bytes,
        oldest: info.oldest,
        newest: info.newest,
        problem: info.problem,
    }
}

/// A source of a listing.
///
/// # Errors
/// A source without an identity.
pub(crate) fn source_info(wire: v1::SourceInfo) -> Result<SourceInfo, String> {
    Ok(SourceInfo {
        source: source(wire.source.ok_or("a listed source without its identity")?),
        files: wire.files.into_iter().map(|v1::File { name, size }| FileInfo { name, size }).collect(),
        bytes: wire.bytes,
        oldest: wire.oldest,
        newest: wire.newest,
        problem: wire.problem,
    })
}

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

fn pattern(wire: v1::Pattern) -> Result<PatternSpec, QueryError> {
    Ok(PatternSpec {
        patterns: wire.patterns,
        and: wire.require,
        not: wire.exclude,
        fixed: wire.fixed,
        case: match known::<v1::Case>("pattern.case", wire.case)? {
            v1::Case::Unspecified | v1::Case::Sensitive => Case::Sensitive,
            v1::Case::Insensitive => Case::Insensitive,
            v1::Case::Smart => Case::Smart,
        },
        word: wire.word,
        line: wire.line,
        invert: wire.invert,
    })
}

fn filter_spec(
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
        FilterRef::Component { label, bytes } => (label, weir_query::digest(bytes)),
        FilterRef::Uploaded { label, component } => (label, component.digest.clone()),
    };
    WireFilter::Upload(v1::Upload { label: label.clone(), digest })
}

fn wire_filter_spec(spec: &FilterSpec) -> v1::FilterSpec {
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

fn wire_source(source: Source) -> v1::Source {
    let Source { namespace, pod, container, restart, uid, container_id } = source;
    v1::Source { namespace, pod, container, restart, uid, container_id }
}

fn source(wire: v1::Source) -> Source {
    let v1::Source { namespace, pod, container, restart, uid, container_id } = wire;
    Source { namespace, pod, container, restart, uid, container_id }
}

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

fn wire_summary(summary: Summary) -> v1::Summary {
    v1::Summary {
        incomplete: summary.incomplete,
        matched: summary.matched,
        records: summary.records,
        limited: summary.limited,
        sources: summary.sources,
        bytes_read: summary.bytes_read,
        malformed: summary.malformed,
        truncated: summary.truncated,
        oldest: summary.oldest,
        elapsed: nanoseconds(summary.elapsed),
        trace_id: summary.trace_id,
    }
}

fn summary(wire: v1::Summary) -> Summary {
    Summary {
        incomplete: wire.incomplete,
        matched: wire.matched,
        records: wire.records,
        limited: wire.limited,
        sources: wire.sources,
        bytes_read: wire.bytes_read,
        malformed: wire.malformed,
        truncated: wire.truncated,
        oldest: wire.oldest,
        elapsed: Duration::from_nanos(wire.elapsed),
        trace_id: wire.trace_id,
    }
}

fn wire_kind(kind: Kind) -> v1::FilterKind {
    match kind {
        Kind::Select => v1::FilterKind::Select,
        Kind::Transform => v1::FilterKind::Transform,
        Kind::Redact => v1::FilterKind::Redact,
        Kind::Aggregate => v1::FilterKind::Aggregate,
    }
}

fn kind(value: i32) -> Result<Kind, String> {
    match v1::FilterKind::try_from(value) {
        Ok(v1::FilterKind::Select) => Ok(Kind::Select),
        Ok(v1::FilterKind::Transform) => Ok(Kind::Transform),
        Ok(v1::FilterKind::Redact) => Ok(Kind::Redact),
        Ok(v1::FilterKind::Aggregate) => Ok(Kind::Aggregate),
        Ok(v1::FilterKind::Unspecified) | Err(_) => Err(format!("a filter of unknown kind {value}")),
    }
}

fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E, QueryError> {
    E::try_from(value)
        .map_err(|_| invalid(field, &format!("has no meaning for {value}; the agent may be too old")))
}

fn records(field: &str, count: u64) -> Result<usize, QueryError> {
    usize::try_from(count)
        .map_err(|_| invalid(field, &format!("{count} records are more than this machine can count")))
}

fn invalid(field: &str, message: &str) -> QueryError {
    QueryError::Invalid { field: field.to_owned(), message: message.to_owned() }
}

/// Durations on the wire are 64 bits of nanoseconds: 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
