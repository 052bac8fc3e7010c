//! The config that an agent runs with: every value checked, every default in place.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_cluster::ApiServer;
use weir_query::ResumeKey;
use weir_registry::Registry;
use weir_rpc::{Listen, TlsFiles};

use crate::access::AccessConfig;
use crate::audit::AuditConfig;
use crate::limits::Limits;
use crate::logging::LogConfig;
use crate::settings::{FiltersSettings, PoliciesSettings, TlsSettings};
use crate::trust::TrustConfig;
use crate::{Settings, cache_dir, registries};

/// Where gRPC is served unless configured.
const LISTEN: &str = "127.0.0.1:7411";

/// Where probes and metrics are served unless configured.
const HEALTH_LISTEN: &str = "127.0.0.1:7412";

/// Where kubelet has the logs.
const LOGS_DIR: &str = "/var/log/pods";

/// Where Docker has the logs that kubelet links to.
const LOGS_LINK_DIR: &str = "/var/lib/docker/containers";

/// Seconds to drain unless configured; below the 30 that Kubernetes gives a pod.
const DRAIN_SECONDS: u64 = 20;

/// Seconds between two looks at the files of `tls`, or at the folder of filters or of policies, unless configured.
const RELOAD_SECONDS: u64 = 10;

/// Most seconds between them.
const MAX_RELOAD_SECONDS: u64 = 24 * 60 * 60;

/// Most seconds to drain.
const MAX_DRAIN_SECONDS: u64 = 60 * 60;

/// Most bytes of the file with the secret of the resume key.
const RESUME_SECRET_BYTES: u64 = 64 << 10;

/// A config that an agent can run with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: Listen,
    /// TLS of the gRPC port; only `None` where plain text stays on this machine.
    pub tls: Option<TlsFiles>,
    /// Where probes and metrics are served.
    pub health_listen: SocketAddr,
    /// Folder with the logs.
    pub logs_dir: PathBuf,
    /// Folders that kubelet's links to logs may lead into.
    pub logs_link_dirs: Vec<PathBuf>,
    /// Folder for compiled filters, mode 0700 and ours; `None` when none could be used.
    pub cache_dir: Option<PathBuf>,
    /// File with the secret that seals resume tokens; `None`: one is made in `cache_dir`.
    pub resume_key_file: Option<PathBuf>,
    /// What it makes.
    pub resume_key: Option<ResumeKey>,
    /// Whether a query may bring its own filter.
    pub allow_components: bool,
    /// Folder with filters that every query can name.
    pub filters_folder: Option<PathBuf>,
    /// Time between two looks at it.
    pub filters_reload: Duration,
    /// Folder with policies; `None`: there are none.
    pub policies_folder: Option<PathBuf>,
    /// Time between two looks at it.
    pub policies_reload: Duration,
    /// Which of the filters that don't ship with Weir may run.
    pub trust: TrustConfig,
    /// Registries that filters of the cluster may be pulled from; no others are asked.
    pub registries: Vec<Registry>,
    /// Name of this node; may be empty.
    pub node: String,
    /// Whom to ask for the cluster's objects `Filter` and `FilterPolicy`; `None`: they aren't in force.
    pub resources: Option<ApiServer>,
    /// How long running queries have to end when the agent is told to.
    pub drain: Duration,
    /// Who knows callers, and what they may read.
    pub access: AccessConfig,
    /// Records of queries.
    pub audit: AuditConfig,
    /// The agent's own log.
    pub log: LogConfig,
    /// Named limits.
    pub limits: Limits,
}

/// A config that no agent can run with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read, isn't a config, or has a value that can't be used.
    #[error("{}{}: {reason}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    File {
        /// Which file.
        path: PathBuf,
        /// On which line, from 1, where that is known.
        line: Option<usize>,
        /// Why.
        reason: String,
    },
    /// A value that can't be used.
    #[error("{field}: {reason}")]
    Value {
        /// Name of the key, with its section.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl ConfigError {
    pub(crate) fn value(field: impl Into<String>, reason: impl fmt::Display) -> ConfigError {
        ConfigError::Value { field: field.into(), reason: reason.to_string() }
    }
}

