//! Random trees of logs, random queries: the answers of the real engine, here and through a real agent over
//! mutual TLS, must equal the one that is worked out the plain way with `rg` and `jq`.
//!
//! `WEIR_CASES` sets how many trees are tried (default 48, with six queries each), `WEIR_SEED` which (default 0).

mod model;
mod queries;
mod tree;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use weir_query::{
    Bucket, Builtin, Cancel, Compiler, Count, Engine, EngineConfig, Event, Flags, Flow, Inputs, Limit,
    Output, QuerySpec, Stream,
};
use weir_rpc::{Client, Endpoint};

use self::model::Given;
use self::queries::Query;
use self::tree::{Expected, Log};
use crate::transport::{Tls, tls};

/// All that a query told.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    records: Vec<Given>,
    counts: Vec<Count>,
    histogram: Vec<Bucket>,
    matched: u64,
    incomplete: Vec<String>,
    limited: bool,
    /// Matches of each source.
    ends: Vec<u64>,
}

impl Answer {
    fn take(&mut self, event: Event) -> Flow {
        match event {
            Event::SourceEnd(status) => self.ends.push(status.matched),
            Event::Source { .. }
            | Event::Progress(_)
            | Event::Positions(_)
            | Event::Notice(_)
            | Event::Filter(_)
            | Event::Policy(_) => {}
            Event::Gap(gap) => panic!("nothing is missing on disk: {gap:?}"),
            Event::Counts(counts) => self.counts = counts,
            Event::Histogram(buckets) => self.histogram = buckets,
            Event::Summary(summary) => {
                self.matched = summary.matched;
                // Whether a line over the limit was met depends on how far the search had to read.
                self.incomplete =
                    summary.incomplete.into_iter().filter(|reason| !reason.contains("line_bytes")).collect();
                self.limited = summary.limited;
            }
            Event::Records { batch, .. } => {
                for record in &batch.records {
                    self.records.push(Given {
                        source: record.source as usize,
                        time: record.time,
                        stderr: record.stream == Stream::Stderr,
                        message: batch.message(record).to_vec(),
                        truncated: record.flags.has(Flags::TRUNCATED),
                        context: record.flags.has(Flags::CONTEXT),
                    });
                }
            }
        }
        Flow::Continue
    }
}

