//! The config file as written: nothing here has been checked beyond the names and types of its keys. Flags
//! come in the same form and are laid over it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ConfigError;
use crate::limits::LimitSettings;

/// Every key of the config file; see `docs/agent.md`. What is not set takes its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where gRPC is served: `ADDRESS:PORT` or `unix:/PATH`.
    pub listen: Option<String>,
    /// Where probes and metrics are served, in plain HTTP: `ADDRESS:PORT`.
    pub health_listen: Option<String>,
    /// Folder with the logs, in kubelet's or Docker's layout.
    pub logs_dir: Option<PathBuf>,
    /// Folder for compiled filters.
    pub cache_dir: Option<PathBuf>,
    /// Whether a query may bring its own filter.
    pub allow_components: Option<bool>,
    /// Name of this node, which filters are told.
    pub node: Option<String>,
    /// Seconds that running queries have to end when the agent is told to.
    pub drain_seconds: Option<u64>,
    /// TLS of the gRPC port.
    pub tls: TlsSettings,
    /// The agent's own log.
    pub log: LogSettings,
    /// Named limits.
    pub limits: LimitSettings,
}

/// The `tls` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// PEM file with the agent's certificate and those between it and its root.
    pub cert: Option<PathBuf>,
    /// PEM file with the certificate's key.
    pub key: Option<PathBuf>,
    /// PEM file with roots that clients' certificates must come from.
    pub client_ca: Option<PathBuf>,
}

/// The `log` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: Option<String>,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Option<String>,
}

impl Settings {
    /// Reads a config file. An empty one sets nothing.
    ///
    /// # Errors
    /// A file that can't be read, YAML that isn't well formed, a key that doesn't exist.
    pub fn read(path: &Path) -> Result<Settings, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.to_owned(), reason: error.to_string() })?;
        let settings: Option<Settings> = serde_norway::from_str(&text)
            .map_err(|error| ConfigError::File { path: path.to_owned(), reason: error.to_string() })?;
        Ok(settings.unwrap_or_default())
    }

    /// These settings, and those of `below` where these set nothing. Limits come from files alone.
    pub fn over(self, below: Settings) -> Settings {
        Settings {
            listen: self.listen.or(below.listen),
            health_listen: self.health_listen.or(below.health_listen),
            logs_dir: self.logs_dir.or(below.logs_dir),
            cache_dir: self.cache_dir.or(below.cache_dir),
            allow_components: self.allow_components.or(below.allow_components),
            node: self.node.or(below.node),
            drain_seconds: self.drain_seconds.or(below.drain_seconds),
            tls: TlsSettings {
                cert: self.tls.cert.or(below.tls.cert),
                key: self.tls.key.or(below.tls.key),
                client_ca: self.tls.client_ca.or(below.tls.client_ca),
            },
            log: LogSettings {
                format: self.log.format.or(below.log.format),
                level: self.log.level.or(below.log.level),
            },
            limits: below.limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, ConfigError> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("agent.yaml");
        std::fs::write(&path, text).expect("a file");
        Settings::read(&path)
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for text in ["", "# nothing\n", "{}"] {
            assert_eq!(read(text).expect(text), Settings::default());
        }
    }

    #[test]
    fn a_key_that_does_not_exist_is_named() {
        for (text, key) in [
            ("listne: 127.0.0.1:1", "listne"),
            ("tls: {certificate: x}", "certificate"),
            ("limits: {query: {filter: 1}}", "filter"),
            ("limits: {max_queries: many}", "max_queries"),
            ("drain_seconds: -1", "drain_seconds"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(key) && error.contains("agent.yaml"), "{error}");
        }
    }

    #[test]
    fn flags_are_laid_over_the_file() {
        let file =
            read("listen: 127.0.0.1:1\ndrain_seconds: 5\ntls: {cert: a, key: b}\nlimits: {max_queries: 3}");
        let flags = Settings {
            listen: Some("127.0.0.1:2".to_owned()),
            tls: TlsSettings { cert: Some("c".into()), ..TlsSettings::default() },
            ..Settings::default()
        };
        let settings = flags.over(file.expect("a config"));
        assert_eq!(settings.listen.as_deref(), Some("127.0.0.1:2"));
        assert_eq!(settings.drain_seconds, Some(5));
        assert_eq!((settings.tls.cert, settings.tls.key), (Some("c".into()), Some("b".into())));
        assert_eq!(settings.limits.max_queries, Some(3));
    }
}
