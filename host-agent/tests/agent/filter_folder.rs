//! The folder of filters: files that come, change, break and go while the agent runs.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, SigningKey as _};
use weir_query::{Event, FilterRef, FilterSpec, Flow, FolderFile, QueryError, QuerySpec};
use weir_rpc::wire::v1;
use weir_rpc::wire::v1::query_response::Event as WireEvent;
use weir_rpc::wire::v1::query_service_client::QueryServiceClient;
use weir_rpc::{Client, ClientError};
use weir_trust::Signature;

use crate::guests::Puppet;
use crate::logs::write;
use crate::process::{Agent, folder, logs};

const OK: &str = "weir_folder_files_total{result=\"ok\"}";
const REFUSED: &str = "weir_folder_files_total{result=\"refused\"}";
const POD: &str = "prod_web-1_11111111-1111-1111-1111-111111111111/app";

/// A puppet of a name and a version. An idle one keeps every record as it is.
fn puppet(name: &'static str, version: &'static str, is_idle: bool) -> Vec<u8> {
    let prefilter = is_idle.then_some("nothing at all");
    Puppet { name, version, prefilter, ..Puppet::default() }.build()
}

/// Puts a file into place at once, as whoever changes one should.
fn place(dir: &Path, name: &str, content: &[u8]) {
    let new = dir.join(".new");
    fs::write(&new, content).expect("written");
    fs::rename(new, dir.join(name)).expect("renamed");
}

/// An agent over a log of one record, `r1`, with a folder of filters that `fill` fills before.
fn agent(config: &str, fill: impl FnOnce(&Path)) -> (Agent, PathBuf) {
    agent_with("", config, fill)
}

/// The same with more in the section of filters.
fn agent_with(more: &str, config: &str, fill: impl FnOnce(&Path)) -> (Agent, PathBuf) {
    let dir = folder();
    write(&logs(&dir), POD, &["2026-11-24T10:00:00Z stdout F r1"]);
    let filters = dir.path().join("filters");
    fs::create_dir(&filters).expect("a folder");
    fill(&filters);
    let path = filters.to_str().expect("a path of ours").to_owned();
    let config = format!("filters: {{reload_seconds: 1, {more}}}\n{config}");
    (Agent::start(dir, &["--filters-folder", &path], &config), filters)
}

/// What becomes of the record, and the version that did it.
async fn asked(client: &mut Client, name: &str) -> Result<(Vec<String>, String), ClientError> {
    let filter = FilterSpec::new(FilterRef::Name(name.to_owned()));
    let spec = QuerySpec { filters: vec![filter], ..QuerySpec::default() };
    let (mut messages, mut version) = (Vec::new(), String::new());
    let mut sink = |event: Event| {
        match event {
            Event::Records { batch, .. } => messages.extend(
                batch.records.iter().map(|it| String::from_utf8_lossy(batch.message(it)).into_owned()),
            ),
            Event::Filter(status) => version = status.version,
            _ => {}
        }
        Flow::Continue
    };
    client.query(&spec, &mut sink).await?;
    Ok((messages, version))
}

async fn files(client: &mut Client) -> Vec<FolderFile> {
    client.filters().await.expect("filters").files
}

/// The file of that name.
async fn file(client: &mut Client, name: &str) -> FolderFile {
    let files = files(client).await;
    files.into_iter().find(|file| file.file == name).unwrap_or_else(|| panic!("{name} isn't listed"))
}

/// The reason why a file is refused.
async fn problem(client: &mut Client, name: &str) -> String {
    file(client, name).await.problem.unwrap_or_else(|| panic!("{name} is not refused"))
}

