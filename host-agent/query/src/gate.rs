//! Where every component passes that comes to an agent from outside, uploaded by a client or found in the folder of
//! filters, before it is kept or compiled. Filters that ship with Weir, and components that a program's own user hands to
//! an engine in the same process, don't come this way.

use weir_sandbox::{LoadError, SandboxLimits, admit};

/// A component that was let in.
pub(crate) struct Admitted {
    /// `sha256:` and the hexadecimal digest of its bytes.
    pub(crate) digest: String,
}

/// Lets a component in, or refuses it: by its size, its form, and what it imports and exports. Costs some time, which grows
/// with its size.
///
/// # Errors
/// [`LoadError::Admission`]
pub(crate) fn pass(component: &[u8], limits: &SandboxLimits) -> Result<Admitted, LoadError> {
    let admission = admit(component, limits)?;
    Ok(Admitted { digest: admission.digest })
}
