//! The `access` section: who knows callers, and what they may do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_cluster::{Act, ApiServer, Namespaced, ReviewError, Reviewer, ReviewerConfig};
use weir_query::{Place, Right};
use weir_rpc::{Access, AccessAnswer, AccessError, Audit, Guard, Listen, TlsFiles, User};

use crate::ConfigError;

/// Whom tokens must be made for, unless configured.
const AUDIENCE: &str = "weir";

/// Most seconds that a yes is remembered, and the default.
const ALLOWED_SECONDS: u64 = 30;

/// Most seconds that a no is remembered, and the default.
const DENIED_SECONDS: u64 = 5;

/// Seconds between two looks at whether what runs may still be read, unless configured.
const RECHECK_SECONDS: u64 = 30;

/// Seconds that what runs goes on while that can't be asked, unless configured.
const UNAVAILABLE_SECONDS: u64 = 120;

/// Most seconds of both.
const MAX_SECONDS: u64 = 60 * 60;

/// What a client is told when the API server doesn't answer; why, the agent's log says.
const UNAVAILABLE: &str = "the agent can't ask the Kubernetes API server who asks and what they may read; try again \
                           later (the agent's log says why)";

/// The `access` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSettings {
    /// `open` or `kubernetes`.
    pub mode: Option<String>,
    /// Whom tokens must be made for.
    pub audience: Option<String>,
    /// Whether tokens are taken too that are made for the API server itself.
    pub api_server_tokens: Option<bool>,
    /// Names of client certificates that may pass on somebody else's identity.
    pub relays: Option<Vec<String>>,
    /// Seconds that a yes of the API server is remembered.
    pub allowed_seconds: Option<u64>,
    /// Seconds that a no of the API server is remembered.
    pub denied_seconds: Option<u64>,
    /// Seconds between two looks at whether what runs may still be read.
    pub recheck_seconds: Option<u64>,
    /// Seconds that what runs goes on while that can't be asked.
    pub unavailable_seconds: Option<u64>,
    /// URL of the API server.
    pub api_server: Option<String>,
    /// PEM file with roots that the API server's certificate must come from.
    pub api_ca: Option<PathBuf>,
    /// File with the agent's own token.
    pub api_token: Option<PathBuf>,
}

/// Who knows callers, and what they may read.
#[derive(Clone, Debug)]
pub struct AccessConfig {
    /// Kubernetes; `None` lets everybody who can connect read everything.
    kubernetes: Option<ApiServer>,
    reviewer: ReviewerConfig,
    relays: Vec<String>,
    recheck: Duration,
    unavailable: Duration,
}

impl AccessConfig {
    /// Checks settings, for an agent that listens there.
    ///
    /// # Errors
    /// A value that can't be used; no mode, where others than this machine's users could read everything.
    pub(crate) fn new(
        settings: AccessSettings,
        listen: &Listen,
        tls: Option<&TlsFiles>,
    ) -> Result<AccessConfig, ConfigError> {
        let seconds = |key, value: Option<u64>, default, range: std::ops::RangeInclusive<u64>| {
            let value = value.unwrap_or(default);
            if range.contains(&value) {
                return Ok(Duration::from_secs(value));
            }
            let reason = format!("{value} is out of range; give {} to {}", range.start(), range.end());
            Err(ConfigError::value(format!("access.{key}"), reason))
        };
        let relays = relays(settings.relays.clone().unwrap_or_default(), tls)?;
        let audience = settings.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
        if audience.is_empty() {
            let reason = format!("it is empty; give whom tokens are made for, such as {AUDIENCE}");
            return Err(ConfigError::value("access.audience", reason));
        }
        let reviewer = ReviewerConfig {
            audience,
            api_server_tokens: settings.api_server_tokens.unwrap_or(false),
            allowed: seconds(
                "allowed_seconds",
                settings.allowed_seconds,
                ALLOWED_SECONDS,
                0..=ALLOWED_SECONDS,
            )?,
            denied: seconds("denied_seconds", settings.denied_seconds, DENIED_SECONDS, 0..=DENIED_SECONDS)?,
        };
        let recheck = settings.recheck_seconds;
        let unavailable = settings.unavailable_seconds;
        Ok(AccessConfig {
            recheck: seconds("recheck_seconds", recheck, RECHECK_SECONDS, 1..=MAX_SECONDS)?,
            unavailable: seconds("unavailable_seconds", unavailable, UNAVAILABLE_SECONDS, 1..=MAX_SECONDS)?,
            kubernetes: match is_open(settings.mode.as_deref(), listen, tls)? {
                true => None,
                false => Some(api_server(settings)?),
            },
            reviewer,
            relays,
        })
    }

