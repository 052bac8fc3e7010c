//! What a user asks for, as typed: nothing here has been checked. [`Engine::plan`](crate::Engine::plan)
//! turns a [`QuerySpec`] into something that can run, or refuses it with the field's name.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use weir_scan::{Context, Direction, PatternSpec};

use crate::ResumeToken;

/// One query. `Default` asks for every record of every source, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuerySpec {
    /// `namespace:pod/container` with globs, each part optional; a source is searched when any
    /// selector takes it. Empty: all sources.
    pub sources: Vec<String>,
    /// What a message must match.
    pub pattern: PatternSpec,
    /// First time of interest in nanoseconds since the epoch, inclusive.
    pub since: Option<i64>,
    /// End of the time of interest in nanoseconds since the epoch, exclusive.
    pub until: Option<i64>,
    /// Order in which records are given.
    pub direction: Direction,
    /// How many records, counted from which end.
    pub limit: Limit,
    /// Neighbours of each match.
    pub context: Context,
    /// Filters, in the order in which records pass through them.
    pub filters: Vec<FilterSpec>,
    /// Names of policies to leave out, which takes the right [`Right::BypassPolicy`](crate::Right::BypassPolicy).
    pub bypass: Vec<String>,
    /// What to give back.
    pub output: Output,
    /// Go on with what is written from now on, until the limit (if it counts from the oldest) is reached or the
    /// query is cancelled. Only for records, oldest first, without an end of the time of interest.
    pub follow: bool,
    /// Where an earlier search of the same sources stood: this one goes on there. Its `since` counts when
    /// there is no other. With `follow`, a limit that counts from the newest record counts for nothing then.
    pub resume: ResumeToken,
    /// Longest message in bytes; `None` takes the default of
    /// [`ScanLimits::line_bytes`](weir_scan::ScanLimits::line_bytes).
    pub line_bytes: Option<u32>,
}

impl QuerySpec {
    /// The filters that the query names, those that run beside others included.
    pub(crate) fn filter_refs(&self) -> impl Iterator<Item = &FilterRef> {
        self.filters
            .iter()
            .flat_map(|spec| [Some(&spec.filter), spec.shadow.as_ref().map(|it| &it.filter)])
            .flatten()
    }

    /// The limit that counts, and the direction in which records are read for it.
    pub fn limit_in_scan_order(&self) -> (Limit, Direction) {
        // What was before a follow that is resumed was given then.
        let goes_on = self.follow && !self.resume.is_empty();
        let limit = if goes_on && matches!(self.limit, Limit::Tail(_)) { Limit::All } else { self.limit };
        let direction = match limit {
            Limit::All => self.direction,
            Limit::Head(_) => Direction::Forward,
            Limit::Tail(_) => Direction::Backward,
        };
        (limit, direction)
    }

    /// Bytes of the uploaded components that the query keeps from being forgotten.
    pub fn uploaded_bytes(&self) -> usize {
        let bytes = |filter: &FilterRef| match filter {
            FilterRef::Uploaded { component, .. } => component.bytes.len(),
            FilterRef::Name(_) | FilterRef::Component { .. } => 0,
        };
        self.filter_refs().map(bytes).sum()
    }

    /// What the component of that digest that comes with the query is called in messages.
    pub fn component_label(&self, digest: &str) -> Option<&str> {
        self.filter_refs().find_map(|filter| match filter {
            FilterRef::Component { bytes, label, .. } if weir_sandbox::digest(bytes) == digest => {
                Some(label.as_str())
            }
            _ => None,
        })
    }

    /// The component of that digest that comes with the query, and the content of its signature file.
    pub fn component(&self, digest: &str) -> Option<(&[u8], Option<&[u8]>)> {
        self.filter_refs().find_map(|filter| match filter {
            FilterRef::Component { bytes, signature, .. } if weir_sandbox::digest(bytes) == digest => {
                Some((bytes.as_slice(), signature.as_deref()))
            }
            _ => None,
        })
    }
}

/// How many matches to give. Context records don't count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// All of them.
    #[default]
    All,
    /// The oldest so many.
    Head(u64),
    /// The newest so many.
    Tail(u64),
}

impl Limit {
    /// The most matches that can be given; `None` without a limit.
    pub fn records(self) -> Option<u64> {
        match self {
            Limit::All => None,
            Limit::Head(records) | Limit::Tail(records) => Some(records),
        }
    }
}

/// One filter and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterSpec {
    /// Which filter.
    pub filter: FilterRef,
    /// Its parameters as the text of a JSON object; empty text counts as `{}`.
    pub params: String,
    /// Limits that are to differ from the engine's, by the names of
    /// [`FilterLimits::NAMED`](weir_sandbox::FilterLimits::NAMED). The engine's maxima hold.
    pub limits: BTreeMap<String, u64>,
    /// What becomes of a record that it fails on.
    pub on_failure: OnFailure,
    /// A filter that runs beside it on the same records, and changes nothing: how often it would have done otherwise is
    /// told with the filter's status.
    pub shadow: Option<ShadowSpec>,
}

/// A filter beside another one. It runs under the limits of that.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowSpec {
    /// Which filter. It must be of the same kind.
    pub filter: FilterRef,
    /// Its parameters as the text of a JSON object; empty text counts as `{}`.
    pub params: String,
}

impl FilterSpec {
    /// A filter without parameters, under the engine's own limits.
    pub fn new(filter: FilterRef) -> FilterSpec {
        FilterSpec {
            filter,
            params: String::new(),
            limits: BTreeMap::new(),
            on_failure: OnFailure::default(),
            shadow: None,
        }
    }
}

/// What becomes of a record that a filter fails on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// What the filter's kind asks for: a redaction withholds it, any other filter passes it on as it was, marked.
    #[default]
    Kind,
    /// It is passed on as it was, marked. Not for a redaction.
    Pass,
    /// It is dropped, and counted as failed.
    Drop,
    /// It is dropped, and the query ends there, incomplete.
    End,
}

/// How a query names a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterRef {
    /// A filter that the engine knows by this name.
    Name(String),
    /// A component that comes with the query.
    Component {
        /// What to call it in messages, such as its path.
        label: String,
        /// The component's bytes.
        bytes: Vec<u8>,
        /// Content of its signature file, for an agent that asks for one.
        signature: Option<Vec<u8>>,
    },
    /// A component that was uploaded before, to the process that runs the query.
    Uploaded {
        /// What to call it in messages.
        label: String,
        /// The component.
        component: Arc<UploadedComponent>,
    },
}

/// A component that was uploaded, and let in by [`Engine::admit_upload`](crate::Engine::admit_upload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedComponent {
    /// `sha256:` and the hexadecimal digest of its bytes.
    pub digest: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// Who has uploaded it. What is made of it is shared with nobody else.
    pub owner: String,
}

impl FilterRef {
    /// What to call it in messages.
    pub fn name(&self) -> &str {
        match self {
            FilterRef::Name(name)
            | FilterRef::Component { label: name, .. }
            | FilterRef::Uploaded { label: name, .. } => name,
        }
    }
}

/// What a query gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// The records.
    #[default]
    Records,
    /// How many matches there are.
    Count {
        /// One number for each source, in place of one for all.
        per_source: bool,
    },
    /// How many matches there are in each step of time.
    Histogram {
        /// Width of a step in nanoseconds; steps start at multiples of it since the epoch.
        step: NonZeroU64,
        /// One row of steps for each source, in place of one for all.
        per_source: bool,
    },
}
