//! Filters that run beside others: the answer is as without them, and where they differ is told.

use weir_query::{
    Difference, Event, FilterRef, FilterSpec, FilterStatus, Flow, Outcome, QueryError, QuerySpec, ShadowSpec,
    ShadowStatus, Summary,
};
use weir_rpc::{Client, ClientError};

use crate::guests::{Puppet, WAYS_TO_FAIL};
use crate::logs::write;
use crate::process::{Agent, folder, logs};

const SELECT: u8 = 0;

/// What a query gives, apart from times and what was read.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    records: Vec<(String, String)>,
    matched: u64,
    incomplete: Vec<String>,
}

fn component(puppet: &Puppet) -> FilterRef {
    FilterRef::Component { label: format!("{}.wasm", puppet.version), bytes: puppet.build(), signature: None }
}

fn spec(filter: &Puppet, shadow: Option<&Puppet>) -> QuerySpec {
    let shadow = shadow.map(|shadow| ShadowSpec { filter: component(shadow), params: String::new() });
    let filter = FilterSpec { shadow, ..FilterSpec::new(component(filter)) };
    QuerySpec { filters: vec![filter], ..QuerySpec::default() }
}

async fn ask(client: &mut Client, spec: &QuerySpec) -> Result<(Answer, FilterStatus), ClientError> {
    let (mut answer, mut status) = (Answer::default(), None);
    let mut sink = |event: Event| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match event {
            Event::Records { batch, .. } => answer
                .records
                .extend(batch.records.iter().map(|it| (text(batch.message(it)), text(batch.fields(it))))),
            Event::Filter(told) => status = Some(told),
            Event::Summary(Summary { matched, incomplete, .. }) => {
                (answer.matched, answer.incomplete) = (matched, incomplete);
            }
            _ => {}
        }
        Flow::Continue
    };
    client.query(spec, &mut sink).await?;
    Ok((answer, status.expect("a filter says what it did")))
}

