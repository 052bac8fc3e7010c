//! One query on its way from spec to end, on a blocking thread of its own, coupled to its response stream by an
//! [`outbox`]. While its client takes nothing, it is left without a thread.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tonic::Status;
use weir_query::{Cancel, Engine, Event, Flags, Flow, Going, QueryError, QuerySpec, Summary};

use crate::admission::Slot;
use crate::audit::Entry;
use crate::connection::Calls;
use crate::gate::Rights;
use crate::launcher::Launcher;
use crate::limits::ServerLimits;
use crate::observer::{Observer, Outcome};
use crate::outbox::{Closed, Outbox, Producer, Responses, Taken, outbox};
use crate::phase::Phases;
use crate::query_service::Asked;
use crate::status;

/// How long a search may take to notice that its time is over, before it is cancelled: it looks between two reads.
const OVERTIME: Duration = Duration::from_secs(5);

/// A query that may run.
pub(crate) struct Job {
    pub(crate) engine: Arc<Engine>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) limits: ServerLimits,
    pub(crate) phases: Phases,
    /// Starts the threads that it goes on with after it was left.
    pub(crate) launcher: Launcher,
    /// Those of the connection that it came by.
    pub(crate) calls: Option<Calls>,
    pub(crate) asked: Asked,
    pub(crate) spec: QuerySpec,
    /// What it may read.
    pub(crate) rights: Rights,
    /// Records it.
    pub(crate) entry: Entry,
    /// Ends it.
    pub(crate) cancel: Cancel,
    /// Held until it has ended.
    pub(crate) slot: Slot,
}

/// A query that runs, or is left until its client takes more.
struct Running {
    query: weir_query::Running,
    producer: Producer,
    launcher: Launcher,
    calls: Option<Calls>,
    taken: Taken,
    /// Dropped with it, end the watches over its time and its rights.
    watches: Vec<oneshot::Sender<()>>,
    known: Known,
}

/// What is known of a query that has begun.
struct Known {
    observer: Arc<dyn Observer>,
    limits: ServerLimits,
    phases: Phases,
    asked: Asked,
    follows: bool,
    sources: usize,
    /// How much longer it may last than others.
    shadow_time: Duration,
    cancel: Cancel,
    start: Instant,
    figures: Figures,
    /// What to tell when its caller may not read any more what it reads.
    revoked: Arc<OnceLock<Status>>,
    /// Written with its end.
    entry: Option<Entry>,
    /// Freed with its end.
    slot: Option<Slot>,
}

/// What is known of a query at any time.
#[derive(Default)]
struct Figures {
    bytes_read: u64,
    matched: u64,
    records: u64,
    /// Of the messages of records.
    bytes: u64,
    policies: Vec<String>,
    summary: Option<Summary>,
}

impl Job {
    /// Plans the query, answers with its stream or why there is none, and runs it to its end.
    pub(crate) fn run(self, answer: oneshot::Sender<Result<Responses, QueryError>>) {
        let Job {
            engine,
            observer,
            limits,
            phases,
            launcher,
            calls,
            asked,
            spec,
            rights,
            mut entry,
            cancel,
            slot,
        } = self;
        let plan = match engine.plan_within(&spec, &rights.scope(), &cancel) {
            Ok(plan) => plan,
            Err(error) => {
                // Of one whose client has left, it is recorded that it was cancelled.
                if !cancel.is_cancelled() {
                    entry.refuse(&status::from_error(&error));
                }
                if answer.send(Err(error)).is_err() {
                    tracing::debug!(peer = %asked.peer, "the client left before its query was planned");
                }
                return;
            }
        };
        let follows = spec.follow;
        // A request may bring large filters, which are compiled by now.
        drop(spec);
        let (producer, mut responses) = outbox(Outbox {
            cancel: cancel.clone(),
            stall: if follows { limits.follow_stall } else { limits.stall },
            pauses: !follows,
            observer: Arc::clone(&observer),
            draining: follows.then(|| phases.clone()),
        });
        let taken = responses.end();
        if answer.send(Ok(responses)).is_err() {
            tracing::debug!(peer = %asked.peer, "the client left before its query was planned");
        }
        entry.planned(plan.filters());
        let (sources, shadow_time) = (plan.source_count(), plan.shadow_time());
        observer.started();
        let known = Known {
            observer,
            limits,
            phases,
            asked,
            follows,
            sources,
            shadow_time,
            cancel,
            start: Instant::now(),
            figures: Figures::default(),
            revoked: Arc::default(),
            entry: Some(entry),
            slot: Some(slot),
        };
        let mut watches = vec![known.watch_rights(rights)];
        watches.extend((!follows).then(|| known.watch_time()));
        let query = plan.start(known.limits.budget.clone(), &known.cancel);
        Running { query, producer, launcher, calls, taken, watches, known }.go_on();
    }
}

