//! Where a search stands, gathered from what it tells, so that it can go on there.

use std::collections::HashMap;

use weir_query::{ResumeToken, Source, SourcePosition};

/// Where a search stands in each of its sources.
#[derive(Default)]
pub(crate) struct Place {
    sources: HashMap<u32, Source>,
    token: ResumeToken,
}

impl Place {
    /// The place of a search that begins at `token`.
    pub(crate) fn new(token: ResumeToken) -> Place {
        Place { sources: HashMap::new(), token }
    }

    /// Takes note of a source and its number.
    pub(crate) fn source(&mut self, id: u32, source: &Source) {
        self.sources.insert(id, source.clone());
    }

    /// Takes note of how far the search has come.
    pub(crate) fn note(&mut self, positions: Vec<SourcePosition>) {
        for SourcePosition { source, position } in positions {
            if let Some(source) = self.sources.get(&source) {
                self.token.note(source, position);
            }
        }
    }

    /// Takes note of that everything there was is shown, and what comes now is new.
    pub(crate) fn note_live(&mut self) {
        self.token.live = true;
    }

    /// What to go on with.
    pub(crate) fn token(&self) -> &ResumeToken {
        &self.token
    }
}
