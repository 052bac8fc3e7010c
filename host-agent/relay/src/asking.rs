//! One agent's part of a query, as a task of its own: it asks, and hands on what comes; a query that follows goes on
//! where it stood when the connection is there again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use weir_query::{Event, QueryError, QuerySpec, Summary};
use weir_rpc::{Answer, Client, ClientError, Trace};

use crate::error::is_lost;
use crate::place::Place;
use crate::seat::Seat;

/// Least and most time until a lost connection is tried again.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Limits of an agent on how long nothing of an answer may be taken.
const STALLS: [&str; 2] = ["stall_seconds", "follow_stall_seconds"];

/// What one agent's task tells the merge.
#[derive(Debug)]
pub(crate) enum Told {
    /// The agent has taken the query, with so many selectors. These of them, by number, take nothing there, in the
    /// agent's words.
    Opened {
        asked: usize,
        missing: Vec<(usize, ClientError)>,
    },
    /// There is nothing to ask of it yet.
    Idle,
    Event(Event),
    /// The connection was lost, and is tried again.
    Away(ClientError),
    /// There is no answer, or no more of it.
    Failed(ClientError),
}

/// Asks one agent.
pub(crate) struct Asking {
    pub(crate) seat: Seat,
    pub(crate) spec: QuerySpec,
    /// Selectors that all agents are asked.
    pub(crate) common: Vec<String>,
    /// A selector may take nothing there.
    pub(crate) may_lack: bool,
    /// Where it stands, behind all that was handed on; `None` where it can't go on.
    pub(crate) place: Option<Place>,
    /// The same for all agents, where there are several.
    pub(crate) trace: Option<Trace>,
    /// A full one holds the agent back.
    pub(crate) merge: Sender<Told>,
    /// Until it is tried again; `None` when it answers.
    pub(crate) waits: Option<ExponentialBackoff>,
    /// It was told that the connection was lost.
    pub(crate) is_away: bool,
    /// It was told that there is nothing to ask yet.
    pub(crate) is_idle: bool,
}

/// Why an answer was left before its end.
enum Left {
    /// Nobody wants more.
    Unwanted,
    /// There is more to ask.
    Extended,
    By(ClientError),
}

impl From<ClientError> for Left {
    fn from(error: ClientError) -> Left {
        Left::By(error)
    }
}

impl Asking {
    /// Asks, until the answer has ended or nobody wants more of it.
    pub(crate) async fn run(mut self) {
        if let Err(Left::By(error)) = self.ask_again_and_again().await {
            // Where nobody listens any more, nobody need be told.
            self.merge.send(Told::Failed(error)).await.unwrap_or_default();
        }
    }

