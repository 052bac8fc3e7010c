//! Where lines come from, told once per source, and the sources of one query by their id.

/// The identity of a log source. Fields are empty when the host does not know them, as for a plain file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceMeta {
    /// The host's number for it, unique within the query. State that belongs to a source is kept by it.
    pub id: u32,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Name of the node that the log lies on.
    pub node: String,
    /// The container's restart count.
    pub restart: u32,
    /// Labels of the pod, sorted by key.
    pub labels: Vec<(String, String)>,
}

impl SourceMeta {
    /// The pod's label of that key.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// What to do with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceVerdict {
    /// Hand over its lines.
    Scan,
    /// None of its lines would be kept: don't even read them.
    Skip,
}

/// The sources announced so far, ordered by id.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    known: Vec<SourceMeta>,
    unannounced: SourceMeta,
}

impl Sources {
    /// Files `meta` under its id; a second announcement replaces the first.
    pub(crate) fn insert(&mut self, meta: SourceMeta) -> &SourceMeta {
        let at = match self.known.binary_search_by_key(&meta.id, |m| m.id) {
            Ok(at) => {
                self.known[at] = meta;
                at
            }
            Err(at) => {
                self.known.insert(at, meta);
                at
            }
        };
        &self.known[at]
    }

    /// The source of that id; one without any identity when it was never announced.
    pub(crate) fn get(&mut self, id: u32) -> &SourceMeta {
        match self.known.binary_search_by_key(&id, |m| m.id) {
            Ok(at) => &self.known[at],
            Err(_) => {
                self.unannounced.id = id;
                &self.unannounced
            }
        }
    }
}
