//! A registry with artifacts in it, and a certificate for all servers of a test.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use weir_oci::{Access, Artifact, Contents};
use weir_registry::{Reference, Registry, Wanted};
use weir_trust::Digest;

use crate::docker_registry::{self, Options};

/// What is wanted, unless a test says otherwise.
pub(crate) const WANTED: Wanted =
    Wanted { component_bytes: 1 << 20, signatures: true, patience: Duration::from_secs(60) };

/// A certificate for the loopback address that is its own root.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: rcgen::KeyPair,
    pub(crate) der: Vec<u8>,
}

impl Certificate {
    pub(crate) fn new() -> Certificate {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        Certificate { pem: signed.cert.pem(), der: signed.cert.der().to_vec(), key: signed.signing_key }
    }

    /// As a registry's options have it.
    pub(crate) fn options(&self) -> Options {
        Options { tls: Some((self.pem.clone(), self.key.serialize_pem())), ..Options::default() }
    }
}

/// A registry over TLS, with one artifact in it.
pub(crate) struct Place {
    pub(crate) server: docker_registry::Registry,
    pub(crate) certificate: Certificate,
    pub(crate) component: Vec<u8>,
    pub(crate) artifact: Artifact,
    dir: TempDir,
}

impl Place {
    /// `None`, with a word on why, where there is no program of a registry.
    pub(crate) async fn new() -> Option<Place> {
        let mut server = docker_registry::Registry::start()?;
        let (certificate, dir) = (Certificate::new(), tempfile::tempdir().expect("a folder"));
        // Larger than what comes in one piece.
        let component: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).take(1 << 20).collect();
        let artifact = push(&server, "team/errors:1.0", component.clone()).await;
        server.stop();
        server.start_again(&certificate.options());
        fs::write(dir.path().join("ca.pem"), &certificate.pem).expect("a file");
        Some(Place { server, certificate, component, artifact, dir })
    }

    /// Starts the server anew.
    pub(crate) fn restart(&mut self, options: &Options) {
        self.server.stop();
        self.server.start_again(options);
    }

    /// It as an agent's config has it.
    pub(crate) fn registry(&self) -> Registry {
        Registry { ca: Some(self.path("ca.pem")), ..Registry::of(&self.server.address) }
    }

    /// Writes a file that a config may name.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).expect("a file");
        self.path(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The artifact's name by digest.
    pub(crate) fn reference(&self) -> Reference {
        self.at(&self.server.address, self.artifact.digest)
    }

    /// A name in the artifact's repository at some host.
    pub(crate) fn at(&self, host: &str, digest: Digest) -> Reference {
        format!("{host}/team/errors@{digest}").parse().expect("a reference")
    }
}

/// What registries in a config are without more.
pub(crate) trait Of {
    fn of(host: &str) -> Self;
}

impl Of for Registry {
    fn of(host: &str) -> Registry {
        Registry { host: host.to_owned(), ..Registry::default() }
    }
}

/// The client that the command line has.
pub(crate) fn pusher(reference: &weir_oci::Reference) -> weir_oci::Registry {
    let access = Access { plain_http: Some(true), credentials: None };
    weir_oci::Registry::new(reference, access).expect("a client")
}

/// Pushes a component, as the command line does.
pub(crate) async fn push(server: &docker_registry::Registry, name: &str, component: Vec<u8>) -> Artifact {
    let reference: weir_oci::Reference = server.name(name).parse().expect("a name");
    let contents = Contents {
        component,
        created: "2026-11-24T10:00:00Z".to_owned(),
        exports: Vec::new(),
        imports: Vec::new(),
        name: "errors".to_owned(),
        version: "1.0.0".to_owned(),
        summary: "errors".to_owned(),
    };
    pusher(&reference).push(&reference, contents, None).await.expect("it is pushed")
}
