//! How objects are watched: pages, changes in pieces, watches that end, and versions that are too old.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use weir_cluster::{Change, Kind};

use crate::server::{Answer, api_server};

/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

fn object(name: &str, version: &str) -> Value {
    // Large enough that it comes in several pieces.
    let notes = json!({"note": "x".repeat(100_000)});
    json!({"metadata": {"name": name, "resourceVersion": version, "annotations": notes}, "spec": {"v": version}})
}

fn list(items: &[Value], version: &str, next: &str) -> Vec<u8> {
    let list = json!({"metadata": {"resourceVersion": version, "continue": next}, "items": items});
    list.to_string().into_bytes()
}

fn events(events: &[(&str, Value)]) -> Vec<u8> {
    let line = |(kind, object): &(&str, Value)| format!("{}\n", json!({"type": kind, "object": object}));
    events.iter().map(line).collect::<String>().into_bytes()
}

/// A change in short.
fn told(change: Change) -> String {
    match change {
        Change::All(all) => {
            let names: Vec<String> = all.into_iter().map(|object| object.metadata.name).collect();
            format!("all {}", names.join(","))
        }
        Change::Set(object) => format!("set {} {}", object.metadata.name, object.spec["v"]),
        Change::Gone(name) => format!("gone {name}"),
        Change::Failed(error) => format!("failed: {error}"),
    }
}

#[tokio::test]
async fn objects_are_listed_then_watched_and_listed_again_where_they_must_be() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers = Mutex::new(vec![
        // The first list in two pages.
        (200, list(&[object("a", "3")], "5", "page2")),
        (200, list(&[object("b", "4")], "5", "")),
        // A watch that says something and ends.
        (
            200,
            events(&[
                ("ADDED", object("c", "6")),
                ("MODIFIED", object("a", "7")),
                ("DELETED", object("b", "8")),
                ("BOOKMARK", json!({"metadata": {"resourceVersion": "9"}})),
            ]),
        ),
        // One that goes on from there, which is too old by now.
        (200, events(&[("ERROR", json!({"code": 410, "message": "too old resource version"}))])),
        (200, list(&[object("c", "6")], "20", "")),
        // Too old, said by the status.
        (410, b"{}".to_vec()),
        (200, list(&[], "30", "")),
        // Something that isn't JSON, and a refusal.
        (200, b"garbage\n".to_vec()),
        (403, br#"{"message": "not yours"}"#.to_vec()),
        (200, list(&[object("d", "40")], "41", "")),
    ]);
    answers.lock().expect("no panic").reverse();
    let noted = Arc::clone(&asked);
    let answer = Answer::By(Arc::new(move |path| {
        noted.lock().expect("no panic").push(path.to_owned());
        answers.lock().expect("no panic").pop().unwrap_or((503, b"{}".to_vec()))
    }));
    let (_dir, server) = api_server(answer).await;
    let client = server.client().expect("a URL");
    let (sender, mut changes) = mpsc::unbounded_channel();
    let watch = tokio::spawn(async move {
        let tell = |change| sender.send(told(change)).expect("it is listened to");
        client.watch(&Kind::FilterPolicy.collection(), tell).await
    });
    for expected in [
        "all a,b",
        "set c \"6\"",
        "set a \"7\"",
        "gone b",
        "all c",
        "all ",
        "failed: gives an answer to FilterPolicy that can't be read",
        "failed: answers 403 to FilterPolicy: not yours",
        "all d",
    ] {
        let change =
            tokio::time::timeout(DEADLINE, changes.recv()).await.expect("in time").expect("a change");
        assert_eq!(change, expected);
    }
    watch.abort();
    let asked = asked.lock().expect("no panic");
    assert!(asked[0].starts_with("/apis/weir.dev/v1alpha1/filterpolicies?limit="), "{}", asked[0]);
    assert!(asked[1].contains("continue=page2"), "{}", asked[1]);
    assert!(asked[2].contains("watch=true") && asked[2].ends_with("resourceVersion=5"), "{}", asked[2]);
    assert!(asked[3].ends_with("resourceVersion=9"), "it goes on from the bookmark: {}", asked[3]);
    assert!(asked[5].ends_with("resourceVersion=20"), "{}", asked[5]);
}