#[tokio::test]
async fn a_file_comes_changes_breaks_and_goes() {
    let (agent, filters) = agent("", |dir| {
        place(dir, "a.wasm", &puppet("mine", "1.0.0", false));
        place(dir, "broken.wasm", b"GIF89a");
        place(dir, "README.md", b"not looked at");
        place(dir, ".hidden.wasm", b"not looked at");
    });
    let mut client = agent.client().await;
    assert_eq!((agent.metric(OK).await, agent.metric(REFUSED).await), (1, 1));
    assert_eq!(
        asked(&mut client, "mine").await.expect("an answer"),
        (vec!["R1".to_owned()], "1.0.0".to_owned())
    );
    let list = client.filters().await.expect("filters");
    let mine = list.filters.iter().find(|filter| filter.name == "mine").expect("it is there");
    assert_eq!((mine.version.as_str(), mine.file.as_str()), ("1.0.0", "a.wasm"));
    assert_eq!(&client.filter("mine").await.expect("it is there"), mine);
    let names: Vec<&str> = list.files.iter().map(|file| file.file.as_str()).collect();
    assert_eq!(names, ["a.wasm", "broken.wasm"]);
    assert_eq!((list.files[0].filter.as_deref(), &list.files[0].digest), (Some("mine"), &mine.digest));
    assert_eq!((list.files[1].filter.as_deref(), list.files[1].size), (None, 6));
    assert!(problem(&mut client, "broken.wasm").await.contains("not WebAssembly"));
    agent.logs(&["a filter's file is refused", "broken.wasm", "not WebAssembly"]).await;

    place(&filters, "a.wasm", &puppet("mine", "2.0.0", true));
    agent.metric_becomes(OK, 2).await;
    assert_eq!(
        asked(&mut client, "mine").await.expect("an answer"),
        (vec!["r1".to_owned()], "2.0.0".to_owned())
    );

    place(&filters, "a.wasm", b"\0asm\x0d\0\x01\0garbage");
    agent.metric_becomes(REFUSED, 2).await;
    let kept = file(&mut client, "a.wasm").await;
    assert_eq!(kept.filter.as_deref(), Some("mine"), "the version from before is used on");
    assert!(kept.problem.is_some_and(|why| why.contains("is not valid")) && kept.size == 15);
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "2.0.0");

    fs::remove_file(filters.join("a.wasm")).expect("removed");
    agent.logs(&["a filter's file is gone", "a.wasm"]).await;
    match asked(&mut client, "mine").await {
        Err(ClientError::Query(QueryError::NotFound { message, .. })) => assert!(message.contains("mine")),
        other => panic!("{other:?}"),
    }
    place(&filters, "broken.wasm", &puppet("mine", "3.0.0", false));
    agent.metric_becomes(OK, 3).await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "3.0.0");
}

/// With keys in the config, a file counts with its signature; either of them that changes is looked at.
#[tokio::test]
async fn a_signature_comes_goes_and_changes() {
    let key = KeyPair::generate().expect("a key");
    let sign = |content: &[u8]| Signature::File(key.sign(content).expect("a signature")).encode();
    let keys = folder();
    let public = keys.path().join("team.pub");
    fs::write(&public, key.public_key_pem()).expect("written");
    let (one, two) = (puppet("mine", "1.0.0", false), puppet("mine", "2.0.0", false));
    let allowed = format!("allowed_signers: [{}]", public.display());
    let (agent, filters) = agent_with(&allowed, "", |dir| place(dir, "a.wasm", &one));
    let mut client = agent.client().await;
    assert!(problem(&mut client, "a.wasm").await.contains("no signature"));

    place(&filters, "a.wasm.sig", &sign(&one));
    agent.metric_becomes(OK, 1).await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "1.0.0");

    // Between the two renames the new content has the old signature.
    place(&filters, "a.wasm", &two);
    agent.metric_becomes(REFUSED, 2).await;
    assert!(problem(&mut client, "a.wasm").await.contains("by another key, or of other content"));
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "1.0.0");
    place(&filters, "a.wasm.sig", &sign(&two));
    agent.metric_becomes(OK, 2).await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "2.0.0");

    fs::remove_file(filters.join("a.wasm.sig")).expect("removed");
    agent.metric_becomes(REFUSED, 3).await;
    let kept = file(&mut client, "a.wasm").await;
    assert_eq!(kept.filter.as_deref(), Some("mine"), "the version from before is used on");
    assert!(kept.problem.is_some_and(|why| why.contains("no signature")));
}

#[tokio::test]
async fn a_query_goes_on_with_the_version_that_it_began_with() {
    let (agent, filters) = agent("", |dir| place(dir, "a.wasm", &puppet("mine", "1.0.0", false)));
    let filter = v1::FilterSpec {
        filter: Some(v1::filter_spec::Filter::Name("mine".to_owned())),
        ..v1::FilterSpec::default()
    };
    let request = v1::QueryRequest { follow: true, filters: vec![filter], ..v1::QueryRequest::default() };
    let mut stream =
        QueryServiceClient::new(agent.channel().await).query(request).await.expect("a stream").into_inner();
    let mut next = async || loop {
        let response = stream.message().await.expect("no error").expect("no end");
        if let Some(WireEvent::Records(batch)) = response.event {
            return String::from_utf8_lossy(&batch.messages).into_owned();
        }
    };
    assert_eq!(next().await, "R1");
    place(&filters, "a.wasm", &puppet("mine", "2.0.0", true));
    agent.metric_becomes(OK, 2).await;
    let log = agent.dir().join("logs").join(POD).join("0.log");
    let mut log = fs::OpenOptions::new().append(true).open(log).expect("the log");
    log.write_all(b"2026-11-24T10:00:01Z stdout F r2\n").expect("written");
    assert_eq!(next().await, "R2", "it is the version from before");
    let mut client = agent.client().await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").0, ["r1", "r2"]);
}

