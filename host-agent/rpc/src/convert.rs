//! Wire types into ours and back: requests, events and listings. Columns of records are [`batch`]'s part.
//!
//! What a client sends is checked as [`QueryError::Invalid`], by the field's name on the wire; what a server
//! sends is checked as text, for the client to report.

use std::num::NonZeroU64;
use std::time::Duration;

use weir_query::{
    Bucket, Case, Context, Count, Direction, Event, FileInfo, Gap, Limit, Output, PatternSpec, Progress,
    QueryError, QuerySpec, ResumeToken, Source, SourceInfo, SourceStatus, Summary,
};

use crate::batch;
use crate::convert_filters::{FindUpload, filter_spec, filter_status, wire_filter_spec, wire_filter_status};
use crate::policy::{policy_status, wire_policy_status};
use crate::wire::v1;
use v1::query_response::Event as WireEvent;

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
        bypass: wire.bypass_policies,
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
        bypass_policies: spec.bypass.clone(),
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
        Event::Source { id, source, agent } => WireEvent::Source(v1::SourceEntry {
            id,
            source: Some(wire_source(source)),
            agent: agent.unwrap_or_default(),
        }),
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
        Event::Policy(status) => WireEvent::Policy(wire_policy_status(status)),
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
            agent: Some(entry.agent).filter(|agent| !agent.is_empty()),
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
        WireEvent::Policy(wire) => Event::Policy(policy_status(wire)?),
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

fn wire_source(source: Source) -> v1::Source {
    let Source { namespace, pod, container, restart, uid, container_id } = source;
    v1::Source { namespace, pod, container, restart, uid, container_id }
}

fn source(wire: v1::Source) -> Source {
    let v1::Source { namespace, pod, container, restart, uid, container_id } = wire;
    Source { namespace, pod, container, restart, uid, container_id }
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

fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E, QueryError> {
    E::try_from(value)
        .map_err(|_| invalid(field, &format!("has no meaning for {value}; the agent may be too old")))
}

fn records(field: &str, count: u64) -> Result<usize, QueryError> {
    usize::try_from(count)
        .map_err(|_| invalid(field, &format!("{count} records are more than this machine can count")))
}

pub(crate) fn invalid(field: &str, message: &str) -> QueryError {
    QueryError::Invalid { field: field.to_owned(), message: message.to_owned() }
}

/// Durations on the wire are 64 bits of nanoseconds: 584 years.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
