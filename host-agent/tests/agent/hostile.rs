//! Guests that mean harm, uploaded to an agent that serves others meanwhile: each ends with its own error, the others'
//! answers are whole, and all that they took is given back, what was uploaded included.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_query::{
    Event, FilterRef, FilterSpec, FilterStatus, Flow, Limit, Output, PatternSpec, QuerySpec, Summary, digest,
};
use weir_rpc::{Client, ClientError};

use crate::bombs;
use crate::guests::{Puppet, WAYS_TO_FAIL};
use crate::logs::write;
use crate::process::{Agent, Figures, folder, logs};

/// Queries of others that run all the time.
const OTHERS: usize = 20;

/// Anonymous memory that may come and stay, with the allocator's own habits, in bytes.
const SLACK: u64 = 12 << 20;

const CONFIG: &str = "allow_components: true
limits:
  max_queries: 64
  max_queries_per_caller: 64
  upload_keep_seconds: 1
  sandbox: {compile_seconds: 4}
  filter: {batch_ms: 20, setup_ms: 50}
";

/// All that a query told, as far as it is the same each time.
#[derive(Clone, Debug, Default, PartialEq)]
struct Answer {
    messages: Vec<Vec<u8>>,
    counts: Vec<u64>,
    matched: u64,
    incomplete: Vec<String>,
    failures: Vec<String>,
}

async fn answer(client: &mut Client, spec: &QuerySpec) -> Result<Answer, ClientError> {
    let mut answer = Answer::default();
    let mut sink = |event: Event| {
        match event {
            Event::Records { batch, .. } => {
                let messages = batch.records.iter().map(|record| batch.message(record).to_vec());
                answer.messages.extend(messages);
            }
            Event::Counts(counts) => answer.counts.extend(counts.iter().map(|count| count.matched)),
            Event::Filter(FilterStatus { failures, .. }) => {
                answer.failures.extend(failures.iter().map(ToString::to_string));
            }
            Event::Summary(Summary { matched, incomplete, .. }) => {
                (answer.matched, answer.incomplete) = (matched, incomplete);
            }
            _ => {}
        }
        Flow::Continue
    };
    client.query(spec, &mut sink).await?;
    Ok(answer)
}

