//! `weir.v1.SourceService`: lists sources and tells what changes. A watch looks again at a fixed interval and
//! sends the difference, so that it costs the same however busy the logs are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use weir_query::{Engine, QueryError, Source, SourceInfo};

use crate::lookup::Lookups;
use crate::phase::Phases;
use crate::wire::v1;
use crate::{convert, status};
use v1::source_event::Type;

/// What to say to whom there is no room for.
const TOO_MANY: &str = "as many as allowed are running; try again when one has ended";

/// The service.
pub(crate) struct Sources {
    lookups: Lookups,
    watches: Arc<Semaphore>,
    max_watches: usize,
    interval: Duration,
    phases: Phases,
}

impl Sources {
    /// A service that runs at most `max_watches` at once and looks for changes every `interval`.
    pub(crate) fn new(lookups: Lookups, max_watches: usize, interval: Duration, phases: Phases) -> Sources {
        Sources { lookups, watches: Arc::new(Semaphore::new(max_watches)), max_watches, interval, phases }
    }
}

#[tonic::async_trait]
impl v1::source_service_server::SourceService for Sources {
    async fn list_sources(
        &self,
        request: Request<v1::ListSourcesRequest>,
    ) -> Result<Response<v1::ListSourcesResponse>, Status> {
        let v1::ListSourcesRequest { selectors, times } = request.into_inner();
        let sources = self.lookups.run(move |engine| engine.sources(&selectors, times)).await?;
        let sources = sources.into_iter().map(convert::wire_source_info).collect();
        Ok(Response::new(v1::ListSourcesResponse { sources }))
    }

    type WatchSourcesStream = ReceiverStream<Result<v1::WatchSourcesResponse, Status>>;

    async fn watch_sources(
        &self,
        request: Request<v1::WatchSourcesRequest>,
    ) -> Result<Response<Self::WatchSourcesStream>, Status> {
        let slot = Arc::clone(&self.watches)
            .try_acquire_owned()
            .map_err(|_| status::limit("watch", "max_watches", self.max_watches, TOO_MANY))?;
        let v1::WatchSourcesRequest { selectors, times } = request.into_inner();
        let watch = Watch {
            lookups: self.lookups.clone(),
            selectors: selectors.into(),
            times,
            known: BTreeMap::new(),
        };
        let (changes, stream) = mpsc::channel(1);
        tokio::spawn(watch.run(changes, self.interval, self.phases.clone(), slot));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// One watch, and what its client was told last.
struct Watch {
    lookups: Lookups,
    selectors: Arc<[String]>,
    times: bool,
    known: BTreeMap<Source, SourceInfo>,
}

impl Watch {
    /// Tells changes until the client is gone, the agent shuts down or looking fails.
    async fn run(
        mut self,
        changes: mpsc::Sender<Result<v1::WatchSourcesResponse, Status>>,
        interval: Duration,
        mut phases: Phases,
        _slot: OwnedSemaphorePermit,
    ) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            tokio::select! {
                () = changes.closed() => return,
                () = phases.draining() => break,
                _ = ticks.tick() => {}
            }
            let response = match self.look().await {
                Ok(events) if events.is_empty() && !first => continue,
                Ok(events) => Ok(v1::WatchSourcesResponse { events }),
                Err(status) => Err(status),
            };
            first = false;
            let failed = response.is_err();
            tokio::select! {
                sent = changes.send(response) => if sent.is_err() || failed { return },
                () = phases.draining() => break,
            }
        }
        if changes.try_send(Err(status::shutting_down())).is_err() {
            tracing::debug!("a watch ends with its client behind");
        }
    }

    async fn look(&mut self) -> Result<Vec<v1::SourceEvent>, Status> {
        let (selectors, times) = (Arc::clone(&self.selectors), self.times);
        let now = self.lookups.run(move |engine| present(engine, &selectors, times)).await?;
        Ok(differences(&mut self.known, now))
    }
}

/// The sources that any selector takes. Other than for a listing, one that takes nothing is no error here:
/// what it takes may come.
fn present(engine: &Engine, selectors: &[String], times: bool) -> Result<Vec<SourceInfo>, QueryError> {
    match engine.sources(selectors, times) {
        Err(QueryError::NotFound { .. }) if selectors.len() <= 1 => Ok(Vec::new()),
        Err(QueryError::NotFound { .. }) => {
            let mut all = Vec::new();
            for selector in selectors {
                all.extend(present(engine, std::slice::from_ref(selector), times)?);
            }
            Ok(all)
        }
        other => other,
    }
}

/// Brings `known` up to date with `now` and tells what that changed, by identity.
fn differences(known: &mut BTreeMap<Source, SourceInfo>, now: Vec<SourceInfo>) -> Vec<v1::SourceEvent> {
    let now: BTreeMap<Source, SourceInfo> = now.into_iter().map(|info| (info.source.clone(), info)).collect();
    let before = std::mem::replace(known, now);
    let mut events: BTreeMap<&Source, (Type, &SourceInfo)> = BTreeMap::new();
    for (source, info) in &*known {
        match before.get(source) {
            None => drop(events.insert(source, (Type::Added, info))),
            Some(old) if old != info => drop(events.insert(source, (Type::Modified, info))),
            Some(_) => {}
        }
    }
    for (source, info) in &before {
        if !known.contains_key(source) {
            events.insert(source, (Type::Deleted, info));
        }
    }
    events
        .into_values()
        .map(|(kind, info)| v1::SourceEvent {
            r#type: kind.into(),
            source: Some(convert::wire_source_info(info.clone())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(pod: &str, bytes: u64) -> SourceInfo {
        let source = Source { pod: pod.to_owned(), ..Source::default() };
        SourceInfo { source, files: Vec::new(), bytes, oldest: None, newest: None, problem: None }
    }

    fn told(events: &[v1::SourceEvent]) -> Vec<(Type, String)> {
        let pod = |event: &v1::SourceEvent| {
            event.source.clone().and_then(|info| info.source).map(|source| source.pod).unwrap_or_default()
        };
        events.iter().map(|event| (event.r#type(), pod(event))).collect()
    }

    #[test]
    fn only_what_changed_is_told_once_for_each_source() {
        let mut known = BTreeMap::new();
        let events = differences(&mut known, vec![info("b", 1), info("a", 1)]);
        assert_eq!(told(&events), [(Type::Added, "a".to_owned()), (Type::Added, "b".to_owned())]);
        assert!(differences(&mut known, vec![info("a", 1), info("b", 1)]).is_empty());
        let events = differences(&mut known, vec![info("b", 2), info("c", 1)]);
        let expected = [
            (Type::Deleted, "a".to_owned()),
            (Type::Modified, "b".to_owned()),
            (Type::Added, "c".to_owned()),
        ];
        assert_eq!(told(&events), expected);
    }
}
