//! Which registries the agent may ask, as its config says. It asks no others, whatever a reference names: who may write a
//! `Filter` is not to have agents connect wherever they like.

use weir_registry::{Registry, is_host};

use crate::ConfigError;
use crate::settings::RegistrySettings;

/// Most registries.
const REGISTRIES: usize = 64;

/// Checks the registries, and reads their files.
///
/// # Errors
/// A host that is none or comes twice; a file that can't be read or isn't what it should be; no roots.
pub(crate) fn registries(settings: &[RegistrySettings]) -> Result<Vec<Registry>, ConfigError> {
    let refused = |reason: String| Err(ConfigError::value("registries", reason));
    if settings.len() > REGISTRIES {
        return refused(format!("there are {}; the most are {REGISTRIES}", settings.len()));
    }
    let mut registries: Vec<Registry> = Vec::new();
    for RegistrySettings { host, ca, auth_file, plain_http } in settings.iter().cloned() {
        let Some(host) = host.filter(|host| is_host(host)) else {
            return refused(
                "each needs a host as references begin with it, such as ghcr.io or registry.example:5000"
                    .to_owned(),
            );
        };
        if registries.iter().any(|known| known.host == host) {
            return refused(format!("{host} is there twice"));
        }
        let registry = Registry { host, ca, auth_file, plain_http: plain_http.unwrap_or(false) };
        if let Err(error) = registry.check() {
            return refused(format!("{}: {error}", registry.host));
        }
        registries.push(registry);
    }
    Ok(registries)
}

/// The settings that make them.
pub(crate) fn settings(registries: &[Registry]) -> Vec<RegistrySettings> {
    let settings = |Registry { host, ca, auth_file, plain_http }: Registry| RegistrySettings {
        host: Some(host),
        ca,
        auth_file,
        plain_http: Some(plain_http),
    };
    registries.iter().cloned().map(settings).collect()
}
