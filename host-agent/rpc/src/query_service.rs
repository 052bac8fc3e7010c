//! `weir.v1.QueryService`: each query runs on a blocking thread of its own, within a bound, coupled to its
//! response stream by an [`outbox`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tonic::{Request, Response, Status};
use weir_query::{Cancel, Engine, Event, Flow, Plan, QueryError, QuerySpec};

use crate::connection::Peer;
use crate::observer::{Observer, Outcome};
use crate::outbox::{Closed, Producer, Responses, outbox};
use crate::wire::v1;
use crate::{convert, status};

/// The service.
pub(crate) struct Queries {
    engine: Arc<Engine>,
    observer: Arc<dyn Observer>,
    slots: Arc<Semaphore>,
    max_queries: usize,
    stall: Duration,
}

impl Queries {
    /// A service that runs as many queries at once as `slots` has permits, `max_queries`, and gives up a
    /// client that takes nothing for `stall`.
    pub(crate) fn new(
        engine: Arc<Engine>,
        observer: Arc<dyn Observer>,
        slots: Arc<Semaphore>,
        max_queries: usize,
        stall: Duration,
    ) -> Queries {
        Queries { engine, observer, slots, max_queries, stall }
    }

    fn refuse(&self, peer: &Peer, status: Status) -> Status {
        self.observer.refused();
        tracing::info!(%peer, code = ?status.code(), reason = status.message(), "query refused");
        status
    }
}

#[tonic::async_trait]
impl v1::query_service_server::QueryService for Queries {
    type QueryStream = Responses;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Responses>, Status> {
        let peer = Peer::of(&request);
        let spec = convert::query_spec(request.into_inner())
            .map_err(|error| self.refuse(&peer, status::from_error(&error)))?;
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| self.refuse(&peer, status::too_many("query", "max_queries", self.max_queries)))?;
        let job = Job {
            engine: Arc::clone(&self.engine),
            observer: Arc::clone(&self.observer),
            stall: self.stall,
            peer: peer.clone(),
            spec,
            _slot: slot,
        };
        let (answer, planned) = oneshot::channel();
        tokio::task::spawn_blocking(move || job.run(answer));
        match planned.await {
            Ok(Ok(responses)) => Ok(Response::new(responses)),
            Ok(Err(error)) => Err(self.refuse(&peer, status::from_error(&error))),
            Err(_) => Err(self.refuse(&peer, status::no_summary())),
        }
    }
}

/// One query on its way from spec to end.
struct Job {
    engine: Arc<Engine>,
    observer: Arc<dyn Observer>,
    stall: Duration,
    peer: Peer,
    spec: QuerySpec,
    /// Held until the thread is free again.
    _slot: OwnedSemaphorePermit,
}

impl Job {
    fn run(self, answer: oneshot::Sender<Result<Responses, QueryError>>) {
        let planned = self.engine.plan(&self.spec).map(|plan| {
            let cancel = Cancel::default();
            let (producer, responses) = outbox(cancel.clone(), self.stall, Arc::clone(&self.observer));
            (plan, cancel, producer, responses)
        });
        let (answered, running) = match planned {
            Ok((plan, cancel, producer, responses)) => {
                (answer.send(Ok(responses)), Some((plan, cancel, producer)))
            }
            Err(error) => (answer.send(Err(error)), None),
        };
        if answered.is_err() {
            tracing::debug!(peer = %self.peer, "the client left before its query was planned");
        }
        if let Some((plan, cancel, producer)) = running {
            self.search(plan, &cancel, producer);
        }
    }

    fn search(self, plan: Plan, cancel: &Cancel, producer: Producer) {
        let start = Instant::now();
        let sources = plan.source_count();
        self.observer.started();
        let mut bytes_read = 0;
        let mut summary = None;
        plan.run(cancel, &mut |event: Event| -> Flow {
            let read = match &event {
                Event::Progress(progress) => progress.bytes_read,
                Event::Summary(summary) => summary.bytes_read,
                _ => bytes_read,
            };
            self.observer.read(read.saturating_sub(bytes_read));
            bytes_read = bytes_read.max(read);
            match &event {
                Event::Filter(status) => self.observer.filter(status),
                Event::Summary(end) => summary = Some(end.clone()),
                _ => {}
            }
            producer.send(event)
        });
        let end = match &summary {
            Some(_) => Ok(()),
            None => Err(status::from_error(&QueryError::Failed {
                message: format!(
                    "the search ended early; it ends when its client takes nothing for {:?}",
                    self.stall
                ),
            })),
        };
        let outcome = match (producer.finish(end), &summary) {
            (Err(Closed::Stalled), _) => Outcome::Stalled,
            (Err(Closed::Gone), None) => Outcome::Cancelled,
            (_, Some(summary)) if summary.is_complete() => Outcome::Complete,
            (_, Some(_)) => Outcome::Incomplete,
            (Ok(()), None) => Outcome::Failed,
        };
        let elapsed = start.elapsed();
        self.observer.ended(outcome, elapsed);
        let (matched, records) = summary.map_or((0, 0), |summary| (summary.matched, summary.records));
        tracing::info!(
            peer = %self.peer, outcome = outcome.name(), sources, matched, records, bytes_read,
            seconds = elapsed.as_secs_f64(), "query ended"
        );
    }
}
