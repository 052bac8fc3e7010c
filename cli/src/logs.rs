//! `weir logs`.

use crate::args::LogsArgs;
use crate::failure::{Exit, Failure};
use crate::output::{View, report};
use crate::request::LogsRequest;
use crate::target::Ended;

/// Searches, and shows what is found.
pub(crate) fn run(args: &LogsArgs) -> Result<Exit, Failure> {
    let request = LogsRequest::new(args)?;
    let mut target = request.choice.open(request.threads, request.sandbox_limits)?;
    target.set_policies(&args.policy)?;
    if let Some(note) = &request.note {
        report::say(note);
    }
    let mut spec = request.spec;
    // What "an hour ago" is must not move when the search goes on later.
    spec.resume.since = spec.since.or(spec.resume.since);
    let mut view = View::new(request.look, spec.resume.clone())?;
    match target.query(&spec, &mut |event| view.event(event)) {
        Ok(Ended::Interrupted) => view.interrupted(target.is_any_away()),
        Ok(Ended::ByItself) => view.finish(),
        Err(failure) => {
            view.abandon();
            Err(failure)
        }
    }
}
