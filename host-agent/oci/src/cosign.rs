//! Signatures where cosign keeps them: in an artifact of their own, whose tag is made of the digest that they are about
//! (`specs/SIGNATURE_SPEC.md` of cosign). Each is a layer: what is signed is its blob, the signature an annotation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde_json::{Value, json};
use weir_trust::{
    Digest, SIGNATURE_ANNOTATION, SIMPLE_SIGNING, SignedPayload, signature_layers, signature_tag,
};

use crate::registry::Purpose;
use crate::{Artifact, Reference, Registry, RegistryError};

impl Registry {
    /// The signatures of an artifact, by whatever key. What isn't one is left out.
    ///
    /// # Errors
    /// The registry can't be reached, or refuses.
    pub async fn signatures(&self, artifact: &Artifact) -> Result<Vec<SignedPayload>, RegistryError> {
        self.log_in(&artifact.reference, Purpose::Read).await?;
        let place = place(artifact);
        let Some(manifest) = self.signature_manifest(&place).await? else { return Ok(Vec::new()) };
        let mut signatures = Vec::new();
        for layer in signature_layers(&manifest).map_err(|error| self.no_signatures(&place, &error))? {
            let payload = self.blob(&place, layer.digest, layer.size, None).await?;
            signatures.push(SignedPayload { payload, signature: layer.signature });
        }
        Ok(signatures)
    }

    /// Adds a signature to those that an artifact has.
    ///
    /// # Errors
    /// The registry can't be reached, or refuses.
    pub async fn add_signature(
        &self,
        artifact: &Artifact,
        signed: SignedPayload,
    ) -> Result<(), RegistryError> {
        self.log_in(&artifact.reference, Purpose::Write).await?;
        let place = place(artifact);
        let before = self.signature_manifest(&place).await?;
        let before: Option<Value> = before
            .map(|manifest| serde_json::from_slice(&manifest))
            .transpose()
            .map_err(|error| self.no_signatures(&place, &error))?;
        // As they are: others' layers may have annotations that mean something to others.
        let mut layers: Vec<Value> =
            before.iter().flat_map(|manifest| manifest["layers"].as_array()).flatten().cloned().collect();
        layers.push(json!({
            "mediaType": SIMPLE_SIGNING,
            "digest": Digest::of(&signed.payload).to_string(),
            "size": signed.payload.len(),
            "annotations": { SIGNATURE_ANNOTATION: STANDARD.encode(&signed.signature) },
        }));
        let config = config(&layers);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "config": {
                "mediaType": IMAGE_CONFIG_MEDIA_TYPE,
                "digest": Digest::of(&config).to_string(),
                "size": config.len(),
            },
            "layers": layers,
        });
        self.put_blob(&place, Bytes::from(signed.payload), None).await?;
        self.put_blob(&place, Bytes::from(config), None).await?;
        self.put_manifest(&place, manifest.to_string().into_bytes()).await
    }

    async fn signature_manifest(&self, place: &Reference) -> Result<Option<Bytes>, RegistryError> {
        match self.manifest(place).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn no_signatures(&self, place: &Reference, error: &dyn std::fmt::Display) -> RegistryError {
        self.asked(place).no_filter(format!("no manifest of signatures ({error})"))
    }
}

/// Where the signatures of an artifact are.
fn place(artifact: &Artifact) -> Reference {
    artifact.reference.tagged(signature_tag(artifact.digest))
}

/// The config of an image that has these layers, as cosign makes it.
fn config(layers: &[Value]) -> Vec<u8> {
    let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": [{ "created": "0001-01-01T00:00:00Z" }],
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": digests },
        "config": {},
    });
    config.to_string().into_bytes()
}
