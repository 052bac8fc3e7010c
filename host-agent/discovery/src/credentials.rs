//! Who we are to the API server, for the agents: a kubeconfig's bearer token, also one that a plugin makes.

use std::fmt;
use std::path::Path;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::client::middleware::AuthLayer;
use kube::client::{AuthError, Body, ConfigExt as _};
use kube::config::AuthInfo;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

use crate::token_file::TokenFile;

/// Gives the header that kube's own calls have.
pub(crate) type Header = BoxCloneSyncService<Request<Body>, Response<Option<HeaderValue>>, BoxError>;

/// What tells who we are.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// No header: a certificate, or nothing.
    Unnamed,
    /// A token in a file.
    File(TokenFile),
    /// Whatever kube makes of a kubeconfig's user.
    Kube(Header),
}

impl Credentials {
    /// Those of a kubeconfig's user. A plugin is run here, once: `config` is left without what the header is made of,
    /// and the layer adds the header of [`Credentials::Kube`] to kube's calls.
    pub(crate) fn take(config: &mut kube::Config) -> Result<(Credentials, Option<AuthLayer>), kube::Error> {
        let auth = &config.auth_info;
        let (credentials, layer) = match &auth.token_file {
            Some(file) if auth.token.is_none() && auth.auth_provider.is_none() => {
                let failed = |error| kube::Error::Auth(AuthError::ReadTokenFile(error, file.into()));
                (Credentials::File(TokenFile::read(Path::new(file)).map_err(failed)?), None)
            }
            _ => match config.auth_layer()? {
                Some(layer) => (Credentials::of(&layer), Some(layer)),
                None => return Ok((Credentials::Unnamed, None)),
            },
        };
        config.auth_info = AuthInfo {
            username: None,
            password: None,
            token: None,
            token_file: None,
            auth_provider: None,
            exec: None,
            ..std::mem::take(&mut config.auth_info)
        };
        Ok((credentials, layer))
    }

    fn of(layer: &AuthLayer) -> Credentials {
        let given = service_fn(|request: Request<Body>| {
            let header = request.headers().get(AUTHORIZATION).cloned();
            std::future::ready(Ok::<_, BoxError>(Response::new(header)))
        });
        Credentials::Kube(BoxCloneSyncService::new(layer.layer(given)))
    }

    /// The bearer token as of now; `None` where we are known by a certificate or a password.
    pub(crate) async fn token(&self) -> Result<Option<String>, BoxError> {
        let header = match self {
            Credentials::Unnamed => None,
            Credentials::File(file) => Some(file.header()),
            Credentials::Kube(header) => {
                header.clone().oneshot(Request::new(Body::empty())).await?.into_body()
            }
        };
        let Some(header) = header else { return Ok(None) };
        Ok(header.to_str()?.strip_prefix("Bearer ").map(|token| token.trim().to_owned()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::Unnamed => "Unnamed",
            Credentials::File(_) => "File",
            Credentials::Kube(_) => "Kube",
        })
    }
}
