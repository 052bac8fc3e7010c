//! TLS of the server: certificates from files, read again when the files change. Nothing waits for that to happen: the files
//! are looked at when somebody comes, so that an agent that nobody asks sleeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

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
    /// After how long the files are looked at again when a client comes, so that new certificates are used without a restart.
    pub reload: Duration,
}

/// What clients are met with now.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    /// When the files were looked at last, and what they held.
    seen: Mutex<(Instant, Digests)>,
}

/// The certificates of a listener, for whoever hears of clients.
#[derive(Clone)]
pub struct Certificates {
    pub(crate) tls: Arc<Tls>,
    /// Is told of new ones.
    pub(crate) observer: Arc<dyn Observer>,
}

impl Certificates {
    /// Looks at the files, if the last look is longer ago than they say. New ones that can be used are, for clients that
    /// come from then on; others are told of once and not used. Reads small files, blocking.
    pub fn look(&self) {
        self.tls.look(&*self.observer);
    }

    /// How a client is to be met that has just come.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.look();
        self.tls.config()
    }
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
        let seen = Mutex::new((Instant::now(), files.digests()));
        let config = RwLock::new(Arc::new(files.config()?));
        Ok(Tls { files, config, seen })
    }

    fn config(&self) -> Arc<ServerConfig> {
        // What is in it is replaced as a whole, so that a panic elsewhere can't have torn it.
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, observer: &dyn Observer) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, digests) = &mut *seen;
        if at.elapsed() < self.files.reload {
            return;
        }
        *at = Instant::now();
        let now = self.files.digests();
        if now == *digests {
            return;
        }
        *digests = now;
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
