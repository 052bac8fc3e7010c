//! What a request can ask for, and how each wrong one is refused by the field's name.

use tonic::Code;
use weir_query::{
    Event, FilterRef, FilterSpec, Flow, Limit, Output, PatternSpec, QueryError, QuerySpec, Summary,
};
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;
use weir_rpc::{Client, ClientError};

use crate::flow::{busy, stalled};
use crate::process::Agent;

/// The events of a query.
async fn events(client: &mut Client, spec: &QuerySpec) -> Result<Vec<Event>, ClientError> {
    let mut events = Vec::new();
    let mut sink = |event: Event| {
        events.push(event);
        Flow::Continue
    };
    client.query(spec, &mut sink).await?;
    Ok(events)
}

fn messages(events: &[Event]) -> Vec<String> {
    let batches = events.iter().filter_map(|event| match event {
        Event::Records { batch, .. } => Some(batch),
        _ => None,
    });
    batches
        .flat_map(|batch| {
            batch.records.iter().map(|record| String::from_utf8_lossy(batch.message(record)).into_owned())
        })
        .collect()
}

fn summary(events: &[Event]) -> &Summary {
    match events.last() {
        Some(Event::Summary(summary)) => summary,
        other => panic!("{other:?} is last"),
    }
}

#[tokio::test]
async fn the_parts_of_a_query_arrive() {
    let agent = Agent::small("");
    let mut client = agent.client().await;
    let pattern = |text: &str| PatternSpec { patterns: vec![text.to_owned()], ..PatternSpec::default() };
    let found =
        events(&mut client, &QuerySpec { pattern: pattern("(?i)error"), ..QuerySpec::default() }).await;
    let found = found.expect("a whole answer");
    assert_eq!(messages(&found), ["upstream failed: error 502", "ERROR: deadlock detected"]);
    assert_eq!((summary(&found).matched, summary(&found).sources), (2, 2));
    let sources = found.iter().filter(|event| matches!(event, Event::Source { .. })).count();
    assert_eq!(sources, 2);

    let one = QuerySpec {
        sources: vec!["prod:web-*/nginx".to_owned()],
        limit: Limit::Tail(1),
        ..QuerySpec::default()
    };
    assert_eq!(messages(&events(&mut client, &one).await.expect("a whole answer")), ["GET /health 200"]);

    let count = QuerySpec { output: Output::Count { per_source: true }, ..QuerySpec::default() };
    let counted = events(&mut client, &count).await.expect("a whole answer");
    let counts = counted.iter().find_map(|event| match event {
        Event::Counts(counts) => Some(counts.iter().map(|count| count.matched).sum::<u64>()),
        _ => None,
    });
    assert_eq!(counts, Some(4));
    assert!(messages(&counted).is_empty());
}