impl Config {
    /// Checks settings, and makes the cache folder if it isn't there.
    ///
    /// # Errors
    /// The first value that can't be used, by its key's name.
    pub fn new(settings: Settings) -> Result<Config, ConfigError> {
        let listen: Listen = settings
            .listen
            .as_deref()
            .unwrap_or(LISTEN)
            .parse()
            .map_err(|error| ConfigError::value("listen", error))?;
        let tls = tls(settings.tls)?;
        listen.check(tls.as_ref()).map_err(|error| {
            let field = if matches!(error, weir_rpc::ListenError::Tls { .. }) { "tls" } else { "listen" };
            ConfigError::value(field, error)
        })?;
        let health_listen = settings.health_listen.as_deref().unwrap_or(HEALTH_LISTEN);
        let health_listen: SocketAddr = health_listen.parse().map_err(|_| {
            ConfigError::value(
                "health_listen",
                format!("'{health_listen}' is not ADDRESS:PORT, such as 0.0.0.0:7412"),
            )
        })?;
        if overlap(&listen, health_listen) {
            let reason = format!("{health_listen} is where gRPC is served (listen); give another port");
            return Err(ConfigError::value("health_listen", reason));
        }
        let logs_dir = settings.logs_dir.unwrap_or_else(|| LOGS_DIR.into());
        if !logs_dir.is_dir() {
            let reason =
                format!("{} is not a folder; give the one that holds the pods' logs", logs_dir.display());
            return Err(ConfigError::value("logs_dir", reason));
        }
        let logs_link_dirs = settings.logs_link_dirs.unwrap_or_else(|| vec![LOGS_LINK_DIR.into()]);
        if let Some(dir) = logs_link_dirs.iter().find(|dir| !dir.is_absolute()) {
            let reason = format!("{} is not absolute; give a folder such as {LOGS_LINK_DIR}", dir.display());
            return Err(ConfigError::value("logs_link_dirs", reason));
        }
        let resume_key = settings.resume_key_file.as_deref().map(resume_key).transpose()?;
        let access = AccessConfig::new(settings.access, &listen, tls.as_ref())?;
        let node = settings.node.unwrap_or_default();
        let resources = match settings.custom_resources {
            Some(true) => Some(resources(&access, &node)?),
            Some(false) | None => None,
        };
        let trust = TrustConfig::new(&settings.filters)?;
        let FiltersSettings { folder: filters, reload_seconds, .. } = settings.filters;
        let (filters_folder, filters_reload) =
            folder("filters", "filters (*.wasm)", filters, reload_seconds)?;
        let PoliciesSettings { folder: policies, reload_seconds } = settings.policies;
        let (policies_folder, policies_reload) =
            folder("policies", "policies (*.yaml)", policies, reload_seconds)?;
        let drain_seconds = settings.drain_seconds.unwrap_or(DRAIN_SECONDS);
        if drain_seconds > MAX_DRAIN_SECONDS {
            let reason = format!("{drain_seconds} is out of range; give 0 to {MAX_DRAIN_SECONDS}");
            return Err(ConfigError::value("drain_seconds", reason));
        }
        Ok(Config {
            listen,
            tls,
            health_listen,
            logs_dir,
            logs_link_dirs,
            access,
            audit: AuditConfig::new(&settings.audit)?,
            log: LogConfig::new(&settings.log)?,
            limits: Limits::new(&settings.limits)?,
            cache_dir: cache_dir::prepare(settings.cache_dir)?,
            resume_key_file: settings.resume_key_file,
            resume_key,
            allow_components: settings.allow_components.unwrap_or(false),
            filters_folder,
            filters_reload,
            policies_folder,
            policies_reload,
            trust,
            registries: registries::registries(&settings.registries)?,
            node,
            resources,
            drain: Duration::from_secs(drain_seconds),
        })
    }

    /// The settings that make this config, defaults included.
    pub fn settings(&self) -> Settings {
        let tls = self.tls.as_ref();
        Settings {
            listen: Some(self.listen.to_string()),
            health_listen: Some(self.health_listen.to_string()),
            logs_dir: Some(self.logs_dir.clone()),
            logs_link_dirs: Some(self.logs_link_dirs.clone()),
            cache_dir: self.cache_dir.clone(),
            resume_key_file: self.resume_key_file.clone(),
            allow_components: Some(self.allow_components),
            node: Some(self.node.clone()),
            custom_resources: Some(self.resources.is_some()),
            drain_seconds: Some(self.drain.as_secs()),
            filters: FiltersSettings {
                folder: self.filters_folder.clone(),
                reload_seconds: Some(self.filters_reload.as_secs()),
                ..self.trust.settings()
            },
            registries: registries::settings(&self.registries),
            policies: PoliciesSettings {
                folder: self.policies_folder.clone(),
                reload_seconds: Some(self.policies_reload.as_secs()),
            },
            tls: TlsSettings {
                cert: tls.map(|tls| tls.cert.clone()),
                key: tls.map(|tls| tls.key.clone()),
                client_ca: tls.and_then(|tls| tls.client_ca.clone()),
                client_certs: tls.map(|tls| client_certs_name(tls.client_cert_optional).to_owned()),
                reload_seconds: tls.map(|tls| tls.reload.as_secs()),
            },
            access: self.access.settings(),
            audit: self.audit.settings(),
            log: self.log.settings(),
            limits: self.limits.settings(),
        }
    }
}

