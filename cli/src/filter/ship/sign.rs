//! `weir filter sign`.

use std::path::PathBuf;

use clap::Args;
use weir_oci::Artifact;
use weir_trust::{Signature, SignedPayload, payload_digest, simple_signing_payload};

use super::key::PrivateKey;
use super::{Connection, Place, RegistryArgs, write_whole};
use crate::failure::{Exit, Failure};
use crate::filter::subject::{component_file, signature_path};
use crate::output::{Out, report};

/// `weir filter sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// An artifact in a registry, a component, or a filter's folder
    #[arg(value_name = "REF|FILE|DIR")]
    filter: String,
    /// A private key of `weir filter keygen` or cosign; its password is asked for, or taken from COSIGN_PASSWORD
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Signs a filter: beside its file, or in its registry.
pub(in crate::filter) fn run(args: &SignArgs) -> Result<Exit, Failure> {
    let place = Place::of(&args.filter)?;
    let key = PrivateKey::read(&args.key)?;
    let told = match place {
        Place::File(path) => {
            let signature = Signature::File(key.sign(&component_file(&path)?)?);
            let beside = signature_path(&path);
            write_whole(&beside, &signature.encode())?;
            beside.display().to_string()
        }
        Place::Artifact(reference) => {
            let connection = Connection::to(&reference, &args.registry)?;
            let artifact = connection.wait(connection.registry.find(&reference))?;
            sign_artifact(&connection, &artifact, &key)?;
            artifact.reference.to_string()
        }
    };
    let mut out = Out::stdout().map_err(Failure::Output)?;
    out.buffer.extend_from_slice(format!("{told}\n").as_bytes());
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

/// Adds a signature to an artifact, unless it has one by this key.
pub(super) fn sign_artifact(
    connection: &Connection,
    artifact: &Artifact,
    key: &PrivateKey,
) -> Result<(), Failure> {
    let public = key.public("");
    let is_own = |one: &SignedPayload| {
        public.has_signed(&one.payload, &one.signature) && payload_digest(&one.payload) == Ok(artifact.digest)
    };
    if connection.wait(connection.registry.signatures(artifact))?.iter().any(is_own) {
        report::say("it has a signature by this key already");
        return Ok(());
    }
    let payload = simple_signing_payload(&artifact.reference.repository(), artifact.digest);
    let signature = key.sign(&payload)?;
    connection.wait(connection.registry.add_signature(artifact, SignedPayload { payload, signature }))?;
    report::say(&format!("signed {}", artifact.digest));
    Ok(())
}
