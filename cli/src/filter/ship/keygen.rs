//! `weir filter keygen`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::key::{PASSWORD, PrivateKey, password};
use crate::failure::{Exit, Failure};
use crate::output::Out;

/// `weir filter keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where to write the pair: PREFIX.key, for whoever signs, and PREFIX.pub, for everybody
    #[arg(value_name = "PREFIX", default_value = "cosign")]
    prefix: PathBuf,
}

/// Makes a pair of keys.
pub(in crate::filter) fn run(args: &KeygenArgs) -> Result<Exit, Failure> {
    let named = |suffix: &str| {
        let mut path = args.prefix.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let (private, public) = (named(".key"), named(".pub"));
    for path in [&private, &public] {
        if path.exists() {
            return Err(Failure::refused(format!(
                "{} is there already; move it away, or give another PREFIX",
                path.display()
            )));
        }
    }
    let (key, sealed) = PrivateKey::generate(&new_password()?)?;
    write(&private, sealed.as_bytes(), 0o600)?;
    write(&public, key.public("").to_pem().as_bytes(), 0o644)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let text = format!(
        "{private}: keep it, and its password, to yourself\n{public}: give it to those who check\n\n\
         next: weir filter push REF --sign {private}\n",
        private = private.display(),
        public = public.display()
    );
    out.buffer.extend_from_slice(text.as_bytes());
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

fn new_password() -> Result<String, Failure> {
    let first = password("Password for the new key (may be empty): ")?;
    // What comes from the environment isn't mistyped.
    if std::env::var_os(PASSWORD).is_none() && first != password("Once more: ")? {
        return Err(Failure::refused("the two passwords differ; try again"));
    }
    Ok(first)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}
