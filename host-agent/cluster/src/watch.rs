//! Objects of one kind as the API server has them, from now on: they are listed, and then watched, as the Kubernetes API
//! concepts describe it ("Efficient detection of changes"). While the API server can't be asked, what was known last stays
//! known, and it is asked again, ever more seldom up to [`SLOWEST`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api_server::ApiClient;
use crate::request::{Call, RequestError, answer, causes, open};
use crate::resource::Object;

/// Objects that a page of a list has.
const PAGE: usize = 250;

/// Largest page, and largest change, that is read, in bytes: etcd takes objects of 1.5 MiB.
const PAGE_BYTES: usize = 64 << 20;
const CHANGE_BYTES: usize = 8 << 20;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the API server is to keep one watch open, in seconds.
const WATCH_SECONDS: u64 = 240;

/// How much longer than that it is waited for.
const GRACE: Duration = Duration::from_secs(20);

/// Between two attempts, at first and at last.
const FASTEST: Duration = Duration::from_millis(200);
const SLOWEST: Duration = Duration::from_secs(30);

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
    pub fn apply(self, known: &mut Option<BTreeMap<String, Object>>) -> Option<RequestError> {
        match self {
            Change::All(all) => {
                *known = Some(all.into_iter().map(|object| (object.metadata.name.clone(), object)).collect());
            }
            Change::Set(object) => {
                known.get_or_insert_default().insert(object.metadata.name.clone(), object);
            }
            Change::Gone(name) => {
                known.get_or_insert_default().remove(&name);
            }
            Change::Failed(error) => return Some(error),
        }
        None
    }
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    items: Vec<Object>,
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
    /// As it should; it goes on from this version.
    At(String),
    /// What it went on from is too old: all is listed again.
    Stale,
    Failed(RequestError),
}

impl ApiClient {
    /// Lists a collection and watches it for as long as it is polled. Each change is told, in order.
    pub async fn watch(&self, collection: &Collection, mut tell: impl FnMut(Change)) -> Infallible {
        let mut pause = FASTEST;
        loop {
            let failure = match self.list(collection).await {
                Ok((items, version)) => {
                    tell(Change::All(items));
                    pause = FASTEST;
                    self.follow(collection, version, &mut tell).await
                }
                Err(error) => Some(error),
            };
            if let Some(error) = failure {
                tell(Change::Failed(error));
            }
            tokio::time::sleep(pause.mul_f64(fastrand::f64() / 2.0 + 0.75)).await;
            pause = (pause * 2).min(SLOWEST);
        }
    }

    /// Everything there is, and the version that it has together.
    async fn list(&self, collection: &Collection) -> Result<(Vec<Object>, String), RequestError> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let call = collection.call(&format!("limit={PAGE}&continue={next}"));
            let page = answer(&self.0, &call, PAGE_BYTES, PATIENCE).await?;
            let unreadable = |_| RequestError::Unreadable(collection.what);
            let List { metadata, items: page } = serde_json::from_slice(&page).map_err(unreadable)?;
            items.extend(page);
            next = metadata.next;
            if next.is_empty() {
                return Ok((items, metadata.resource_version));
            }
        }
    }

    /// Watches from a version on, until all has to be listed again; gives why.
    async fn follow(
        &self,
        collection: &Collection,
        mut version: String,
        tell: &mut impl FnMut(Change),
    ) -> Option<RequestError> {
        loop {
            match self.watch_once(collection, version, tell).await {
                End::At(seen) => version = seen,
                End::Stale => return None,
                End::Failed(error) => return Some(error),
            }
        }
    }

    async fn watch_once(
        &self,
        collection: &Collection,
        mut version: String,
        tell: &mut impl FnMut(Change),
    ) -> End {
        let wanted = format!(
            "watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}"
        );
        let began = tokio::time::Instant::now();
        let call = collection.call(&wanted);
        let opened = tokio::time::timeout(PATIENCE, open(&self.0, &call)).await;
        let mut body = match opened.unwrap_or(Err(RequestError::Late(PATIENCE))) {
            Ok(response) => Lines::new(response.into_body()),
            Err(RequestError::Refused { status: 410, .. }) => return End::Stale,
            Err(error) => return End::Failed(error),
        };
        let over = began + Duration::from_secs(WATCH_SECONDS) + GRACE;
        loop {
            let line = match tokio::time::timeout_at(over, body.next(collection.what)).await {
                Ok(Ok(Some(line))) => line,
                // One that ends at once, again and again, isn't asked at full speed.
                Ok(Ok(None)) if began.elapsed() < FASTEST => {
                    tokio::time::sleep(FASTEST).await;
                    return End::At(version);
                }
                Ok(Ok(None)) | Err(_) => return End::At(version),
                Ok(Err(error)) => return End::Failed(error),
            };
            match event(&line, collection.what) {
                Ok((change, seen)) => {
                    version = seen;
                    change.into_iter().for_each(&mut *tell);
                }
                Err(end) => return end,
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

/// What a line of a watch says, and the version that is known with it.
fn event(line: &[u8], what: &'static str) -> Result<(Option<Change>, String), End> {
    fn about<T: DeserializeOwned>(line: &[u8], what: &'static str) -> Result<T, End> {
        let about: Result<About<T>, _> = serde_json::from_slice(line);
        about.map(|about| about.object).map_err(|_| End::Failed(RequestError::Unreadable(what)))
    }
    let kind: Kind = serde_json::from_slice(line).map_err(|_| End::Failed(RequestError::Unreadable(what)))?;
    if kind.kind == "ERROR" {
        let Failure { code, message } = about(line, what)?;
        return Err(match code {
            410 => End::Stale,
            status => End::Failed(RequestError::Refused { what, status, message }),
        });
    }
    let Versioned { metadata } = about(line, what)?;
    let change = match kind.kind.as_str() {
        "BOOKMARK" => None,
        "DELETED" => Some(Change::Gone(about::<Object>(line, what)?.metadata.name)),
        _ => Some(Change::Set(about(line, what)?)),
    };
    Ok((change, metadata.resource_version))
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

    /// The next line; `None` behind the last one.
    async fn next(&mut self, what: &'static str) -> Result<Option<Vec<u8>>, RequestError> {
        loop {
            if let Some(end) = self.pending[self.looked_at..].iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(self.looked_at + end + 1);
                self.looked_at = 0;
                return Ok(Some(std::mem::replace(&mut self.pending, rest)));
            }
            self.looked_at = self.pending.len();
            if self.pending.len() > CHANGE_BYTES {
                return Err(RequestError::Unreadable(what));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.pending.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()));
                }
                Some(Err(error)) => return Err(RequestError::Unreachable(causes(&error))),
                None => return Ok(None),
            }
        }
    }
}