/// The key that the secret in a file makes.
fn resume_key(file: &Path) -> Result<ResumeKey, ConfigError> {
    let refused =
        |reason: String| ConfigError::value("resume_key_file", format!("{}: {reason}", file.display()));
    let secret =
        weir_config::read_file(file, RESUME_SECRET_BYTES).map_err(|error| refused(error.to_string()))?;
    let least = ResumeKey::SECRET_BYTES;
    ResumeKey::of_secret(&secret).ok_or_else(|| {
        refused(format!("{} bytes are too few; give at least {least} random ones", secret.len()))
    })
}

/// Whom to ask for the cluster's objects.
fn resources(access: &AccessConfig, node: &str) -> Result<ApiServer, ConfigError> {
    let refused = |reason: &str| Err(ConfigError::value("custom_resources", reason));
    let Some(server) = access.api_server() else {
        return refused("nobody is asked: set access.mode to kubernetes, or leave it out");
    };
    if !weir_cluster::is_name(node) {
        return refused(
            "each object says what became of it on this node: set node to its name in the cluster",
        );
    }
    Ok(server.clone())
}

/// Whether two sockets can't both be bound.
fn overlap(listen: &Listen, health_listen: SocketAddr) -> bool {
    let Listen::Tcp(listen) = listen else { return false };
    let (one, other) = (listen.ip().to_canonical(), health_listen.ip().to_canonical());
    let same = one == other || one.is_unspecified() || other.is_unspecified();
    same && listen.port() != 0 && listen.port() == health_listen.port()
}

/// A folder of `files` that a section names, and how often to look at it.
fn folder(
    section: &str,
    files: &str,
    folder: Option<PathBuf>,
    reload_seconds: Option<u64>,
) -> Result<(Option<PathBuf>, Duration), ConfigError> {
    let reload = reload(&format!("{section}.reload_seconds"), reload_seconds)?;
    if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
        let reason = format!("{} is not a folder; give the one that holds {files}", folder.display());
        return Err(ConfigError::value(format!("{section}.folder"), reason));
    }
    Ok((folder, reload))
}

/// Time between two looks at files.
fn reload(field: &str, seconds: Option<u64>) -> Result<Duration, ConfigError> {
    let seconds = seconds.unwrap_or(RELOAD_SECONDS);
    if !(1..=MAX_RELOAD_SECONDS).contains(&seconds) {
        let reason = format!("{seconds} is out of range; give 1 to {MAX_RELOAD_SECONDS}");
        return Err(ConfigError::value(field, reason));
    }
    Ok(Duration::from_secs(seconds))
}

/// Whether clients may have no certificate.
fn client_certs(setting: Option<&str>) -> Result<bool, ConfigError> {
    match setting {
        Some("optional") => Ok(true),
        None | Some("required") => Ok(false),
        Some(other) => {
            Err(ConfigError::value("tls.client_certs", format!("'{other}' is not required or optional")))
        }
    }
}

fn client_certs_name(is_optional: bool) -> &'static str {
    if is_optional { "optional" } else { "required" }
}

