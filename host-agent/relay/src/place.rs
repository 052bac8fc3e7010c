//! Where a search stands, gathered from what it tells, so that it can go on there.

use std::collections::{HashMap, HashSet};

use weir_query::{Event, ResumeToken, Source, SourcePosition};

/// Where a search stands in each of its sources.
#[derive(Debug, Default)]
pub struct Place {
    sources: HashMap<u32, Source>,
    /// Told since the token was asked for last: there are many for each time that it is.
    told: HashMap<u32, Vec<u8>>,
    /// Those that were searched to their end, after which nothing of them can be lost.
    ended: HashSet<Source>,
    token: ResumeToken,
}

impl Place {
    /// The place of a search that begins at `token`.
    pub fn new(token: ResumeToken) -> Place {
        Place { token, ..Place::default() }
    }

    /// Takes note of what an event tells about that.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Source { id, source, .. } => self.source(*id, source),
            Event::Records { positions, .. } => self.note(positions),
            Event::Positions(positions) => {
                self.token.live = true;
                self.note(positions);
            }
            Event::SourceEnd(status) => self.ended.extend(self.sources.get(&status.source).cloned()),
            _ => {}
        }
    }

    /// What to go on with.
    pub fn token(&mut self) -> &ResumeToken {
        for (source, position) in self.told.drain() {
            if let Some(source) = self.sources.get(&source) {
                self.token.note(source, position);
            }
        }
        &self.token
    }

    /// Whether the past was given, so that sources that aren't known came later.
    pub(crate) fn is_live(&self) -> bool {
        self.token.live
    }

    /// Whether a source was searched to its end, in this connection or an earlier one.
    pub(crate) fn has_ended(&self, source: u32) -> bool {
        self.sources.get(&source).is_some_and(|source| self.ended.contains(source))
    }

    fn source(&mut self, id: u32, source: &Source) {
        // A search that was begun anew numbers its sources anew.
        if self.sources.get(&id) != Some(source) {
            self.token();
            self.sources.insert(id, source.clone());
        }
    }

    fn note(&mut self, positions: &[SourcePosition]) {
        self.told.extend(positions.iter().map(|told| (told.source, told.position.clone())));
    }
}
