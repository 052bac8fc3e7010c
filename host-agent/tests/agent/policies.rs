//! Policies of an agent: a folder of files, what becomes of those that are wrong, and that nothing of what they take out is in
//! anything that the process writes.

use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use weir_query::{
    Event, Flow, Matcher, PatternLimits, PatternSpec, PolicyStatus, QueryError, QuerySpec, Summary,
};
use weir_rpc::{Client, ClientError};

use crate::guests::Puppet;
use crate::logs::write;
use crate::node::Node;
use crate::process::{Agent, folder, logs, until};
use crate::queries::{query, spy};

const CARD: &str = "4929420573595709";
const POD: &str = "shop_web-1_11111111-1111-1111-1111-111111111111/app";
const OTHER: &str = "open_db-1_22222222-2222-2222-2222-222222222222/app";
/// What the queries ask for.
const LIMITS: &str = "limits: {filter_max: {failures: 1000000}}";
const LOADED: &str = "weir_policies{result=\"ok\"}";
const REFUSED: &str = "weir_policies{result=\"refused\"}";

#[derive(Default)]
struct Answer {
    lines: Vec<String>,
    policies: Vec<PolicyStatus>,
    summary: Summary,
    /// Every byte and word of it.
    seen: Vec<u8>,
}

async fn ask(client: &mut Client, spec: &QuerySpec) -> Result<Answer, ClientError> {
    let mut answer = Answer::default();
    let mut sink = |event: Event| {
        match event {
            Event::Records { batch, .. } => {
                answer.seen.extend_from_slice(&batch.bytes);
                let line = |record| String::from_utf8_lossy(batch.message(record)).into_owned();
                answer.lines.extend(batch.records.iter().map(line));
            }
            other => {
                answer.seen.extend(format!("{other:?}").into_bytes());
                match other {
                    Event::Policy(status) => answer.policies.push(status),
                    Event::Summary(summary) => answer.summary = summary,
                    _ => {}
                }
            }
        }
        Flow::Continue
    };
    client.query(spec, &mut sink).await?;
    Ok(answer)
}

/// Puts a file into place at once, as whoever changes one should.
fn place(dir: &Path, name: &str, content: &[u8]) {
    let new = dir.join(".new");
    fs::write(&new, content).expect("written");
    fs::rename(new, dir.join(name)).expect("renamed");
}

/// An agent over two namespaces with a card number in each, and a folder of policies that `fill` fills before.
fn agent(args: &[&str], config: &str, fill: impl FnOnce(&Path)) -> (Agent, PathBuf) {
    let dir = folder();
    for pod in [POD, OTHER] {
        write(&logs(&dir), pod, &[&format!("2026-11-24T10:00:00Z stdout F card {CARD}")]);
    }
    start(dir, args, config, fill)
}

fn start(dir: tempfile::TempDir, args: &[&str], config: &str, fill: impl FnOnce(&Path)) -> (Agent, PathBuf) {
    let policies = dir.path().join("policies");
    fs::create_dir(&policies).expect("a folder");
    fill(&policies);
    let path = policies.to_str().expect("a path of ours").to_owned();
    let args = [&["--policies-folder", path.as_str()], args].concat();
    (Agent::start(dir, &args, &format!("policies: {{reload_seconds: 1}}\n{config}")), policies)
}

fn of(namespace: &str) -> QuerySpec {
    QuerySpec { sources: vec![format!("{namespace}:")], ..QuerySpec::default() }
}

#[tokio::test]
async fn policies_come_change_break_and_go() {
    let (agent, policies) =
        agent(&[], "", |dir| place(dir, "pci.yaml", b"namespaces: [shop]\nfilters: [{name: redact}]"));
    let mut client = agent.client().await;
    let answer = ask(&mut client, &of("shop")).await.expect("an answer");
    assert_eq!(answer.lines, ["card [REDACTED:card]"]);
    assert_eq!((answer.policies[0].name.as_str(), answer.policies[0].redacted), ("pci", 1));
    assert_eq!(agent.metric("weir_policy_records_total{policy=\"pci\",result=\"redacted\"}").await, 1);
    let open = ask(&mut client, &of("open")).await.expect("an answer");
    assert_eq!((open.lines, open.policies.len()), (vec![format!("card {CARD}")], 0));
    assert!(agent.metric("weir_bytes_read_total").await > 0);

    // A filter that isn't there: what the policy is for is refused, and nothing else.
    place(&policies, "pci.yaml", b"namespaces: [shop]\nfilters: [{name: redakt}]");
    agent.metric_becomes(REFUSED, 1).await;
    agent.logs(&["ERROR", "a policy can't be loaded", "pci", "redakt"]).await;
    match ask(&mut client, &of("shop")).await {
        Err(ClientError::Query(QueryError::Refused { message, .. })) => {
            assert!(message.contains("policy 'pci'") && message.contains("redakt"), "{message}");
        }
        other => panic!("{:?}", other.map(|answer| answer.lines)),
    }
    let both = ask(&mut client, &QuerySpec::default()).await.expect("an answer");
    assert_eq!((both.lines.len(), both.summary.is_complete()), (1, false));

    // What it is for isn't known: everything is refused.
    place(&policies, "pci.yaml", b"namespaces: [shop\n");
    agent.logs(&["ERROR", "pci.yaml"]).await;
    agent.metric_becomes(LOADED, 0).await;
    let start = std::time::Instant::now();
    while ask(&mut client, &of("open")).await.is_ok() {
        assert!(start.elapsed().as_secs() < 60, "the other namespace is still served");
    }

    // It is gone.
    fs::remove_file(policies.join("pci.yaml")).expect("it is there");
    agent.metric_becomes(REFUSED, 0).await;
    assert_eq!(ask(&mut client, &of("shop")).await.expect("an answer").lines, [format!("card {CARD}")]);
}

