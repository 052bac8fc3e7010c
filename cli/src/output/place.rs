//! Where a search stands, gathered from what it tells, so that it can go on there.

use std::collections::HashMap;

use weir_query::{ResumeToken, Source, SourcePosition};

/// Where a search stands in each of its sources.
#[derive(Default)]
pub(crate) struct Place {
    sources: HashMap<u32, Source>,
    /// Told since the token was asked for last: there are many for each time that it is.
    told: HashMap<u32, Vec<u8>>,
    token: ResumeToken,
}

impl Place {
    /// The place of a search that begins at `token`.
    pub(crate) fn new(token: ResumeToken) -> Place {
        Place { token, ..Place::default() }
    }

    /// Takes note of a source and its number.
    pub(crate) fn source(&mut self, id: u32, source: &Source) {
        self.sources.insert(id, source.clone());
    }

    /// Takes note of how far the search has come.
    pub(crate) fn note(&mut self, positions: Vec<SourcePosition>) {
        self.told.extend(positions.into_iter().map(|told| (told.source, told.position)));
    }

    /// Takes note of that everything there was is shown, and what comes now is new.
    pub(crate) fn note_live(&mut self) {
        self.token.live = true;
    }

    /// What to go on with.
    pub(crate) fn token(&mut self) -> &ResumeToken {
        for (source, position) in self.told.drain() {
            if let Some(source) = self.sources.get(&source) {
                self.token.note(source, position);
            }
        }
        &self.token
    }
}
