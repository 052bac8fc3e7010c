//! One agent of a fleet: its name, and the way to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use weir_rpc::{Client, ClientError, Dial, Endpoint};

/// An agent to ask.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is called in messages and in resume tokens, such as its node's name or its URL. No two members may
    /// have the same.
    pub name: String,
    /// The way to it.
    pub reach: Reach,
    /// Selectors of sources that are asked of this agent alone, beside the query's. Without any of either, it is
    /// asked nothing. A query that follows takes up those that come later, each as a source that is new.
    pub own: Option<watch::Receiver<Vec<String>>>,
}

/// The way to an agent.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Connect there.
    Endpoint(Endpoint),
    /// Connect over a stream, to an agent with the endpoint's name.
    Over(Endpoint, Arc<dyn Dial>),
    /// A connection that is there, and that connects again by itself.
    Client(Client),
}

/// A member, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) name: String,
    reach: Reach,
    pub(crate) own: Option<watch::Receiver<Vec<String>>>,
    client: Option<Client>,
    /// Why there is no connection.
    pub(crate) problem: Option<ClientError>,
    is_away: Arc<AtomicBool>,
}

impl Seat {
    pub(crate) fn new(member: Member) -> Seat {
        let Member { name, reach, own } = member;
        Seat { name, reach, own, client: None, problem: None, is_away: Arc::default() }
    }

    /// The query's selectors, and those of this agent alone, as they are now.
    pub(crate) fn selectors(&mut self, common: &[String]) -> Vec<String> {
        let own = self.own.as_mut().map(|own| own.borrow_and_update().clone());
        common.iter().cloned().chain(own.into_iter().flatten()).collect()
    }

    /// Whether it is asked nothing, where the query itself names no sources.
    pub(crate) fn has_nothing(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.borrow().is_empty())
    }

    /// The connection, made if there is none.
    pub(crate) async fn client(&mut self) -> Result<Client, ClientError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = match &self.reach {
            Reach::Client(client) => client.clone(),
            Reach::Endpoint(endpoint) => Client::connect(endpoint).await?,
            Reach::Over(endpoint, dial) => Client::connect_over(endpoint, Arc::clone(dial)).await?,
        };
        Ok(self.client.insert(client).clone())
    }

    /// The connection that was made, or why there is none.
    pub(crate) fn connected(&self) -> Result<Client, ClientError> {
        match (&self.client, &self.problem) {
            (Some(client), _) => Ok(client.clone()),
            (None, Some(problem)) => Err(problem.clone()),
            (None, None) => Err(ClientError::Incomplete),
        }
    }

    /// Forgets a connection that was lost.
    pub(crate) fn disconnect(&mut self) {
        self.client = None;
    }

    /// Whether its connection was lost in a query that follows.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }
}
