//! Public keys: ECDSA on P-256 with SHA-256, as `cosign generate-key-pair` makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

use crate::Digest;

/// What stands before the point in the DER form of a P-256 key: SubjectPublicKeyInfo of RFC 5480, section 2, with the
/// algorithm id-ecPublicKey and the curve secp256r1.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Bytes of an uncompressed point: 0x04, x and y.
const POINT_BYTES: usize = 65;

/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

/// A key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    point: [u8; POINT_BYTES],
}

/// Bytes that are no key that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no public key in it.
    #[error("there is no public key in it: give a PEM file with BEGIN PUBLIC KEY, such as cosign.pub")]
    NotPublic,
    /// It is the other half of the pair.
    #[error("it is a private key: give the public one of the pair, such as cosign.pub")]
    Private,
    /// A public key of another kind.
    #[error(
        "it is not an ECDSA key on the curve P-256: give one that cosign or `weir filter keygen` has made"
    )]
    Kind,
}

impl PublicKey {
    /// Reads a public key from PEM text. `name` is what to call it in messages, such as its file.
    ///
    /// # Errors
    /// Text without a public key, or with one of another kind.
    pub fn from_pem(name: impl Into<String>, pem: &[u8]) -> Result<PublicKey, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| {
            let is_private = String::from_utf8_lossy(pem).contains("PRIVATE KEY-----");
            if is_private { KeyError::Private } else { KeyError::NotPublic }
        })?;
        PublicKey::from_point(name, der.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::Kind)?)
    }

    /// A public key of an uncompressed point (SEC 1, section 2.3.3). Whether the point is on the curve shows when a
    /// signature is checked with it: none is good.
    ///
    /// # Errors
    /// Bytes of another form.
    pub fn from_point(name: impl Into<String>, point: &[u8]) -> Result<PublicKey, KeyError> {
        let point: [u8; POINT_BYTES] = point.try_into().map_err(|_| KeyError::Kind)?;
        if point[0] != 4 {
            return Err(KeyError::Kind);
        }
        Ok(PublicKey { name: name.into(), point })
    }

    /// It as PEM, as cosign and openssl read it.
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(self.der());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in text.as_bytes().chunks(PEM_LINE) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem + "-----END PUBLIC KEY-----\n"
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells keys apart whatever they are called: the digest of the key's DER form.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der())
    }

    /// Whether it has signed `message`: `signature` is in DER, as cosign makes it.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.point).verify(message, signature).is_ok()
    }

    fn der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.point[..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout
    const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECYrM0CZE3pOp5GIusFay47kspp93
x0lTPg0ghAdmBzock6i9uF/qHw0grWSUKkBsy/FU+1snQQwAXgfHtiNUxQ==
-----END PUBLIC KEY-----
";

    #[test]
    fn a_key_is_read_and_written_as_openssl_writes_it() {
        let key = PublicKey::from_pem("team", P256.as_bytes()).expect("a key");
        assert_eq!(key.to_pem(), P256);
        assert_eq!(key.name(), "team");
    }

    #[test]
    fn what_is_no_key_of_this_kind_says_what_it_is() {
        let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let private = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
        for (pem, error) in [
            ("", KeyError::NotPublic),
            ("ssh-ed25519 AAAA", KeyError::NotPublic),
            (private, KeyError::Private),
            (ed25519, KeyError::Kind),
        ] {
            assert_eq!(PublicKey::from_pem("key", pem.as_bytes()), Err(error), "{pem}");
        }
    }
}
