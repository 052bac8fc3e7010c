//! Tests of [`convert`](super): what is sent is what arrives, and what can't be is refused by name.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use weir_query::{
    Difference, FilterFailure, FilterInfo, FilterList, FilterRef, FilterSpec, FilterStatus, FolderFile, Kind,
    OnFailure, Outcome, PolicyFilterStatus, PolicyStatus, SampleSide, ShadowSample, ShadowSpec, ShadowStatus,
};

use super::*;
use crate::convert_filters::{filter_list, wire_filter_list};

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(".{0,8}", 0..4)
}

fn pattern_spec() -> impl Strategy<Value = PatternSpec> {
    let case = prop_oneof![Just(Case::Sensitive), Just(Case::Insensitive), Just(Case::Smart)];
    (texts(), texts(), texts(), case, any::<[bool; 4]>()).prop_map(
        |(patterns, and, not, case, [fixed, word, line, invert])| PatternSpec {
            patterns,
            and,
            not,
            fixed,
            case,
            word,
            line,
            invert,
        },
    )
}

fn filter_ref() -> impl Strategy<Value = FilterRef> {
    prop_oneof![
        ".{0,8}".prop_map(FilterRef::Name),
        (".{0,8}", vec(any::<u8>(), 0..9)).prop_map(|(label, bytes)| FilterRef::Component {
            label,
            bytes,
            signature: None
        }),
    ]
}

fn filter() -> impl Strategy<Value = FilterSpec> {
    let shadow = (filter_ref(), ".{0,8}").prop_map(|(filter, params)| ShadowSpec { filter, params });
    let limits = prop::collection::btree_map(".{0,8}", any::<u64>(), 0..3);
    let on_failure = prop_oneof![
        Just(OnFailure::Kind),
        Just(OnFailure::Pass),
        Just(OnFailure::Drop),
        Just(OnFailure::End)
    ];
    (filter_ref(), ".{0,8}", limits, on_failure, option::of(shadow)).prop_map(
        |(filter, params, limits, on_failure, shadow)| FilterSpec {
            filter,
            params,
            limits,
            on_failure,
            shadow,
        },
    )
}

/// A status with what a shadow of it did, or without.
fn shadowed_status() -> impl Strategy<Value = FilterStatus> {
    let outcome = prop_oneof![
        Just(Outcome::Kept),
        Just(Outcome::Dropped),
        Just(Outcome::Replaced),
        Just(Outcome::Failed)
    ];
    let bytes = || vec(any::<u8>(), 0..9);
    let side = (outcome, bytes(), bytes()).prop_map(|(outcome, message, fields)| SampleSide {
        outcome,
        message,
        fields,
    });
    let difference = prop_oneof![
        Just(Difference::Failed),
        Just(Difference::Dropped),
        Just(Difference::Message),
        Just(Difference::Fields)
    ];
    let sample = (any::<[u32; 2]>(), any::<u64>(), difference, side.clone(), side).prop_map(
        |([source, file], offset, difference, filter, shadow)| ShadowSample {
            source,
            file,
            offset,
            difference,
            filter,
            shadow,
        },
    );
    let shadow = (status(), any::<[u64; 7]>(), any::<bool>(), vec(sample, 0..3)).prop_map(
        |(status, [compared, failed, dropped, messages, fields, summaries, left_out], spent, samples)| {
            ShadowStatus {
                status,
                compared,
                failed,
                dropped,
                messages,
                fields,
                summaries,
                left_out,
                spent,
                samples,
            }
        },
    );
    (status(), option::of(shadow))
        .prop_map(|(status, shadow)| FilterStatus { shadow: shadow.map(Box::new), ..status })
}

fn output() -> impl Strategy<Value = Output> {
    prop_oneof![
        Just(Output::Records),
        any::<bool>().prop_map(|per_source| Output::Count { per_source }),
        (1..=u64::MAX, any::<bool>()).prop_map(|(step, per_source)| Output::Histogram {
            step: NonZeroU64::new(step).expect("at least 1"),
            per_source,
        }),
    ]
}

fn spec() -> impl Strategy<Value = QuerySpec> {
    let limit =
        prop_oneof![Just(Limit::All), any::<u64>().prop_map(Limit::Head), any::<u64>().prop_map(Limit::Tail)];
    let range = (any::<Option<i64>>(), any::<Option<i64>>());
    let context = (any::<usize>(), any::<usize>());
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
    (
        texts(),
        pattern_spec(),
        range,
        direction,
        limit,
        context,
        vec(filter(), 0..3),
        (output(), any::<Option<u32>>(), texts()),
        any::<bool>(),
        resume_token(),
    )
        .prop_map(
            |(
                sources,
                pattern,
                (since, until),
                direction,
                limit,
                context,
                filters,
                (output, line_bytes, bypass),
                follow,
                resume,
            )| {
                QuerySpec {
                    sources,
                    pattern,
                    since,
                    until,
                    direction,
                    limit,
                    context: Context { before: context.0, after: context.1 },
                    filters,
                    output,
                    line_bytes,
                    bypass,
                    follow,
                    resume,
                }
            },
        )
}

