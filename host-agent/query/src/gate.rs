//! Where every component passes that comes to an agent from outside, uploaded by a client or found in the folder of
//! filters, before it is kept or compiled. Filters that ship with Weir, and components that a program's own user hands to
//! an engine in the same process, don't come this way.

use weir_sandbox::{AdmissionError, SandboxLimits, admit};
use weir_trust::{Refused, Trust};

/// A component that was let in.
pub(crate) struct Admitted {
    /// `sha256:` and the hexadecimal digest of its bytes.
    pub(crate) digest: String,
}

/// Why a component isn't let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// It can't be a filter.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// The config allows neither its digest nor who has signed it.
    #[error(transparent)]
    Untrusted(#[from] Refused),
}

/// Lets a component in, or refuses it: by its size, by the rule of `trust` and the signature that came with it, by its
/// form, and by what it imports and exports. Costs some time, which grows with its size.
///
/// # Errors
/// [`GateError`]
pub(crate) fn pass(
    component: &[u8],
    signature: Option<&[u8]>,
    limits: &SandboxLimits,
    trust: &Trust,
) -> Result<Admitted, GateError> {
    if component.len() <= limits.component_bytes {
        trust.admits(component, signature)?;
    }
    let admission = admit(component, limits)?;
    Ok(Admitted { digest: admission.digest })
}
