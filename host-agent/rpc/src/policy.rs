//! What policies did, on the wire and back.

use weir_query::{PolicyFilterStatus, PolicyStatus};

use crate::convert_filters::{kind, wire_kind};
use crate::wire::v1;

/// What a policy did.
pub(crate) fn wire_policy_status(status: PolicyStatus) -> v1::PolicyStatus {
    let PolicyStatus { name, redacted, withheld, filters } = status;
    let filters = filters.into_iter().map(|filter| v1::policy_status::Filter {
        name: filter.name,
        version: filter.version,
        digest: filter.digest,
        kind: wire_kind(filter.kind).into(),
        records_in: filter.records_in,
        replaced: filter.replaced,
        dropped: filter.dropped,
        withheld: filter.withheld,
    });
    v1::PolicyStatus { name, redacted, withheld, filters: filters.collect() }
}

/// What a policy did.
///
/// # Errors
/// A kind that isn't known.
pub(crate) fn policy_status(wire: v1::PolicyStatus) -> Result<PolicyStatus, String> {
    let v1::PolicyStatus { name, redacted, withheld, filters } = wire;
    let filter = |filter: v1::policy_status::Filter| -> Result<PolicyFilterStatus, String> {
        Ok(PolicyFilterStatus {
            kind: kind(filter.kind)?,
            name: filter.name,
            version: filter.version,
            digest: filter.digest,
            records_in: filter.records_in,
            replaced: filter.replaced,
            dropped: filter.dropped,
            withheld: filter.withheld,
        })
    };
    let filters = filters.into_iter().map(filter).collect::<Result<_, String>>()?;
    Ok(PolicyStatus { name, redacted, withheld, filters })
}
