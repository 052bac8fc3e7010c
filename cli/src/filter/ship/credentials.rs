//! Who asks a registry: what `docker login` and `podman login` have kept.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use weir_oci::Credentials;

use crate::failure::Failure;

/// How Docker Hub is named, and under which name Docker keeps its credentials.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// What a helper says on standard output when it has nothing
/// (<https://github.com/docker/docker-credential-helpers>, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found";

/// The credentials for a registry, if there are any: from Docker's file, or the helper that it names, else from podman's.
pub(super) fn find(registry: &str) -> Result<Option<Credentials>, Failure> {
    for path in files() {
        let refused = |reason: String| {
            Failure::refused(format!(
                "{}: the credentials for {registry} can't be read: {reason}; log in again with docker login {registry}",
                path.display()
            ))
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(refused(error.to_string())),
        };
        let server = if registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { registry };
        match get_credential_from_reader(BufReader::new(file), server) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Some(Credentials { user, password }));
            }
            Ok(DockerCredential::IdentityToken(_)) => {
                return Err(refused(
                    "they are an identity token; a password or an access token is needed".to_owned(),
                ));
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains(NOT_FOUND) => {}
            Err(error) => return Err(refused(error.to_string())),
        }
    }
    Ok(None)
}

/// Where credentials may be: Docker's `config.json`, then podman's `auth.json`, each where its own tool looks.
fn files() -> impl Iterator<Item = PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let below = |folder: Option<PathBuf>, path: &str| folder.map(|folder| folder.join(Path::new(path)));
    let docker = folder("DOCKER_CONFIG").or_else(|| below(folder("HOME"), ".docker"));
    let podman =
        folder("REGISTRY_AUTH_FILE").or_else(|| below(folder("XDG_RUNTIME_DIR"), "containers/auth.json"));
    [below(docker, "config.json"), podman].into_iter().flatten()
}
