//! What a registry answers, and what names one: headers, manifests, and references as anybody could write them into an
//! object. Read or refused, never a panic, and what is read means the same when it is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_registry::{Challenge, Credentials, Reference};
use weir_trust::{component_layer, filter_layer, signature_layers};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(layer) = filter_layer(bytes) {
        assert_eq!(component_layer(bytes), Ok(layer));
    }
    if let Ok(layers) = signature_layers(bytes) {
        assert!(layers.len() <= 16 && layers.iter().all(|layer| layer.size <= 4096));
    }
    drop(Credentials::find(bytes, "registry.example"));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(Challenge::parse(text).len() <= text.len());
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
});
