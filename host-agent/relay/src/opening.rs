//! How a merge begins: agents tell their sources, which are numbered, or why there is no answer.

use weir_query::{Event, Source};
use weir_rpc::ClientError;

use crate::asking::Told;
use crate::error::NoAnswer;
use crate::lane::{Lane, Phase};
use crate::merge::Merge;

impl Merge<'_> {
    /// Waits until each agent has told its sources, or why there are none, and numbers them in order.
    pub(crate) async fn gather(&mut self) -> Result<(), NoAnswer> {
        let is_opening =
            |lane: &Lane| lane.stash.is_none() && matches!(lane.phase, Phase::Opening | Phase::Past);
        while self.lanes.iter().any(is_opening) {
            let (index, told) = self.next_told(is_opening).await;
            match told {
                Some(Told::Event(Event::Source { id, source, .. })) => {
                    self.lanes[index].unnumbered.push((id, source));
                }
                Some(Told::Event(event)) => self.lanes[index].stash = Some(event),
                told => self.on_told(index, told),
            }
        }
        self.look_for_refusals()?;
        let mut sources: Vec<(Source, usize, u32)> = Vec::new();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            sources.extend(lane.unnumbered.drain(..).map(|(own, source)| (source, index, own)));
        }
        sources.sort();
        sources.into_iter().for_each(|(source, index, own)| self.add_source(index, own, source));
        for index in 0..self.lanes.len() {
            if let Some(event) = self.lanes[index].stash.take() {
                self.on_event(index, event);
            }
        }
        Ok(())
    }

    /// Ends the query where no agent has taken it, or a selector takes nothing anywhere.
    fn look_for_refusals(&mut self) -> Result<(), NoAnswer> {
        if let Some(error) = self.failure.take() {
            return Err(NoAnswer(vec![(self.lanes[0].name().to_owned(), error)]));
        }
        let is_refused = |lane: &Lane| lane.failure.is_some() && !lane.was_opened;
        if self.lanes.iter().all(is_refused) {
            let refusal = |lane: &mut Lane| lane.failure.take().map(|error| (lane.name().to_owned(), error));
            return Err(NoAnswer::of(self.lanes.iter_mut().filter_map(refusal).collect()));
        }
        self.look_for_what_lacks()
    }

    /// Says which selectors take nothing; ends the query where that is all, or one that all agents were asked.
    fn look_for_what_lacks(&mut self) -> Result<(), NoAnswer> {
        let opened = self.lanes.iter().filter(|lane| lane.was_opened).count();
        let are_all_opened = opened == self.lanes.len();
        let takes_any = self.lanes.iter().any(|lane| lane.asked > lane.missing.len() || lane.asked == 0);
        let mut missing: Vec<(usize, String, ClientError)> = Vec::new();
        for lane in &mut self.lanes {
            let name = lane.name().to_owned();
            let of_lane = std::mem::take(&mut lane.missing).into_iter();
            missing.extend(of_lane.map(|(selector, error)| (selector, name.clone(), error)));
        }
        missing.sort_by_key(|(selector, ..)| *selector);
        let own =
            missing.split_off(missing.partition_point(|(selector, ..)| *selector < self.rules.selectors));
        while let Some((selector, name, error)) = missing.pop() {
            let nowhere = 1 + missing.iter().filter(|(other, ..)| *other == selector).count() == opened;
            missing.retain(|(other, ..)| *other != selector);
            if nowhere && are_all_opened {
                return Err(NoAnswer(vec![(name, error)]));
            }
            if nowhere {
                self.collector.give(Event::Notice(format!("of the agents that answer: {error}")));
            }
        }
        match own.first() {
            Some((_, name, error)) if !takes_any && are_all_opened => {
                return Err(NoAnswer(vec![(name.clone(), error.clone())]));
            }
            _ => {}
        }
        own.into_iter().for_each(|(_, name, error)| {
            self.collector.give(Event::Notice(format!("{name}: {error}")));
        });
        Ok(())
    }
}
