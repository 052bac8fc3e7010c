//! What becomes of an agent in which something is wrong that can't be.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use weir_agent::{LogConfig, LogFormat, logging, panic};
use weir_query::{Compiler, Engine, EngineConfig, Flow, Inputs, QuerySpec};
use weir_rpc::{Client, Endpoint, Listener, Observer, Server, ServerLimits};

/// Panics on the thread of the first query.
struct Faulty;

impl Observer for Faulty {
    fn started(&self) {
        panic!("on purpose");
    }
}

#[test]
fn a_panic_in_a_query_ends_the_process_and_says_so() {
    let itself = std::env::current_exe().expect("this program");
    let output = Command::new(itself)
        .args(["--exact", "faults::a_process_that_panics", "--ignored", "--nocapture"])
        .output()
        .expect("this program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(Signal::ABORT.as_raw()), "{said}");
    for words in ["the agent ends for a fault of its own", "on purpose", "faults.rs", "weir-query"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

/// The process of the test above: a server whose first query panics, and a client of it.
#[test]
#[ignore = "aborts; run by another test"]
fn a_process_that_panics() {
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    logging::start(LogConfig { format: LogFormat::Text, level }).expect("a log");
    panic::end_on_panic();
    let dir = tempfile::tempdir().expect("a folder");
    crate::logs::small(dir.path());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(async {
        let compiler = Compiler::Child { program: "/nowhere".into(), args: Vec::new() };
        let config = EngineConfig::new(Inputs::root(dir.path().to_owned()), compiler);
        let engine = Arc::new(Engine::new(config, &[]).expect("an engine"));
        let listen = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(&listen, None).await.expect("a port");
        let url = format!("http://{}", listener.local());
        let server = Server::new(engine, ServerLimits::default(), Arc::new(Faulty));
        tokio::spawn(server.serve(listener, std::future::pending(), std::future::pending()));
        let mut client = Client::connect(&Endpoint { url, ..Endpoint::default() }).await.expect("the server");
        drop(client.query(&QuerySpec::default(), &mut |_| Flow::Continue).await);
    });
}
