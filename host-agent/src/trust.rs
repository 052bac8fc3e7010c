//! Which filters may run on this agent, as its config says.

use std::path::PathBuf;

use weir_trust::{Digest, PublicKey, Trust};

use crate::ConfigError;
use crate::settings::FiltersSettings;

/// The rule for filters that don't ship with Weir, and what it was made of.
#[derive(Clone, Debug)]
pub struct TrustConfig {
    /// The rule.
    pub trust: Trust,
    digests: Option<Vec<String>>,
    signers: Option<Vec<PathBuf>>,
}

impl TrustConfig {
    /// Checks the digests, and reads the keys.
    ///
    /// # Errors
    /// Text that is no digest; a file that can't be read, or has no key of the right kind.
    pub(crate) fn new(settings: &FiltersSettings) -> Result<TrustConfig, ConfigError> {
        let digests = settings.allowed_digests.as_ref().map(|digests| {
            let digest = |text: &String| {
                text.parse::<Digest>().map_err(|error| ConfigError::value("filters.allowed_digests", error))
            };
            digests.iter().map(digest).collect::<Result<_, _>>()
        });
        let signers =
            settings.allowed_signers.as_ref().map(|paths| paths.iter().map(key).collect::<Result<_, _>>());
        Ok(TrustConfig {
            trust: Trust::new(digests.transpose()?, signers.transpose()?),
            digests: settings.allowed_digests.clone(),
            signers: settings.allowed_signers.clone(),
        })
    }

    /// The settings that make it; the others of their section aren't set.
    pub(crate) fn settings(&self) -> FiltersSettings {
        FiltersSettings {
            allowed_digests: self.digests.clone(),
            allowed_signers: self.signers.clone(),
            ..FiltersSettings::default()
        }
    }
}

fn key(path: &PathBuf) -> Result<PublicKey, ConfigError> {
    let refused = |reason: String| {
        ConfigError::value("filters.allowed_signers", format!("{}: {reason}", path.display()))
    };
    let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    PublicKey::from_pem(path.display().to_string(), &pem).map_err(|error| refused(error.to_string()))
}
