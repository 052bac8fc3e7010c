//! How a filter gets to those who use it: into a registry and out of it, signed and checked.

mod credentials;
mod inspect;
mod key;
mod keygen;
mod pull;
mod push;
mod sign;
mod verify;

use std::future::Future;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::{Builder, Runtime};
use weir_oci::{Access, Artifact, Progress, Reference, Registry, RegistryError};
use weir_trust::{PublicKey, Signature};

use super::project::Project;
use super::subject::COMPONENT_FILE_BYTES;
use crate::failure::Failure;
use crate::filter_text::is_path;

pub(super) use inspect::{InspectArgs, run as inspect};
pub(super) use keygen::{KeygenArgs, run as keygen};
pub(super) use pull::{PullArgs, run as pull};
pub(super) use push::{PushArgs, run as push};
pub(super) use sign::{SignArgs, run as sign};
pub(super) use verify::{VerifyArgs, run as verify};

/// How to speak to a registry.
#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Speak to the registry without TLS [default: only if it is on this machine]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    plain_http: Option<bool>,
}

/// A filter that was named to be shipped or checked.
enum Place {
    /// In a registry.
    Artifact(Reference),
    /// In a file.
    File(PathBuf),
}

impl Place {
    /// What is meant by the text: what exists as a file or folder is that, and a folder its component.
    fn of(text: &str) -> Result<Place, Failure> {
        let path = Path::new(text);
        if path.is_dir() {
            let project = Project::open(path)?;
            project.up_to_date()?;
            // As it can be typed from here.
            return Ok(Place::File(path.join(format!("{}.wasm", project.name))));
        }
        if path.exists() || is_path(text) || !Reference::is_like(text) {
            return Ok(Place::File(path.to_owned()));
        }
        Ok(Place::Artifact(reference(text)?))
    }
}

/// An artifact's name as typed.
fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error: weir_oci::ReferenceError| Failure::refused(error.to_string()))
}

/// A registry, and what waits for its answers.
struct Connection {
    runtime: Runtime,
    registry: Registry,
}

impl Connection {
    /// Ready to ask about an artifact.
    fn to(reference: &Reference, args: &RegistryArgs) -> Result<Connection, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("the connection can't be prepared: {error}")))?;
        let credentials = credentials::find(reference.registry())?;
        let registry = Registry::new(reference, Access { plain_http: args.plain_http, credentials })?;
        Ok(Connection { runtime, registry })
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, RegistryError>>) -> Result<T, Failure> {
        Ok(self.runtime.block_on(answer)?)
    }

    /// The component of an artifact.
    fn component(&self, artifact: &Artifact) -> Result<Vec<u8>, Failure> {
        let bar = Bar::new("pulling", artifact.size);
        self.wait(self.registry.component(artifact, COMPONENT_FILE_BYTES, bar.progress().as_ref()))
    }

    /// The content of the signature file of an artifact; `None` when nobody has signed it.
    fn signature(&self, artifact: &Artifact) -> Result<Option<Signature>, Failure> {
        let signatures = self.wait(self.registry.signatures(artifact))?;
        Ok((!signatures.is_empty())
            .then(|| Signature::Artifact { manifest: artifact.manifest.clone(), signatures }))
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Failure {
        let message = error.to_string();
        match error {
            RegistryError::Unreachable { .. }
            | RegistryError::Failing { .. }
            | RegistryError::Digest { .. } => Failure::Failed(message),
            _ => Failure::Refused(message),
        }
    }
}

/// How far a transfer is, where somebody looks.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(what: &'static str, bytes: u64) -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar(None);
        }
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}")
            .expect("the template is well formed");
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        bar.set_style(style);
        bar.set_message(what);
        Bar(Some(bar))
    }

    fn progress(&self) -> Option<Progress> {
        let bar = self.0.clone()?;
        Some(Arc::new(move |bytes| bar.inc(bytes)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Public keys in files.
fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
    let key = |path: &PathBuf| {
        let refused = |reason: String| Failure::refused(format!("{}: {reason}", path.display()));
        let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        PublicKey::from_pem(path.display().to_string(), &pem).map_err(|error| refused(error.to_string()))
    };
    paths.iter().map(key).collect()
}

/// Writes a file so that whoever looks sees all of it or nothing.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}
