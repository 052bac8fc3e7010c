//! The decision.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Digest, PublicKey, Signature, SignatureError, SignedPayload, component_layer, payload_digest};

/// Which components may run. By default all: there is no rule. With a rule, those that one of its parts admits.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    digests: Option<BTreeSet<Digest>>,
    signers: Option<Vec<PublicKey>>,
}

/// Why a component is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// There is no rule.
    NoRule,
    /// Its digest is one of those allowed.
    Digest,
    /// A key has signed it: the key's name.
    Signer(String),
}

/// A component that may not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its digest.
    pub digest: Digest,
    /// Why.
    pub why: Why,
    /// Names of the keys of which one should have signed it.
    pub signers: Vec<String>,
}

/// Why a component may not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is not one of the digests, and signatures are not asked for.
    Unlisted,
    /// There is no signature.
    Unsigned,
    /// Its signature can't be read.
    Unreadable(SignatureError),
    /// Its signatures are by other keys, or of another component.
    OtherSigner,
    /// One of the keys has signed, but not this: what is wrong.
    OtherContent(String),
}

impl Trust {
    /// Admits components of these digests, and components that one of these keys has signed. `None` adds nothing;
    /// with `None` for both there is no rule, and every component is admitted. An empty list admits nothing.
    pub fn new(digests: Option<Vec<Digest>>, signers: Option<Vec<PublicKey>>) -> Trust {
        Trust { digests: digests.map(BTreeSet::from_iter), signers }
    }

    /// Whether every component is admitted.
    pub fn has_no_rule(&self) -> bool {
        self.digests.is_none() && self.signers.is_none()
    }

    /// Whether a component's signature can be what admits it.
    pub fn asks_for_signatures(&self) -> bool {
        self.signers.is_some()
    }

    /// Whether a component may run, and why. `signature` is the content of the signature file that came with it, if
    /// one did; of a file `NAME.wasm` in a folder, that is `NAME.wasm.sig`.
    ///
    /// Costs a SHA-256 of the component, and for each signature and key one check of some 0.1 ms.
    ///
    /// # Errors
    /// No part of the rule admits it.
    pub fn admits(&self, component: &[u8], signature: Option<&[u8]>) -> Result<By, Refused> {
        if self.has_no_rule() {
            return Ok(By::NoRule);
        }
        let digest = Digest::of(component);
        if self.digests.as_ref().is_some_and(|digests| digests.contains(&digest)) {
            return Ok(By::Digest);
        }
        let why = match (&self.signers, signature) {
            (None, _) => Why::Unlisted,
            (Some(_), None) => Why::Unsigned,
            (Some(signers), Some(signature)) => match Signature::parse(signature) {
                Err(error) => Why::Unreadable(error),
                Ok(signature) => match signer(signers, component, digest, &signature) {
                    Ok(key) => return Ok(By::Signer(key.name().to_owned())),
                    Err(why) => why,
                },
            },
        };
        let signers = self.signers.iter().flatten().map(|key| key.name().to_owned()).collect();
        Err(Refused { digest, why, signers })
    }
}

/// Who of `signers` has signed a component.
fn signer<'a>(
    signers: &'a [PublicKey],
    component: &[u8],
    digest: Digest,
    signature: &Signature,
) -> Result<&'a PublicKey, Why> {
    match signature {
        Signature::File(signature) => {
            signers.iter().find(|key| key.has_signed(component, signature)).ok_or(Why::OtherSigner)
        }
        Signature::Artifact { manifest, signatures } => {
            let signed = signatures.iter().filter_map(|one| {
                Some((signers.iter().find(|key| key.has_signed(&one.payload, &one.signature))?, one))
            });
            // Of several by these keys, one that is of this component is enough.
            let judged = signed.map(|(key, one)| is_of(manifest, one, component, digest).map(|()| key));
            judged.reduce(|one, other| one.or(other)).unwrap_or(Err(Why::OtherSigner))
        }
    }
}

