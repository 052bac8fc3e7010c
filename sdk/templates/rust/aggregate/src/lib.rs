//! Counts lines by level.

use std::collections::BTreeMap;

use weir_sdk::prelude::*;

/// What to count.
#[derive(Params)]
struct Args {
    /// Words that say how bad it is, the worst first: a line counts for the first that it holds.
    #[param(default = ["ERROR", "WARN", "INFO", "DEBUG"], min = 1)]
    levels: Vec<String>,
}

struct Levels {
    levels: Vec<(String, bytes::Finder)>,
    lines: u64,
    found: BTreeMap<String, u64>,
}

/// Counts lines by level
#[filter(name = "{{name}}")]
impl Aggregate for Levels {
    type Params = Args;

    fn open(args: Args) -> Result<Levels, ParamError> {
        let finder = |level: String| (level.clone(), bytes::Finder::new(level.into_bytes()));
        Ok(Levels {
            levels: args.levels.into_iter().map(finder).collect(),
            lines: 0,
            found: BTreeMap::new(),
        })
    }

    fn line(&mut self, line: Line<'_>) {
        self.lines += 1;
        if let Some((level, _)) = self.levels.iter().find(|(_, word)| word.find(line.message()).is_some()) {
            *self.found.entry(level.clone()).or_default() += 1;
        }
    }

    /// One JSON object for each summary record.
    fn finish(&mut self) -> Vec<String> {
        vec![json::object(&[("lines", &self.lines), ("levels", &self.found)])]
    }
}