impl Running {
    /// Runs the query to its end, or until its client takes nothing for a while.
    fn go_on(mut self) {
        let Running { query, producer, known, .. } = &mut self;
        let going = match producer.is_closed() {
            true => Going::Over,
            false => query.go_on(&mut |mut event: Event| -> Flow {
                known.figures.note(&event, &*known.observer);
                if let Event::Summary(summary) = &mut event {
                    summary.trace_id = known.asked.trace.to_string();
                }
                producer.send(event)
            }),
        };
        match going {
            Going::Paused => self.leave(),
            Going::Over => self.end(),
        }
    }

    /// Gives up this thread; another one goes on when there is room.
    fn leave(self) {
        let runtime = Handle::current();
        Handle::current().spawn(async move {
            self.producer.room().await;
            let launcher = self.launcher.clone();
            launcher.launch(move || {
                let _within = runtime.enter();
                self.go_on();
            });
        });
    }

    fn end(self) {
        let Running { query, producer, calls, taken, watches, mut known, .. } = self;
        if known.figures.summary.is_none() {
            known.figures.note(&Event::Progress(query.progress()), &*known.observer);
        }
        known.figures.policies = query.policies();
        // Its files and threads are gone before its end is told.
        drop((query, watches));
        let outcome = known.outcome(producer);
        known.end(outcome);
        if outcome == Outcome::Stalled
            && let Some(calls) = calls
        {
            close_when_stuck(taken, calls);
        }
    }
}

impl Known {
    /// Frees the query's place and tells its end, once.
    fn end(&mut self, outcome: Outcome) {
        // Whoever sees that it doesn't run any more finds its place free.
        if self.slot.take().is_none() {
            return;
        }
        let elapsed = self.start.elapsed();
        self.observer.ended(outcome, elapsed, &self.asked.trace.to_string());
        let policies = std::mem::take(&mut self.figures.policies);
        let Figures { bytes_read, matched, records, bytes, .. } = self.figures;
        if let Some(entry) = self.entry.take() {
            entry.over(outcome, records, bytes, policies);
        }
        tracing::info!(
            peer = %self.asked.peer, trace_id = %self.asked.trace, outcome = outcome.name(),
            follow = self.follows, sources = self.sources, matched, records, bytes_read,
            seconds = elapsed.as_secs_f64(), "query ended"
        );
    }

    /// Ends the stream, and tells how the query ended.
    fn outcome(&self, producer: Producer) -> Outcome {
        let elapsed = self.start.elapsed();
        let summary = self.figures.summary.as_ref();
        let closed = producer.finish(match summary {
            Some(_) => Ok(()),
            None => Err(self.early_end(elapsed)),
        });
        match (closed, summary) {
            (Err(Closed::Stalled), _) => Outcome::Stalled,
            (Err(Closed::Gone), None) if self.phases.is_cut() => Outcome::Cut,
            (Err(Closed::Gone), None) => Outcome::Cancelled,
            (_, Some(summary)) if summary.is_complete() => Outcome::Complete,
            (_, Some(_)) => Outcome::Incomplete,
            (Ok(()), None) if self.revoked.get().is_some() => Outcome::Revoked,
            (Ok(()), None) if self.cancel.is_winding_up() => Outcome::Drained,
            (Ok(()), None) => Outcome::Failed,
        }
    }

