//! How soon a query with a filter gives its first records.

use std::time::{Duration, Instant};

use weir_query::{Event, FilterRef, FilterSpec, Flow, QuerySpec};

use crate::agent::{Agent, Connection, matching};
use crate::cost::milliseconds;
use crate::tree::log_of_pod;
use crate::{Setup, logs, table};

/// Wall time in ms with a filter that is compiled already, and with one that isn't.
const GOALS: [f64; 2] = [5.0, 300.0];

/// Queries on an agent that runs, and agents that are started.
const QUERIES: usize = 51;
const STARTS: usize = 11;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "The first records of a query with a filter",
        "Wall time in ms from the call, on an open connection with TLS, to the first records; the median.",
        &["what", "queries", "goal", "ms"],
    );
    let scratch = setup.scratch.join("first");
    let logs = scratch.join("logs");
    let path = log_of_pod(&logs, 0).expect("a folder");
    logs::write_cri(&path, 1 << 20, 0, |_| Ok(())).expect("room for the logs");
    let start = |dir: &str| Agent::start(&setup.agent, &logs, &scratch.join(dir));

    let agent = start("cached");
    let mut connection = Connection::new(&agent.endpoint());
    row("without a filter", QUERIES, GOALS[0], |_| first(&mut connection, &matching("level=")));
    first(&mut connection, &with("redact"));
    row("`redact`, compiled before", QUERIES, GOALS[0], |_| first(&mut connection, &with("redact")));
    drop((connection, agent));
    let first_of = |agent: Agent, filter| first(&mut Connection::new(&agent.endpoint()), &with(filter));
    row("`redact`, compiled by an earlier agent, the first query of this one", STARTS, GOALS[0], |_| {
        first_of(start("cached"), "redact")
    });
    for name in ["project", "redact"] {
        let size = weir_filters::get(name).expect("it ships").size / 1000;
        row(&format!("`{name}`, {size} KB, never compiled before"), STARTS, GOALS[1], |number| {
            first_of(start(&format!("{name}-{number}")), name)
        });
    }
}

/// Measures the same thing `times` times and prints the median.
fn row(what: &str, times: usize, goal: f64, measure: impl FnMut(usize) -> Duration) {
    let mut all: Vec<Duration> = (0..times).map(measure).collect();
    all.sort();
    let median = milliseconds(all[times / 2]);
    table::row(&[what, &times.to_string(), &format!("{goal:.0}"), &table::below(median, goal)]);
}

/// A query for everything through a filter that ships.
fn with(name: &str) -> QuerySpec {
    let params = if name == "project" { r#"{"keep": ["level", "msg"]}"# } else { "{}" };
    let filter =
        FilterSpec { params: params.to_owned(), ..FilterSpec::new(FilterRef::Name(name.to_owned())) };
    QuerySpec { filters: vec![filter], ..matching("level=") }
}

/// How long the first records of a query take.
fn first(connection: &mut Connection, spec: &QuerySpec) -> Duration {
    let (started, mut took) = (Instant::now(), None);
    connection.query(spec, &mut |event| {
        if !matches!(event, Event::Records { .. }) {
            return Flow::Continue;
        }
        took = Some(started.elapsed());
        Flow::Stop
    });
    took.expect("there are records")
}
