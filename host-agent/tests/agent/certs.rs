//! A certificate authority for one test, and what it signs.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

/// An authority that signs certificates into a folder.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
pub(crate) struct Signed {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a root");
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes the authority's own certificate.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(format!("{name}.pem"));
        std::fs::write(&path, self.certificate.pem()).expect("a file");
        path
    }

    /// Signs a certificate for `host`, good for both ends of a connection.
    pub(crate) fn sign(&self, dir: &Path, host: &str) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let signed = Signed { cert: dir.join(format!("{host}.pem")), key: dir.join(format!("{host}.key")) };
        std::fs::write(&signed.cert, certificate.pem()).expect("a file");
        std::fs::write(&signed.key, key.serialize_pem()).expect("a file");
        signed
    }
}
