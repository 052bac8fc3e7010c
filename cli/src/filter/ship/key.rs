//! Private keys as cosign keeps them: PKCS #8, encrypted with a password by scrypt and NaCl's secretbox
//! (`pkg/cosign/keys.go` of cosign, and `encrypted` of go-securesystemslib).

use std::io::IsTerminal as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use pem::Pem;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use weir_trust::PublicKey;

use crate::failure::Failure;

/// The variable with the password, as cosign names it.
pub(super) const PASSWORD: &str = "COSIGN_PASSWORD";

/// What a key file holds, in cosign's words: now, and before its version 2.
const ENCRYPTED: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

/// PKCS #8 without a password.
const PLAIN: &str = "PRIVATE KEY";

/// The cost of scrypt that cosign sets: log2 of N, r and p.
const SCRYPT: (u8, u32, u32) = (16, 8, 1);

/// The most that a key file may ask for: bytes of memory (128 N r), and p.
const SCRYPT_MAX: (u64, u64) = (512 << 20, 16);

/// A key to sign with.
pub(super) struct PrivateKey(EcdsaKeyPair);

impl PrivateKey {
    /// A new key, and its file under a password.
    pub(super) fn generate(password: &str) -> Result<(PrivateKey, String), Failure> {
        let random = |_| Failure::failed("the system gives no random numbers");
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.map_err(random)?;
        let (mut salt, mut nonce) = ([0; 32], [0; 24]);
        for bytes in [&mut salt[..], &mut nonce[..]] {
            ring::rand::SecureRandom::fill(&SystemRandom::new(), bytes).map_err(random)?;
        }
        let sealed = seal(pkcs8.as_ref(), password, &salt, &nonce);
        let key = PrivateKey::from_pkcs8(pkcs8.as_ref()).map_err(Failure::failed)?;
        Ok((key, sealed))
    }

    /// Reads a key file, and asks for its password if it has one: `$COSIGN_PASSWORD`, else whoever sits at the terminal.
    pub(super) fn read(path: &Path) -> Result<PrivateKey, Failure> {
        let refused = |reason: String| Failure::refused(format!("{}: {reason}", path.display()));
        let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        let pem = pem::parse(text).map_err(|error| refused(format!("it is no PEM file: {error}")))?;
        let pkcs8 = match pem.tag() {
            tag if ENCRYPTED.contains(&tag) => {
                let password = password(&format!("Password of {}: ", path.display()))?;
                open(pem.contents(), &password).map_err(refused)?
            }
            PLAIN => pem.into_contents(),
            "PUBLIC KEY" => {
                return Err(refused(
                    "it is a public key; give the private one, such as cosign.key".to_owned(),
                ));
            }
            tag => {
                return Err(refused(format!(
                    "'{tag}' is not a key that can be used; give one that `weir filter keygen` or cosign has made, or PKCS #8 \
                     (openssl pkcs8 -topk8 -nocrypt makes that)"
                )));
            }
        };
        PrivateKey::from_pkcs8(&pkcs8).map_err(refused)
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<PrivateKey, String> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new());
        key.map(PrivateKey).map_err(|error| {
            format!("it is not an ECDSA key on the curve P-256 ({error}); `weir filter keygen` makes one")
        })
    }

    /// Signs a message: ECDSA over its SHA-256, in DER.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        let signature = signature.map_err(|_| Failure::failed("the system gives no random numbers"))?;
        Ok(signature.as_ref().to_vec())
    }

    /// The other half of the pair.
    pub(super) fn public(&self, name: impl Into<String>) -> PublicKey {
        PublicKey::from_point(name, self.0.public_key().as_ref()).expect("a pair on P-256 has a point on it")
    }
}

/// The password from the environment, or from the terminal.
pub(super) fn password(prompt: &str) -> Result<String, Failure> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::refused(format!(
            "the key has a password, and there is no terminal to ask for it: set {PASSWORD}"
        )));
    }
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::failed(format!("the password can't be read: {error}")))
}

/// The file of a key under a password.
fn seal(pkcs8: &[u8], password: &str, salt: &[u8; 32], nonce: &[u8; 24]) -> String {
    let (log_n, r, p) = SCRYPT;
    let params = scrypt::Params::new(log_n, r, p).expect("cosign's own parameters");
    let key = derive(password, salt, &params);
    let ciphertext = XSalsa20Poly1305::new(&key)
        .encrypt(Nonce::from_slice(nonce), pkcs8)
        .expect("a key is shorter than what the cipher can take");
    let content = json!({
        "kdf": {
            "name": "scrypt",
            "params": { "N": 1u64 << log_n, "r": r, "p": p },
            "salt": STANDARD.encode(salt),
        },
        "cipher": { "name": "nacl/secretbox", "nonce": STANDARD.encode(nonce) },
        "ciphertext": STANDARD.encode(ciphertext),
    });
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&Pem::new(ENCRYPTED[0], content.to_string()), config)
}

/// The key in such a file.
fn open(content: &[u8], password: &str) -> Result<Vec<u8>, String> {
    let broken = || "what it holds is not a key as cosign encrypts it".to_owned();
    let content: Value = serde_json::from_slice(content).map_err(|_| broken())?;
    if content["kdf"]["name"] != "scrypt" || content["cipher"]["name"] != "nacl/secretbox" {
        return Err(broken());
    }
    let bytes = |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or_else(broken);
    let number = |name: &str| content["kdf"]["params"][name].as_u64().ok_or_else(broken);
    let (n, r, p) = (number("N")?, number("r")?, number("p")?);
    let memory = n.checked_mul(r).and_then(|cost| cost.checked_mul(128));
    if !n.is_power_of_two() || memory.is_none_or(|memory| memory > SCRYPT_MAX.0) || p > SCRYPT_MAX.1 {
        return Err(format!("it asks for more work than any key should: N = {n}, r = {r}, p = {p}"));
    }
    let small = |number: u64| u32::try_from(number).map_err(|_| broken());
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| broken())?;
    let params = scrypt::Params::new(log_n, small(r)?, small(p)?).map_err(|_| broken())?;
    let key = derive(password, &bytes(&content["kdf"]["salt"])?, &params);
    let nonce: [u8; 24] = bytes(&content["cipher"]["nonce"])?.try_into().map_err(|_| broken())?;
    XSalsa20Poly1305::new(&key)
        .decrypt(Nonce::from_slice(&nonce), bytes(&content["ciphertext"])?.as_slice())
        .map_err(|_| format!("the password is wrong (it is taken from {PASSWORD} where that is set)"))
}

fn derive(password: &str, salt: &[u8], params: &scrypt::Params) -> Key {
    let mut key = Key::default();
    scrypt::scrypt(password.as_bytes(), salt, params, &mut key).expect("32 bytes can be derived");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_is_opened_by_its_password_alone() {
        let sealed = seal(b"a key", "secret", &[1; 32], &[2; 24]);
        assert!(sealed.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{sealed}");
        let pem = pem::parse(sealed).expect("PEM");
        assert_eq!(open(pem.contents(), "secret"), Ok(b"a key".to_vec()));
        assert!(open(pem.contents(), "Secret").expect_err("another").contains(PASSWORD));
        let greedy =
            String::from_utf8(pem.contents().to_vec()).expect("JSON").replace("65536", "1099511627776");
        assert!(open(greedy.as_bytes(), "secret").expect_err("too much").contains("more work"));
        assert!(open(b"{}", "secret").is_err());
    }
}
