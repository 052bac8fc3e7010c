//! `weir filters`: what records can be passed through.

use weir_query::FilterInfo;

use crate::args::{FiltersArgs, ListFormat};
use crate::failure::{Exit, Failure};
use crate::filter::{describe, push_json, read_component};
use crate::filter_text::is_path;
use crate::output::Out;
use crate::output::jsonl::kind_name;
use crate::target::Choice;
use crate::units;
use crate::visible;

/// Lists filters, or describes one.
pub(crate) fn run(args: &FiltersArgs) -> Result<Exit, Failure> {
    let mut target = Choice::for_filters(&args.agent)?.open(1)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let filters = match &args.name {
        Some(path) if is_path(path) => vec![target.component(&read_component(path)?)?],
        Some(name) => vec![target.filter(name)?],
        None => target.filters()?,
    };
    match (args.output, &args.name) {
        (ListFormat::Jsonl, _) => filters.iter().for_each(|info| push_json(&mut out.buffer, info)),
        (ListFormat::Text, None) => out.buffer.extend_from_slice(list(&filters).as_bytes()),
        (ListFormat::Text, Some(_)) => {
            filters.iter().for_each(|info| out.buffer.extend_from_slice(describe(info).as_bytes()));
        }
    }
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

fn list(filters: &[FilterInfo]) -> String {
    let rows: Vec<Vec<String>> = filters
        .iter()
        .map(|info| {
            vec![
                visible::message(&info.name),
                visible::message(&info.version),
                kind_name(info.kind).to_owned(),
                units::bytes(info.size),
                visible::message(&info.summary),
            ]
        })
        .collect();
    units::table(&["NAME", "VERSION", "KIND", "SIZE", "SUMMARY"], &rows, &["SIZE"])
}
