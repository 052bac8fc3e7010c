//! Signature files and keys as anybody could leave them in a folder: read or refused, never a panic, and what no key has
//! signed is never admitted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_trust::{PublicKey, Signature, Trust};

/// Whose private half nobody has kept.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECYrM0CZE3pOp5GIusFay47kspp93
x0lTPg0ghAdmBzock6i9uF/qHw0grWSUKkBsy/FU+1snQQwAXgfHtiNUxQ==
-----END PUBLIC KEY-----
";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signature) = Signature::parse(bytes) {
        assert_eq!(Signature::parse(&signature.encode()), Ok(signature));
    }
    if let Ok(key) = PublicKey::from_pem("key", bytes) {
        assert_eq!(PublicKey::from_pem("key", key.to_pem().as_bytes()), Ok(key));
    }
    let key = PublicKey::from_pem("key", KEY.as_bytes()).expect("it was made by openssl");
    assert!(Trust::new(None, Some(vec![key])).admits(b"component", Some(bytes)).is_err());
});