    /// The settings that make this.
    pub(crate) fn settings(&self) -> AccessSettings {
        let server = self.kubernetes.as_ref();
        AccessSettings {
            mode: Some(if server.is_some() { "kubernetes" } else { "open" }.to_owned()),
            audience: Some(self.reviewer.audience.clone()),
            api_server_tokens: Some(self.reviewer.api_server_tokens),
            relays: Some(self.relays.clone()),
            allowed_seconds: Some(self.reviewer.allowed.as_secs()),
            denied_seconds: Some(self.reviewer.denied.as_secs()),
            recheck_seconds: Some(self.recheck.as_secs()),
            unavailable_seconds: Some(self.unavailable.as_secs()),
            api_server: server.map(|server| server.url.clone()),
            api_ca: server.map(|server| server.ca.clone()),
            api_token: server.map(|server| server.token.clone()),
        }
    }

    /// Whom to ask; `None` where everybody may read everything.
    pub(crate) fn api_server(&self) -> Option<&ApiServer> {
        self.kubernetes.as_ref()
    }

    /// In words, for whoever checks a config.
    pub fn told(&self) -> String {
        match &self.kubernetes {
            None => "access open to whoever can connect".to_owned(),
            Some(server) => format!("access as {} allows it", server.url),
        }
    }

    /// What guards the server, within a tokio runtime. Nobody is asked yet.
    ///
    /// # Errors
    /// A URL that isn't one.
    pub(crate) fn guard(
        self,
        audit: Arc<dyn Audit>,
        observer: Arc<dyn weir_cluster::Observer>,
    ) -> Result<Guard, weir_cluster::ApiServerError> {
        let access = match self.kubernetes {
            None => None,
            Some(server) => {
                let audience = self.reviewer.audience.clone();
                let reviewer = Reviewer::new(server.client()?, self.reviewer, observer);
                Some(Arc::new(Kubernetes { reviewer, audience }) as Arc<dyn Access>)
            }
        };
        let AccessConfig { relays, recheck, unavailable, .. } = self;
        Ok(Guard { access, relays, recheck, unavailable, audit })
    }
}

/// Whether everybody who can connect may read everything: so by default only where that is this machine, or whoever has a
/// certificate from the config's own roots.
fn is_open(mode: Option<&str>, listen: &Listen, tls: Option<&TlsFiles>) -> Result<bool, ConfigError> {
    let refused = |reason: String| Err(ConfigError::value("access.mode", reason));
    let is_local = match listen {
        Listen::Unix(_) => true,
        Listen::Tcp(address) => address.ip().is_loopback(),
    };
    let asks_for_certificates = tls.is_some_and(|tls| tls.client_ca.is_some() && !tls.client_cert_optional);
    match mode {
        Some("open") => Ok(true),
        Some("kubernetes") => Ok(false),
        Some(other) => refused(format!("'{other}' is not open or kubernetes")),
        None if is_local || asks_for_certificates => Ok(true),
        None => refused(format!(
            "whoever can connect to {listen} could read every log: set it to kubernetes, so that callers are asked who they \
             are; or set tls.client_ca, so that only clients with a certificate connect; or set it to open if that is meant"
        )),
    }
}

fn relays(relays: Vec<String>, tls: Option<&TlsFiles>) -> Result<Vec<String>, ConfigError> {
    let refused = |reason: &str| Err(ConfigError::value("access.relays", reason));
    if relays.iter().any(String::is_empty) {
        return refused("a name is empty; give DNS names or URIs of clients' certificates");
    }
    if !relays.is_empty() && tls.is_none_or(|tls| tls.client_ca.is_none()) {
        return refused(
            "relays are known by their certificates: set tls.client_ca to the roots that these come from",
        );
    }
    Ok(relays)
}

/// The API server: as configured, or as Kubernetes tells every pod.
fn api_server(settings: AccessSettings) -> Result<ApiServer, ConfigError> {
    let url = settings.api_server.or_else(ApiServer::url_of_pod).ok_or_else(|| {
        let reason = "this is no pod, which would be told where the API server is: give https://HOST:PORT";
        ConfigError::value("access.api_server", reason)
    })?;
    let server = ApiServer {
        url,
        ca: settings.api_ca.unwrap_or_else(ApiServer::ca_of_pod),
        token: settings.api_token.unwrap_or_else(ApiServer::token_of_pod),
    };
    server.check().map_err(|error| ConfigError::value("access.api_server", error))?;
    for (key, path) in [("access.api_ca", &server.ca), ("access.api_token", &server.token)] {
        std::fs::metadata(path)
            .map_err(|error| ConfigError::value(key, format!("{}: {error}", path.display())))?;
    }
    Ok(server)
}

/// Users as a Kubernetes API server knows them.
struct Kubernetes {
    reviewer: Reviewer,
    audience: String,
}

impl Kubernetes {
    fn error(&self, error: &ReviewError) -> AccessError {
        let audience = &self.audience;
        match error {
            ReviewError::Token => AccessError::Token {
                message: format!(
                    "the token is not valid here: it is over, of another cluster, or not made for audience '{audience}' \
                     (kubectl create token NAME --audience {audience})"
                ),
            },
            _ => AccessError::Unavailable { message: UNAVAILABLE.to_owned() },
        }
    }
}