/// What others ask: searches, counts and filters, over the same logs.
fn others() -> Vec<QuerySpec> {
    let sources = vec!["clean:".to_owned()];
    let pattern = |text: &str| PatternSpec { patterns: vec![text.to_owned()], ..PatternSpec::default() };
    let filter = |name: &str, params: &str| FilterSpec {
        params: params.to_owned(),
        ..FilterSpec::new(FilterRef::Name(name.to_owned()))
    };
    let kinds = [
        QuerySpec { pattern: pattern("status\":50[0-3]"), ..QuerySpec::default() },
        QuerySpec { output: Output::Count { per_source: true }, ..QuerySpec::default() },
        QuerySpec { filters: vec![filter("redact", "{}")], limit: Limit::Tail(200), ..QuerySpec::default() },
        QuerySpec {
            filters: vec![filter("json-match", r#"{"where": "status >= 500"}"#)],
            ..QuerySpec::default()
        },
    ];
    (0..OTHERS).map(|n| QuerySpec { sources: sources.clone(), ..kinds[n % kinds.len()].clone() }).collect()
}

fn hostile(component: Vec<u8>, on: &str) -> QuerySpec {
    let component =
        FilterRef::Component { label: "hostile.wasm".to_owned(), bytes: component, signature: None };
    QuerySpec {
        sources: vec![format!("hostile:{on}")],
        filters: vec![FilterSpec::new(component)],
        ..QuerySpec::default()
    }
}

fn tree(agent: &std::path::Path) {
    for pod in 0..2 {
        let line = |n: u32| {
            let (second, status) = (n % 60, 200 + n % 307);
            format!(
                "2026-11-24T10:00:{second:02}Z stdout F {{\"pod\":{pod},\"n\":{n},\"status\":{status},\
                 \"user\":\"user{n}@example.com\"}}"
            )
        };
        let lines: Vec<String> = (0..4000).map(line).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        write(agent, &format!("clean_pod-{pod}_1111111{pod}-1111-1111-1111-111111111111/app"), &lines);
    }
    for (number, (deed, ..)) in WAYS_TO_FAIL.iter().enumerate() {
        // Good records on either side.
        let lines: Vec<String> = (0..9)
            .map(|n| format!("2026-11-24T10:00:0{n}Z stdout F {}{n}", if n == 4 { *deed } else { "r" }))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let pod = format!("hostile_deed-{number}_2222222{number:x}-1111-1111-1111-111111111111/app");
        write(agent, &pod, &lines);
    }
}

/// Everything hostile, one after the other; `slowly`, what has to be waited for too.
async fn do_harm(client: &mut Client, slowly: bool) {
    // Not on this thread, which has to hear meanwhile that the agent is alive.
    let made = move || {
        let slow = if slowly { bombs::slow() } else { Vec::new() };
        bombs::quick().into_iter().chain(slow).collect::<Vec<_>>()
    };
    for bomb in tokio::task::spawn_blocking(made).await.expect("no panic") {
        let error = answer(client, &hostile(bomb.component, "")).await.expect_err(bomb.name).to_string();
        assert!(error.contains(bomb.told), "{}: {error}", bomb.name);
    }
    for (number, (deed, reason, told)) in WAYS_TO_FAIL.iter().enumerate() {
        let spec = hostile(Puppet::default().build(), &format!("deed-{number}/"));
        let found = answer(client, &spec).await.unwrap_or_else(|error| panic!("{deed}: {error}"));
        let failures = found.failures.join("\n");
        assert!(failures.contains(reason) && failures.contains(told), "{deed}: {failures}");
        assert_eq!(found.incomplete.len(), 1, "{deed}: {:?}", found.incomplete);
        let expected: Vec<Vec<u8>> =
            (0..9).map(|n| if n == 4 { format!("{deed}4") } else { format!("R{n}") }.into_bytes()).collect();
        assert_eq!(found.messages, expected, "{deed}");
    }
}

#[tokio::test]
async fn harm_stays_with_whom_it_comes_from() {
    // The client's sinks stay on their thread.
    tokio::task::LocalSet::new().run_until(harm()).await;
}

async fn harm() {
    let dir = folder();
    tree(&logs(&dir));
    let agent = Agent::start(dir, &[], CONFIG);
    let specs = others();
    let mut quiet = Vec::new();
    let mut client = agent.client().await;
    for spec in &specs {
        let found = answer(&mut client, spec).await.expect("a whole answer");
        assert!(found.incomplete.is_empty() && found.matched > 0, "{found:?}");
        quiet.push(found);
    }

    let mut figures: Option<Figures> = None;
    for round in 0..2 {
        let done = Arc::new(AtomicBool::new(false));
        let mut running = tokio::task::JoinSet::new();
        for (spec, expected) in specs.iter().cloned().zip(quiet.clone()) {
            let (mut client, done) = (agent.client().await, Arc::clone(&done));
            running.spawn_local(async move {
                let mut answers = 0;
                while !done.load(Ordering::Relaxed) {
                    let found = answer(&mut client, &spec).await.expect("an answer among hostile guests");
                    assert_eq!(found, expected);
                    answers += 1;
                }
                answers
            });
        }
        do_harm(&mut client, round == 0).await;
        done.store(true, Ordering::Relaxed);
        while let Some(answers) = running.join_next().await {
            assert!(answers.expect("no panic") > 0, "round {round}");
        }
        // The first round makes what stays for good: the engine, the pool, the filters that ship.
        agent.metric_becomes("weir_queries_running", 0).await;
        let last = digest(&Puppet::default().build());
        agent.logs(&["was not used any more", &last]).await;
        match &figures {
            None => figures = Some(agent.figures_at_rest().await),
            Some(before) => {
                let after = agent.figures_at_rest().await;
                assert!(after.threads <= before.threads, "{before:?} {after:?}");
                assert!(after.descriptors <= before.descriptors, "{before:?} {after:?}");
                assert!(after.anonymous <= before.anonymous + SLACK, "{before:?} {after:?}");
            }
        }
    }
}
