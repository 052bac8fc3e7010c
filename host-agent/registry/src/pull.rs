//! One artifact from a registry: its manifest, its component, and the signatures that cosign keeps beside it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use weir_https::{BodyError, Schemes, causes, roots, whole};
use weir_trust::{
    Digest, Digester, MANIFEST_BYTES, SignedPayload, filter_layer, signature_layers, signature_tag,
};

use crate::session::Session;
use crate::{Credentials, PullError, Reference};

/// Where systems have the roots that they trust: Debian, Fedora, openSUSE, newer Red Hat, Alpine.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What manifests are asked for as: an index too, so that a registry gives it and it is refused for what it is.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                              application/vnd.docker.distribution.manifest.v2+json";

/// Most bytes of a file with roots, or with credentials.
const FILE_BYTES: u64 = 4 << 20;

/// A registry that may be asked, and how. Its files are read for each pull, so that new ones are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Host, and port where it has one, as references name it.
    pub host: String,
    /// Roots, a PEM file, that its certificate must come from, and those of whom it sends us to for blobs and tokens.
    /// `None`: [`system_roots`].
    pub ca: Option<PathBuf>,
    /// File with credentials as `docker login` writes it. `None`: nobody in particular asks.
    pub auth_file: Option<PathBuf>,
    /// Without TLS: what is said to it, and credentials too, is read by everybody on the way.
    pub plain_http: bool,
}

/// What is wanted of an artifact, within which bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Most bytes of the component.
    pub component_bytes: u64,
    /// Whether its signatures are wanted too.
    pub signatures: bool,
    /// How long all of it may take.
    pub patience: Duration,
}

/// An artifact that was pulled, checked against the digest of its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The component.
    pub component: Vec<u8>,
    /// The manifest, as the registry has it.
    pub manifest: Vec<u8>,
    /// Signatures by whatever key, unchecked; none where they weren't wanted.
    pub signatures: Vec<SignedPayload>,
}

/// The roots that this system trusts: the first of the files that systems have them in.
pub fn system_roots() -> Option<&'static Path> {
    SYSTEM_ROOTS.into_iter().map(Path::new).find(|path| path.is_file())
}

impl Registry {
    /// Reads all files, and asks nobody.
    ///
    /// # Errors
    /// A file that can't be used; no roots.
    pub fn check(&self) -> Result<(), PullError> {
        self.roots()?;
        self.credentials().map(drop)
    }

    /// Pulls an artifact of this registry, within a tokio runtime. Each call has connections of its own.
    ///
    /// # Errors
    /// Why there is nothing, in words for whoever administrates the agent.
    pub async fn pull(&self, reference: &Reference, wanted: Wanted) -> Result<Artifact, PullError> {
        let schemes = if self.plain_http { Schemes::HttpsAndHttp } else { Schemes::Https };
        let session = Session {
            client: weir_https::client(self.roots()?, schemes),
            schemes,
            reference,
            credentials: self.credentials()?,
            authorization: None,
        };
        let late = |_| PullError::Late { name: reference.to_string(), patience: wanted.patience };
        tokio::time::timeout(wanted.patience, session.artifact(wanted)).await.map_err(late)?
    }

    fn roots(&self) -> Result<weir_https::Roots, PullError> {
        let path = match (&self.ca, self.plain_http) {
            (Some(path), _) => path,
            (None, true) => return Ok(weir_https::Roots::empty()),
            (None, false) => system_roots().ok_or_else(|| PullError::NoRoots { host: self.host.clone() })?,
        };
        roots(&read(path)?)
            .map_err(|error| PullError::File { path: path.to_owned(), reason: error.to_string() })
    }

    fn credentials(&self) -> Result<Option<Credentials>, PullError> {
        let Some(path) = &self.auth_file else { return Ok(None) };
        let found = Credentials::find(&read(path)?, &self.host);
        found.map_err(|error| PullError::File { path: path.clone(), reason: error.to_string() })
    }
}

impl Session<'_> {
    async fn artifact(mut self, wanted: Wanted) -> Result<Artifact, PullError> {
        let digest = self.reference.digest();
        let manifest = self.manifest(&digest.to_string()).await?;
        self.check(&manifest, digest)?;
        let layer = filter_layer(&manifest);
        let (component, size) =
            layer.map_err(|error| PullError::NoFilter { name: self.name(), reason: error.to_string() })?;
        if size > wanted.component_bytes {
            let (what, limit) = ("the component", wanted.component_bytes);
            return Err(PullError::TooLarge { name: self.name(), what, limit });
        }
        let component = self.blob(component, size).await?;
        let signatures = if wanted.signatures { self.signatures(digest).await? } else { Vec::new() };
        Ok(Artifact { component, manifest, signatures })
    }

    /// The signatures of an artifact; none where the registry has none.
    async fn signatures(&mut self, digest: Digest) -> Result<Vec<SignedPayload>, PullError> {
        let manifest = match self.manifest(&signature_tag(digest)).await {
            Ok(manifest) => manifest,
            Err(PullError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let layers = signature_layers(&manifest).map_err(|error| {
            let reason = format!("its signatures can't be read: {error}");
            PullError::NoFilter { name: self.name(), reason }
        })?;
        let mut signatures = Vec::with_capacity(layers.len());
        for layer in layers {
            let payload = self.blob(layer.digest, layer.size).await?;
            signatures.push(SignedPayload { payload, signature: layer.signature });
        }
        Ok(signatures)
    }

    /// A manifest by digest, which isn't checked here, or by tag.
    async fn manifest(&mut self, name: &str) -> Result<Vec<u8>, PullError> {
        let response = self.get(&format!("manifests/{name}"), MANIFEST_TYPES).await?;
        whole(response.into_body(), MANIFEST_BYTES).await.map(|bytes| bytes.to_vec()).map_err(|error| {
            match error {
                BodyError::TooLarge(limit) => {
                    PullError::TooLarge { name: self.name(), what: "the manifest", limit: limit as u64 }
                }
                error => self.broken(error.to_string()),
            }
        })
    }

    /// A blob, checked against its digest and size.
    async fn blob(&mut self, digest: Digest, size: u64) -> Result<Vec<u8>, PullError> {
        let response = self.get(&format!("blobs/{digest}"), "*/*").await?;
        let mut body: Incoming = response.into_body();
        let (mut bytes, mut digester) = (Vec::new(), Digester::default());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(causes(&error)))?;
            let Ok(data) = frame.into_data() else { continue };
            if (bytes.len() + data.len()) as u64 > size {
                return Err(self.other_bytes(digest));
            }
            digester.update(&data);
            bytes.extend_from_slice(&data);
        }
        match bytes.len() as u64 == size && digester.finish() == digest {
            true => Ok(bytes),
            false => Err(self.other_bytes(digest)),
        }
    }

    fn check(&self, bytes: &[u8], digest: Digest) -> Result<(), PullError> {
        match Digest::of(bytes) == digest {
            true => Ok(()),
            false => Err(self.other_bytes(digest)),
        }
    }

    fn other_bytes(&self, expected: Digest) -> PullError {
        PullError::Digest { name: self.name(), expected: expected.to_string() }
    }

    fn broken(&self, reason: String) -> PullError {
        PullError::Unreachable { host: self.reference.host().to_owned(), reason }
    }
}

/// The content of a file of the config.
fn read(path: &Path) -> Result<Vec<u8>, PullError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| PullError::File { path: path.to_owned(), reason: error.to_string() })?;
    Ok(bytes)
}
