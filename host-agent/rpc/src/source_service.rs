//! `weir.v1.SourceService`: lists sources and tells what changes. A watch looks again at a fixed interval and
//! sends the difference, so that it costs the same however busy the logs are.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use weir_query::{Engine, QueryError, Scope, Source, SourceInfo};

use crate::gate::{Gate, Rights};
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
    gate: Gate,
}

impl Sources {
    /// A service that runs at most `max_watches` at once and looks for changes every `interval`.
    pub(crate) fn new(
        lookups: Lookups,
        max_watches: usize,
        interval: Duration,
        phases: Phases,
        gate: Gate,
    ) -> Sources {
        let watches = Arc::new(Semaphore::new(max_watches));
        Sources { lookups, watches, max_watches, interval, phases, gate }
    }

    async fn list(&self, request: Request<v1::ListSourcesRequest>) -> Result<Vec<SourceInfo>, Status> {
        let scope = self.gate.rights(&self.gate.identify(&request).await?).scope();
        let v1::ListSourcesRequest { selectors, times } = request.into_inner();
        self.lookups.run(move |engine| engine.sources(&selectors, times, &scope)).await
    }
}

#[tonic::async_trait]
impl v1::source_service_server::SourceService for Sources {
    async fn list_sources(
        &self,
        request: Request<v1::ListSourcesRequest>,
    ) -> Result<Response<v1::ListSourcesResponse>, Status> {
        let sources = self.gate.note(self.list(request).await)?;
        let sources = sources.into_iter().map(convert::wire_source_info).collect();
        Ok(Response::new(v1::ListSourcesResponse { sources }))
    }

    type WatchSourcesStream = ReceiverStream<Result<v1::WatchSourcesResponse, Status>>;

    async fn watch_sources(
        &self,
        request: Request<v1::WatchSourcesRequest>,
    ) -> Result<Response<Self::WatchSourcesStream>, Status> {
        let identity = self.gate.note(self.gate.identify(&request).await)?;
        let slot = Arc::clone(&self.watches)
            .try_acquire_owned()
            .map_err(|_| status::limit("watch", "max_watches", self.max_watches, TOO_MANY))?;
        let v1::WatchSourcesRequest { selectors, times } = request.into_inner();
        let watch = Watch {
            lookups: self.lookups.clone(),
            selectors: selectors.into(),
            times,
            rights: self.gate.rights(&identity),
            gate: self.gate.clone(),
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
    rights: Rights,
    gate: Gate,
    known: BTreeMap<Source, SourceInfo>,
}

impl Watch {
    /// Tells changes until the client is gone or may not see them any more, the agent shuts down or looking fails.
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
        let rights = self.rights.clone();
        let mut gone = pin!(rights.gone());
        loop {
            let response = tokio::select! {
                () = changes.closed() => return,
                () = phases.draining() => break,
                status = &mut gone => Err(status),
                _ = ticks.tick() => match self.look().await {
                    Ok(events) if events.is_empty() && !first => continue,
                    Ok(events) => Ok(v1::WatchSourcesResponse { events }),
                    // For how long that may be so, `gone` knows.
                    Err(status) if !first && status::denial(&status) == Some("unavailable") => continue,
                    Err(status) => Err(status),
                },
            };
            let response = self.gate.note(response);
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
        let (selectors, times, scope) = (Arc::clone(&self.selectors), self.times, self.rights.scope());
        let now = self.lookups.run(move |engine| present(engine, &selectors, times, &scope)).await?;
        Ok(differences(&mut self.known, now))
    }
}

/// The sources that any selector takes. Other than for a listing, one that takes nothing is no error here:
/// what it takes may come.
fn present(
    engine: &Engine,
    selectors: &[String],
    times: bool,
    scope: &Scope,
) -> Result<Vec<SourceInfo>, QueryError> {
    match engine.sources(selectors, times, scope) {
        Err(QueryError::NotFound { .. }) if selectors.len() <= 1 => Ok(Vec::new()),
        Err(QueryError::NotFound { .. }) => {
            let mut all = Vec::new();
            for selector in selectors {
                all.extend(present(engine, std::slice::from_ref(selector), times, scope)?);
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
