//! `weir filter pull`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use weir_trust::Trust;

use super::{Connection, RegistryArgs, public_keys, reference, write_whole};
use crate::failure::{Exit, Failure};
use crate::filter::subject::signature_path;
use crate::output::{Out, report};
use crate::units;

/// `weir filter pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Which one: HOST/NAME:TAG or HOST/NAME@sha256:…
    #[arg(value_name = "REF")]
    reference: String,
    /// Where to write the component [default: the last part of its name, with .wasm]. Its signatures go beside it, as
    /// FILE.sig
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Refuse it unless this public key, or another that is given, has signed it
    #[arg(long, value_name = "KEY")]
    key: Vec<PathBuf>,
    /// Write over a file that has other content
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Writes a filter out of a registry into a file, and prints its name by digest.
pub(in crate::filter) fn run(args: &PullArgs) -> Result<Exit, Failure> {
    let reference = reference(&args.reference)?;
    let keys = public_keys(&args.key)?;
    let path = args.out.clone().unwrap_or_else(|| format!("{}.wasm", reference.base_name()).into());
    let connection = Connection::to(&reference, &args.registry)?;
    let artifact = connection.wait(connection.registry.find(&reference))?;
    let signature = connection.signature(&artifact)?.map(|signature| signature.encode());
    let component = connection.component(&artifact)?;

    let trust = Trust::new(None, (!keys.is_empty()).then_some(keys));
    let by = trust
        .admits(&component, signature.as_deref())
        .map_err(|refused| Failure::NotPassed(format!("{reference}: {refused}; nothing was written")))?;
    if !args.force && fs::read(&path).is_ok_and(|there| there != component) {
        return Err(Failure::refused(format!(
            "{} is there already, with other content; give another --out, or --force",
            path.display()
        )));
    }
    // The signatures first: whoever finds the component finds them too.
    let beside = signature_path(&path);
    match &signature {
        Some(signature) => write_whole(&beside, signature)?,
        None => remove(&beside)?,
    }
    write_whole(&path, &component)?;
    let signed = match (signature, trust.has_no_rule()) {
        (None, _) => "not signed".to_owned(),
        (Some(_), true) => format!("signatures in {}", beside.display()),
        (Some(_), false) => by.to_string(),
    };
    report::say(&format!("pulled {}, {}, {signed}", path.display(), units::bytes(component.len() as u64)));
    let mut out = Out::stdout().map_err(Failure::Output)?;
    out.buffer.extend_from_slice(format!("{}\n", artifact.reference).as_bytes());
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

/// Takes away signatures that would be of what was there before.
fn remove(beside: &std::path::Path) -> Result<(), Failure> {
    match fs::remove_file(beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(format!("{}: {error}", beside.display())))
        }
        _ => Ok(()),
    }
}
