//! `weir nodes`: the agents, by node.

use weir_discovery::{Place, State};
use weir_query::{SandboxLimits, SourceInfo};
use weir_relay::{Fleet, Listing, NoAnswer};

use crate::args::{ListFormat, NodesArgs};
use crate::choice::Choice;
use crate::cluster::Opened;
use crate::failure::{Exit, Failure};
use crate::json::Object;
use crate::output::Out;
use crate::output::report;
use crate::target::Target;
use crate::timestamp;
use crate::units;
use crate::visible;

/// One agent, or a node without one.
struct Row {
    /// The node, or the address.
    node: String,
    /// `namespace/pod`, and the version that its labels tell.
    agent: Option<(String, Option<String>)>,
    /// Why it doesn't answer.
    problem: Option<String>,
    sources: usize,
    oldest: Option<i64>,
}

/// Lists agents.
pub(crate) fn run(args: &NodesArgs) -> Result<Exit, Failure> {
    let rows =
        match Choice::for_nodes(&args.agent, &args.cluster.with_context(args.context.context.as_deref()))? {
            Choice::Cluster(choice) => {
                let Opened { runtime, places, fleet, .. } = choice.connect()?;
                let listing = runtime.block_on(listing(fleet));
                places.into_iter().map(|place| of_place(place, &listing)).collect()
            }
            addresses => of_addresses(addresses.open(1, SandboxLimits::default())?)?,
        };
    let mut out = Out::stdout().map_err(Failure::Output)?;
    match args.output {
        ListFormat::Text => out.buffer.extend_from_slice(table(&rows).as_bytes()),
        ListFormat::Jsonl => rows.iter().for_each(|row| push_json(&mut out.buffer, row)),
    }
    out.flush().map_err(Failure::Output)?;
    let silent = rows.iter().filter(|row| row.problem.is_some()).count();
    if silent == 0 {
        return Ok(Exit::Complete);
    }
    report::say(&format!("{silent} of {} can't be asked", units::count(rows.len() as u64, "node")));
    Ok(Exit::Incomplete)
}

type Answers = Listing<Vec<SourceInfo>>;

/// What the agents have; of those that don't answer, why.
async fn listing(fleet: Result<Fleet, NoAnswer>) -> Answers {
    let answer = match fleet {
        Ok(mut fleet) => fleet.sources(&[]).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|NoAnswer(errors)| Listing {
        found: Vec::new(),
        problems: errors.into_iter().map(|(name, error)| (name, error.to_string())).collect(),
    })
}

fn of_place(place: Place, Listing { found, problems }: &Answers) -> Row {
    let state = place.agent.as_ref().map(|agent| agent.state.clone());
    let answer = found.iter().find(|(name, _)| *name == place.node).map(|(_, sources)| sources);
    // Where all say the same, it is told of one.
    let told = problems.iter().find(|(name, _)| *name == place.node).or(problems.first());
    let problem = match (answer, state) {
        (Some(_), _) => None,
        (None, None) => Some("no agent".to_owned()),
        (None, Some(State::NotReady(why))) => Some(why),
        (None, Some(State::Ready)) => {
            Some(told.map_or_else(|| "no answer".to_owned(), |(_, why)| why.clone()))
        }
    };
    let agent = place.agent.map(|agent| (format!("{}/{}", agent.namespace, agent.pod), agent.version));
    Row { node: place.node, agent, problem, sources: answer.map_or(0, Vec::len), oldest: oldest(answer) }
}

fn of_addresses(mut target: Target) -> Result<Vec<Row>, Failure> {
    let Listing { found, problems } = target.sources(&[])?;
    let answered = found.into_iter().map(|(node, sources)| Row {
        node,
        agent: None,
        problem: None,
        sources: sources.len(),
        oldest: oldest(Some(&sources)),
    });
    let silent = problems.into_iter().map(|(node, problem)| Row {
        node,
        agent: None,
        problem: Some(problem),
        sources: 0,
        oldest: None,
    });
    Ok(answered.chain(silent).collect())
}

fn oldest(sources: Option<&Vec<SourceInfo>>) -> Option<i64> {
    sources.into_iter().flatten().filter_map(|info| info.oldest).min()
}

fn table(rows: &[Row]) -> String {
    let cell = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), visible::message);
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let version = row.agent.as_ref().and_then(|(_, version)| version.as_deref());
            vec![
                visible::message(&row.node),
                cell(row.agent.as_ref().map(|(agent, _)| agent.as_str())),
                cell(version),
                row.sources.to_string(),
                row.oldest.map_or_else(|| "-".to_owned(), |nanos| timestamp::text(nanos, 3)),
                cell(Some(row.problem.as_deref().unwrap_or("ready"))),
            ]
        })
        .collect();
    units::table(&["NODE", "AGENT", "VERSION", "SOURCES", "OLDEST", "STATE"], &rows, &["SOURCES"])
}

fn push_json(out: &mut Vec<u8>, row: &Row) {
    let mut object = Object::new(out).string("node", &row.node);
    if let Some((agent, version)) = &row.agent {
        object = object.string("agent", agent);
        if let Some(version) = version {
            object = object.string("version", version);
        }
    }
    object = object.value("ready", row.problem.is_none()).value("sources", row.sources);
    object = object.time("oldest", row.oldest);
    match &row.problem {
        Some(problem) => object.string("problem", problem),
        None => object,
    }
    .end();
}