#[tokio::test]
async fn listings_tell_identity_sizes_and_times() {
    let agent = Agent::small("");
    let mut client = agent.client().await;
    let sources = client.sources(&[]).await.expect("sources");
    let names: Vec<String> = sources
        .iter()
        .map(|info| format!("{}:{}/{}", info.source.namespace, info.source.pod, info.source.container))
        .collect();
    assert_eq!(names, ["dev:db-1/postgres", "prod:web-1/nginx"]);
    let web = &sources[1];
    assert_eq!(web.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["0.log"]);
    assert_eq!(web.bytes, web.files[0].size);
    assert_eq!(web.oldest.zip(web.newest).map(|(oldest, newest)| newest - oldest), Some(1_999_999_999));
    let one = client.sources(&["/postgres".to_owned()]).await.expect("one");
    assert_eq!(one.len(), 1);
    match client.sources(&["nobody".to_owned()]).await {
        Err(ClientError::Query(QueryError::NotFound { message, .. })) => {
            assert!(message.contains("'nobody'"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn filters_are_listed_described_and_run() {
    let agent = Agent::small("");
    let mut client = agent.client().await;
    let filters = client.filters().await.expect("filters").filters;
    let names: Vec<&str> = filters.iter().map(|filter| filter.name.as_str()).collect();
    let expected: Vec<&str> = weir_filters::all().iter().map(|filter| filter.name).collect();
    assert_eq!(names.len(), expected.len());
    for (filter, name) in filters.iter().zip(&names) {
        assert!(expected.contains(name));
        assert_eq!(&client.filter(name).await.expect("one of them"), filter);
    }
    assert!(matches!(client.filter("nobody").await, Err(ClientError::Query(QueryError::NotFound { .. }))));

    let filter = FilterSpec {
        params: r#"{"patterns": ["deadlock"]}"#.to_owned(),
        ..FilterSpec::new(FilterRef::Name("redact".to_owned()))
    };
    let spec = QuerySpec { sources: vec!["dev:".to_owned()], filters: vec![filter], ..QuerySpec::default() };
    let found = events(&mut client, &spec).await.expect("a whole answer");
    let told = messages(&found);
    assert!(told.len() == 1 && !told[0].contains("deadlock"), "{told:?}");
    assert!(summary(&found).is_complete());
    agent.metric_becomes("weir_filter_records_total{filter=\"redact\",verdict=\"replaced\"}", 1).await;
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let agent = Agent::small("");
    let mut client = agent.client().await;
    let filter =
        |filter: FilterRef| QuerySpec { filters: vec![FilterSpec::new(filter)], ..QuerySpec::default() };
    let with = |name: &str, params: &str| QuerySpec {
        filters: vec![FilterSpec {
            params: params.to_owned(),
            ..FilterSpec::new(FilterRef::Name(name.to_owned()))
        }],
        ..QuerySpec::default()
    };
    let unclosed = PatternSpec { patterns: vec!["(unclosed".to_owned()], ..PatternSpec::default() };
    let component =
        FilterRef::Component { label: "mine.wasm".to_owned(), bytes: b"\0asm".to_vec(), signature: None };
    let cases = [
        ("Invalid", "(unclosed", QuerySpec { pattern: unclosed, ..QuerySpec::default() }),
        ("Invalid", "until", QuerySpec { since: Some(2), until: Some(1), ..QuerySpec::default() }),
        ("Invalid", "line_bytes", QuerySpec { line_bytes: Some(0), ..QuerySpec::default() }),
        ("Invalid", "sources[0]", QuerySpec { sources: vec!["a:b:c".to_owned()], ..QuerySpec::default() }),
        ("NotFound", "nobody", QuerySpec { sources: vec!["nobody".to_owned()], ..QuerySpec::default() }),
        ("NotFound", "filters[0]", filter(FilterRef::Name("nobody".to_owned()))),
        ("Invalid", "emial", with("redact", r#"{"detectors": ["emial"]}"#)),
        ("Invalid", "did you mean email?", with("redact", r#"{"detectors": ["emial"]}"#)),
        ("Invalid", "`where`", with("json-match", r#"{"where": 12}"#)),
        ("Refused", "filters[0]", filter(component)),
        ("LimitExceeded", "line_bytes", QuerySpec { line_bytes: Some(u32::MAX), ..QuerySpec::default() }),
    ];
    let refused = u64::try_from(cases.len()).expect("a few");
    for (kind, names, spec) in cases {
        match events(&mut client, &spec).await {
            Err(ClientError::Query(error)) => {
                assert!(format!("{error:?}").starts_with(kind), "{names}: {error:?}");
                assert!(error.to_string().contains(names), "{names}: {error}");
            }
            other => panic!("{names}: {other:?}"),
        }
    }
    agent.metric_becomes("weir_queries_total{outcome=\"refused\"}", refused).await;
    agent.metric_becomes("weir_queries_running", 0).await;
}

#[tokio::test]
async fn what_only_the_wire_can_say_wrong_is_named_too() {
    let agent = Agent::small("limits: {max_request_bytes: 65536}");
    let mut client = QueryServiceClient::new(agent.channel().await);
    let case = v1::Pattern { case: 7, ..v1::Pattern::default() };
    for (names, request) in [
        ("direction", v1::QueryRequest { direction: 9, ..v1::QueryRequest::default() }),
        ("pattern.case", v1::QueryRequest { pattern: Some(case), ..v1::QueryRequest::default() }),
        (
            "filters[0]",
            v1::QueryRequest { filters: vec![v1::FilterSpec::default()], ..v1::QueryRequest::default() },
        ),
    ] {
        let status = client.query(request).await.expect_err(names);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(&format!("{names}: ")), "{status:?}");
    }
    let large = v1::QueryRequest { sources: vec!["x".repeat(70_000)], ..v1::QueryRequest::default() };
    let status = client.query(large).await.expect_err("over the limit");
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("65536"), "{status:?}");
}

#[tokio::test]
async fn listings_have_room_when_no_query_has() {
    let agent = busy("limits: {max_queries: 1, max_queued: 0}");
    let stream = stalled(&agent).await;
    let mut client = agent.client().await;
    match events(&mut client, &QuerySpec::default()).await {
        Err(ClientError::Query(QueryError::LimitExceeded { limit, value, .. })) => {
            assert_eq!((limit.as_str(), value.as_str()), ("max_queued", "0"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.sources(&[]).await.expect("sources").len(), 1);
    drop(stream);
    agent.metric_becomes("weir_queries_running", 0).await;
    let few = QuerySpec { limit: Limit::Head(1), ..QuerySpec::default() };
    assert_eq!(messages(&events(&mut client, &few).await.expect("there is room again")).len(), 1);
}

#[tokio::test]
async fn a_query_has_one_id_in_answer_log_and_metrics() {
    let agent = Agent::small("limits: {query: {patterns: 1}}");
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut client = QueryServiceClient::new(agent.channel().await);
    let traced = |request: v1::QueryRequest| {
        let mut request = tonic::Request::new(request);
        let parent = format!("00-{id}-00f067aa0ba902b7-01").parse().expect("a header");
        request.metadata_mut().insert("traceparent", parent);
        request
    };
    let response = client.query(traced(v1::QueryRequest::default())).await.expect("a query");
    let header = response.metadata().get("weir-trace-id").cloned();
    assert_eq!(header.expect("a header"), id);
    let mut stream = response.into_inner();
    let mut told = None;
    while let Some(response) = stream.message().await.expect("no error") {
        if let Some(v1::query_response::Event::Summary(summary)) = response.event {
            told = Some(summary.trace_id);
        }
    }
    assert_eq!(told.as_deref(), Some(id));
    let patterns = vec!["a".to_owned(), "b".to_owned()];
    let pattern = Some(v1::Pattern { patterns, ..v1::Pattern::default() });
    let refused = client.query(traced(v1::QueryRequest { pattern, ..v1::QueryRequest::default() })).await;
    assert_eq!(refused.expect_err("too many").metadata().get("weir-trace-id").expect("a header"), id);
    agent.metric_becomes("weir_queries_total{outcome=\"complete\"}", 1).await;
    assert!(agent.page("/metrics").await.1.contains(&format!("# {{trace_id=\"{id}\"}}")));
    let log = agent.log();
    for line in ["query ended", "query refused"] {
        assert!(log.lines().any(|found| found.contains(line) && found.contains(id)), "{line} in {log}");
    }
    // Without one, each has its own.
    let found = events(&mut agent.client().await, &QuerySpec::default()).await.expect("a whole answer");
    assert!(summary(&found).trace_id.len() == 32 && summary(&found).trace_id != id);
}
