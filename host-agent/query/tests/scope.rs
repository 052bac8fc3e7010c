//! What may not be read is as if it weren't there: on real files, past and to come.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use weir_query::{
    Cancel, CancelWhenDropped, Compiler, Engine, EngineConfig, Event, Flow, Inputs, Output, Place,
    QueryError, QuerySpec, ResumeToken, Right, Scope, Summary,
};

/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

fn write(root: &Path, namespace: &str, pod: &str, message: &str) {
    let dir = root.join(format!("{namespace}_{pod}_11111111-1111-1111-1111-111111111111/app"));
    fs::create_dir_all(&dir).expect("a folder");
    // In one step, so that nobody reads half of it.
    fs::write(dir.join("new"), format!("2026-11-24T10:00:00Z stdout F {message}\n")).expect("a file");
    fs::rename(dir.join("new"), dir.join("0.log")).expect("a file");
}

/// A tree of three pods in two namespaces.
fn tree() -> (TempDir, Arc<Engine>) {
    let dir = tempfile::tempdir().expect("a folder");
    for (namespace, pod) in [("prod", "web"), ("prod", "cart"), ("dev", "db")] {
        write(dir.path(), namespace, pod, &format!("from {pod}"));
    }
    let compiler = Compiler::Child { program: "/nowhere".into(), args: Vec::new() };
    let config = EngineConfig::new(Inputs::root(dir.path().to_owned()), compiler);
    (dir, Arc::new(Engine::new(config, &[]).expect("an engine")))
}

fn only(namespace: &'static str) -> Scope {
    Scope::new(move |right| Ok(*right == Right::Read(Place::Namespace(namespace.to_owned()))))
}

fn select(selectors: &[&str]) -> QuerySpec {
    QuerySpec { sources: selectors.iter().map(|text| (*text).to_owned()).collect(), ..QuerySpec::default() }
}

/// Everything that a query tells, as text, and its summary.
fn told(engine: &Engine, spec: &QuerySpec, scope: &Scope) -> Result<(String, Summary), QueryError> {
    let (mut text, mut summary) = (String::new(), Summary::default());
    let plan = engine.plan_within(spec, scope, &Cancel::default())?;
    plan.run(&Cancel::default(), &mut |event| {
        if let Event::Records { batch, .. } = &event {
            batch.records.iter().for_each(|record| text += &String::from_utf8_lossy(batch.message(record)));
        }
        text += &format!("{event:?}");
        if let Event::Summary(end) = event {
            summary = end;
        }
        Flow::Continue
    });
    Ok((text, summary))
}

#[test]
fn it_is_in_no_answer_count_or_listing() {
    let (_dir, engine) = tree();
    for output in [Output::Records, Output::Count { per_source: true }] {
        let spec = QuerySpec { output, ..select(&[]) };
        let (text, summary) = told(&engine, &spec, &only("dev")).expect("an answer");
        assert!(!["web", "cart", "prod"].iter().any(|foreign| text.contains(foreign)), "{text}");
        assert_eq!((summary.sources, summary.matched), (1, 1));
        let named = QuerySpec { sources: vec!["dev:".to_owned()], ..spec.clone() };
        let named = told(&engine, &named, &Scope::everything()).expect("an answer").1;
        assert_eq!(summary.bytes_read, named.bytes_read, "nothing else was read");
        assert_eq!(told(&engine, &spec, &Scope::everything()).expect("an answer").1.sources, 3);
    }
    let listed = engine.sources(&[], true, &only("prod")).expect("a list");
    assert_eq!(listed.iter().map(|info| info.source.pod.as_str()).collect::<Vec<_>>(), ["cart", "web"]);
    assert!(engine.sources(&[], true, &only("nowhere")).expect("a list").is_empty());
}

