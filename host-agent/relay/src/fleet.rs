//! The agents that are asked together.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_query::{Event, Flow, QueryLimits, QuerySpec};
use weir_rpc::{ClientError, Trace};

use crate::asking::Asking;
use crate::error::{NoAnswer, is_lost};
use crate::lane::Lane;
use crate::merge::Merge;
use crate::place::Place;
use crate::resume;
use crate::rules::Rules;
use crate::seat::{Member, Seat};

/// Events of one agent that wait to be merged; one with records has around 64 KiB, more when one message alone is
/// longer. Doesn't bound what waits in the connection: HTTP/2 does.
const QUEUE: usize = 2;

/// Agents that are asked together. Calls are to be made on a tokio runtime with time and network.
#[derive(Debug)]
pub struct Fleet {
    seats: Vec<Seat>,
    limits: QueryLimits,
}

impl Fleet {
    /// Connects to all members at once, but for those of which nothing is to be asked yet. Those that can't be reached are told with each answer; a query that follows
    /// goes on trying. Of `limits`, those count that are about records that are held back, and steps of histograms.
    ///
    /// # Errors
    /// No member can be reached; a member that can't be used, whatever becomes of the others; two of one name; none at
    /// all.
    pub async fn connect(members: Vec<Member>, limits: QueryLimits) -> Result<Fleet, NoAnswer> {
        check_names(&members)?;
        let mut calls = JoinSet::new();
        for (number, member) in members.into_iter().enumerate() {
            calls.spawn(async move {
                let mut seat = Seat::new(member);
                if !seat.has_nothing() {
                    seat.problem = seat.client().await.err();
                }
                (number, seat)
            });
        }
        let mut seats = calls.join_all().await;
        seats.sort_by_key(|(number, _)| *number);
        let seats: Vec<Seat> = seats.into_iter().map(|(_, seat)| seat).collect();
        let problem = |seat: &Seat| seat.problem.clone().map(|error| (seat.name.clone(), error));
        let wrong: Vec<_> = seats.iter().filter_map(problem).filter(|(_, error)| !is_lost(error)).collect();
        if !wrong.is_empty() {
            return Err(NoAnswer::of(wrong));
        }
        if seats.iter().all(|seat| seat.problem.is_some()) {
            return Err(NoAnswer::of(seats.iter().filter_map(problem).collect()));
        }
        Ok(Fleet { seats, limits })
    }

    /// Whether there is more than one agent.
    pub fn is_several(&self) -> bool {
        self.seats.len() > 1
    }

    /// Whether the connection to an agent was lost while a query follows that was dropped since.
    pub fn is_any_away(&self) -> bool {
        self.seats.iter().any(Seat::is_away)
    }

    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Runs a query on every agent and hands each event to `sink`, the summary last. When `sink` says [`Flow::Stop`], or
    /// the call is dropped, all searches are cancelled. While `sink` works, the agents wait.
    ///
    /// A query that follows comes back to an agent whose connection was lost, and goes on there where it stood.
    ///
    /// # Errors
    /// No agent takes the query, or a selector takes nothing on any of them. Of a single agent also an answer that
    /// breaks off; of several, the summary tells that.
    pub async fn query(
        &mut self,
        spec: &QuerySpec,
        sink: &mut dyn FnMut(Event) -> Flow,
    ) -> Result<(), NoAnswer> {
        let names: Vec<&str> = self.seats.iter().map(|seat| seat.name.as_str()).collect();
        let parts = resume::split(&spec.resume, &names)
            .map_err(|error| NoAnswer(vec![(names[0].to_owned(), ClientError::Query(error))]))?;
        // Only a merge leaves out what was given before.
        let several = self.is_several() || parts.iter().any(|part| part.given() > 0);
        let rules = Rules::new(spec, several);
        let mut lanes = Vec::with_capacity(parts.len());
        let mut tasks = JoinSet::new();
        let trace = several.then(Trace::new);
        for (seat, part) in self.seats.iter().zip(parts) {
            seat.set_away(false);
            let asked = rules.asked(spec, part.given());
            let asked = QuerySpec { resume: part.token, ..asked };
            let place = rules.goes_on(&asked).then(|| Place::new(asked.resume.clone()));
            let (merge, told) = mpsc::channel(QUEUE);
            lanes.push(Lane::new(seat.clone(), told, part.stands));
            let (seat, trace) = (seat.clone(), trace.clone());
            let may_lack = several || seat.own.is_some();
            let common = spec.sources.clone();
            let asking = Asking {
                seat,
                spec: asked,
                common,
                may_lack,
                place,
                trace,
                merge,
                waits: None,
                is_away: false,
                is_idle: false,
            };
            tasks.spawn(asking.run());
        }
        let merged = Merge::new(lanes, rules, &self.limits, sink).run().await;
        tasks.shutdown().await;
        merged
    }
}

fn check_names(members: &[Member]) -> Result<(), NoAnswer> {
    let wrong = |name: &str, message: String| {
        Err(NoAnswer(vec![(name.to_owned(), ClientError::Endpoint { field: "url", message })]))
    };
    let mut names = HashSet::new();
    match members.iter().find(|member| !names.insert(member.name.as_str())) {
        Some(twice) => wrong(&twice.name, format!("'{}' is named twice; once is enough", twice.name)),
        None if members.is_empty() => wrong("", "no agent is named".to_owned()),
        None => Ok(()),
    }
}
