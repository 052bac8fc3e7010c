//! The config file as written: nothing here has been checked beyond the names and types of its keys. Flags
//! come in the same form and are laid over it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::access::AccessSettings;
use crate::audit::AuditSettings;
use crate::limits::LimitSettings;

/// Every key of the config file; see `docs/agent.md`. What is not set takes its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where gRPC is served: `ADDRESS:PORT` or `unix:/PATH`.
    pub listen: Option<String>,
    /// Where probes and metrics are served, in plain HTTP: `ADDRESS:PORT`.
    pub health_listen: Option<String>,
    /// Folder with the logs, in kubelet's or Docker's layout.
    pub logs_dir: Option<PathBuf>,
    /// Folders that links to logs may lead into.
    pub logs_link_dirs: Option<Vec<PathBuf>>,
    /// Folder for compiled filters.
    pub cache_dir: Option<PathBuf>,
    /// File with the secret that seals resume tokens.
    pub resume_key_file: Option<PathBuf>,
    /// Whether a query may bring its own filter.
    pub allow_components: Option<bool>,
    /// Name of this node, which filters are told.
    pub node: Option<String>,
    /// Whether the cluster's objects `Filter` and `FilterPolicy` are in force.
    pub custom_resources: Option<bool>,
    /// Seconds that running queries have to end when the agent is told to.
    pub drain_seconds: Option<u64>,
    /// Filters besides those that ship with the agent.
    pub filters: FiltersSettings,
    /// Registries that filters of the cluster may be pulled from.
    pub registries: Vec<RegistrySettings>,
    /// Filters that hold for all queries of what they cover.
    pub policies: PoliciesSettings,
    /// TLS of the gRPC port.
    pub tls: TlsSettings,
    /// Who knows callers, and what they may read.
    pub access: AccessSettings,
    /// Records of queries.
    pub audit: AuditSettings,
    /// The agent's own log.
    pub log: LogSettings,
    /// Named limits.
    pub limits: LimitSettings,
}

/// The `tls` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// PEM file with the agent's certificate and those between it and its root.
    pub cert: Option<PathBuf>,
    /// PEM file with the certificate's key.
    pub key: Option<PathBuf>,
    /// PEM file with roots that clients' certificates must come from.
    pub client_ca: Option<PathBuf>,
    /// Whether clients need one: `required` or `optional`.
    pub client_certs: Option<String>,
    /// Seconds between two looks at whether these files have changed.
    pub reload_seconds: Option<u64>,
}

/// The `filters` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FiltersSettings {
    /// Folder with filters that every query can name.
    pub folder: Option<PathBuf>,
    /// Seconds between two looks at whether it has changed.
    pub reload_seconds: Option<u64>,
    /// Digests of components that may run: `sha256:` and 64 hexadecimal digits.
    pub allowed_digests: Option<Vec<String>>,
    /// PEM files of public keys; components that one of them has signed may run.
    pub allowed_signers: Option<Vec<PathBuf>>,
}

/// An entry of `registries`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrySettings {
    /// Host, and port where it has one, as references begin with it.
    pub host: Option<String>,
    /// PEM file with roots that its certificate must come from.
    pub ca: Option<PathBuf>,
    /// File with credentials as `docker login` writes it.
    pub auth_file: Option<PathBuf>,
    /// Whether it is asked without TLS.
    pub plain_http: Option<bool>,
}

/// The `policies` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesSettings {
    /// Folder with policies, one in each file.
    pub folder: Option<PathBuf>,
    /// Seconds between two looks at whether it has changed.
    pub reload_seconds: Option<u64>,
}

/// The `log` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: Option<String>,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Option<String>,
}

impl Settings {
    /// Whether a key, by its name with its section, is set.
    pub(crate) fn sets(&self, field: &str) -> bool {
        let all = serde_norway::to_value(self).expect("settings are plain data");
        field.split('.').try_fold(&all, |section, key| section.get(key)).is_some_and(|value| !value.is_null())
    }

    /// These settings, and those of `below` where these set nothing. Limits, which filters may run and where they are pulled
    /// from, and who may read what, come from files alone.
    pub fn over(self, below: Settings) -> Settings {
        Settings {
            listen: self.listen.or(below.listen),
            health_listen: self.health_listen.or(below.health_listen),
            logs_dir: self.logs_dir.or(below.logs_dir),
            logs_link_dirs: self.logs_link_dirs.or(below.logs_link_dirs),
            cache_dir: self.cache_dir.or(below.cache_dir),
            resume_key_file: self.resume_key_file.or(below.resume_key_file),
            allow_components: self.allow_components.or(below.allow_components),
            node: self.node.or(below.node),
            custom_resources: self.custom_resources.or(below.custom_resources),
            drain_seconds: self.drain_seconds.or(below.drain_seconds),
            filters: FiltersSettings {
                folder: self.filters.folder.or(below.filters.folder),
                reload_seconds: self.filters.reload_seconds.or(below.filters.reload_seconds),
                ..below.filters
            },
            registries: below.registries,
            policies: PoliciesSettings {
                folder: self.policies.folder.or(below.policies.folder),
                reload_seconds: self.policies.reload_seconds.or(below.policies.reload_seconds),
            },
            tls: TlsSettings {
                cert: self.tls.cert.or(below.tls.cert),
                key: self.tls.key.or(below.tls.key),
                client_ca: self.tls.client_ca.or(below.tls.client_ca),
                client_certs: self.tls.client_certs.or(below.tls.client_certs),
                reload_seconds: self.tls.reload_seconds.or(below.tls.reload_seconds),
            },
            access: below.access,
            audit: below.audit,
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

    #[test]
    fn flags_are_laid_over_the_file() {
        let file: Settings = serde_norway::from_str(
            "listen: 127.0.0.1:1\ndrain_seconds: 5\ntls: {cert: a, key: b}\nlimits: {max_queries: 3}",
        )
        .expect("a config");
        assert!(file.sets("tls.cert") && !file.sets("tls.client_ca") && !file.sets("nothing.at.all"));
        let flags = Settings {
            listen: Some("127.0.0.1:2".to_owned()),
            tls: TlsSettings { cert: Some("c".into()), ..TlsSettings::default() },
            ..Settings::default()
        };
        let settings = flags.over(file);
        assert_eq!(settings.listen.as_deref(), Some("127.0.0.1:2"));
        assert_eq!(settings.drain_seconds, Some(5));
        assert_eq!((settings.tls.cert, settings.tls.key), (Some("c".into()), Some("b".into())));
        assert_eq!(settings.limits.max_queries, Some(3));
    }
}