#[tokio::test]
async fn a_name_belongs_to_one_file() {
    let (agent, filters) = agent("", |dir| {
        place(dir, "a.wasm", &puppet("mine", "1.0.0", false));
        place(dir, "b.wasm", &puppet("mine", "2.0.0", false));
        place(dir, "c.wasm", &puppet("redact", "9.9.9", false));
    });
    let mut client = agent.client().await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "1.0.0");
    let why = problem(&mut client, "b.wasm").await;
    assert!(why.contains("'mine'") && why.contains("a.wasm"), "{why}");
    let why = problem(&mut client, "c.wasm").await;
    assert!(why.contains("'redact'") && why.contains("ships with Weir"), "{why}");
    assert_ne!(client.filter("redact").await.expect("it ships with Weir").version, "9.9.9");
    // One that comes later doesn't take the name, wherever it stands in the order.
    place(&filters, "0.wasm", &puppet("mine", "3.0.0", false));
    agent.metric_becomes(REFUSED, 3).await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "1.0.0");
    // The name that a file leaves is free for the next.
    place(&filters, "a.wasm", &puppet("other", "1.0.0", false));
    agent.metric_becomes(OK, 3).await;
    assert_eq!(asked(&mut client, "other").await.expect("an answer").1, "1.0.0");
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "3.0.0");
    assert!(problem(&mut client, "b.wasm").await.contains("0.wasm"));
}

#[tokio::test]
async fn only_regular_files_of_a_bounded_size_and_number_are_read() {
    let config = "limits: {max_folder_files: 5, sandbox: {component_bytes: 400000}}";
    let (agent, filters) = agent(config, |dir| {
        fs::create_dir(dir.join("..data")).expect("a folder");
        place(&dir.join("..data"), "mounted.wasm", &puppet("mounted", "1.0.0", false));
        symlink("..data/mounted.wasm", dir.join("mounted.wasm")).expect("a link");
        fs::write(dir.join("../outside.wasm"), puppet("outside", "1.0.0", false)).expect("written");
        symlink("../outside.wasm", dir.join("a-link.wasm")).expect("a link");
        fs::create_dir(dir.join("b-folder.wasm")).expect("a folder");
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("c-pipe.wasm"), rustix::fs::Mode::RUSR)
            .expect("a pipe");
        place(dir, "d-large.wasm", &vec![0; 400_001]);
        place(dir, "z-last.wasm", &puppet("last", "1.0.0", false));
    });
    let mut client = agent.client().await;
    assert_eq!(asked(&mut client, "mounted").await.expect("an answer").1, "1.0.0");
    for (name, says) in [
        ("a-link.wasm", "out of the folder"),
        ("b-folder.wasm", "not a regular file"),
        ("c-pipe.wasm", "not a regular file"),
        ("d-large.wasm", "component_bytes is 400000"),
        ("z-last.wasm", "limit max_folder_files"),
    ] {
        let why = problem(&mut client, name).await;
        assert!(why.contains(says), "{name}: {why}");
    }
    // Where one goes there is room for the next.
    fs::remove_file(filters.join("d-large.wasm")).expect("removed");
    agent.metric_becomes(OK, 2).await;
    assert_eq!(asked(&mut client, "last").await.expect("an answer").1, "1.0.0");
    // A folder that can't be read takes nothing away.
    fs::rename(&filters, agent.dir().join("elsewhere")).expect("renamed");
    agent.logs(&["folder of filters can't be read"]).await;
    assert_eq!(asked(&mut client, "last").await.expect("an answer").1, "1.0.0");
}

#[tokio::test]
async fn two_files_may_swap_their_names() {
    let (agent, filters) = agent("", |dir| {
        place(dir, "a.wasm", &puppet("mine", "1.0.0", false));
        place(dir, "b.wasm", &puppet("other", "1.0.0", false));
    });
    let mut client = agent.client().await;
    assert_eq!(asked(&mut client, "mine").await.expect("an answer").1, "1.0.0");
    // A look may come between the two: then the first waits for the second.
    place(&filters, "a.wasm", &puppet("other", "2.0.0", false));
    place(&filters, "b.wasm", &puppet("mine", "2.0.0", false));
    agent.metric_becomes(OK, 4).await;
    for (name, file) in [("mine", "b.wasm"), ("other", "a.wasm")] {
        assert_eq!(asked(&mut client, name).await.expect("an answer").1, "2.0.0");
        assert_eq!(client.filter(name).await.expect("it is there").file, file);
    }
    assert!(files(&mut client).await.iter().all(|file| file.problem.is_none()));
}

/// A filter of the folder has time series of its own, for as long as it is there.
#[tokio::test]
async fn filters_of_the_folder_are_counted_by_name() {
    let (agent, filters) = agent("", |dir| place(dir, "a.wasm", &puppet("mine", "1.0.0", false)));
    let mut client = agent.client().await;
    asked(&mut client, "mine").await.expect("an answer");
    let name = "weir_filter_records_total{filter=\"mine\",verdict=\"replaced\"}";
    agent.metric_becomes(name, 1).await;
    fs::remove_file(filters.join("a.wasm")).expect("removed");
    agent.logs(&["a filter's file is gone"]).await;
    agent.metric_becomes(name, 0).await;
    assert!(!agent.page("/metrics").await.1.contains("filter=\"mine\""));
}
