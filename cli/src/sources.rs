//! `weir sources`: what can be searched.

use weir_query::{SandboxLimits, SourceInfo};
use weir_relay::Listing;

use crate::args::{ListFormat, SourcesArgs};
use crate::choice::{Choice, Typed};
use crate::failure::{Exit, Failure};
use crate::json::{self, Object};
use crate::output::Out;
use crate::output::label::{source_members, source_name};
use crate::output::report;
use crate::timestamp;
use crate::units;
use crate::visible;

/// Lists sources.
pub(crate) fn run(args: &SourcesArgs) -> Result<Exit, Failure> {
    let typed = Typed {
        target: &args.target,
        cluster: &args.target.cluster.with_context(args.context.context.as_deref()),
        sources: &args.sources,
        all_namespaces: args.all,
        follow: false,
    };
    let mut target = Choice::new(&typed)?.open(1, SandboxLimits::default())?;
    let Listing { found, problems } = target.sources(&args.sources)?;
    let mut sources: Vec<(&str, &SourceInfo)> = Vec::new();
    for (agent, of_agent) in &found {
        sources.extend(of_agent.iter().map(|info| (agent.as_str(), info)));
    }
    let several = target.is_several();
    if several {
        sources.sort_by(|(_, a), (_, b)| a.source.cmp(&b.source));
    }
    let mut out = Out::stdout().map_err(Failure::Output)?;
    match args.output {
        ListFormat::Jsonl => sources
            .iter()
            .for_each(|(agent, info)| push_json(&mut out.buffer, info, several.then_some(*agent))),
        ListFormat::Text if sources.is_empty() => report::say("there are no logs here"),
        ListFormat::Text => out.buffer.extend_from_slice(table(&sources, several).as_bytes()),
    }
    out.flush().map_err(Failure::Output)?;
    let mut exit = report::missing_agents(&problems);
    for (_, info) in &sources {
        if let Some(problem) = &info.problem {
            report::say(&format!("{} can't be read whole: {problem}", source_name(&info.source)));
            exit = Exit::Incomplete;
        }
    }
    Ok(exit)
}

fn table(sources: &[(&str, &SourceInfo)], several: bool) -> String {
    let time = |nanos: Option<i64>| nanos.map_or_else(|| "-".to_owned(), |nanos| timestamp::text(nanos, 3));
    let rows: Vec<Vec<String>> = sources
        .iter()
        .map(|(agent, info)| {
            let mut row = vec![
                visible::message(&source_name(&info.source)),
                info.source.restart.to_string(),
                info.files.len().to_string(),
                units::bytes(info.bytes),
                time(info.oldest),
                time(info.newest),
            ];
            row.extend(several.then(|| (*agent).to_owned()));
            row
        })
        .collect();
    let heading = ["SOURCE", "RESTART", "FILES", "SIZE", "OLDEST", "NEWEST", "AGENT"];
    let heading = if several { &heading[..] } else { &heading[..heading.len() - 1] };
    units::table(heading, &rows, &["RESTART", "FILES", "SIZE"])
}

fn push_json(out: &mut Vec<u8>, info: &SourceInfo, agent: Option<&str>) {
    let mut files = vec![b'['];
    for (index, file) in info.files.iter().enumerate() {
        if index > 0 {
            files.push(b',');
        }
        files.extend_from_slice(b"{\"name\":");
        json::push_string(&mut files, &file.name);
        files.extend_from_slice(format!(",\"size\":{}}}", file.size).as_bytes());
    }
    files.push(b']');
    let object = Object::new(out)
        .members(&source_members(&info.source))
        .string("uid", &info.source.uid)
        .value("bytes", info.bytes)
        .json("files", &files)
        .time("oldest", info.oldest)
        .time("newest", info.newest);
    let object = match agent {
        Some(agent) => object.string("agent", agent),
        None => object,
    };
    match &info.problem {
        Some(problem) => object.string("problem", problem).end(),
        None => object.end(),
    }
}
