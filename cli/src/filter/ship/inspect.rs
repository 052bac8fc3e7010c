//! `weir filter inspect`.

use std::path::PathBuf;

use clap::Args;
use weir_query::{FilterInfo, FilterRef};
use weir_trust::{By, Signature, Trust};

use super::{Connection, Place, RegistryArgs, public_keys};
use crate::args::ListFormat;
use crate::failure::{Exit, Failure};
use crate::filter::{describe, subject};
use crate::json::Object;
use crate::output::Out;

/// `weir filter inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A component, a filter's folder, an artifact in a registry (HOST/NAME:TAG), or the name of a filter that ships with
    /// Weir
    #[arg(value_name = "FILTER", default_value = ".", add = crate::completion::filters())]
    filter: String,
    /// A public key to check its signatures with
    #[arg(long, value_name = "KEY")]
    key: Vec<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Text, value_name = "FORMAT")]
    output: ListFormat,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is known of a filter besides what it says of itself.
#[derive(Default)]
struct Origin {
    /// Its name by digest, where it came from a registry.
    artifact: Option<String>,
    /// The content of its signature file.
    signature: Option<Vec<u8>>,
    /// Whether keys were given.
    is_checked: bool,
    /// Names of the keys that have signed it, of those that were given.
    signed_by: Vec<String>,
}

/// Tells what a filter is.
pub(in crate::filter) fn run(args: &InspectArgs) -> Result<Exit, Failure> {
    let (info, origin) = look(args)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    match args.output {
        ListFormat::Text => {
            out.buffer.extend_from_slice(
                describe::describe_with(&info, &origin.as_ref().map(Origin::rows).unwrap_or_default())
                    .as_bytes(),
            );
        }
        ListFormat::Jsonl => {
            describe::push_json_with(&mut out.buffer, &info, |object| match &origin {
                Some(origin) => origin.add_to(object),
                None => object,
            });
        }
    }
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

fn look(args: &InspectArgs) -> Result<(FilterInfo, Option<Origin>), Failure> {
    if weir_filters::get(&args.filter).is_some() {
        return Ok((subject::info(&FilterRef::Name(args.filter.clone()))?, None));
    }
    let (filter, mut origin) = match Place::of(&args.filter)? {
        Place::File(path) if path.exists() => {
            (subject::read_component(&path.display().to_string())?, Origin::default())
        }
        // It may be meant as a name; then the answer says which there are.
        Place::File(_) => (subject::Subject::choose(&args.filter, &[])?.filter, Origin::default()),
        Place::Artifact(reference) => {
            let connection = Connection::to(&reference, &args.registry)?;
            let artifact = connection.wait(connection.registry.find(&reference))?;
            let signature = connection.signature(&artifact)?.map(|signature| signature.encode());
            let label = artifact.reference.to_string();
            let origin = Origin { artifact: Some(label.clone()), ..Origin::default() };
            (FilterRef::Component { label, bytes: connection.component(&artifact)?, signature }, origin)
        }
    };
    origin.is_checked = !args.key.is_empty();
    if let FilterRef::Component { bytes, signature, .. } = &filter {
        origin.signature = signature.clone();
        for key in public_keys(&args.key)? {
            if let Ok(By::Signer(name)) =
                Trust::new(None, Some(vec![key])).admits(bytes, origin.signature.as_deref())
            {
                origin.signed_by.push(name);
            }
        }
    }
    Ok((subject::info(&filter)?, Some(origin)))
}

impl Origin {
    /// How many signatures there are, good or not.
    fn signatures(&self) -> usize {
        match self.signature.as_deref().map(Signature::parse) {
            Some(Ok(Signature::Artifact { signatures, .. })) => signatures.len(),
            Some(Ok(Signature::File(_))) => 1,
            Some(Err(_)) | None => 0,
        }
    }

    fn add_to<'a>(&self, object: Object<'a>) -> Object<'a> {
        let object = match &self.artifact {
            Some(artifact) => object.string("artifact", artifact),
            None => object,
        };
        object.value("signatures", self.signatures()).strings("signed_by", &self.signed_by)
    }

    /// It for people: what stands before, and the text.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        if let Some(artifact) = &self.artifact {
            rows.push(("artifact", artifact.clone()));
        }
        let signed = match (self.signature.as_deref().map(Signature::parse), self.signed_by.as_slice()) {
            (None, _) => "no".to_owned(),
            (Some(Err(error)), _) => format!("its signature can't be read: {error}"),
            (Some(Ok(_)), []) => {
                let signatures = crate::units::count(self.signatures() as u64, "signature");
                match self.is_checked {
                    true => format!("{signatures}, none of this component by these keys"),
                    false => format!("{signatures}; --key FILE tells by whom"),
                }
            }
            (Some(Ok(_)), names) => format!("by {}", names.join(", ")),
        };
        rows.push(("signed", signed));
        rows
    }
}