#[tokio::test]
async fn a_folder_that_is_gone_has_all_refused() {
    let (agent, policies) = agent(&[], "", |_| {});
    let mut client = agent.client().await;
    assert_eq!(ask(&mut client, &of("shop")).await.expect("an answer").lines.len(), 1);
    fs::remove_dir(policies).expect("it is empty");
    agent.logs(&["ERROR", "every query is refused"]).await;
    match ask(&mut client, &of("shop")).await {
        Err(ClientError::Query(QueryError::NotReady { message })) => {
            assert!(message.contains("policies"), "{message}")
        }
        other => panic!("{:?}", other.map(|answer| answer.lines)),
    }
}

#[tokio::test]
async fn a_component_of_a_policy_passes_the_gate() {
    let puppet = Puppet::default().build();
    let fill = |dir: &Path| {
        place(dir, "puppet.wasm", &Puppet::default().build());
        place(dir, "own.yaml", b"namespaces: [shop]\nfilters: [{file: puppet.wasm}]");
    };
    let digest = weir_query::digest(&puppet);
    let (allowed, _) = agent(&[], &format!("filters: {{allowed_digests: ['{digest}']}}"), fill);
    assert_eq!(allowed.metric(LOADED).await, 1);
    let other = format!("sha256:{}", "0".repeat(64));
    let (refused, _) = agent(&[], &format!("filters: {{allowed_digests: ['{other}']}}"), fill);
    assert_eq!(refused.metric(REFUSED).await, 1);
    assert!(ask(&mut refused.client().await, &of("shop")).await.is_err());
}

#[tokio::test]
async fn what_a_callers_filter_is_handed_holds_nothing_of_the_original() {
    let dir = folder();
    let long = "y".repeat(200);
    for pod in [POD, OTHER] {
        let lines =
            [&long, &format!("card {CARD}")].map(|text| format!("2026-11-24T10:00:00Z stdout F {text}"));
        write(&logs(&dir), pod, &lines.each_ref().map(String::as_str));
    }
    let (agent, _) = start(dir, &["--allow-components"], "", |dir| {
        place(dir, "pci.yaml", b"namespaces: [shop]\nfilters: [{name: redact}]");
    });
    let given = async |namespace: &str| {
        let spec = QuerySpec { filters: vec![spy()], ..of(namespace) };
        ask(&mut agent.client().await, &spec).await.expect("an answer").lines[0].clone()
    };
    assert_eq!(given("shop").await, format!("{long}card [REDACTED:card]"));
    let all = given("open").await;
    assert!(all.contains(&format!("card {CARD}")), "it tells what it is handed: {all}");
}

#[tokio::test]
async fn nothing_that_the_process_writes_holds_a_part_of_a_secret() {
    for seed in 0..4 {
        let mut rng = Rng::with_seed(seed);
        let (node, dir) = (Node::new(&mut rng), folder());
        let secrets = node.secrets(&mut rng, true);
        node.write(&logs(&dir), &secrets, rng.u64(..));
        let (agent, _) = start(dir, &["--allow-components", "--log-level", "debug"], LIMITS, |dir| {
            place(dir, "all.yaml", b"namespaces: [shop]\nfilters: [{name: redact}]");
            place(dir, "puppet.wasm", &Puppet::default().build());
            place(dir, "puppet.yaml", b"namespaces: [sh*]\nfilters: [{file: puppet.wasm}]");
        });
        let mut client = agent.client().await;
        let mut seen = Vec::new();
        for _ in 0..25 {
            let spec = query(&mut rng, &node, &secrets);
            seen.extend(ask(&mut client, &spec).await.expect("an answer").seen);
        }
        seen.extend(agent.page("/metrics").await.1.into_bytes());
        until(|| agent.log().contains("query ended"), || agent.log()).await;
        seen.extend(agent.log().into_bytes());
        read_all(&agent.dir().join("cache"), &mut seen);
        let parts = node.kinds.iter().zip(&secrets).flat_map(|(kind, secret)| kind.parts(secret));
        let spec = PatternSpec { patterns: parts.collect(), fixed: true, ..PatternSpec::default() };
        if let Some(finder) = Matcher::new(&spec, &PatternLimits::default()).expect("texts are patterns") {
            finder.for_each_match(&seen, |found| {
                let near = &seen[found.start.saturating_sub(100)..seen.len().min(found.end + 100)];
                panic!("seed {seed}: a secret leaves the process: {}", String::from_utf8_lossy(near));
            });
        }
    }
}

fn read_all(dir: &Path, seen: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => read_all(&path, seen),
            false => seen.extend(fs::read(path).expect("a file")),
        }
    }
}
