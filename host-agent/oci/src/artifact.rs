//! A filter as an artifact in the Wasm OCI format of the CNCF
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>): a manifest, a config, and one layer that is
//! the component.

use bytes::Bytes;
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use serde_json::json;
use weir_trust::{Digest, WASM_CONFIG, WASM_LAYER, filter_layer};

use crate::registry::Purpose;
use crate::{Progress, Reference, Registry, RegistryError};

/// An artifact that is in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, by the digest of its manifest.
    pub reference: Reference,
    /// The digest of its manifest, which signatures are about.
    pub digest: Digest,
    /// The manifest, as the registry has it.
    pub manifest: Vec<u8>,
    /// The digest of the component.
    pub component: Digest,
    /// Bytes of the component.
    pub size: u64,
}

/// What is to become an artifact.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The component.
    pub component: Vec<u8>,
    /// When it was made, as RFC 3339.
    pub created: String,
    /// What it exports, as WIT writes it.
    pub exports: Vec<String>,
    /// What it imports, likewise.
    pub imports: Vec<String>,
    /// The filter's name.
    pub name: String,
    /// The filter's version.
    pub version: String,
    /// One line on what it does.
    pub summary: String,
}

impl Contents {
    fn config(&self) -> Vec<u8> {
        let config = json!({
            "created": self.created,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [Digest::of(&self.component).to_string()],
            "component": { "exports": self.exports, "imports": self.imports },
        });
        config.to_string().into_bytes()
    }

    fn manifest(&self, config: &[u8]) -> Vec<u8> {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "config": {
                "mediaType": WASM_CONFIG,
                "digest": Digest::of(config).to_string(),
                "size": config.len(),
            },
            "layers": [{
                "mediaType": WASM_LAYER,
                "digest": Digest::of(&self.component).to_string(),
                "size": self.component.len(),
                // What tools that know nothing of filters name the file.
                "annotations": { "org.opencontainers.image.title": format!("{}.wasm", self.name) },
            }],
            "annotations": {
                "org.opencontainers.image.created": self.created,
                "org.opencontainers.image.title": self.name,
                "org.opencontainers.image.version": self.version,
                "org.opencontainers.image.description": self.summary,
            },
        });
        manifest.to_string().into_bytes()
    }
}

impl Registry {
    /// Writes an artifact under the tag of `reference`.
    ///
    /// # Errors
    /// The registry can't be reached, or refuses.
    pub async fn push(
        &self,
        reference: &Reference,
        contents: Contents,
        progress: Option<&Progress>,
    ) -> Result<Artifact, RegistryError> {
        self.log_in(reference, Purpose::Write).await?;
        let config = contents.config();
        let manifest = contents.manifest(&config);
        let (component, size) = (Digest::of(&contents.component), contents.component.len() as u64);
        self.put_blob(reference, Bytes::from(contents.component), progress).await?;
        self.put_blob(reference, Bytes::from(config), None).await?;
        self.put_manifest(reference, manifest.clone()).await?;
        let digest = Digest::of(&manifest);
        Ok(Artifact { reference: reference.at(digest), digest, manifest, component, size })
    }

    /// Finds an artifact by its tag or digest. The component isn't read.
    ///
    /// # Errors
    /// There is no such artifact, or it is no filter; the registry can't be reached, or refuses.
    pub async fn find(&self, reference: &Reference) -> Result<Artifact, RegistryError> {
        self.log_in(reference, Purpose::Read).await?;
        let manifest = self.manifest(reference).await?;
        let (component, size) =
            filter_layer(&manifest).map_err(|error| self.asked(reference).no_filter(error.to_string()))?;
        let digest = Digest::of(&manifest);
        Ok(Artifact { reference: reference.at(digest), digest, manifest: manifest.to_vec(), component, size })
    }

    /// Reads the component of an artifact, at most `limit` bytes.
    ///
    /// # Errors
    /// It is larger, or not what its digest says; the registry can't be reached, or refuses.
    pub async fn component(
        &self,
        artifact: &Artifact,
        limit: u64,
        progress: Option<&Progress>,
    ) -> Result<Vec<u8>, RegistryError> {
        if artifact.size > limit {
            return Err(self.asked(&artifact.reference).too_large("the component", artifact.size, limit));
        }
        self.blob(&artifact.reference, artifact.component, artifact.size, progress).await
    }
}
