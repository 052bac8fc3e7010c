//! `weir filter run`.

use weir_query::{Cancel, Inputs, QuerySpec, ResumeToken};

use super::args::RunArgs;
use super::diff;
use super::subject::Subject;
use crate::failure::{Exit, Failure};
use crate::output::{Column, Look, View};
use crate::request::use_color;

/// Passes files through a filter.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let subject = Subject::choose(&args.filter, &args.params.given)?;
    let engine = subject.engine(Inputs::Files(args.files.clone()))?;
    let spec = QuerySpec { filters: vec![subject.spec(&engine)?], ..QuerySpec::default() };
    let color = use_color(args.color);
    if args.diff {
        if args.files.len() > 1 || args.files[0].as_os_str() == "-" {
            return Err(Failure::refused(
                "--diff reads its log twice, so give one file, which is not standard input",
            ));
        }
        return diff::run(&engine, &spec, color, args.stats);
    }
    let columns = match args.files.len() {
        1 => vec![Column::Time, Column::Fields, Column::Message],
        _ => vec![Column::Time, Column::Source, Column::Fields, Column::Message],
    };
    let mut view =
        View::new(Look::of_records(args.output, columns, color, args.stats), ResumeToken::default())?;
    engine.plan(&spec)?.run(&Cancel::default(), &mut |event| view.event(event));
    view.finish()
}
