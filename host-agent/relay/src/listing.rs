//! What agents have, each asked by itself: sources and filters.

use tokio::task::JoinSet;
use weir_query::{FilterInfo, FilterList, SourceInfo};
use weir_rpc::{Client, ClientError};

use crate::asking::{missing, takes_nothing, without};
use crate::error::NoAnswer;
use crate::fleet::Fleet;
use crate::seat::Seat;

/// What the agents have that answered, by name, and why others haven't; both in the order of the members.
#[derive(Debug)]
pub struct Listing<T> {
    /// Of those that answered.
    pub found: Vec<(String, T)>,
    /// Of those that didn't.
    pub problems: Vec<(String, String)>,
}

/// Sources of one agent, and the selectors, by number, that take nothing there.
type Sources = (Vec<SourceInfo>, Vec<(usize, ClientError)>);

impl Fleet {
    /// The sources that any of `selectors` takes (all, when there is none), with their times.
    ///
    /// # Errors
    /// No agent answers, or a selector takes nothing anywhere though all do.
    pub async fn sources(&mut self, selectors: &[String]) -> Result<Listing<Vec<SourceInfo>>, NoAnswer> {
        let (several, common) = (self.is_several(), selectors.to_vec());
        let Listing { mut found, problems } = self
            .each(move |seat, client| {
                let may_lack = several || seat.own.is_some();
                sources(client, seat.clone().selectors(&common), may_lack)
            })
            .await?;
        let takes_any = found.iter().any(|(_, sources)| !sources.0.is_empty());
        let lacks = |(_, (_, missing)): &(String, Sources), selector: usize| {
            missing.iter().any(|(number, _)| *number == selector)
        };
        let of_first = found.first().map_or(0, |(_, (_, missing))| missing.len());
        for index in 0..of_first {
            let (number, _) = found[0].1.1[index];
            let is_common = number < selectors.len() || !takes_any;
            if problems.is_empty() && is_common && found.iter().all(|agent| lacks(agent, number)) {
                let (name, (_, mut missing)) = found.swap_remove(0);
                return Err(NoAnswer(vec![(name, missing.swap_remove(index).1)]));
            }
        }
        let found = found.into_iter().map(|(name, (sources, _))| (name, sources)).collect();
        Ok(Listing { found, problems })
    }

    /// Every filter that the agents have, and the files of their folders of filters.
    ///
    /// # Errors
    /// No agent answers.
    pub async fn filters(&mut self) -> Result<Listing<FilterList>, NoAnswer> {
        self.each(|_, mut client| async move { client.filters().await }).await
    }

    /// The filter of that name.
    ///
    /// # Errors
    /// No agent answers, or none has it.
    pub async fn filter(&mut self, name: &str) -> Result<Listing<FilterInfo>, NoAnswer> {
        let name = name.to_owned();
        self.each(move |_, mut client| {
            let name = name.clone();
            async move { client.filter(&name).await }
        })
        .await
    }

    /// Calls each agent that could be reached, all at once.
    async fn each<T, F>(&mut self, call: impl Fn(&Seat, Client) -> F) -> Result<Listing<T>, NoAnswer>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let (mut found, mut errors, mut calls) = (Vec::new(), Vec::new(), JoinSet::new());
        for (number, seat) in self.seats().iter().enumerate() {
            match seat.connected() {
                Ok(client) => {
                    let answer = call(seat, client);
                    calls.spawn(async move { (number, answer.await) });
                }
                Err(error) => errors.push((number, error)),
            }
        }
        for (number, answer) in calls.join_all().await {
            match answer {
                Ok(answer) => found.push((number, answer)),
                Err(error) => errors.push((number, error)),
            }
        }
        found.sort_by_key(|(number, _)| *number);
        errors.sort_by_key(|(number, _)| *number);
        let name = |number: usize| self.seats()[number].name.clone();
        if found.is_empty() {
            return Err(NoAnswer::of(
                errors.into_iter().map(|(number, error)| (name(number), error)).collect(),
            ));
        }
        Ok(Listing {
            found: found.into_iter().map(|(number, answer)| (name(number), answer)).collect(),
            problems: errors.into_iter().map(|(number, error)| (name(number), error.to_string())).collect(),
        })
    }
}

async fn sources(mut client: Client, selectors: Vec<String>, may_lack: bool) -> Result<Sources, ClientError> {
    match client.sources(&selectors).await {
        Ok(sources) => return Ok((sources, Vec::new())),
        Err(error) if !(may_lack && takes_nothing(&error)) => return Err(error),
        Err(_) => {}
    }
    let missing = missing(&mut client, &selectors).await?;
    let known = without(selectors, &missing);
    let sources = if known.is_empty() { Vec::new() } else { client.sources(&known).await? };
    Ok((sources, missing))
}