impl Access for Kubernetes {
    fn user<'a>(&'a self, token: &'a str) -> AccessAnswer<'a, Arc<User>> {
        Box::pin(async move {
            let user = self.reviewer.user(token).await.map_err(|error| self.error(&error))?;
            let weir_cluster::User { name, uid, groups, extra } = (*user).clone();
            Ok(Arc::new(User { name, uid, groups, extra }))
        })
    }

    fn may<'a>(&'a self, user: &'a Arc<User>, right: &'a Right) -> AccessAnswer<'a, bool> {
        Box::pin(async move {
            let User { name, uid, groups, extra } = (**user).clone();
            let user = Arc::new(weir_cluster::User { name, uid, groups, extra });
            let act = match right.clone() {
                Right::Read(Place::Everywhere) => Act::Read(Namespaced::All),
                Right::Read(Place::Namespace(namespace)) => Act::Read(Namespaced::Namespace(namespace)),
                Right::Read(Place::Pod { namespace, pod }) => {
                    Act::Read(Namespaced::Pod { namespace, name: pod })
                }
                Right::UseFilter(name) => Act::UseFilter(name),
                Right::UploadFilter => Act::UploadFilter,
                Right::BypassPolicy(name) => Act::BypassPolicy(name),
            };
            self.reviewer.may(&user, act).await.map_err(|error| self.error(&error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(client_ca: bool, client_cert_optional: bool) -> Option<TlsFiles> {
        Some(TlsFiles {
            cert: "cert".into(),
            key: "key".into(),
            client_ca: client_ca.then(|| "ca".into()),
            client_cert_optional,
            reload: Duration::from_secs(1),
        })
    }

    fn config(text: &str, listen: &str, tls: Option<TlsFiles>) -> Result<AccessConfig, ConfigError> {
        let settings = serde_norway::from_str(text).expect(text);
        AccessConfig::new(settings, &listen.parse().expect(listen), tls.as_ref())
    }

    #[test]
    fn it_is_open_by_default_only_where_not_everybody_can_connect() {
        for (listen, tls) in [
            ("127.0.0.1:1", None),
            ("[::1]:1", tls(false, false)),
            ("unix:/run/weir.sock", None),
            ("0.0.0.0:1", tls(true, false)),
        ] {
            let config = config("{}", listen, tls).expect(listen);
            assert_eq!(config.settings().mode.as_deref(), Some("open"), "{listen}");
        }
        for tls in [tls(false, false), tls(true, true)] {
            let error = config("{}", "0.0.0.0:1", tls.clone()).expect_err("everybody can").to_string();
            assert!(error.starts_with("access.mode: whoever can connect to 0.0.0.0:1"), "{error}");
            config("{mode: open}", "0.0.0.0:1", tls).expect("where that is meant");
        }
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let server = |url: &str, ca: &str, token: &str| {
            format!("{{mode: kubernetes, api_server: '{url}', api_ca: {ca}, api_token: {token}}}")
        };
        for (text, field, says) in [
            ("{mode: closed}".to_owned(), "access.mode", "'closed'"),
            ("{mode: kubernetes}".to_owned(), "access.api_server", "https://HOST:PORT"),
            (server("http://x", "/dev/null", "/dev/null"), "access.api_server", "'http://x'"),
            (server("https://x", "/nowhere", "/dev/null"), "access.api_ca", "/nowhere"),
            (server("https://x", "/dev/null", "/nowhere"), "access.api_token", "/nowhere"),
            ("{audience: ''}".to_owned(), "access.audience", "empty"),
            ("{allowed_seconds: 31}".to_owned(), "access.allowed_seconds", "0 to 30"),
            ("{denied_seconds: 6}".to_owned(), "access.denied_seconds", "0 to 5"),
            ("{recheck_seconds: 0}".to_owned(), "access.recheck_seconds", "1 to 3600"),
            ("{unavailable_seconds: 0}".to_owned(), "access.unavailable_seconds", "1 to 3600"),
            ("{relays: [a]}".to_owned(), "access.relays", "tls.client_ca"),
            ("{relays: ['']}".to_owned(), "access.relays", "empty"),
        ] {
            let error = config(&text, "127.0.0.1:1", None).expect_err(&text).to_string();
            assert!(error.starts_with(&format!("{field}: ")) && error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn settings_make_the_same_config_again() {
        let text = "{mode: kubernetes, api_server: 'https://10.0.0.1:443', api_ca: /dev/null, api_token: /dev/null, \
                    relays: [relay.weir.svc], allowed_seconds: 7, audience: logs, api_server_tokens: true}";
        let made = config(text, "127.0.0.1:1", tls(true, true)).expect(text).settings();
        assert_eq!(made.audience.as_deref(), Some("logs"));
        let again = serde_norway::to_string(&made).expect("settings");
        assert_eq!(config(&again, "127.0.0.1:1", tls(true, true)).expect("again").settings(), made);
    }
}
