//! What the policies of a query did.

use weir_sandbox::Kind;

use crate::FilterStatus;

/// What one policy did in a query. Nothing in it depends on what its filters have taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyStatus {
    /// Its name.
    pub name: String,
    /// Records that any of its filters rewrote and that it let through.
    pub redacted: u64,
    /// Records that it withheld: a filter failed on them, or a part of them was missing.
    pub withheld: u64,
    /// Its filters, in their order.
    pub filters: Vec<PolicyFilterStatus>,
}

/// What one filter of a policy did in a query.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFilterStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the component, `sha256:` and hex.
    pub digest: String,
    /// Its kind.
    pub kind: Kind,
    /// Records that reached it, whether or not they entered the sandbox: not those that no filter of a policy changes, and that
    /// the query doesn't ask for.
    pub records_in: u64,
    /// Records that it rewrote.
    pub replaced: u64,
    /// Records that it dropped.
    pub dropped: u64,
    /// Records that were withheld since it failed on them.
    pub withheld: u64,
}

impl From<FilterStatus> for PolicyFilterStatus {
    fn from(status: FilterStatus) -> PolicyFilterStatus {
        PolicyFilterStatus {
            name: status.name,
            version: status.version,
            digest: status.digest,
            kind: status.kind,
            records_in: status.records_in,
            replaced: status.replaced,
            dropped: status.dropped,
            withheld: status.withheld,
        }
    }
}

impl PolicyStatus {
    /// Adds what the same policy did elsewhere. A filter of another version is told for itself.
    pub fn add(&mut self, other: PolicyStatus) {
        self.redacted += other.redacted;
        self.withheld += other.withheld;
        for (place, filter) in other.filters.into_iter().enumerate() {
            let is_same =
                |known: &&mut PolicyFilterStatus| known.name == filter.name && known.digest == filter.digest;
            match self.filters.get_mut(place).filter(is_same) {
                Some(known) => {
                    known.records_in += filter.records_in;
                    known.replaced += filter.replaced;
                    known.dropped += filter.dropped;
                    known.withheld += filter.withheld;
                }
                None => self.filters.push(filter),
            }
        }
    }
}
