//! The authority of one test cluster, and what it signs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// An authority that signs certificates into a folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: PathBuf,
}

/// A certificate and its key, as PEM files.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// A new one, whose own certificate is `NAME.pem` in `dir`.
    pub(crate) fn new(dir: &Path, name: &str) -> Result<Authority> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key)?;
        fs::write(dir.join(format!("{name}.pem")), certificate.pem())?;
        Ok(Authority { issuer: Issuer::new(params, key), dir: dir.to_owned() })
    }

    /// Signs a certificate for `name`, which a client may call a member of `group`. It is good for loopback too.
    pub(crate) fn sign(&self, name: &str, group: &str) -> Result<Signed> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let signed =
            Signed { cert: self.dir.join(format!("{name}.pem")), key: self.dir.join(format!("{name}.key")) };
        fs::write(&signed.cert, certificate.pem())?;
        fs::write(&signed.key, key.serialize_pem())?;
        Ok(signed)
    }
}