#[test]
fn errors_are_the_same_whether_it_is_there_or_not() {
    let (_dir, engine) = tree();
    for (there, not_there) in [("prod:", "prid:"), ("p*:", "q*:"), ("web", "wob"), ("prod:web", "prid:wob")] {
        let error = |selector: &str| {
            let told = told(&engine, &select(&[selector]), &only("dev")).expect_err(selector);
            let listed = engine.sources(&[selector.to_owned()], false, &only("dev")).expect_err(selector);
            assert_eq!(told.to_string(), listed.to_string());
            told.to_string()
        };
        let same = error(not_there).replace("prid", "prod").replace("q*", "p*").replace("wob", "web");
        assert_eq!(error(there), same);
    }
}

#[test]
fn a_token_tells_nothing_of_what_may_not_be_read_any_more() {
    let (dir, engine) = tree();
    let mut token = ResumeToken::default();
    let mut sources = Vec::new();
    let plan = engine.plan_within(&select(&[]), &Scope::everything(), &Cancel::default()).expect("a plan");
    plan.run(&Cancel::default(), &mut |event| {
        match event {
            Event::Source { source, .. } => sources.push(source),
            Event::Positions(positions) => {
                positions.into_iter().for_each(|it| token.note(&sources[it.source as usize], it.position));
            }
            _ => {}
        }
        Flow::Continue
    });
    // One of them is deleted since, which is told to whoever may read it.
    fs::remove_dir_all(dir.path().join("prod_web_11111111-1111-1111-1111-111111111111")).expect("a folder");
    let spec = QuerySpec { resume: token, ..select(&[]) };
    let (text, _) = told(&engine, &spec, &Scope::everything()).expect("an answer");
    assert!(text.contains("rotated-away") || text.contains("deleted since"), "{text}");
    let (text, summary) = told(&engine, &spec, &only("dev")).expect("an answer");
    assert!(!text.contains("web") && summary.is_complete() && summary.sources == 1, "{text}");
}

#[test]
fn a_follow_takes_what_is_new_where_it_may_be_read() {
    let (dir, engine) = tree();
    let (allows, is_down) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let scope = Scope::new({
        let (allows, is_down) = (Arc::clone(&allows), Arc::clone(&is_down));
        move |right| match right {
            _ if is_down.load(Ordering::SeqCst) => {
                allows.store(true, Ordering::SeqCst);
                Err(QueryError::Unavailable { message: "it is down".to_owned() })
            }
            Right::Read(Place::Namespace(name)) => Ok(name == "dev" || name == "late"),
            _ => Ok(false),
        }
    });
    let cancel = Cancel::default();
    let _ends = CancelWhenDropped::new(cancel.clone());
    let spec = QuerySpec { follow: true, ..select(&[]) };
    let plan = engine.plan_within(&spec, &scope, &cancel).expect("a plan");
    let (sender, events) = mpsc::channel();
    let follow = thread::spawn({
        let cancel = cancel.clone();
        move || {
            plan.run(&cancel, &mut |event| {
                if let Event::Records { batch, .. } = &event {
                    let messages = batch.records.iter().map(|record| batch.message(record).to_vec());
                    sender.send(messages.collect::<Vec<_>>().concat()).expect("it is listened to");
                }
                Flow::Continue
            });
        }
    });
    let next = || String::from_utf8(events.recv_timeout(DEADLINE).expect("a record")).expect("text");
    assert_eq!(next(), "from db");
    write(dir.path(), "prod", "new", "from a foreign one");
    write(dir.path(), "dev", "new", "from a new one");
    assert_eq!(next(), "from a new one", "the other one doesn't come before it");

    // It can't be told for a while: what is followed goes on, and what is new comes when it can be told.
    is_down.store(true, Ordering::SeqCst);
    write(dir.path(), "late", "later", "from a later one");
    let started = std::time::Instant::now();
    while !allows.load(Ordering::SeqCst) {
        assert!(started.elapsed() < DEADLINE, "nobody is asked");
        thread::yield_now();
    }
    let db = dir.path().join("dev_db_11111111-1111-1111-1111-111111111111/app/0.log");
    let mut db = fs::File::options().append(true).open(db).expect("a file");
    db.write_all(b"2026-11-24T10:00:01Z stdout F from db again\n").expect("a line");
    assert_eq!(next(), "from db again");
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(next(), "from a later one");
    cancel.cancel();
    follow.join().expect("no panic");
}
