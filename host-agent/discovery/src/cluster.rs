//! An API server, reached with a kubeconfig.

use std::fmt;
use std::path::PathBuf;

use http::Request;
use http::header::AUTHORIZATION;
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::buffer::BufferLayer;
use tower::util::MapRequestLayer;
use weir_rpc::causes;

use crate::credentials::Credentials;
use crate::error::{DiscoveryError, explain};
use crate::nearest::hint;

/// Calls that wait for their turn.
const QUEUE: usize = 64;

/// A context of a kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The file; else those of `KUBECONFIG` in the environment, else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context's name; else the current one.
    pub name: Option<String>,
}

impl Context {
    /// Whether there is a kubeconfig, whatever is in it.
    pub fn exists(&self) -> bool {
        let named = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty());
        let home = || std::env::home_dir().is_some_and(|home| home.join(".kube/config").is_file());
        self.kubeconfig.is_some() || named.is_some() || home()
    }

    /// Reads the kubeconfig.
    pub(crate) fn read(&self) -> Result<Kubeconfig, DiscoveryError> {
        let read = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        read.map_err(|error| DiscoveryError::refused(format!("kubeconfig: {}", causes(&error))))
    }
}

/// An API server, and who we are to it.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
    /// The context's namespace.
    pub(crate) namespace: String,
    /// What the kubeconfig calls us.
    user: String,
}

impl Cluster {
    /// Reads the kubeconfig and runs its plugin, if it has one. The API server isn't called yet.
    ///
    /// # Errors
    /// A kubeconfig, a context or credentials that can't be used.
    pub async fn open(context: &Context) -> Result<Cluster, DiscoveryError> {
        let kubeconfig = context.read()?;
        let user = check_context(&kubeconfig, context.name.as_deref())?;
        let options = KubeConfigOptions { context: context.name.clone(), ..KubeConfigOptions::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config =
            config.map_err(|error| DiscoveryError::refused(format!("kubeconfig: {}", causes(&error))))?;
        let failed = |error: &kube::Error| DiscoveryError::Failed {
            doing: format!("kubeconfig: the credentials of user '{user}' can't be used"),
            message: explain(error),
        };
        let (credentials, layer) = Credentials::take(&mut config).map_err(|error| failed(&error))?;
        let namespace = config.default_namespace.clone();
        let builder = ClientBuilder::try_from(config).map_err(|error| failed(&error))?;
        let client = match (layer, &credentials) {
            (Some(layer), _) => builder.with_layer(&BufferLayer::new(QUEUE)).with_layer(&layer).build(),
            (None, Credentials::File(file)) => {
                let file = file.clone();
                let named = MapRequestLayer::new(move |mut request: Request<_>| {
                    request.headers_mut().insert(AUTHORIZATION, file.header());
                    request
                });
                builder.with_layer(&named).build()
            }
            (None, _) => builder.build(),
        };
        Ok(Cluster { client, credentials, namespace, user })
    }

    /// The namespace of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The kubeconfig's bearer token as of now: by it an agent learns who asks.
    ///
    /// # Errors
    /// A user that is known by a certificate or a password alone; a plugin that fails.
    pub async fn token(&self) -> Result<String, DiscoveryError> {
        let user = &self.user;
        match self.credentials.token().await {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(DiscoveryError::refused(format!(
                "user '{user}' of the kubeconfig has no bearer token, and only by one can an agent ask the API server \
                 who you are: give one of a service account that may read these logs \
                 (kubectl create token NAME --audience weir >token, then --token-file token), or a context whose user has one"
            ))),
            Err(error) => Err(DiscoveryError::Failed {
                doing: format!("kubeconfig: no token for user '{user}'"),
                message: causes(error.as_ref()),
            }),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("namespace", &self.namespace)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Sees that the context is there, and gives its user's name.
fn check_context(kubeconfig: &Kubeconfig, name: Option<&str>) -> Result<String, DiscoveryError> {
    let names = || kubeconfig.contexts.iter().map(|context| context.name.as_str());
    let chosen = name.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty());
    let Some(chosen) = chosen else {
        let known = names().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
        return Err(DiscoveryError::refused(format!(
            "the kubeconfig has no current context: choose one with --context ({known})"
        )));
    };
    match kubeconfig.contexts.iter().find(|context| context.name == chosen) {
        Some(found) => {
            let user = found.context.as_ref().and_then(|context| context.user.clone());
            Ok(user.unwrap_or_else(|| "(none)".to_owned()))
        }
        None => Err(DiscoveryError::refused(format!(
            "the kubeconfig has no context '{chosen}'{}",
            hint(chosen, names())
        ))),
    }
}