fn tls(settings: TlsSettings) -> Result<Option<TlsFiles>, ConfigError> {
    let reload = reload("tls.reload_seconds", settings.reload_seconds)?;
    let client_cert_optional = client_certs(settings.client_certs.as_deref())?;
    match settings {
        TlsSettings { cert: Some(_), key: Some(_), client_ca: None, .. } if client_cert_optional => {
            Err(ConfigError::value("tls.client_certs", "no client's certificate is known: set tls.client_ca"))
        }
        TlsSettings { cert: Some(cert), key: Some(key), client_ca, .. } => {
            Ok(Some(TlsFiles { cert, key, client_ca, client_cert_optional, reload }))
        }
        TlsSettings { cert: None, key: None, client_ca: None, .. } => Ok(None),
        TlsSettings { cert: Some(_), .. } => {
            Err(ConfigError::value("tls.key", "tls.cert is set: give its key too"))
        }
        TlsSettings { key: Some(_), .. } => {
            Err(ConfigError::value("tls.cert", "tls.key is set: give its certificate"))
        }
        TlsSettings { client_ca: Some(_), .. } => Err(ConfigError::value(
            "tls.cert",
            "tls.client_ca is set: give the agent's own certificate and key too",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let settings: Settings = serde_norway::from_str(text).expect(text);
        Settings { logs_dir: settings.logs_dir.or(Some("/".into())), ..settings }
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = dir.path().join("cache");
        let config = Config::new(Settings { cache_dir: Some(cache.clone()), ..settings("{}") });
        let config = config.expect("defaults");
        assert_eq!(config.listen.to_string(), LISTEN);
        assert_eq!(config.health_listen.to_string(), HEALTH_LISTEN);
        assert_eq!(config.drain, Duration::from_secs(20));
        assert!(!config.allow_components && config.tls.is_none());
        assert_eq!(config.cache_dir.as_deref(), Some(cache.as_path()));
    }

    #[test]
    fn each_bad_value_is_refused_by_name() {
        for (text, field, says) in [
            ("listen: nowhere", "listen", "'nowhere'"),
            ("listen: 0.0.0.0:7411", "listen", "tls.cert and tls.key"),
            ("{listen: 'unix:/tmp/x', tls: {cert: a, key: b}}", "listen", "Unix socket"),
            ("health_listen: 7412", "health_listen", "'7412'"),
            ("health_listen: 127.0.0.1:7411", "health_listen", "another port"),
            ("health_listen: 0.0.0.0:7411", "health_listen", "another port"),
            ("tls: {reload_seconds: 0}", "tls.reload_seconds", "1 to 86400"),
            ("logs_dir: /nowhere", "logs_dir", "/nowhere"),
            ("resume_key_file: /nowhere", "resume_key_file", "/nowhere"),
            ("resume_key_file: /dev/zero", "resume_key_file", "regular file"),
            ("resume_key_file: /proc/sys/kernel/ostype", "resume_key_file", "at least 16"),
            ("log: {level: trace}", "log.level", "'trace'"),
            ("logs_link_dirs: [docker]", "logs_link_dirs", "docker is not absolute"),
            ("filters: {folder: /nowhere}", "filters.folder", "/nowhere"),
            ("filters: {reload_seconds: 0}", "filters.reload_seconds", "1 to 86400"),
            ("policies: {folder: /nowhere}", "policies.folder", "/nowhere"),
            ("policies: {reload_seconds: 0}", "policies.reload_seconds", "1 to 86400"),
            ("custom_resources: true", "custom_resources", "access.mode"),
            ("drain_seconds: 100000", "drain_seconds", "3600"),
            ("tls: {cert: a}", "tls.key", "tls.cert"),
            ("tls: {key: a}", "tls.cert", "tls.key"),
            ("tls: {client_ca: a}", "tls.cert", "tls.client_ca"),
            ("tls: {cert: /nowhere/cert, key: /nowhere/key}", "tls", "/nowhere/cert"),
            ("{tls: {cert: a, key: b, client_certs: optional}}", "tls.client_certs", "tls.client_ca"),
            ("tls: {client_certs: never}", "tls.client_certs", "'never'"),
            ("access: {mode: closed}", "access.mode", "'closed'"),
            ("audit: {output: nowhere}", "audit.output", "'nowhere'"),
            ("log: {format: xml}", "log.format", "'xml'"),
            ("log: {level: loud}", "log.level", "'loud'"),
            ("limits: {max_queries: 0}", "limits.max_queries", "1 to 1024"),
            ("filters: {allowed_digests: ['sha256:12']}", "filters.allowed_digests", "'sha256:12'"),
            ("filters: {allowed_signers: [/nowhere.pub]}", "filters.allowed_signers", "/nowhere.pub"),
            ("filters: {allowed_signers: [/dev/null]}", "filters.allowed_signers", "BEGIN PUBLIC KEY"),
            ("registries: [{ca: /x}]", "registries", "needs a host"),
            ("registries: [{host: 'https://a.io'}]", "registries", "needs a host"),
            ("registries: [{host: a.io, ca: /nowhere}]", "registries", "a.io: /nowhere: "),
            ("registries: [{host: a.io, ca: /dev/null}]", "registries", "no certificate"),
            (
                "registries: [{host: a.io, plain_http: true, auth_file: /dev/null}]",
                "registries",
                "docker login",
            ),
            ("registries: [{host: 'a:1', plain_http: true}, {host: 'a:1'}]", "registries", "twice"),
            ("cache_dir: /proc/nowhere", "cache_dir", "/proc/nowhere"),
        ] {
            let error = Config::new(settings(text)).expect_err(text).to_string();
            assert!(error.starts_with(&format!("{field}: ")) && error.contains(says), "{text}: {error}");
        }
    }
}