/// Refuses what is signed if it isn't this component: the payload names the manifest, and that names the component.
fn is_of(manifest: &[u8], signed: &SignedPayload, component: &[u8], digest: Digest) -> Result<(), Why> {
    let other = |reason: String| Err(Why::OtherContent(reason));
    let own = Digest::of(manifest);
    match payload_digest(&signed.payload) {
        Ok(named) if named == own => {}
        Ok(named) => return other(format!("the manifest {named} is signed, and not its own, {own}")),
        Err(error) => return other(error.to_string()),
    }
    match component_layer(manifest) {
        Ok(layer) if layer == (digest, component.len() as u64) => Ok(()),
        Ok((layer, _)) => other(format!("the component {layer} is signed")),
        Err(error) => other(format!("what is signed is no filter: {error}")),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the component {} is not allowed: ", self.digest)?;
        let signers = match self.signers.as_slice() {
            [] => "no key, since none is listed".to_owned(),
            [one] => one.clone(),
            several => format!("one of {}", several.join(", ")),
        };
        match &self.why {
            Why::Unlisted => f.write_str("it is not one of the digests that are"),
            Why::Unsigned => {
                write!(f, "it has no signature; it needs one by {signers} (see `weir filter sign`)")
            }
            Why::Unreadable(error) => {
                write!(f, "its signature can't be read: {error}; it needs one by {signers}")
            }
            Why::OtherSigner => write!(
                f,
                "its signature is by another key, or of other content (has it changed since?); it needs one by {signers}"
            ),
            Why::OtherContent(reason) => {
                write!(
                    f,
                    "its signature is of other content: {reason}; sign this component, or get the one that is signed"
                )
            }
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::NoRule => f.write_str("every filter is allowed"),
            By::Digest => f.write_str("its digest is allowed"),
            By::Signer(name) => write!(f, "signed by {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::{WASM_LAYER, simple_signing_payload};

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Signer {
            let random = SystemRandom::new();
            let pkcs8 =
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
            Signer(key.expect("a key"))
        }

        fn public(&self, name: &str) -> PublicKey {
            PublicKey::from_point(name, self.0.public_key().as_ref()).expect("a point")
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            self.0.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
        }

        fn file(&self, component: &[u8]) -> Vec<u8> {
            Signature::File(self.sign(component)).encode()
        }

        fn payload(&self, manifest: &[u8]) -> SignedPayload {
            let payload = simple_signing_payload("localhost/filter", Digest::of(manifest));
            SignedPayload { signature: self.sign(&payload), payload }
        }
    }

    fn manifest(component: &[u8], media_type: &str) -> Vec<u8> {
        let (digest, size) = (Digest::of(component), component.len());
        format!(r#"{{"schemaVersion":2,"layers":[{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}]}}"#)
            .into_bytes()
    }

    fn artifact(manifest: &[u8], signatures: Vec<SignedPayload>) -> Vec<u8> {
        Signature::Artifact { manifest: manifest.to_vec(), signatures }.encode()
    }

    #[test]
    fn a_rule_is_kept_and_without_one_everything_is_admitted() {
        let digest = Digest::of(b"one");
        assert_eq!(Trust::default().admits(b"any", Some(b"junk")), Ok(By::NoRule));
        let digests = Trust::new(Some(vec![digest]), None);
        assert_eq!(digests.admits(b"one", None), Ok(By::Digest));
        assert_eq!(digests.admits(b"other", None).expect_err("another").why, Why::Unlisted);
        for nothing in [
            Trust::new(Some(vec![]), None),
            Trust::new(None, Some(vec![])),
            Trust::new(Some(vec![]), Some(vec![])),
        ] {
            assert!(nothing.admits(b"one", None).is_err() && !nothing.has_no_rule());
        }
    }

    #[test]
    fn of_a_file_only_a_listed_key_s_signature_of_its_bytes_counts() {
        let (team, other) = (Signer::new(), Signer::new());
        let trust = Trust::new(None, Some(vec![Signer::new().public("else.pub"), team.public("team.pub")]));
        assert_eq!(trust.admits(b"one", Some(&team.file(b"one"))), Ok(By::Signer("team.pub".to_owned())));
        let why = |signature: Option<&[u8]>| trust.admits(b"one", signature).expect_err("refused").why;
        assert_eq!(why(None), Why::Unsigned);
        assert_eq!(why(Some(&other.file(b"one"))), Why::OtherSigner);
        assert_eq!(why(Some(&team.file(b"two"))), Why::OtherSigner);
        assert_eq!(why(Some(b"")), Why::OtherSigner);
        assert!(matches!(why(Some(b"{")), Why::Unreadable(_)));
        let text = trust.admits(b"one", None).expect_err("refused").to_string();
        assert!(
            text.contains("one of else.pub, team.pub") && text.contains(&Digest::of(b"one").to_string()),
            "{text}"
        );
    }

    #[test]
    fn of_an_artifact_the_whole_chain_to_the_component_counts() {
        let (team, other) = (Signer::new(), Signer::new());
        let trust = Trust::new(None, Some(vec![team.public("team.pub")]));
        let (one, two) = (manifest(b"one", WASM_LAYER), manifest(b"two", WASM_LAYER));
        let admits = |bundle: &[u8]| trust.admits(b"one", Some(bundle)).map_err(|refused| refused.why);
        let signer = Ok(By::Signer("team.pub".to_owned()));
        assert_eq!(admits(&artifact(&one, vec![team.payload(&one)])), signer);
        // Others' signatures don't matter, nor those of ours that are of something else.
        assert_eq!(
            admits(&artifact(&one, vec![other.payload(&one), team.payload(&two), team.payload(&one)])),
            signer
        );
        assert_eq!(admits(&artifact(&one, vec![other.payload(&one)])), Err(Why::OtherSigner));
        assert_eq!(admits(&artifact(&one, vec![])), Err(Why::OtherSigner));
        // Signed, but another manifest; another component; a layer of an image that has the component's bytes.
        let image = manifest(b"one", "application/vnd.oci.image.layer.v1.tar");
        for bundle in [
            artifact(&one, vec![team.payload(&two)]),
            artifact(&two, vec![team.payload(&two)]),
            artifact(&image, vec![team.payload(&image)]),
        ] {
            assert!(matches!(admits(&bundle), Err(Why::OtherContent(_))), "{:?}", admits(&bundle));
        }
        // A payload that was changed after it was signed.
        let forged = SignedPayload { payload: team.payload(&one).payload, ..team.payload(&two) };
        assert_eq!(admits(&artifact(&one, vec![forged])), Err(Why::OtherSigner));
        // A signature of a file isn't one of a payload.
        let file = SignedPayload { payload: b"one".to_vec(), signature: team.sign(b"one") };
        assert!(matches!(admits(&artifact(&one, vec![file])), Err(Why::OtherContent(_))));
    }
}