    /// What to say when there is no summary, to those who still listen.
    fn early_end(&self, elapsed: Duration) -> Status {
        let stall = if self.follows { self.limits.follow_stall } else { self.limits.stall };
        if let Some(status) = self.revoked.get() {
            return status.clone();
        }
        if self.cancel.is_winding_up() {
            return status::follow_ends();
        }
        if self.cancel.is_cancelled() && elapsed > self.limits.budget.time {
            let seconds = self.limits.budget.time.as_secs_f64();
            return status::limit("query", "run_seconds", seconds, "the search took too long, and was ended");
        }
        let limit = if self.follows { "follow_stall_seconds" } else { "stall_seconds" };
        status::limit("query", limit, stall.as_secs_f64(), "nothing of the answer was taken for too long")
    }

    /// Ends the query when its caller may not read any more what it reads; until what is returned is dropped.
    fn watch_rights(&self, rights: Rights) -> oneshot::Sender<()> {
        let (done, ended) = oneshot::channel::<()>();
        let (cancel, revoked) = (self.cancel.clone(), Arc::clone(&self.revoked));
        let (observer, asked) = (Arc::clone(&self.observer), self.asked);
        Handle::current().spawn(async move {
            let status = tokio::select! {
                status = rights.gone() => status,
                _ = ended => return,
            };
            tracing::info!(
                peer = %asked.peer, trace_id = %asked.trace, code = ?status.code(), reason = status.message(),
                "query ended: its caller may not read this any more"
            );
            status::denial(&status).into_iter().for_each(|reason| observer.denied(reason));
            revoked.get_or_init(|| status);
            cancel.cancel();
        });
        done
    }

    /// Cancels the search when it doesn't notice by itself that its time is over; until what is returned is dropped.
    fn watch_time(&self) -> oneshot::Sender<()> {
        let (done, ended) = oneshot::channel::<()>();
        let cancel = self.cancel.clone();
        let time = self.limits.budget.time.saturating_add(OVERTIME).saturating_add(self.shadow_time);
        Handle::current().spawn(async move {
            if tokio::time::timeout(time, ended).await.is_err() {
                cancel.cancel();
            }
        });
        done
    }
}

/// A query that was left and can't be taken up again, as when the agent ends, has an end too.
impl Drop for Known {
    fn drop(&mut self) {
        self.end(Outcome::Failed);
    }
}

impl Figures {
    fn note(&mut self, event: &Event, observer: &dyn Observer) {
        let read = match event {
            Event::Records { batch, .. } => {
                let matches = batch.records.iter().filter(|record| !record.flags.has(Flags::CONTEXT));
                self.matched += matches.count() as u64;
                self.records += batch.records.len() as u64;
                self.bytes += batch.records.iter().map(|record| record.len() as u64).sum::<u64>();
                return;
            }
            Event::Progress(progress) => {
                self.matched = self.matched.max(progress.matched);
                progress.bytes_read
            }
            Event::Summary(end) => {
                (self.matched, self.records) = (end.matched, end.records);
                self.summary = Some(end.clone());
                end.bytes_read
            }
            Event::Filter(status) => return observer.filter(status),
            Event::Policy(status) => return observer.policy(status),
            _ => return,
        };
        observer.read(read.saturating_sub(self.bytes_read));
        self.bytes_read = self.bytes_read.max(read);
    }
}

/// Closes the connection of a query that was given up, when its client doesn't even take the word of that.
fn close_when_stuck(taken: Taken, calls: Calls) {
    Handle::current().spawn(async move {
        if !taken.within_stall().await {
            calls.close();
        }
    });
}
