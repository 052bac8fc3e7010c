//! TLS of the server: certificates from files, read again when the files change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};

use crate::listen::ListenError;
use crate::observer::Observer;

/// Files in PEM form that make a listener speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its root.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// Roots that clients' certificates must come from. `None` admits clients without a certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether a client may have none all the same. One that it has must come from the roots.
    pub client_cert_optional: bool,
    /// How often the files are looked at again, so that new certificates are used without a restart.
    pub reload: Duration,
}

/// What clients are met with now.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    first: Digests,
}

/// Digests of the files' contents; of one that can't be read, nothing.
type Digests = [Option<[u8; 32]>; 3];

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that can't be used, by its name.
    pub(crate) fn load(files: TlsFiles) -> Result<Tls, ListenError> {
        // Before they are read: a change in between is then seen as one.
        let first = files.digests();
        let config = RwLock::new(Arc::new(files.config()?));
        Ok(Tls { files, config, first })
    }

    /// How the next client is to be met.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        // What is in it is replaced as a whole, so that a panic elsewhere can't have torn it.
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files again and again, for as long as it is polled. New ones that can be used are, for clients
    /// that come from then on; others are told of once and not used.
    pub(crate) async fn reload(&self, observer: &dyn Observer) {
        let mut seen = self.first;
        loop {
            tokio::time::sleep(self.files.reload).await;
            let now = self.files.digests();
            if now == seen {
                continue;
            }
            seen = now;
            match self.files.config() {
                Ok(config) => {
                    *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    tracing::info!(cert = %self.files.cert.display(), "new certificates are used from now on");
                    observer.certificates(true);
                }
                Err(error) => {
                    tracing::error!(%error, "new certificates can't be used; those from before are used on");
                    observer.certificates(false);
                }
            }
        }
    }
}

impl TlsFiles {
    fn digests(&self) -> Digests {
        let digest = |path: &Path| fs::read(path).ok().map(|content| Sha256::digest(content).into());
        [digest(&self.cert), digest(&self.key), self.client_ca.as_deref().and_then(digest)]
    }

    /// What they make together.
    ///
    /// # Errors
    /// A file that can't be used, by its name.
    pub(crate) fn config(&self) -> Result<ServerConfig, ListenError> {
        let refused = |path: &Path| {
            let path = path.to_owned();
            move |reason| ListenError::Tls { path, reason }
        };
        let chain = certificates(&self.cert).and_then(|pem| parse(&pem)).map_err(refused(&self.cert))?;
        let pem = private_key(&self.key).map_err(refused(&self.key))?;
        let key =
            PrivateKeyDer::from_pem_slice(&pem).map_err(|error| refused(&self.key)(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&self.cert)(error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(path).and_then(|pem| parse(&pem)).map_err(refused(path))? {
                    roots.add(root).map_err(|error| refused(path)(format!("not a root: {error}")))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.client_cert_optional {
                    true => verifier.allow_unauthenticated(),
                    false => verifier,
                };
                let verifier = verifier.build().map_err(|error| refused(path)(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| refused(&self.key)(format!("not the key of the certificate: {error}")))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// The text of a PEM file that holds at least one certificate.
pub(crate) fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    check_certificates(&pem)?;
    Ok(pem)
}

/// Checks that a PEM text holds at least one certificate.
pub(crate) fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let found = parse(pem).map_err(|error| format!("not a PEM file of certificates: {error}"))?;
    if found.is_empty() { Err("holds no certificate in PEM form".to_owned()) } else { Ok(()) }
}

/// The text of a PEM file that holds a private key.
pub(crate) fn private_key(path: &Path) -> Result<Vec<u8>, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(error) => Err(format!("holds no private key in PEM form: {error}")),
    }
}
