//! `weir filter verify`: what an agent with these keys and digests in its config would answer.

use std::path::PathBuf;

use clap::Args;
use weir_query::FilterRef;
use weir_trust::{Digest, DigestError, Trust};

use super::{Connection, Place, RegistryArgs, public_keys};
use crate::failure::{Exit, Failure};
use crate::filter::subject::{self, component_file, signature_file, signature_path};
use crate::output::Out;

const EXIT_CODES: &str = "\
Exit codes:
  0  an agent with these keys and digests would take it
  1  it would not
  2  wrong usage, or there is no such filter
  3  the registry can't be reached, or gives other bytes than asked for";

/// `weir filter verify`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct VerifyArgs {
    /// An artifact in a registry, a component, or a filter's folder
    #[arg(value_name = "REF|FILE|DIR")]
    filter: String,
    /// A public key that may have signed it, such as cosign.pub; as in the agent's filters.allowed_signers
    #[arg(long, value_name = "KEY", required_unless_present = "digest")]
    key: Vec<PathBuf>,
    /// A component's digest that is allowed; as in the agent's filters.allowed_digests
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    digest: Vec<Digest>,
    /// The signature of a file [default: FILE.sig]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

fn digest(text: &str) -> Result<Digest, DigestError> {
    text.parse()
}

/// Judges a filter as an agent does.
pub(in crate::filter) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let keys = (!args.key.is_empty()).then(|| public_keys(&args.key)).transpose()?;
    let trust = Trust::new((!args.digest.is_empty()).then(|| args.digest.clone()), keys);
    let (name, component, signature) = match Place::of(&args.filter)? {
        Place::File(path) => {
            let beside = args.signature.clone().unwrap_or_else(|| signature_path(&path));
            let signature = signature_file(&beside)?;
            if let (None, Some(named)) = (&signature, &args.signature) {
                return Err(Failure::refused(format!("{}: there is no such file", named.display())));
            }
            (path.display().to_string(), component_file(&path)?, signature)
        }
        Place::Artifact(reference) => {
            if args.signature.is_some() {
                return Err(Failure::refused(
                    "--signature is for files; an artifact's signatures are in its registry",
                ));
            }
            let connection = Connection::to(&reference, &args.registry)?;
            let artifact = connection.wait(connection.registry.find(&reference))?;
            let signature = connection.signature(&artifact)?.map(|signature| signature.encode());
            (artifact.reference.to_string(), connection.component(&artifact)?, signature)
        }
    };
    let by = trust
        .admits(&component, signature.as_deref())
        .map_err(|refused| Failure::NotPassed(format!("{name}: {refused}")))?;
    // Being allowed doesn't make it a filter.
    let info =
        subject::info(&FilterRef::Component { label: name.clone(), bytes: component, signature: None })?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let text = format!("{name}: {} {}, {by}\n", info.name, info.version);
    out.buffer.extend_from_slice(crate::visible::message(&text).as_bytes());
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}
