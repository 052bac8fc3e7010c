//! `weir filter build`.

use weir_query::FilterRef;

use super::args::BuildArgs;
use super::language::How;
use super::project::{self, Project};
use super::{describe, subject};
use crate::failure::{Exit, Failure};
use crate::output::{Out, report};
use crate::units;

/// A component over this size takes noticeable time to compile on each node.
const LARGE: usize = 200_000;
/// Crates named when a component is large.
const NAMED: usize = 5;

/// Builds a component, and tells what it is.
pub(super) fn run(args: &BuildArgs) -> Result<Exit, Failure> {
    let project = Project::open(&args.dir)?;
    let built = project.build(How { quick: false, quiet: false })?;
    // As it can be typed from here.
    let path = args.out.clone().unwrap_or_else(|| args.dir.join(format!("{}.wasm", project.name)));
    project::write(&path, &built.component)?;
    // What can't run is told here and not only on a node.
    let label = path.display().to_string();
    let size = built.component.len();
    let info = subject::info(&FilterRef::Component {
        label: label.clone(),
        bytes: built.component,
        signature: None,
    })?;

    let mut out = Out::stdout().map_err(Failure::Output)?;
    out.buffer.extend_from_slice(format!("built {label}\n\n{}", describe::describe(&info)).as_bytes());
    out.flush().map_err(Failure::Output)?;
    if size > LARGE {
        report::say(&large(size, &built.origins));
    }
    Ok(Exit::Complete)
}

fn large(size: usize, origins: &[(String, usize)]) -> String {
    let largest: Vec<String> = origins
        .iter()
        .take(NAMED)
        .map(|(name, size)| format!("{name} {}", units::bytes(*size as u64)))
        .collect();
    let of = if largest.is_empty() {
        String::new()
    } else {
        format!("; most of its code is of {}", largest.join(", "))
    };
    format!(
        "warning: the component has {}, over {}: each node compiles it before the first use{of}",
        units::bytes(size as u64),
        units::bytes(LARGE as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_component_large_is_named() {
        let origins = [("regex_automata".to_owned(), 300 << 10), ("core".to_owned(), 20 << 10)];
        let text = large(400 << 10, &origins);
        assert!(
            text.contains("400.0 KiB") && text.contains("regex_automata 300.0 KiB, core 20.0 KiB"),
            "{text}"
        );
        assert!(!large(300_000, &[]).contains("most of its code"));
    }
}
