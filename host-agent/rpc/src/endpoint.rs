//! Where an agent is, and how to prove who we are: what was given becomes a transport, or a clear error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, Uri};

use crate::client::{ClientError, causes};
use crate::{address, tls};

/// How long connecting may take unless an endpoint says otherwise, the TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an agent may give no sign of life unless an endpoint says otherwise.
const SILENCE: Duration = Duration::from_secs(20);

/// Where an agent is and how to prove who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://HOST:PORT`, `http://HOST:PORT` for a host that is this machine, or `unix:///PATH`.
    pub url: String,
    /// Roots that the agent's certificate must come from.
    pub ca: Roots,
    /// Our certificate, a PEM file.
    pub cert: Option<PathBuf>,
    /// Our certificate's key, a PEM file.
    pub key: Option<PathBuf>,
    /// Name that the agent's certificate must have, in place of the URL's host.
    pub server_name: Option<String>,
    /// A bearer token that is sent with each call.
    pub token: Option<String>,
    /// How long connecting may take (default 10 s), and how long the agent may give no sign of life (default 20 s). When
    /// half of that has passed in silence it is asked for one. Doesn't bound how long an
    /// agent that is alive may take for an answer. The runtime has to run meanwhile: who keeps its threads for longer
    /// takes itself for a silent agent.
    pub patience: Option<Duration>,
}

impl Endpoint {
    /// How long connecting may take.
    pub(crate) fn connect_time(&self) -> Duration {
        self.patience.unwrap_or(CONNECT)
    }
}

/// Certificates that others must come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those that the system trusts.
    #[default]
    System,
    /// Those of a PEM file.
    File(PathBuf),
    /// These, in PEM form, and where they are from.
    Pem {
        /// The certificates.
        pem: Vec<u8>,
        /// For messages: "ConfigMap weir/weir-ca".
        from: String,
    },
}

impl From<PathBuf> for Roots {
    fn from(file: PathBuf) -> Roots {
        Roots::File(file)
    }
}

/// The transport that an endpoint asks for.
pub(crate) fn transport(endpoint: &Endpoint) -> Result<tonic::transport::Endpoint, ClientError> {
    let ask_after = endpoint.patience.unwrap_or(SILENCE) / 2;
    Ok(secured(endpoint)?
        .connect_timeout(endpoint.connect_time())
        .http2_keep_alive_interval(ask_after)
        .keep_alive_timeout(ask_after)
        .keep_alive_while_idle(true))
}

/// A transport that is safe to use: TLS, or nobody between.
fn secured(endpoint: &Endpoint) -> Result<tonic::transport::Endpoint, ClientError> {
    let url = |message: &str| ClientError::Endpoint {
        field: "url",
        message: format!(
            "'{}' {message}: give https://HOST:PORT, http://127.0.0.1:PORT or unix:///PATH",
            endpoint.url
        ),
    };
    let build = || {
        tonic::transport::Endpoint::from_shared(endpoint.url.clone()).map_err(|error| url(&causes(&error)))
    };
    if let Some(path) = endpoint.url.strip_prefix("unix:") {
        return match path.trim_start_matches("//").is_empty() || !path.starts_with('/') {
            true => Err(url("names no socket")),
            false => build(),
        };
    }
    let uri: Uri = endpoint.url.parse().map_err(|error| url(&format!("can't be read ({error})")))?;
    let host = uri.host().ok_or_else(|| url("names no host"))?;
    match uri.scheme_str() {
        Some("https") => build()?.tls_config(client_tls(endpoint)?).map_err(|error| ClientError::Endpoint {
            field: "ca, cert, key, server_name",
            message: causes(&error),
        }),
        Some("http") if address::is_loopback(host) => build(),
        Some("http") => Err(url("would send everything in plain text to another machine")),
        _ => Err(url("is of no kind that is known")),
    }
}

fn client_tls(endpoint: &Endpoint) -> Result<ClientTlsConfig, ClientError> {
    let refused = |field: &'static str, path: &Path, message: String| ClientError::Endpoint {
        field,
        message: format!("{}: {message}", path.display()),
    };
    let mut tls = ClientTlsConfig::new().timeout(endpoint.connect_time());
    tls = match &endpoint.ca {
        Roots::System => tls.with_native_roots(),
        Roots::File(ca) => {
            let roots = tls::certificates(ca).map_err(|message| refused("ca", ca, message))?;
            tls.ca_certificate(Certificate::from_pem(roots))
        }
        Roots::Pem { pem, from } => {
            tls::check_certificates(pem).map_err(|message| refused("ca", Path::new(from), message))?;
            tls.ca_certificate(Certificate::from_pem(pem))
        }
    };
    match (&endpoint.cert, &endpoint.key) {
        (Some(cert), Some(key)) => {
            let chain = tls::certificates(cert).map_err(|message| refused("cert", cert, message))?;
            let private = tls::private_key(key).map_err(|message| refused("key", key, message))?;
            tls = tls.identity(Identity::from_pem(chain, private));
        }
        (None, None) => {}
        (Some(_), None) => {
            return Err(ClientError::Endpoint {
                field: "key",
                message: "a certificate needs its key".to_owned(),
            });
        }
        (None, Some(_)) => {
            return Err(ClientError::Endpoint {
                field: "cert",
                message: "a key needs its certificate".to_owned(),
            });
        }
    }
    if let Some(name) = &endpoint.server_name {
        tls = tls.domain_name(name.clone());
    }
    Ok(tls)
}

/// The header that a token makes.
pub(crate) fn bearer(token: &str) -> Result<MetadataValue<Ascii>, ClientError> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim()).parse().map_err(|_| {
        ClientError::Endpoint { field: "token", message: "holds characters that a header can't".to_owned() }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    async fn refused(endpoint: Endpoint) -> String {
        match Client::connect(&endpoint).await {
            Err(error @ ClientError::Endpoint { .. }) => error.to_string(),
            other => panic!("{endpoint:?}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn endpoints_are_checked_before_anything_is_sent() {
        for url in [
            "",
            "agent:7411",
            "ftp://agent",
            "http://10.0.0.1:7411",
            "http://agent:7411",
            "unix://",
            "unix:x",
        ] {
            let error = refused(Endpoint { url: url.to_owned(), ..Endpoint::default() }).await;
            assert!(error.contains(&format!("'{url}'")), "{error}");
        }
        let https = || Endpoint { url: "https://127.0.0.1:1".to_owned(), ..Endpoint::default() };
        let missing = Some(PathBuf::from("/nowhere/ca.pem"));
        let file = Roots::File(PathBuf::from("/nowhere/ca.pem"));
        assert!(refused(Endpoint { ca: file, ..https() }).await.contains("/nowhere/ca.pem"));
        assert!(refused(Endpoint { cert: missing.clone(), ..https() }).await.starts_with("key"));
        assert!(refused(Endpoint { key: missing, ..https() }).await.starts_with("cert"));
        assert!(refused(Endpoint { token: Some("a\nb".to_owned()), ..https() }).await.starts_with("token"));
        let ca = Roots::Pem { pem: b"no PEM".to_vec(), from: "ConfigMap weir/weir-ca".to_owned() };
        assert!(refused(Endpoint { ca, ..https() }).await.contains("ConfigMap weir/weir-ca"));
    }
}
