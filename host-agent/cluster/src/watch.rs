//! Objects of one kind as the API server has them, from now on: they are listed, and then watched, as the Kubernetes API
//! concepts describe it ("Efficient detection of changes"). While the API server can't be asked, what was known last stays
//! known, and it is asked again, ever more seldom up to [`SLOWEST`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::api_server::ApiClient;
use crate::request::{Call, RequestError, answer, open};
use crate::resource::{Metadata, Object, Status};

/// Objects that a page of a list has.
const PAGE: usize = 32;

/// Largest page, and largest change, that is read, in bytes: etcd takes objects of 1.5 MiB.
const PAGE_BYTES: usize = 64 << 20;
const CHANGE_BYTES: usize = 8 << 20;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the API server is to keep one watch open, in seconds: not all are to end at once.
const WATCH_SECONDS: std::ops::Range<u64> = 240..480;

/// How much longer than that it is waited for.
const GRACE: Duration = Duration::from_secs(20);

/// Between two attempts, at first and at last.
const FASTEST: Duration = Duration::from_millis(200);
const SLOWEST: Duration = Duration::from_secs(30);

/// How long a watch must have lasted for the next one to be an attempt anew.
const SETTLED: Duration = Duration::from_secs(10);

/// Which objects are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Where they are listed, such as `/apis/weir.dev/v1alpha1/filters`.
    pub path: String,
    /// The only one of them, by its name.
    pub name: Option<String>,
    /// What errors call them.
    pub what: &'static str,
    /// Whether no more than their metadata is asked for.
    pub metadata_only: bool,
}

/// What becomes of what is known.
#[derive(Debug)]
pub enum Change {
    /// These are all.
    All(Vec<Object>),
    /// One is new, or changed.
    Set(Object),
    /// One is gone.
    Gone(String),
    /// The API server can't be asked, or there is something that can't be read. All that was known stays.
    Failed(RequestError),
}

impl Change {
    /// Takes it into what is known, which is `None` before anything was listed; gives why it can't be told.
    pub fn apply(self, known: &mut Option<BTreeMap<String, Arc<Object>>>) -> Option<RequestError> {
        let named = |object: Object| (object.metadata.name.clone(), Arc::new(object));
        match self {
            Change::All(all) => *known = Some(all.into_iter().map(named).collect()),
            Change::Set(object) => known.get_or_insert_default().extend([named(object)]),
            Change::Gone(name) => {
                known.get_or_insert_default().remove(&name);
            }
            Change::Failed(error) => return Some(error),
        }
        None
    }
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMeta,
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

/// A line of a watch; of what kind, and what it is about.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct About<T> {
    object: T,
}

/// An object whose spec can't be read, such as one that is nested too deep.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WithoutSpec {
    metadata: Metadata,
    status: Status,
}

impl From<WithoutSpec> for Object {
    fn from(WithoutSpec { metadata, status }: WithoutSpec) -> Object {
        Object { metadata, status, ..Object::default() }
    }
}

#[derive(Deserialize)]
struct Versioned {
    metadata: ListMeta,
}

#[derive(Deserialize)]
struct Failure {
    code: u16,
    #[serde(default)]
    message: String,
}

/// Why a watch ended.
enum End {
    /// It goes on from this version.
    At(String),
    /// It can't be asked, and goes on from this version when it can.
    Failed(RequestError, String),
    /// All has to be listed again: what it went on from is too old.
    Stale,
    /// All has to be listed again: something could not be read.
    Unreadable,
}

impl ApiClient {
    /// Lists a collection and watches it for as long as it is polled. Each change is told, in order.
    pub async fn watch(&self, collection: &Collection, mut tell: impl FnMut(Change)) -> Infallible {
        let (mut pause, mut version) = (FASTEST, None);
        loop {
            let began = Instant::now();
            match version.take() {
                None => match self.list(collection).await {
                    Ok((items, seen)) => {
                        tell(Change::All(items));
                        version = Some(seen);
                        continue;
                    }
                    Err(error) => tell(Change::Failed(error)),
                },
                Some(seen) => match self.watch_once(collection, seen, &mut tell).await {
                    End::At(seen) => version = Some(seen),
                    End::Failed(error, seen) => {
                        tell(Change::Failed(error));
                        version = Some(seen);
                    }
                    End::Stale => {}
                    End::Unreadable => tell(Change::Failed(RequestError::Unreadable(collection.what))),
                },
            }
            if began.elapsed() >= SETTLED {
                pause = FASTEST;
            }
            tokio::time::sleep(pause.mul_f64(fastrand::f64() / 2.0 + 0.75)).await;
            pause = (pause * 2).min(SLOWEST);
        }
    }

    /// Everything there is, and the version that it has together.
    async fn list(&self, collection: &Collection) -> Result<(Vec<Object>, String), RequestError> {
        match self.list_by(collection, PAGE).await {
            // One that can't be read shall not hide the others.
            Err(RequestError::Unreadable(_)) => self.list_by(collection, 1).await,
            listed => listed,
        }
    }