fn agent(config: &str, messages: &[&str]) -> Agent {
    let dir = folder();
    let lines: Vec<String> =
        messages.iter().map(|message| format!("2026-11-24T10:00:00Z stdout F {message}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    write(&logs(&dir), "prod_web-1_11111111-1111-1111-1111-111111111111/app", &lines);
    Agent::start(dir, &[], &format!("allow_components: true\n{config}"))
}

/// The same query with a shadow and without: the answer is the same. What the shadow did.
async fn shadowed(
    client: &mut Client,
    filter: &Puppet,
    shadow: &Puppet,
) -> (Answer, FilterStatus, ShadowStatus) {
    let (alone, own) = ask(client, &spec(filter, None)).await.expect("an answer");
    let (answer, status) = ask(client, &spec(filter, Some(shadow))).await.expect("an answer");
    assert_eq!(answer, alone, "a shadow changes nothing");
    assert_eq!((own.failed, own.replaced), (status.failed, status.replaced));
    let shadow = *status.shadow.clone().expect("what the shadow did");
    (answer, status, shadow)
}

#[tokio::test]
async fn each_difference_is_counted_and_sampled_with_its_place() {
    let agent = agent("", &["k1", "d2", "r3", "a4", "x5", "r6", "k7"]);
    let mut client = agent.client().await;
    // It sees two records, and so keeps all others as they are.
    let other = Puppet { version: "2.0.0", prefilter: Some("^(k1|r3)"), ..Puppet::default() };
    let (answer, status, shadow) = shadowed(&mut client, &Puppet::default(), &other).await;
    assert_eq!((answer.records.len(), status.failed), (6, 1));
    assert_eq!((shadow.status.version.as_str(), shadow.status.skipped_by_prefilter), ("2.0.0", 5));
    assert_eq!((shadow.compared, shadow.differing()), (7, 4));
    assert_eq!((shadow.dropped, shadow.fields, shadow.failed, shadow.messages), (1, 1, 1, 1));
    assert!(!shadow.status.time.is_zero() && shadow.status.peak_memory > 0, "its costs are its own");
    let samples: Vec<_> =
        shadow.samples.iter().map(|it| (it.difference, it.filter.outcome, it.shadow.outcome)).collect();
    assert_eq!(
        samples,
        [
            (Difference::Dropped, Outcome::Dropped, Outcome::Kept),
            (Difference::Fields, Outcome::Kept, Outcome::Kept),
            (Difference::Failed, Outcome::Failed, Outcome::Kept),
            (Difference::Message, Outcome::Replaced, Outcome::Kept),
        ]
    );
    let last = &shadow.samples[3];
    assert_eq!((last.filter.message.as_slice(), last.shadow.message.as_slice()), (&b"R6"[..], &b"r6"[..]));
    // The sixth line of equal lines.
    assert_eq!((last.file, last.offset), (0, 5 * "2026-11-24T10:00:00Z stdout F r6\n".len() as u64));
    assert_eq!(shadow.samples[1].filter.fields, b"{\"a\":1}");
    agent.metric_becomes("weir_shadow_records_total{filter=\"other\",result=\"differ\"}", 4).await;
    assert_eq!(agent.metric("weir_shadow_records_total{filter=\"other\",result=\"same\"}").await, 3);
}

#[tokio::test]
async fn a_shadow_sees_what_a_prefilter_would_have_kept_from_it() {
    let agent = agent("", &["k1", "k2", "x3", "k4"]);
    let mut client = agent.client().await;
    let filter = Puppet { kind: SELECT, prefilter: Some("[12]"), ..Puppet::default() };
    let other = Puppet { kind: SELECT, version: "2.0.0", prefilter: Some("k"), ..Puppet::default() };
    let (answer, _, shadow) = shadowed(&mut client, &filter, &other).await;
    assert_eq!(answer.records.len(), 2);
    assert_eq!((shadow.compared, shadow.dropped, shadow.differing()), (4, 1, 1));
    let (_, _, same) =
        shadowed(&mut client, &filter, &Puppet { version: "3.0.0", ..filter_like(&filter) }).await;
    assert_eq!((same.compared, same.differing()), (4, 0));
}

fn filter_like(puppet: &Puppet) -> Puppet {
    Puppet { kind: puppet.kind, prefilter: puppet.prefilter, ..Puppet::default() }
}

#[tokio::test]
async fn a_shadow_that_fails_harms_nobody() {
    let deeds: Vec<String> =
        WAYS_TO_FAIL.iter().map(|(deed, ..)| format!("{deed} is what it does")).collect();
    let messages: Vec<&str> = deeds.iter().map(String::as_str).collect();
    let agent = agent("limits: {filter: {batch_ms: 20, setup_ms: 50, failures: 1000}}", &messages);
    let mut client = agent.client().await;
    // It keeps everything as it is, and the shadow falls on every record.
    let filter = Puppet { prefilter: Some("nothing at all"), ..Puppet::default() };
    let (answer, _, shadow) =
        shadowed(&mut client, &filter, &Puppet { version: "2.0.0", ..Puppet::default() }).await;
    let records = WAYS_TO_FAIL.len() as u64;
    assert_eq!((answer.matched, answer.incomplete.len()), (records, 0), "{answer:?}");
    assert_eq!((shadow.compared, shadow.failed, shadow.status.failed), (records, records, records));
    let reasons: Vec<&str> = shadow.status.failures.iter().map(|failure| failure.reason.as_str()).collect();
    for (deed, reason, _) in WAYS_TO_FAIL {
        assert!(reasons.contains(&reason), "{deed}: {reasons:?}");
    }
    // One that does nothing but fail, from its first source on.
    for (export, text) in
        [("begin-source", "unreachable"), ("process", "(loop $ever (br $ever))"), ("finish", "unreachable")]
    {
        let shadow = Puppet { version: "3.0.0", prologue: vec![(export, text)], ..Puppet::default() };
        let (answer, _, shadow) = shadowed(&mut client, &filter, &shadow).await;
        assert_eq!((answer.matched, answer.incomplete.len()), (records, 0), "{export}: {answer:?}");
        assert!(!shadow.status.failures.is_empty(), "{export}");
    }
}

#[tokio::test]
async fn a_shadow_has_its_own_time_and_is_left_out_when_it_is_over() {
    let agent = agent("limits: {query: {shadow_seconds: 0}}", &["k1", "r2", "d3"]);
    let mut client = agent.client().await;
    let other = Puppet { version: "2.0.0", ..Puppet::default() };
    let (_, _, shadow) = shadowed(&mut client, &Puppet::default(), &other).await;
    assert!(shadow.spent);
    assert_eq!((shadow.compared, shadow.left_out, shadow.status.records_in), (0, 3, 0));
}

#[tokio::test]
async fn a_shadow_that_cannot_be_one_is_refused_by_name() {
    let agent = agent("limits: {query: {filters: 1}}", &["k1"]);
    let mut client = agent.client().await;
    match ask(&mut client, &spec(&Puppet::default(), Some(&Puppet::default()))).await {
        Err(ClientError::Query(QueryError::LimitExceeded { limit, .. })) => assert_eq!(limit, "filters"),
        other => panic!("{other:?}"),
    }
    let agent = self::agent("", &["k1"]);
    let mut client = agent.client().await;
    let of_another_kind = spec(&Puppet::default(), Some(&Puppet { kind: SELECT, ..Puppet::default() }));
    let mut nobody = spec(&Puppet::default(), None);
    let shadow = ShadowSpec { filter: FilterRef::Name("nobody".to_owned()), params: String::new() };
    nobody.filters[0].shadow = Some(shadow);
    let mut wrong = spec(&Puppet::default(), None);
    let params = r#"{"detectors": ["emial"]}"#.to_owned();
    wrong.filters[0].shadow = Some(ShadowSpec { filter: FilterRef::Name("redact".to_owned()), params });
    for (spec, says) in
        [(of_another_kind, "kind select"), (nobody, "'nobody'"), (wrong, "did you mean email?")]
    {
        let error = ask(&mut client, &spec).await.expect_err(says).to_string();
        assert!(error.contains("filters[0].shadow") && error.contains(says), "{says}: {error}");
    }
}