#[test]
fn answers_equal_the_plain_way() {
    let Tls { agent, trusted, client, .. } = tls(true, "");
    let root = agent.dir().join("logs");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let endpoint = Endpoint { cert: Some(client.cert), key: Some(client.key), ..trusted };
    let client = RefCell::new(runtime.block_on(Client::connect(&endpoint)).expect("a trusted agent"));
    let builtin: Vec<_> = weir_filters::all()
        .iter()
        .map(|filter| Builtin::new(filter.name, filter.digest, filter.size, weir_filters::component))
        .collect();
    let engines: Vec<Engine> = (1..=4)
        .map(|threads| {
            let mut config = EngineConfig::new(Inputs::root(root.clone()), Compiler::InProcess);
            // The smallest blocks that a query can ask for, so that trees of a few kilobytes span several.
            config.limits.merge_bytes = 1;
            config.limits.threads = threads;
            Engine::new(config, &builtin).expect("an engine")
        })
        .collect();

    let cases = std::env::var("WEIR_CASES").map_or(48, |text| text.parse().expect("WEIR_CASES is a number"));
    let seed =
        std::env::var("WEIR_SEED").map_or(0, |text| text.parse::<u64>().expect("WEIR_SEED is a number"));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let logs = prop::collection::vec(tree::log(), 1..4).prop_map(|mut logs| {
        // Where a line without a time stands among several sources is not promised.
        if logs.len() > 1 {
            logs.iter_mut().flat_map(|log| &mut log.lines).for_each(|line| line.malformed = false);
        }
        logs
    });
    let queries = prop::collection::vec(queries::query(), 6);
    let case = Cell::new(0);
    let threads = prop::sample::select((1..=engines.len()).collect::<Vec<_>>());
    let outcome = runner.run(&(logs, queries, threads), |(logs, queries, threads)| {
        // A namespace for each tree, so that one agent and one engine serve all of them.
        case.set(case.get() + 1);
        let namespace = format!("case{}", case.get());
        let sources = write(&root, &namespace, &logs);
        for query in &queries {
            let mut spec = query.spec.clone();
            spec.sources = vec![format!("{namespace}:")];
            // Lines without a time are given whatever the range: the plain way has no word for that.
            if logs.iter().any(|log| log.lines.iter().any(|line| line.malformed)) {
                (spec.since, spec.until) = (None, None);
            }
            let query = Query { spec, condition: query.condition };
            let expected = expected(&sources, &query);
            let local = run_local(&engines[threads - 1], &query.spec);
            compare(&local, &expected, &query, &format!("the engine with {threads} threads"))?;
            let mut remote = Answer::default();
            let mut sink = |event: Event| remote.take(event);
            runtime.block_on(client.borrow_mut().query(&query.spec, &mut sink)).expect("a whole answer");
            compare(&remote, &expected, &query, "the agent")?;
        }
        std::fs::remove_dir_all(&root).and_then(|()| std::fs::create_dir(&root)).expect("a clean folder");
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn write(root: &Path, namespace: &str, logs: &[Log]) -> Vec<Vec<Expected>> {
    for (index, log) in logs.iter().enumerate() {
        log.write(root, namespace, &format!("pod-{index}"));
    }
    logs.iter().map(Log::records).collect()
}

fn expected(sources: &[Vec<Expected>], query: &Query) -> Answer {
    let spec = &query.spec;
    let given = model::answer(sources, spec, query.condition);
    let matches: Vec<&Given> = given.iter().filter(|given| !given.context).collect();
    let mut answer = Answer {
        matched: matches.len() as u64,
        limited: spec.limit.records().is_some_and(|most| matches.len() as u64 == most),
        ..Answer::default()
    };
    let count = |source: usize| matches.iter().filter(|given| given.source == source).count() as u64;
    answer.ends = (0..sources.len()).map(count).collect();
    match spec.output {
        Output::Records => answer.records = given,
        Output::Count { per_source: false } => {
            answer.counts = vec![Count { source: None, matched: matches.len() as u64 }];
        }
        Output::Count { per_source: true } => {
            answer.counts = (0..sources.len())
                .map(|source| Count { source: u32::try_from(source).ok(), matched: count(source) })
                .collect();
        }
        Output::Histogram { step, per_source } => {
            let mut buckets = BTreeMap::new();
            for given in matches {
                let step = i64::try_from(step.get()).expect("small");
                let source = if per_source { u32::try_from(given.source).ok() } else { None };
                let start = given.time.map(|time| time.div_euclid(step) * step);
                *buckets.entry((source, start)).or_insert(0) += 1;
            }
            answer.histogram = buckets
                .into_iter()
                .map(|((source, start), matched)| Bucket { source, start, matched })
                .collect();
        }
    }
    answer
}

fn run_local(engine: &Engine, spec: &QuerySpec) -> Answer {
    let mut answer = Answer::default();
    let plan = engine.plan(spec).expect("a good query");
    plan.run(&Cancel::default(), &mut |event| answer.take(event));
    answer
}

fn compare(answer: &Answer, expected: &Answer, query: &Query, whose: &str) -> Result<(), TestCaseError> {
    let lossy = |given: &Given| {
        let mark = if given.context { '-' } else { ':' };
        format!("{}{mark}{:?}{mark}{:?}", given.source, given.time, String::from_utf8_lossy(&given.message))
    };
    let found: Vec<String> = answer.records.iter().map(lossy).collect();
    let wanted: Vec<String> = expected.records.iter().map(lossy).collect();
    prop_assert_eq!(found, wanted, "{} for {:?}", whose, query);
    prop_assert_eq!(answer, expected, "{} for {:?}", whose, query);
    Ok(())
}

/// The generator is worth nothing if its queries find nothing, or everything.
#[test]
fn random_queries_find_some_and_not_all() {
    let mut runner = TestRunner::deterministic();
    let (mut some, mut none, mut tries) = (0, 0, 0);
    while tries < 60 {
        let log = tree::log().new_tree(&mut runner).expect("a log").current();
        let mut query = queries::query().new_tree(&mut runner).expect("a query").current();
        query.spec.limit = Limit::All;
        let matches = model::matches(&[log.records()], &query.spec, query.condition);
        let found = matches[0].iter().filter(|matched| **matched).count();
        match found {
            0 => none += 1,
            found if found < log.lines.len() => some += 1,
            _ => {}
        }
        tries += 1;
    }
    assert!(some >= 15 && none >= 5, "{some} of {tries} find some, {none} none");
}
