//! Who we are to the API server, for the agents: a kubeconfig's bearer token, also one that a plugin makes.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::client::{Body, ConfigExt as _};
use kube::config::AuthInfo;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

/// Gives the header that kube's own calls have.
type Header = BoxCloneSyncService<Request<Body>, Response<Option<HeaderValue>>, BoxError>;

/// What tells who we are.
#[derive(Clone)]
pub(crate) struct Credentials {
    header: Option<Header>,
}

impl Credentials {
    /// Those of a kubeconfig's user. A plugin is run here, once: `config` is left without what the header is made of,
    /// and `layer` adds that header to kube's calls.
    pub(crate) fn take(
        config: &mut kube::Config,
    ) -> Result<(Credentials, Option<kube::client::middleware::AuthLayer>), kube::Error> {
        let Some(layer) = config.auth_layer()? else { return Ok((Credentials { header: None }, None)) };
        config.auth_info = AuthInfo {
            username: None,
            password: None,
            token: None,
            token_file: None,
            auth_provider: None,
            exec: None,
            ..std::mem::take(&mut config.auth_info)
        };
        let given = service_fn(|request: Request<Body>| {
            let header = request.headers().get(AUTHORIZATION).cloned();
            std::future::ready(Ok::<_, BoxError>(Response::new(header)))
        });
        let header = BoxCloneSyncService::new(layer.layer(given));
        Ok((Credentials { header: Some(header) }, Some(layer)))
    }

    /// The bearer token as of now; `None` where we are known by a certificate or a password.
    pub(crate) async fn token(&self) -> Result<Option<String>, BoxError> {
        let Some(header) = &self.header else { return Ok(None) };
        let response = header.clone().oneshot(Request::new(Body::empty())).await?;
        let Some(header) = response.into_body() else { return Ok(None) };
        Ok(header.to_str()?.strip_prefix("Bearer ").map(|token| token.trim().to_owned()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("is_some", &self.header.is_some()).finish()
    }
}
