//! Agents that are asked for sources of their own, and for more of them while the answer is followed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::timeout;
use weir_query::{Compiler, Engine, EngineConfig, Event, Flow, Inputs, QuerySpec};
use weir_relay::{Fleet, Member, NoAnswer, Reach};
use weir_rpc::{Endpoint, Guard, Listener, Server, ServerLimits, Unobserved};

/// How long something may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// An agent on a folder of logs.
struct Agent {
    dir: TempDir,
    url: String,
}

impl Agent {
    async fn start() -> Agent {
        let dir = tempfile::tempdir().expect("a folder");
        let compiler = Compiler::Child { program: "none".into(), args: Vec::new() };
        let config = EngineConfig::new(Inputs::root(dir.path().to_owned()), compiler);
        let engine = Arc::new(Engine::new(config, &[]).expect("an engine"));
        let listen = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(&listen, None).await.expect("a port");
        let url = format!("http://{}", listener.local());
        let server = Server::new(engine, ServerLimits::default(), Guard::open(), Arc::new(Unobserved));
        tokio::spawn(server.serve(listener, std::future::pending(), std::future::pending()));
        Agent { dir, url }
    }

    fn write(&self, pod: &str, message: &str) {
        append(&self.dir.path().join(format!("shop_{pod}_uid/app")), message);
    }

    /// As a member that is asked for these alone, and for what the sender says later.
    fn member(&self, name: &str, own: &[&str]) -> (Member, watch::Sender<Vec<String>>) {
        let (sender, own) = watch::channel(own.iter().map(|selector| (*selector).to_owned()).collect());
        let reach = Reach::Endpoint(Endpoint { url: self.url.clone(), ..Endpoint::default() });
        (Member { name: name.to_owned(), reach, own: Some(own) }, sender)
    }
}

fn append(dir: &Path, message: &str) {
    fs::create_dir_all(dir).expect("a folder");
    let mut file = File::options().create(true).append(true).open(dir.join("0.log")).expect("a file");
    writeln!(file, "2026-11-24T10:00:00Z stdout F {message}").expect("written");
}

async fn ask(members: Vec<Member>, spec: &QuerySpec) -> Result<(Vec<String>, Vec<String>), NoAnswer> {
    let mut fleet = Fleet::connect(members, Default::default()).await?;
    let (mut messages, mut notices) = (Vec::new(), Vec::new());
    fleet
        .query(spec, &mut |event| {
            match event {
                Event::Records { batch, .. } => messages.extend(texts(&batch)),
                Event::Notice(notice) => notices.push(notice),
                Event::Summary(summary) => assert!(summary.is_complete(), "{:?}", summary.incomplete),
                _ => {}
            }
            Flow::Continue
        })
        .await?;
    Ok((messages, notices))
}

fn texts(batch: &weir_query::RecordBatch) -> Vec<String> {
    let message = |record| String::from_utf8_lossy(batch.message(record)).into_owned();
    batch.records.iter().map(message).collect()
}

#[tokio::test]
async fn each_is_asked_for_its_own() {
    let (one, two) = (Agent::start().await, Agent::start().await);
    one.write("a", "a of one");
    one.write("b", "b of one");
    two.write("a", "a of two");
    let spec = QuerySpec::default();
    let members = |own_of_two| vec![one.member("one", &["shop:a"]).0, two.member("two", own_of_two).0];
    let (messages, notices) = ask(members(&["shop:a"]), &spec).await.expect("an answer");
    assert_eq!((messages, notices), (vec!["a of one".to_owned(), "a of two".to_owned()], Vec::new()));
    // What isn't there yet is told; the others answer.
    let (messages, notices) = ask(members(&["shop:a", "shop:c"]), &spec).await.expect("an answer");
    assert_eq!(messages.len(), 2);
    assert!(
        notices.len() == 1 && notices[0].starts_with("two: ") && notices[0].contains("shop:c"),
        "{notices:?}"
    );
    // With the query's own beside.
    let with_b = QuerySpec { sources: vec!["shop:b".to_owned()], ..QuerySpec::default() };
    let (messages, _) = ask(members(&["shop:a"]), &with_b).await.expect("an answer");
    assert_eq!(messages.len(), 3);
    let none = ask(vec![one.member("one", &["shop:x"]).0, two.member("two", &["shop:y"]).0], &spec).await;
    assert!(none.expect_err("there is nothing").to_string().contains("'shop:x'"));
    let mut fleet = Fleet::connect(members(&["shop:c"]), Default::default()).await.expect("both are there");
    let listed = fleet.sources(&[]).await.expect("what one has");
    assert_eq!(listed.found.iter().map(|(_, sources)| sources.len()).collect::<Vec<_>>(), [1, 0]);
}

#[tokio::test]
async fn a_follow_takes_up_what_comes() {
    let (one, two) = (Agent::start().await, Agent::start().await);
    one.write("a", "first of a");
    one.write("other", "not asked for");
    let ((first, more_of_one), (second, more_of_two)) =
        (one.member("one", &["shop:a"]), two.member("two", &[]));
    let (send, mut given) = unbounded_channel();
    let following = async move {
        let mut fleet =
            Fleet::connect(vec![first, second], Default::default()).await.expect("both are there");
        let spec = QuerySpec { follow: true, ..QuerySpec::default() };
        let mut sink = |event| {
            match event {
                Event::Records { batch, .. } => texts(&batch).into_iter().for_each(|text| tell(&send, text)),
                Event::Gap(gap) => tell(&send, format!("gap: {}", gap.detail)),
                _ => {}
            }
            Flow::Continue
        };
        fleet.query(&spec, &mut sink).await
    };
    let seeing = async {
        next(&mut given, "first of a").await;
        one.write("a", "second of a");
        next(&mut given, "second of a").await;
        // One that had nothing to do, and one that goes on where it stood.
        two.write("b", "first of b");
        more_of_two.send_replace(vec!["shop:b".to_owned()]);
        next(&mut given, "first of b").await;
        one.write("c", "first of c");
        more_of_one.send_replace(vec!["shop:{a,c}".to_owned()]);
        next(&mut given, "first of c").await;
        one.write("a", "third of a");
        next(&mut given, "third of a").await;
        two.write("b", "second of b");
        next(&mut given, "second of b").await;
    };
    tokio::select! {
        ended = following => panic!("it has ended: {ended:?}"),
        () = seeing => {}
    }
}

fn tell(send: &tokio::sync::mpsc::UnboundedSender<String>, text: String) {
    // The test may have seen enough.
    send.send(text).unwrap_or_default();
}

async fn next(given: &mut UnboundedReceiver<String>, expected: &str) {
    let text = timeout(DEADLINE, given.recv()).await.expect(expected).expect(expected);
    assert_eq!(text, expected);
}
