//! What compiling a component takes of the agent that serves.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weir_query::{Event, FilterRef, FilterSpec, FilterStatus, Flow, QuerySpec, digest};
use weir_rpc::Client;

use crate::bombs;
use crate::guests::Puppet;
use crate::process::Agent;

/// Bytes of the component.
const LARGE: usize = 1_500_000;

/// How much more the agent may hold while the component comes in, is compiled and is run: a part as it arrives, the
/// component, and the machine code on its way into the cache. Compiling in the agent takes far more: see the test.
const WHILE: u64 = 12 << 20;

/// How much more it may hold afterwards, once the component is forgotten: less than that has.
const AFTER: u64 = 1280 << 10;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// How soon a compile ends that nobody waits for. Mostly it takes a tenth of a second; the bound is for machines under load.
const SOON: Duration = Duration::from_secs(3);

/// A query that runs every record through a component.
fn through(bytes: Vec<u8>) -> QuerySpec {
    let filter = FilterRef::Component { label: "mine.wasm".to_owned(), bytes, signature: None };
    QuerySpec { filters: vec![FilterSpec::new(filter)], ..QuerySpec::default() }
}

/// Runs every record through a component, and says what it did.
async fn run(client: &mut Client, bytes: Vec<u8>) -> FilterStatus {
    let mut status = None;
    let mut sink = |event: Event| {
        if let Event::Filter(filter) = event {
            status = Some(filter);
        }
        Flow::Continue
    };
    client.query(&through(bytes), &mut sink).await.expect("a whole answer");
    status.expect("a filter says what it did")
}

/// A filter with enough code for a component of [`LARGE`] bytes.
fn large() -> Vec<u8> {
    let mut code = String::new();
    for function in 0..2550 {
        write!(code, "(func $large{function} (param i32) (result i32) (local.get 0)").expect("room");
        for step in 0..64 {
            let number = function * 64 + step + 0x0100_0000;
            write!(code, "(i32.const {number}) (i32.mul) (local.get 0) (i32.xor)").expect("room");
        }
        code.push_str(")\n");
    }
    let component = Puppet { extra: String::leak(code), ..Puppet::default() }.build();
    assert!((LARGE..LARGE * 5 / 4).contains(&component.len()), "{} bytes", component.len());
    component
}

#[tokio::test]
async fn a_large_component_does_not_move_the_memory_of_the_agent() {
    let agent = Agent::small("allow_components: true\nlimits: {upload_keep_seconds: 1}");
    let mut client = agent.client().await;
    // What the first filter makes once for all.
    run(&mut client, Puppet::default().build()).await;
    let large = large();
    let its = digest(&large);

    let memory = agent.anonymous_bytes();
    let before = memory();
    let done = Arc::new(AtomicBool::new(false));
    let watch = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let (mut most, mut looks) = (0, 0_u64);
            while !done.load(Ordering::Relaxed) {
                most = most.max(memory());
                looks += 1;
                std::thread::sleep(LOOK);
            }
            (most, looks)
        }
    });
    let status = run(&mut client, large).await;
    done.store(true, Ordering::Relaxed);
    let (most, looks) = watch.join().expect("it only looks");
    agent.logs(&["was not used any more", &its]).await;
    let after = agent.anonymous_bytes()();

    assert!(!status.compile_cached && status.failed == 0 && status.kept > 0, "{status:?}");
    let seen = format!("{before} bytes before, {most} at the most in {looks} looks, {after} after");
    assert!(looks > 50, "{seen}: that was no compilation");
    assert!(most < before + WHILE, "{seen}");
    assert!(after < before + AFTER, "{seen}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_compiling_of_its_filter_and_its_wait_for_it() {
    let agent = Agent::small("allow_components: true\nlimits: {max_queries: 2, max_queries_per_caller: 2}");
    let bomb = bombs::slow().remove(0);
    let (mut first, mut second) = (agent.client().await, agent.client().await);
    let spec = through(bomb.component);
    {
        let mut sinks = [|_: Event| Flow::Continue, |_: Event| Flow::Continue];
        let [one, two] = &mut sinks;
        tokio::select! {
            end = first.query(&spec, one) => panic!("{end:?}"),
            // The same component, for which this one waits.
            end = second.query(&spec, two) => panic!("{end:?}"),
            () = agent.children_become(1) => {}
        }
    }
    drop((first, second));
    let left = Instant::now();
    agent.children_become(0).await;
    assert!(left.elapsed() < SOON, "{:?}", left.elapsed());
    // Both of the places are free again.
    let mut client = agent.client().await;
    assert_eq!(run(&mut client, Puppet::default().build()).await.failed, 0);
    assert!(left.elapsed() < 5 * SOON, "{:?}", left.elapsed());
}
