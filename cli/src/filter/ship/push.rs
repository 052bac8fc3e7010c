//! `weir filter push`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use weir_oci::Contents;
use weir_query::FilterRef;
use wit_component::DecodedWasm;

use super::key::PrivateKey;
use super::sign::sign_artifact;
use super::{Bar, Connection, RegistryArgs, reference};
use crate::failure::{Exit, Failure};
use crate::filter::subject::{self, Subject};
use crate::output::{Out, report};
use crate::units;

/// When the artifact was made, in seconds since the epoch, for builds that give the same bytes each time
/// (<https://reproducible-builds.org/docs/source-date-epoch/>).
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// `weir filter push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Where to: HOST/NAME:TAG
    #[arg(value_name = "REF")]
    reference: String,
    /// A component, or a filter's folder, which is built first where it has to be
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    filter: String,
    /// Sign it with a private key of `weir filter keygen` or cosign
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Writes a filter into a registry, and prints its name by digest.
pub(in crate::filter) fn run(args: &PushArgs) -> Result<Exit, Failure> {
    let reference = reference(&args.reference)?;
    if reference.digest().is_some() {
        return Err(Failure::refused(format!(
            "'{reference}' has a digest, which only the bytes decide; give a tag, as in {}:1.0",
            reference.repository()
        )));
    }
    // What fails without the registry fails before anything is sent.
    let key = args.sign.as_deref().map(PrivateKey::read).transpose()?;
    let contents = contents(&args.filter)?;
    let told =
        format!("{} {}, {}", contents.name, contents.version, units::bytes(contents.component.len() as u64));
    let connection = Connection::to(&reference, &args.registry)?;
    let artifact = {
        let bar = Bar::new("pushing", contents.component.len() as u64);
        connection.wait(connection.registry.push(&reference, contents, bar.progress().as_ref()))?
    };
    report::say(&format!("pushed {told}, component {}", artifact.component));
    if let Some(key) = key {
        sign_artifact(&connection, &artifact, &key)?;
    }
    let mut out = Out::stdout().map_err(Failure::Output)?;
    out.buffer.extend_from_slice(format!("{}\n", artifact.reference).as_bytes());
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

/// A filter that would run on an agent, and what is told of it.
fn contents(filter: &str) -> Result<Contents, Failure> {
    let subject = Subject::choose(filter, &[])?;
    let info = subject::info(&subject.filter)?;
    let FilterRef::Component { label, bytes, .. } = subject.filter else {
        return Err(Failure::refused(format!(
            "'{filter}' ships with Weir and need not be pushed; give a component or a filter's folder"
        )));
    };
    let decoded = wit_component::decode(&bytes)
        .map_err(|error| Failure::refused(format!("{label}: its exports can't be read: {error:#}")))?;
    let (exports, imports) = match &decoded {
        DecodedWasm::Component(resolve, world) => {
            let world = &resolve.worlds[*world];
            let names = |keys: Vec<_>| keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
            (names(world.exports.keys().collect()), names(world.imports.keys().collect()))
        }
        DecodedWasm::WitPackage(..) => (Vec::new(), Vec::new()),
    };
    Ok(Contents {
        component: bytes,
        created: created()?.to_string(),
        exports,
        imports,
        name: info.name,
        version: info.version,
        summary: info.summary,
    })
}

fn created() -> Result<Timestamp, Failure> {
    let Ok(text) = std::env::var(SOURCE_DATE_EPOCH) else {
        let now = Timestamp::now().as_second();
        return Ok(Timestamp::from_second(now).expect("a time without its fraction is a time"));
    };
    let time = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.ok_or_else(|| {
        Failure::refused(format!(
            "{SOURCE_DATE_EPOCH} is '{text}'; give seconds since 1970, such as 1798761600"
        ))
    })
}
