//! `weir filters`: what records can be passed through.

use weir_query::FilterInfo;
use weir_relay::Listing;

use crate::args::{FiltersArgs, ListFormat};
use crate::failure::{Exit, Failure};
use crate::filter::{describe, push_json, read_component};
use crate::filter_text::is_path;
use crate::output::Out;
use crate::output::jsonl::kind_name;
use crate::output::report;
use crate::target::{Choice, here};
use crate::units;
use crate::visible;

/// Lists filters, or describes one.
pub(crate) fn run(args: &FiltersArgs) -> Result<Exit, Failure> {
    let mut target = Choice::for_filters(&args.agent)?.open(1)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let Listing { found, problems } = match &args.name {
        Some(path) if is_path(path) => here(vec![target.component(&read_component(path)?)?]),
        Some(name) => {
            let Listing { found, problems } = target.filter(name)?;
            Listing { found: found.into_iter().map(|(agent, info)| (agent, vec![info])).collect(), problems }
        }
        None => target.filters()?,
    };
    // A component of one's own is on no agent.
    let several = target.is_several() && !args.name.as_deref().is_some_and(is_path);
    let filters = join(found);
    match (args.output, &args.name) {
        (ListFormat::Jsonl, _) => {
            for (info, agents) in &filters {
                push_json(&mut out.buffer, info, several.then_some(agents.as_slice()));
            }
        }
        (ListFormat::Text, None) => out.buffer.extend_from_slice(list(&filters, several).as_bytes()),
        (ListFormat::Text, Some(_)) => {
            for (info, agents) in &filters {
                out.buffer.extend_from_slice(describe(info).as_bytes());
                if several {
                    let agents = visible::message(&agents.join(", "));
                    out.buffer.extend_from_slice(format!("\nagents   {agents}\n").as_bytes());
                }
            }
        }
    }
    out.flush().map_err(Failure::Output)?;
    Ok(report::missing_agents(&problems))
}

/// Each version of each filter once, sorted by name, with the agents that have it.
fn join(found: Vec<(String, Vec<FilterInfo>)>) -> Vec<(FilterInfo, Vec<String>)> {
    let mut joined: Vec<(FilterInfo, Vec<String>)> = Vec::new();
    for (agent, filters) in found {
        for info in filters {
            let is_same = |(known, _): &&mut (FilterInfo, Vec<String>)| {
                (&known.name, &known.digest) == (&info.name, &info.digest)
            };
            match joined.iter_mut().find(is_same) {
                Some((_, agents)) => agents.push(agent.clone()),
                None => joined.push((info, vec![agent.clone()])),
            }
        }
    }
    joined.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    joined
}

fn list(filters: &[(FilterInfo, Vec<String>)], several: bool) -> String {
    let rows: Vec<Vec<String>> = filters
        .iter()
        .map(|(info, agents)| {
            let mut row = vec![
                visible::message(&info.name),
                visible::message(&info.version),
                kind_name(info.kind).to_owned(),
                units::bytes(info.size),
                visible::message(&info.summary),
            ];
            row.extend(several.then(|| agents.join(", ")));
            row
        })
        .collect();
    let heading = ["NAME", "VERSION", "KIND", "SIZE", "SUMMARY", "AGENTS"];
    let heading = if several { &heading[..] } else { &heading[..heading.len() - 1] };
    units::table(heading, &rows, &["SIZE"])
}
