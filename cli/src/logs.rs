//! `weir logs`.

use crate::args::LogsArgs;
use crate::failure::{Exit, Failure};
use crate::output::{View, report};
use crate::request::LogsRequest;

/// Searches, and shows what is found.
pub(crate) fn run(args: &LogsArgs) -> Result<Exit, Failure> {
    let request = LogsRequest::new(args)?;
    let mut target = request.choice.open()?;
    if let Some(note) = &request.note {
        report::say(note);
    }
    let mut view = View::new(request.look)?;
    match target.query(&request.spec, &mut |event| view.event(event)) {
        Ok(()) => view.finish(),
        Err(failure) => {
            view.abandon();
            Err(failure)
        }
    }
}