fn resume_token() -> impl Strategy<Value = ResumeToken> {
    (vec((a_source(), vec(any::<u8>(), 0..40)), 0..3), any::<bool>()).prop_map(|(positions, live)| {
        let mut token = ResumeToken::default();
        token.live = live;
        positions.into_iter().for_each(|(source, position)| token.note(&source, position));
        token
    })
}

fn a_source() -> impl Strategy<Value = Source> {
    (".{0,8}", ".{0,8}", ".{0,8}", any::<u32>(), ".{0,8}", ".{0,8}").prop_map(
        |(namespace, pod, container, restart, uid, container_id)| Source {
            namespace,
            pod,
            container,
            restart,
            uid,
            container_id,
        },
    )
}

fn a_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Select), Just(Kind::Transform), Just(Kind::Redact), Just(Kind::Aggregate)]
}

fn status() -> impl Strategy<Value = FilterStatus> {
    let names = (".{0,8}", ".{0,8}", ".{0,8}");
    let words = (".{0,8}", ".{0,8}", ".{0,8}");
    let failure = (words, any::<Option<u32>>(), any::<Option<(u32, u64)>>()).prop_map(
        |((call, reason, detail), source, place)| FilterFailure { call, reason, detail, source, place },
    );
    let failures = prop::collection::vec(failure, 0..3);
    (any::<u32>(), names, a_kind(), any::<[u64; 12]>(), any::<bool>(), failures, texts(), texts()).prop_map(
        |(
            index,
            (name, version, digest),
            kind,
            numbers,
            compile_cached,
            failures,
            diagnostics,
            summaries,
        )| {
            FilterStatus {
                index,
                name,
                version,
                digest,
                kind,
                records_in: numbers[0],
                skipped_by_prefilter: numbers[1],
                kept: numbers[2],
                dropped: numbers[3],
                replaced: numbers[4],
                withheld: numbers[5],
                failed: numbers[6],
                paused: numbers[10],
                breaker_opened: numbers[11],
                time: Duration::from_nanos(numbers[7]),
                peak_memory: numbers[8],
                compile_cached,
                compile_time: Duration::from_nanos(numbers[9]),
                failures,
                diagnostics,
                summaries,
                shadow: None,
            }
        },
    )
}

fn a_summary() -> impl Strategy<Value = Summary> {
    (texts(), any::<[u64; 7]>(), any::<bool>(), any::<Option<i64>>(), "[0-9a-f]{0,32}").prop_map(
        |(incomplete, numbers, limited, oldest, trace_id)| Summary {
            incomplete,
            matched: numbers[0],
            records: numbers[1],
            limited,
            sources: numbers[2],
            bytes_read: numbers[3],
            malformed: numbers[4],
            truncated: numbers[5],
            oldest,
            elapsed: Duration::from_nanos(numbers[6]),
            trace_id,
        },
    )
}

fn a_policy_status() -> impl Strategy<Value = PolicyStatus> {
    let filter = (any::<[String; 3]>(), a_kind(), any::<[u64; 4]>()).prop_map(
        |([name, version, digest], kind, numbers)| PolicyFilterStatus {
            name,
            version,
            digest,
            kind,
            records_in: numbers[0],
            replaced: numbers[1],
            dropped: numbers[2],
            withheld: numbers[3],
        },
    );
    (".{0,8}", any::<[u64; 2]>(), vec(filter, 0..3))
        .prop_map(|(name, [redacted, withheld], filters)| PolicyStatus { name, redacted, withheld, filters })
}

fn gap() -> impl Strategy<Value = Gap> {
    (any::<u32>(), ".{0,8}", ".{0,8}", ".{0,8}", any::<Option<i64>>(), any::<Option<i64>>())
        .prop_map(|(source, file, reason, detail, from, to)| Gap { source, file, reason, detail, from, to })
}

