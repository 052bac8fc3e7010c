//! `weir filter inspect`.

use super::args::InspectArgs;
use super::{describe, subject};
use crate::args::ListFormat;
use crate::failure::{Exit, Failure};
use crate::output::Out;

/// Tells what a filter is.
pub(super) fn run(args: &InspectArgs) -> Result<Exit, Failure> {
    let subject = subject::Subject::choose(&args.filter, &[])?;
    let info = subject::info(&subject.filter)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    match args.output {
        ListFormat::Text => out.buffer.extend_from_slice(describe::describe(&info).as_bytes()),
        ListFormat::Jsonl => describe::push_json(&mut out.buffer, &info, None),
    }
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}
