//! How a merge ends: numbers, what filters did, and whether the answer is whole.

use weir_query::{Event, Output, SourceStatus};

use crate::joined::join_summary;
use crate::lane::{Lane, Phase};
use crate::merge::Merge;

impl Merge<'_> {
    /// Gives what comes last: numbers, what filters did, the summary.
    pub(crate) fn finish(mut self) {
        self.release();
        self.flush();
        if self.rules.output == Output::Records {
            self.give_all_positions();
        }
        if self.rules.adds_up {
            let matches = self.joined.take_matches(self.rules.output);
            matches.into_iter().for_each(|matches| self.collector.give(matches));
        } else {
            self.collector.finish();
        }
        let ends: Vec<SourceStatus> = self.lanes.iter_mut().flat_map(|lane| lane.ends.drain(..)).collect();
        for end in ends {
            let matched = if self.rules.adds_up { end.matched } else { self.collector.matched(end.source) };
            self.collector.give(Event::SourceEnd(SourceStatus { matched, ..end }));
        }
        for status in self.joined.take_filters() {
            self.collector.give(Event::Filter(status));
        }
        for status in self.joined.take_policies() {
            self.collector.give(Event::Policy(status));
        }
        self.tell_unfinished();
        for lane in &self.lanes {
            let reasons = lane.summary.iter().flat_map(|summary| summary.incomplete.iter().cloned());
            let failure = lane.failure.iter().map(ToString::to_string);
            for reason in reasons.chain(failure) {
                self.collector.incomplete(format!("{}: {reason}", lane.name()));
            }
        }
        let mut summary = std::mem::take(&mut self.collector.summary);
        for part in self.lanes.iter().filter_map(|lane| lane.summary.as_ref()) {
            join_summary(&mut summary, part, self.rules.adds_up);
        }
        self.collector.give(Event::Summary(summary));
        self.hand_on();
    }

    /// Tells whose filters' figures are missing since more of them wasn't wanted.
    fn tell_unfinished(&mut self) {
        let unfinished = self.lanes.iter().filter(|lane| lane.phase != Phase::Ended).map(Lane::name);
        let names: Vec<&str> = unfinished.collect();
        if self.rules.has_filters && !names.is_empty() {
            let notice = format!(
                "the limit was reached before these agents had told what filters did there: {}",
                names.join(", ")
            );
            self.collector.give(Event::Notice(notice));
        }
    }
}
