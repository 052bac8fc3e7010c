//! The manifest of an artifact in the Wasm OCI format of the CNCF: which component it is of
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>).

use serde::Deserialize;

use crate::Digest;

/// Media type of the layer that is the component.
pub const WASM_LAYER: &str = "application/wasm";

/// Media type of the config.
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// Most bytes of a manifest.
pub const MANIFEST_BYTES: usize = 64 << 10;

/// A manifest that is of no component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It isn't the JSON of a manifest.
    #[error("it is not the manifest of an artifact: {0}")]
    Malformed(String),
    /// It is of an index, or of nothing that has a config.
    #[error("it is an index of several artifacts, or none at all")]
    Index,
    /// Its config is of something else.
    #[error("its config is of type {0}, not {WASM_CONFIG}")]
    Config(String),
    /// Its layers are not one component.
    #[error("it should have one layer, of type {WASM_LAYER}, but has {}", list(.0))]
    Layers(Vec<String>),
}

fn list(types: &[String]) -> String {
    match types {
        [] => "none".to_owned(),
        types => types.join(", "),
    }
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Head {
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "mediaType")]
    media_type: String,
}

/// Digest and size of the component of an artifact that is a filter: its config is of the type that components have too.
///
/// # Errors
/// Bytes that are no manifest of such an artifact.
pub fn filter_layer(manifest: &[u8]) -> Result<(Digest, u64), ManifestError> {
    let head: Head =
        serde_json::from_slice(manifest).map_err(|error| ManifestError::Malformed(error.to_string()))?;
    match head.config {
        Some(config) if config.media_type == WASM_CONFIG => component_layer(manifest),
        Some(config) => Err(ManifestError::Config(config.media_type)),
        None => Err(ManifestError::Index),
    }
}

/// Digest and size of the component that a manifest is of.
///
/// # Errors
/// Bytes that are no such manifest.
pub fn component_layer(manifest: &[u8]) -> Result<(Digest, u64), ManifestError> {
    let malformed = |reason: String| ManifestError::Malformed(reason);
    let manifest: Manifest =
        serde_json::from_slice(manifest).map_err(|error| malformed(error.to_string()))?;
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == WASM_LAYER => {
            let digest =
                layer.digest.parse().map_err(|error: crate::DigestError| malformed(error.to_string()))?;
            Ok((digest, layer.size))
        }
        layers => Err(ManifestError::Layers(layers.iter().map(|layer| layer.media_type.clone()).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_layer_of_the_right_type_is_a_component() {
        let digest = Digest::of(b"x");
        let layer = |kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":1}}"#);
        let manifest =
            |layers: &[String]| format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, layers.join(","));
        let wasm = layer(WASM_LAYER);
        let tar = layer("application/vnd.oci.image.layer.v1.tar");
        assert_eq!(component_layer(manifest(std::slice::from_ref(&wasm)).as_bytes()), Ok((digest, 1)));
        for layers in [vec![], vec![tar.clone()], vec![wasm.clone(), wasm.clone()], vec![wasm, tar]] {
            let error = component_layer(manifest(&layers).as_bytes()).expect_err("other layers");
            assert!(matches!(&error, ManifestError::Layers(types) if types.len() == layers.len()), "{error}");
        }
        assert!(matches!(component_layer(b"{}"), Err(ManifestError::Malformed(_))));
    }

    #[test]
    fn only_with_the_config_of_a_component_is_it_a_filter() {
        let digest = Digest::of(b"x");
        let of = |config: &str| {
            let layer = format!(r#"{{"mediaType":"{WASM_LAYER}","digest":"{digest}","size":1}}"#);
            filter_layer(format!(r#"{{{config}"layers":[{layer}]}}"#).as_bytes())
        };
        let config = |kind: &str| of(&format!(r#""config":{{"mediaType":"{kind}"}},"#));
        assert_eq!(config(WASM_CONFIG), Ok((digest, 1)));
        assert_eq!(config("text/plain"), Err(ManifestError::Config("text/plain".to_owned())));
        assert_eq!(of(""), Err(ManifestError::Index));
        assert!(matches!(filter_layer(b"["), Err(ManifestError::Malformed(_))));
    }
}
