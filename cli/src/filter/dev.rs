//! `weir filter dev`.

use std::time::Instant;

use similar::{ChangeTag, TextDiff};
use weir_query::{Cancel, Event, FilterRef, Flow, Inputs, QuerySpec};

use super::args::DevArgs;
use super::fit::Excess;
use super::language::How;
use super::project::Project;
use super::subject::{Subject, params};
use super::test::TestPlan;
use super::watch::Watch;
use crate::failure::{Exit, Failure};
use crate::output::{Out, aggregate, report};
use crate::units;
use crate::visible;

/// Made-up lines in each round: fewer than `weir filter test` tries, since somebody waits.
const LINES: usize = 100;

/// Builds, tests and runs, again and again.
pub(super) fn run(args: &DevArgs) -> Result<Exit, Failure> {
    let project = Project::open(&args.dir)?;
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", project.dir.display()));
    let mut watch = Watch::new(&project).map_err(failed)?;
    let mut before = None;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    loop {
        let started = Instant::now();
        match round(args, &project, before.as_deref(), &mut out.buffer) {
            Ok(output) => before = Some(output),
            // The next change may be what mends it.
            Err(failure) => drop(failure.report()),
        }
        let took = units::duration(started.elapsed());
        out.buffer.extend_from_slice(format!("{took}; waiting for a change, Ctrl-C ends\n\n").as_bytes());
        out.flush().map_err(Failure::Output)?;
        watch.wait(&project).map_err(failed)?;
    }
}

/// One build with its tests and its output, of which what has changed is shown.
fn round(
    args: &DevArgs,
    project: &Project,
    before: Option<&[String]>,
    out: &mut Vec<u8>,
) -> Result<Vec<String>, Failure> {
    let built = project.build(How { quick: true, quiet: true })?;
    let sample = args.sample.clone().unwrap_or_else(|| project.sample());
    let has_sample = sample.is_file();
    let filter =
        FilterRef::Component { label: project.name.clone(), bytes: built.component, signature: None };
    let excess = Excess::of(&filter);
    let subject = Subject { filter, params: params("", &args.params.given)?, project: None, excess };
    let inputs = if has_sample { vec![sample.clone()] } else { Vec::new() };
    let engine = subject.engine(Inputs::Files(inputs))?;
    let plan = TestPlan {
        cases: Some(project.cases()),
        sample: Some(project.sample()),
        update: false,
        lines: LINES,
        seed: u64::from(fastrand::u32(..)),
    };
    plan.run(&engine, &subject, out)?;
    if !has_sample {
        out.extend_from_slice(format!("no {} to run it on\n", sample.display()).as_bytes());
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    let spec = QuerySpec { filters: vec![subject.spec(&engine)?], ..QuerySpec::default() };
    engine.plan(&spec)?.run(&Cancel::default(), &mut |event| {
        note(&mut lines, event);
        Flow::Continue
    });
    show(out, before, &lines);
    Ok(lines)
}

/// Keeps what an event puts out.
fn note(lines: &mut Vec<String>, event: Event) {
    match event {
        Event::Records { batch, .. } => {
            for record in &batch.records {
                let message = String::from_utf8_lossy(batch.message(record));
                let fields = String::from_utf8_lossy(batch.fields(record));
                let parts = [fields, message].map(|part| visible::message(&part));
                lines.push(
                    parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" "),
                );
            }
        }
        Event::Filter(status) => {
            lines.extend(status.summaries.iter().flat_map(|summary| aggregate::text(summary)));
            report::diagnostics(&status);
            status
                .failures
                .iter()
                .for_each(|failure| report::say(&format!("filter {}: {failure}", status.name)));
        }
        _ => {}
    }
}

/// The output, or what of it is another than before.
fn show(out: &mut Vec<u8>, before: Option<&[String]>, lines: &[String]) {
    let mut push = |mark: &str, line: &str| out.extend_from_slice(format!("{mark} {line}\n").as_bytes());
    let Some(before) = before else {
        return lines.iter().for_each(|line| push(" ", line));
    };
    if before == lines {
        return push("output:", &format!("unchanged, {}", units::count(lines.len() as u64, "line")));
    }
    push("output:", "changed");
    let [old, new] = [before, lines].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
    for change in TextDiff::from_slices(&old, &new).iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal => {}
            ChangeTag::Delete => push("-", change.value()),
            ChangeTag::Insert => push("+", change.value()),
        }
    }
}