    async fn ask_again_and_again(&mut self) -> Result<(), Left> {
        if let Some(error) = self.seat.problem.take() {
            self.go_on_after(error).await?;
        }
        loop {
            match self.ask().await {
                Err(Left::Extended) => {}
                Err(Left::By(error)) => self.go_on_after(error).await?,
                ended => return ended,
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Left> {
        self.take_selectors().await?;
        let mut client = self.seat.client().await?;
        if let Some(trace) = &self.trace {
            client.join(trace.clone());
        }
        let asked = self.spec.sources.len();
        let (answer, missing) = self.open(&mut client).await?;
        self.tell(Told::Opened { asked, missing }).await?;
        self.is_away = false;
        let Some(mut answer) = answer else {
            // It has nothing, and that is all of it.
            return self.tell(Told::Event(Event::Summary(Summary::default()))).await;
        };
        while let Some(event) = self.next(&mut answer).await? {
            self.waits = None;
            if let Some(place) = &mut self.place {
                place.event(&event);
                if matches!(&event, Event::Gap(gap) if gap.file.is_empty() && place.has_ended(gap.source)) {
                    // Asked anew, the agent doesn't know that all of it was given.
                    continue;
                }
            }
            self.tell(Told::Event(event)).await?;
        }
        Ok(())
    }

    /// What comes next, unless there is more to ask of an agent that has given the past.
    async fn next(&mut self, answer: &mut Answer) -> Result<Option<Event>, Left> {
        let Some(place) = self.place.as_mut().filter(|place| place.is_live()) else {
            return Ok(answer.next().await?);
        };
        tokio::select! {
            event = answer.next() => Ok(event?),
            () = changed(&mut self.seat.own) => {
                self.spec.resume = place.token().clone();
                Err(Left::Extended)
            }
        }
    }

    /// Sees what is to be asked now; waits as long as that is nothing. What comes then is new.
    async fn take_selectors(&mut self) -> Result<(), Left> {
        while self.seat.own.is_some() {
            let selectors = self.seat.selectors(&self.common);
            if !(selectors.is_empty() && self.spec.follow) {
                self.spec.sources = selectors;
                break;
            }
            if !std::mem::replace(&mut self.is_idle, true) {
                self.spec.resume.live = true;
                self.place = Some(Place::new(self.spec.resume.clone()));
                self.tell(Told::Idle).await?;
            }
            changed(&mut self.seat.own).await;
        }
        Ok(())
    }

    /// Has the agent begin with the query, without selectors that take nothing there: others may have it.
    async fn open(
        &mut self,
        client: &mut Client,
    ) -> Result<(Option<Answer>, Vec<(usize, ClientError)>), ClientError> {
        match client.open(&self.spec).await {
            Ok(answer) => return Ok((Some(answer), Vec::new())),
            Err(error) if !(self.may_lack && takes_nothing(&error)) => return Err(error),
            Err(_) => {}
        }
        let missing = missing(client, &self.spec.sources).await?;
        self.spec.sources = without(std::mem::take(&mut self.spec.sources), &missing);
        if self.spec.sources.is_empty() {
            return Ok((None, missing));
        }
        Ok((Some(client.open(&self.spec).await?), missing))
    }

    /// Makes it ready to ask again, where that is to be done after this error.
    async fn go_on_after(&mut self, error: ClientError) -> Result<(), Left> {
        let Some(place) = &mut self.place else { return Err(Left::By(error)) };
        let was_held_back = matches!(&error, ClientError::Query(QueryError::LimitExceeded { limit, .. })
            if STALLS.contains(&limit.as_str()));
        if !(was_held_back || (self.spec.follow && is_lost(&error))) {
            return Err(Left::By(error));
        }
        self.spec.resume = place.token().clone();
        if was_held_back {
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_away, true) {
            self.tell(Told::Away(error)).await?;
        }
        loop {
            let waits = self.waits.get_or_insert_with(|| {
                let backoff = ExponentialBuilder::default();
                backoff.with_min_delay(RECONNECT.0).with_max_delay(RECONNECT.1).without_max_times().build()
            });
            tokio::time::sleep(waits.next().unwrap_or(RECONNECT.1)).await;
            self.seat.disconnect();
            match self.seat.client().await {
                Ok(_) => return Ok(()),
                Err(error) if is_lost(&error) => {}
                Err(error) => return Err(Left::By(error)),
            }
        }
    }

    async fn tell(&self, told: Told) -> Result<(), Left> {
        self.merge.send(told).await.map_err(|_| Left::Unwanted)
    }
}

/// Waits until there is more to ask of an agent.
async fn changed(own: &mut Option<watch::Receiver<Vec<String>>>) {
    if let Some(own) = own
        && own.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Whether an agent refuses since a selector takes nothing there.
pub(crate) fn takes_nothing(error: &ClientError) -> bool {
    matches!(error, ClientError::Query(QueryError::NotFound { field, .. }) if field == "sources")
}

/// The selectors that take something there.
pub(crate) fn without(selectors: Vec<String>, missing: &[(usize, ClientError)]) -> Vec<String> {
    let is_missing = |number: usize| missing.iter().any(|(missing, _)| *missing == number);
    let numbered = selectors.into_iter().enumerate();
    numbered.filter(|(number, _)| !is_missing(*number)).map(|(_, selector)| selector).collect()
}

/// Those of the selectors, by number, that take nothing there, and what the agent says of each.
pub(crate) async fn missing(
    client: &mut Client,
    selectors: &[String],
) -> Result<Vec<(usize, ClientError)>, ClientError> {
    let mut missing = Vec::new();
    for (number, selector) in selectors.iter().enumerate() {
        match client.finds(selector).await {
            Ok(()) => {}
            Err(error) if takes_nothing(&error) => missing.push((number, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
