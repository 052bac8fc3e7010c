//! What came and went between two listings while a query follows, so that nothing but an event told of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use weir_scan::{LogPath, LogSet, Source, pod_identity};

use crate::Inputs;
use crate::follow::Follow;
use crate::run::Run;
use crate::selector;
use crate::watch::Changes;

impl Run {
    /// Tells of pods and containers whose directories were made since the last listing and weren't `listed` now.
    pub(crate) fn note_passed(&mut self, changes: &Changes, listed: &BTreeSet<PathBuf>, now: Instant) {
        let Some(Follow { plan, known, .. }) = &self.follow else { return };
        let Inputs::Root(root) = &plan.inputs else { return };
        let mut passed = BTreeSet::new();
        for (dir, name) in changes.all_created().filter(|(dir, name)| !listed.contains(&dir.join(name))) {
            let source = match dir.file_name().and_then(|pod| pod.to_str()).and_then(pod_identity) {
                _ if dir == root.dir() => pod_identity(name),
                Some(pod) if dir.parent() == Some(root.dir()) => {
                    Some(Source { container: name.to_owned(), ..pod })
                }
                _ => None,
            };
            let Some(source) = source.filter(|source| selector::may_take(&plan.selectors, source)) else {
                continue;
            };
            if !known.keys().any(|known| known.is_below(&source)) {
                passed.insert(source);
            }
        }
        for source in passed {
            self.add_missed(LogSet { source, files: Vec::new(), dirs: Vec::new() }, now);
        }
    }

    /// Tells of the instances of a container before those that are listed, where all of them are new: kubelet counts
    /// from 0 and deletes the older ones.
    pub(crate) fn note_passed_instances(&mut self, listed: &[LogSet], changes: &Changes, now: Instant) {
        let Some(oldest) = listed.iter().min_by_key(|set| set.source.restart) else { return };
        let is_new =
            |dir: &LogPath| changes.all_created().any(|(parent, name)| dir.starts_with(parent.join(name)));
        if !oldest.dirs.first().is_some_and(is_new) {
            return;
        }
        for restart in 0..oldest.source.restart {
            let source = Source { restart, ..oldest.source.clone() };
            if self.follow.as_ref().is_some_and(|follow| follow.selects(&source)) {
                self.add_missed(LogSet { source, files: Vec::new(), dirs: oldest.dirs.clone() }, now);
            }
        }
    }

    /// Adds a source of which nothing can be read any more, and tells so.
    pub(crate) fn add_missed(&mut self, set: LogSet, now: Instant) {
        self.add_lane(set, None);
        let lane = self.lanes.len() - 1;
        self.lanes[lane].feed.note_missed();
        if let Some(follow) = &mut self.follow {
            (follow.sources[lane].closes, follow.sources[lane].gone) = (Some(now), true);
        }
    }
}
