//! Where the API server is, and how to prove who we are to it.

use std::env;
use std::path::PathBuf;

use http::Uri;

use crate::transport::Transport;

/// Where Kubernetes mounts a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// An API server, and the files that make us known to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer {
    /// `https://HOST:PORT`.
    pub url: String,
    /// Roots, a PEM file, that its certificate must come from. Read for each request, so that new ones are used.
    pub ca: PathBuf,
    /// File with our bearer token, read for each request, since Kubernetes replaces it every hour.
    pub token: PathBuf,
}

/// Asks an API server. Clones share connections.
#[derive(Clone)]
pub struct ApiClient(pub(crate) Transport);

/// Why an API server can't be asked with this config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiServerError {
    /// Not a URL that we ask.
    #[error("'{url}' is not the URL of an API server: give https://HOST:PORT")]
    Url {
        /// What was given.
        url: String,
    },
}

impl ApiServer {
    /// The URL that Kubernetes tells every pod in its environment; `None` outside of a pod.
    pub fn url_of_pod() -> Option<String> {
        let (host, port) =
            (env::var("KUBERNETES_SERVICE_HOST").ok()?, env::var("KUBERNETES_SERVICE_PORT").ok()?);
        Some(if host.contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        })
    }

    /// The roots that Kubernetes mounts into every pod with a service account.
    pub fn ca_of_pod() -> PathBuf {
        PathBuf::from(SERVICE_ACCOUNT).join("ca.crt")
    }

    /// The token that Kubernetes mounts into every pod with a service account.
    pub fn token_of_pod() -> PathBuf {
        PathBuf::from(SERVICE_ACCOUNT).join("token")
    }

    /// A client, within a tokio runtime. Connects with the first request; a host that is a name is looked up on one of
    /// the runtime's blocking threads.
    ///
    /// # Errors
    /// A URL that isn't one.
    pub fn client(&self) -> Result<ApiClient, ApiServerError> {
        Ok(ApiClient(Transport::new(self.base()?, self)))
    }

    /// Checks all that can be checked without asking.
    ///
    /// # Errors
    /// As [`ApiServer::client`].
    pub fn check(&self) -> Result<(), ApiServerError> {
        self.base().map(drop)
    }

    fn base(&self) -> Result<Uri, ApiServerError> {
        let uri: Option<Uri> = self.url.parse().ok();
        uri.filter(|uri| {
            let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
            uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()) && is_bare
        })
        .ok_or_else(|| ApiServerError::Url { url: self.url.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        let server = |url: &str| ApiServer {
            url: url.to_owned(),
            ca: ApiServer::ca_of_pod(),
            token: ApiServer::token_of_pod(),
        };
        for url in ["https://10.0.0.1:443", "https://[::1]:6443/", "https://kubernetes.default.svc"] {
            assert_eq!(server(url).check(), Ok(()), "{url}");
        }
        for url in
            ["", "10.0.0.1", "http://10.0.0.1:80", "https://a/b", "https://a?b", "https://:1", "ftp://a"]
        {
            let error = server(url).check().expect_err(url).to_string();
            assert!(error.contains(&format!("'{url}'")) && error.contains("https://HOST:PORT"), "{error}");
        }
    }
}
