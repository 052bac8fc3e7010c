//! Where a search stands, gathered from what it tells, so that it can go on there.

use std::collections::HashMap;

use weir_query::{Event, ResumeToken, Source, SourcePosition};

/// Where a search stands in each of its sources.
#[derive(Debug, Default)]
pub struct Place {
    sources: HashMap<u32, Source>,
    /// Told since the token was asked for last: there are many for each time that it is.
    told: HashMap<u32, Vec<u8>>,
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
