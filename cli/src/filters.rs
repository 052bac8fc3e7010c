//! `weir filters`: what records can be passed through.

use weir_query::{FilterInfo, FilterList, FolderFile, SandboxLimits};
use weir_relay::Listing;

use crate::args::{FiltersArgs, ListFormat};
use crate::choice::Choice;
use crate::failure::{Exit, Failure};
use crate::filter::{describe, info, push_json, read_component};
use crate::filter_text::is_path;
use crate::json::Object;
use crate::output::Out;
use crate::output::jsonl::kind_name;
use crate::output::report;
use crate::target::here;
use crate::units;
use crate::visible;

/// Lists filters, or describes one.
pub(crate) fn run(args: &FiltersArgs) -> Result<Exit, Failure> {
    let mut target =
        Choice::for_filters(&args.agent, &args.cluster.with_context(args.context.context.as_deref()))?
            .open(1, SandboxLimits::default())?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let one = |info: FilterInfo| FilterList { filters: vec![info], files: Vec::new() };
    let Listing { found, problems } = match &args.name {
        Some(path) if is_path(path) => here(one(info(&read_component(path)?)?)),
        Some(name) => {
            let Listing { found, problems } = target.filter(name)?;
            Listing { found: found.into_iter().map(|(agent, info)| (agent, one(info))).collect(), problems }
        }
        None => target.filters()?,
    };
    // A component of one's own is on no agent.
    let several = target.is_several() && !args.name.as_deref().is_some_and(is_path);
    let files: Vec<(String, FolderFile)> = found
        .iter()
        .flat_map(|(agent, list)| list.files.iter().map(|file| (agent.clone(), file.clone())))
        .collect();
    let filters = join(found);
    match (args.output, &args.name) {
        (ListFormat::Jsonl, _) => {
            for (info, agents) in &filters {
                push_json(&mut out.buffer, info, several.then_some(agents.as_slice()));
            }
            for (agent, file) in &files {
                push_file(&mut out.buffer, file, several.then_some(agent));
            }
        }
        (ListFormat::Text, None) => {
            out.buffer.extend_from_slice(list(&filters, several).as_bytes());
            if !files.is_empty() {
                out.buffer.push(b'\n');
                out.buffer.extend_from_slice(list_files(&files, several).as_bytes());
            }
        }
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
fn join(found: Vec<(String, FilterList)>) -> Vec<(FilterInfo, Vec<String>)> {
    let mut joined: Vec<(FilterInfo, Vec<String>)> = Vec::new();
    for (agent, list) in found {
        for info in list.filters {
            let is_same = |(known, _): &&mut (FilterInfo, Vec<String>)| {
                (&known.name, &known.digest, &known.file) == (&info.name, &info.digest, &info.file)
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
                if info.file.is_empty() { "weir".to_owned() } else { visible::message(&info.file) },
                visible::message(&info.summary),
            ];
            row.extend(several.then(|| agents.join(", ")));
            row
        })
        .collect();
    let heading = ["NAME", "VERSION", "KIND", "SIZE", "FROM", "SUMMARY", "AGENTS"];
    let heading = if several { &heading[..] } else { &heading[..heading.len() - 1] };
    units::table(heading, &rows, &["SIZE"])
}

/// What became of a file of an agent's folder of filters, in one word.
fn state(file: &FolderFile) -> &'static str {
    match (&file.problem, &file.filter) {
        (None, _) => "loaded",
        (Some(_), None) => "refused",
        (Some(_), Some(_)) => "kept",
    }
}

/// The files of agents' folders of filters. `kept` is the version from before.
fn list_files(files: &[(String, FolderFile)], several: bool) -> String {
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|(agent, file)| {
            let told = |text: Option<&String>| text.map_or("-".to_owned(), |text| visible::message(text));
            let mut row = vec![
                visible::message(&file.file),
                state(file).to_owned(),
                told(file.filter.as_ref()),
                units::bytes(file.size),
                told(Some(&file.digest).filter(|digest| !digest.is_empty())),
                told(file.problem.as_ref()),
            ];
            row.extend(several.then(|| visible::message(agent)));
            row
        })
        .collect();
    let heading = ["FILE", "STATE", "FILTER", "SIZE", "DIGEST", "WHY", "AGENT"];
    let heading = if several { &heading[..] } else { &heading[..heading.len() - 1] };
    units::table(heading, &rows, &["SIZE"])
}

fn push_file(out: &mut Vec<u8>, file: &FolderFile, agent: Option<&String>) {
    let object = Object::new(out)
        .string("type", "file")
        .string("file", &file.file)
        .string("state", state(file))
        .string("digest", &file.digest)
        .value("size", file.size);
    let object = match agent {
        Some(agent) => object.string("agent", agent),
        None => object,
    };
    let object = match &file.filter {
        Some(filter) => object.string("filter", filter),
        None => object,
    };
    match &file.problem {
        Some(problem) => object.string("problem", problem),
        None => object,
    }
    .end();
}