/// Every event but records, whose buffers need not be equal: [`batch`] tests those.
fn an_event() -> impl Strategy<Value = Event> {
    let count = (any::<Option<u32>>(), any::<u64>()).prop_map(|(source, matched)| Count { source, matched });
    let bucket = (any::<Option<u32>>(), any::<Option<i64>>(), any::<u64>())
        .prop_map(|(source, start, matched)| Bucket { source, start, matched });
    prop_oneof![
        (any::<u32>(), a_source(), proptest::option::of("[a-z]{1,5}"))
            .prop_map(|(id, source, agent)| Event::Source { id, source, agent }),
        gap().prop_map(Event::Gap),
        any::<[u64; 3]>().prop_map(|[bytes_read, bytes_total, matched]| Event::Progress(Progress {
            bytes_read,
            bytes_total,
            matched,
        })),
        any::<(u32, [u64; 3])>().prop_map(|(source, [matched, bytes_read, gaps])| Event::SourceEnd(
            SourceStatus { source, matched, bytes_read, gaps }
        )),
        vec(count, 0..4).prop_map(Event::Counts),
        vec(bucket, 0..4).prop_map(Event::Histogram),
        shadowed_status().prop_map(Event::Filter),
        a_policy_status().prop_map(Event::Policy),
        a_summary().prop_map(Event::Summary),
    ]
}

fn info() -> impl Strategy<Value = SourceInfo> {
    let file = (".{0,8}", any::<u64>()).prop_map(|(name, size)| FileInfo { name, size });
    (
        a_source(),
        vec(file, 0..3),
        any::<u64>(),
        option::of(any::<i64>()),
        option::of(any::<i64>()),
        option::of(".{0,8}"),
    )
        .prop_map(|(source, files, bytes, oldest, newest, problem)| SourceInfo {
            source,
            files,
            bytes,
            oldest,
            newest,
            problem,
        })
}

/// The component of a query that a request names.
fn brought(spec: &QuerySpec, upload: &v1::Upload) -> FilterRef {
    let (bytes, signature) = spec.component(&upload.digest).expect("one of the query's");
    let (bytes, signature) = (bytes.to_vec(), signature.map(<[u8]>::to_vec));
    FilterRef::Component { label: upload.label.clone(), bytes, signature }
}

/// Nothing was uploaded.
fn none(field: &str, upload: v1::Upload) -> Result<FilterRef, QueryError> {
    Err(QueryError::ComponentNeeded { field: field.to_owned(), digest: upload.digest })
}

proptest! {
    #[test]
    fn a_query_arrives_as_it_was_sent(spec in spec()) {
        let found = query_spec(query_request(&spec), &|_, upload| Ok(brought(&spec, &upload)));
        prop_assert_eq!(found.expect("a request of our own"), spec);
    }

    #[test]
    fn an_event_arrives_as_it_was_sent(sent in an_event()) {
        let text = format!("{sent:?}");
        let received = event(response(sent)).expect("a response of our own").expect("an event we know");
        prop_assert_eq!(format!("{received:?}"), text);
    }

    #[test]
    fn a_listed_source_arrives_as_it_was_sent(sent in info()) {
        prop_assert_eq!(source_info(wire_source_info(sent.clone())).expect("a source of our own"), sent);
    }

    #[test]
    fn a_listed_filter_arrives_as_it_was_sent(texts in any::<[String; 6]>(), kind in a_kind(), size in any::<u64>(), told in any::<[Option<bool>; 2]>()) {
        let [name, version, summary, params_schema, digest, file] = texts;
        let [filter, problem] = told.map(|told| told.map(|told| told.to_string()));
        let files = vec![FolderFile { file: file.clone(), filter, digest: digest.clone(), size, problem }];
        let filters = vec![FilterInfo { name, version, kind, summary, params_schema, digest, size, file }];
        let sent = FilterList { filters, files };
        prop_assert_eq!(filter_list(wire_filter_list(sent.clone())).expect("a list of our own"), sent);
    }
}

#[test]
fn an_empty_request_is_the_default_query() {
    assert_eq!(
        query_spec(v1::QueryRequest::default(), &none).expect("every field has a default"),
        QuerySpec::default()
    );
}

#[test]
fn what_a_request_cannot_say_is_refused_by_name() {
    let histogram = v1::query_request::Output::Histogram(v1::HistogramOutput { step: 0, per_source: false });
    let cases = [
        ("direction", v1::QueryRequest { direction: 9, ..Default::default() }),
        (
            "pattern.case",
            v1::QueryRequest {
                pattern: Some(v1::Pattern { case: -1, ..Default::default() }),
                ..Default::default()
            },
        ),
        ("filters[0]", v1::QueryRequest { filters: vec![v1::FilterSpec::default()], ..Default::default() }),
        ("histogram.step", v1::QueryRequest { output: Some(histogram), ..Default::default() }),
    ];
    for (name, request) in cases {
        match query_spec(request, &none) {
            Err(QueryError::Invalid { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn an_event_of_the_future_is_passed_over() {
    assert!(event(v1::QueryResponse { event: None }).expect("not an error").is_none());
}
