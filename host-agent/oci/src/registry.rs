//! A registry as a store of manifests and blobs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use oci_client::RegistryOperation;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use tokio_stream::StreamExt as _;
use weir_trust::{Digest, MANIFEST_BYTES};

use crate::error::Asked;
use crate::{Reference, RegistryError};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a blob that are sent between two calls of [`Progress`].
const CHUNK: usize = 64 << 10;

/// Is told how many bytes more were sent or received.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// How to speak to a registry.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Without TLS. When it isn't said, to registries on this machine only.
    pub plain_http: Option<bool>,
    /// Who asks. Nobody in particular, when it isn't said.
    pub credentials: Option<Credentials>,
}

/// A name and its password.
#[derive(Clone)]
pub struct Credentials {
    /// Name of the user.
    pub user: String,
    /// Password or token.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// A client of one registry.
pub struct Registry {
    client: Client,
    auth: RegistryAuth,
    is_plain: bool,
}

impl Registry {
    /// A client of the registry of `reference`. Nothing is sent yet.
    ///
    /// # Errors
    /// The system's certificates can't be read.
    pub fn new(reference: &Reference, access: Access) -> Result<Registry, RegistryError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster; then there is one as well.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let is_plain = access.plain_http.unwrap_or_else(|| reference.is_loopback());
        let config = ClientConfig {
            protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
            use_monolithic_push: true,
            platform_resolver: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("weir/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let auth = match access.credentials {
            Some(Credentials { user, password }) => RegistryAuth::Basic(user, password),
            None => RegistryAuth::Anonymous,
        };
        let is_anonymous = auth == RegistryAuth::Anonymous;
        let client = Client::try_from(config)
            .map_err(|error| Asked { name: &reference.0, is_plain, is_anonymous }.failed(error))?;
        Ok(Registry { client, auth, is_plain })
    }

    /// What errors say of a request about `reference`.
    pub(crate) fn asked<'a>(&self, reference: &'a Reference) -> Asked<'a> {
        Asked {
            name: &reference.0,
            is_plain: self.is_plain,
            is_anonymous: self.auth == RegistryAuth::Anonymous,
        }
    }

    /// Tells the registry who asks, and for what. Comes first, since only here errors are told.
    pub(crate) async fn log_in(&self, reference: &Reference, purpose: Purpose) -> Result<(), RegistryError> {
        let operation = match purpose {
            Purpose::Read => RegistryOperation::Pull,
            Purpose::Write => RegistryOperation::Push,
        };
        let answer = self.client.auth(&reference.0, &self.auth, operation).await;
        answer.map(drop).map_err(|error| self.asked(reference).failed(error))
    }

    /// A manifest, checked against the digest of `reference` if that has one.
    pub(crate) async fn manifest(&self, reference: &Reference) -> Result<Bytes, RegistryError> {
        let asked = self.asked(reference);
        let types = [OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
        let answer = self.client.pull_manifest_raw(&reference.0, &self.auth, &types).await;
        let (manifest, _) = answer.map_err(|error| asked.failed(error))?;
        // What arrives is bounded by `READ_TIMEOUT` alone.
        if manifest.len() > MANIFEST_BYTES {
            return Err(asked.too_large("the manifest", manifest.len() as u64, MANIFEST_BYTES as u64));
        }
        if let Some(digest) = reference.digest() {
            let digest: Digest = digest.parse().expect("a reference's digest was checked when it was read");
            asked.check(&manifest, digest)?;
        }
        Ok(manifest)
    }

    /// Writes a manifest under the tag or digest of `reference`.
    pub(crate) async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: Vec<u8>,
    ) -> Result<(), RegistryError> {
        let kind = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        let answer = self.client.push_manifest_raw(&reference.0, manifest, kind).await;
        answer.map(drop).map_err(|error| self.asked(reference).failed(error))
    }

    /// A blob of the repository of `reference`, checked against its digest. No more than `size` bytes are read.
    pub(crate) async fn blob(
        &self,
        reference: &Reference,
        digest: Digest,
        size: u64,
        progress: Option<&Progress>,
    ) -> Result<Vec<u8>, RegistryError> {
        let asked = self.asked(reference);
        let descriptor = OciDescriptor {
            digest: digest.to_string(),
            size: size.cast_signed(),
            ..OciDescriptor::default()
        };
        let answer = self.client.pull_blob_stream(&reference.0, &descriptor).await;
        let mut stream = answer.map_err(|error| asked.failed(error))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| asked.broken(error))?;
            if (bytes.len() + chunk.len()) as u64 > size {
                return Err(asked.digest(digest.to_string()));
            }
            bytes.extend_from_slice(&chunk);
            progress.into_iter().for_each(|progress| progress(chunk.len() as u64));
        }
        asked.check(&bytes, digest)?;
        Ok(bytes)
    }

    /// Writes a blob into the repository of `reference`, unless it is there.
    pub(crate) async fn put_blob(
        &self,
        reference: &Reference,
        blob: Bytes,
        progress: Option<&Progress>,
    ) -> Result<(), RegistryError> {
        let failed = |error| self.asked(reference).failed(error);
        let (digest, size) = (Digest::of(&blob).to_string(), blob.len());
        if self.client.blob_exists(&reference.0, &digest).await.map_err(failed)? {
            progress.into_iter().for_each(|progress| progress(size as u64));
            return Ok(());
        }
        let progress = progress.cloned();
        let chunks = (0..size).step_by(CHUNK).map(move |start| {
            let chunk = blob.slice(start..size.min(start + CHUNK));
            progress.iter().for_each(|progress| progress(chunk.len() as u64));
            Ok(chunk)
        });
        let stream = tokio_stream::iter(chunks);
        let answer = self.client.push_blob_stream(&reference.0, stream, &digest, Some(size as u64)).await;
        answer.map(drop).map_err(failed)
    }
}