    async fn list_by(
        &self,
        collection: &Collection,
        page: usize,
    ) -> Result<(Vec<Object>, String), RequestError> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let call = collection.call(&format!("limit={page}&continue={next}"));
            let answer = answer(&self.0, &call, PAGE_BYTES, PATIENCE).await?;
            let listed: List<Object> = match serde_json::from_slice(&answer) {
                Ok(listed) => listed,
                Err(_) if page == 1 => {
                    let listed: Result<List<WithoutSpec>, _> = serde_json::from_slice(&answer);
                    let List { metadata, items } =
                        listed.map_err(|_| RequestError::Unreadable(collection.what))?;
                    List { metadata, items: items.into_iter().map(Object::from).collect() }
                }
                Err(_) => return Err(RequestError::Unreadable(collection.what)),
            };
            items.extend(listed.items);
            next = listed.metadata.next;
            if next.is_empty() {
                return Ok((items, listed.metadata.resource_version));
            }
        }
    }

    async fn watch_once(
        &self,
        collection: &Collection,
        mut version: String,
        tell: &mut impl FnMut(Change),
    ) -> End {
        let seconds = fastrand::u64(WATCH_SECONDS);
        let wanted =
            format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}");
        let over = Instant::now() + Duration::from_secs(seconds) + GRACE;
        let call = collection.call(&wanted);
        let opened = tokio::time::timeout(PATIENCE, open(&self.0, &call)).await;
        let mut body = match opened.unwrap_or(Err(RequestError::Late(PATIENCE))) {
            Ok(response) => Lines::new(response.into_body()),
            Err(RequestError::Refused { status: 410, .. }) => return End::Stale,
            Err(error) => return End::Failed(error, version),
        };
        loop {
            let line = match tokio::time::timeout_at(over, body.next()).await {
                Ok(Line::Whole(line)) => line,
                Ok(Line::TooLong) => return End::Unreadable,
                // A connection that is cut ends a watch like any other end.
                Ok(Line::None) | Err(_) => return End::At(version),
            };
            match event(&line) {
                Ok(Event { change, version: seen }) => {
                    if !seen.is_empty() {
                        version = seen;
                    }
                    change.into_iter().for_each(&mut *tell);
                }
                Err(Some(failure)) if failure.code == 410 => return End::Stale,
                Err(Some(Failure { code, message })) => {
                    let what = collection.what;
                    return End::Failed(RequestError::Refused { what, status: code, message }, version);
                }
                Err(None) => return End::Unreadable,
            }
        }
    }
}

impl Collection {
    fn call(&self, query: &str) -> Call {
        let only = self.name.as_ref().map(|name| format!("&fieldSelector=metadata.name%3D{name}"));
        let call =
            Call::get(format!("{}?{query}{}", self.path, only.as_deref().unwrap_or_default()), self.what);
        let accept = match (self.metadata_only, query.starts_with("watch")) {
            (false, _) => call.accept,
            (true, true) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            (true, false) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        };
        Call { accept, ..call }
    }
}

/// What a line of a watch says.
struct Event {
    change: Option<Change>,
    /// What is known with it.
    version: String,
}

/// Reads a line of a watch; `Err` is what the API server says of a failure, or `None` where it can't be read.
fn event(line: &[u8]) -> Result<Event, Option<Failure>> {
    fn about<T: DeserializeOwned>(line: &[u8]) -> Result<T, Option<Failure>> {
        let about: Result<About<T>, _> = serde_json::from_slice(line);
        about.map(|about| about.object).map_err(|_| None)
    }
    let kind: Kind = serde_json::from_slice(line).map_err(|_| None)?;
    if kind.kind == "ERROR" {
        return Err(Some(about(line)?));
    }
    let Versioned { metadata } = about(line)?;
    let change = match kind.kind.as_str() {
        "BOOKMARK" => None,
        "DELETED" => Some(Change::Gone(about::<WithoutSpec>(line)?.metadata.name)),
        _ => {
            let object = about::<Object>(line).or_else(|_| about::<WithoutSpec>(line).map(Object::from));
            Some(Change::Set(object?))
        }
    };
    Ok(Event { change, version: metadata.resource_version })
}

/// The next line of a body.
enum Line {
    Whole(Vec<u8>),
    TooLong,
    /// There is no more.
    None,
}

/// A body in lines.
struct Lines {
    body: Incoming,
    /// What came and isn't given yet.
    pending: Vec<u8>,
    /// Bytes of it that hold no end of a line.
    looked_at: usize,
}

impl Lines {
    fn new(body: Incoming) -> Lines {
        Lines { body, pending: Vec::new(), looked_at: 0 }
    }

    async fn next(&mut self) -> Line {
        loop {
            if let Some(end) = self.pending[self.looked_at..].iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(self.looked_at + end + 1);
                self.looked_at = 0;
                return Line::Whole(std::mem::replace(&mut self.pending, rest));
            }
            self.looked_at = self.pending.len();
            if self.pending.len() > CHANGE_BYTES {
                return Line::TooLong;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.pending.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a watch was cut");
                    return Line::None;
                }
                None => return Line::None,
            }
        }
    }
}
