//! `--filter` and `--filter-params`: which parameters belong to which filter, in the order in which both were
//! typed. How the text of a filter is read is [`filter_text`](crate::filter_text)'s part.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};
use weir_query::{FilterRef, FilterSpec};

use crate::failure::Failure;
use crate::filter_text::{is_path, merge_json, parse_params, split_name};

/// Most bytes read of a component file. The sandbox has a limit of its own; this one keeps a wrong path
/// from filling the memory.
const COMPONENT_FILE_BYTES: u64 = 64 << 20;

/// The filters in the order in which they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterArgs {
    /// `--filter` and `--filter-params`, as they came.
    typed: Vec<Typed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Typed {
    Filter(String),
    Params(String),
}

impl FilterArgs {
    /// Whether no filter is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// Reads what was typed, and the components that it names.
    pub(crate) fn resolve(&self) -> Result<Vec<FilterSpec>, Failure> {
        let mut filters: Vec<(FilterRef, Map<String, Value>)> = Vec::new();
        for typed in &self.typed {
            match typed {
                Typed::Filter(text) => {
                    let (name, params) = split_name(text);
                    let filter =
                        if is_path(name) { read_component(name)? } else { FilterRef::Name(name.to_owned()) };
                    let params = parse_params(params)
                        .map_err(|reason| Failure::refused(format!("--filter '{text}': {reason}")))?;
                    filters.push((filter, params));
                }
                Typed::Params(text) => {
                    let Some((_, params)) = filters.last_mut() else {
                        return Err(Failure::refused(format!(
                            "--filter-params '{text}' comes before any --filter: put it after the one it is for"
                        )));
                    };
                    merge_json(params, text)
                        .map_err(|reason| Failure::refused(format!("--filter-params '{text}': {reason}")))?;
                }
            }
        }
        let spec = |(filter, params)| FilterSpec { filter, params: Value::Object(params).to_string() };
        Ok(filters.into_iter().map(spec).collect())
    }
}

impl clap::Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        command
            .next_help_heading("Filters")
            .arg(
                Arg::new("filter")
                    .long("filter")
                    .value_name("NAME[:KEY=VALUE,...]")
                    .action(ArgAction::Append)
                    .help("Pass records through a filter; `./mine.wasm` is a component of your own")
                    .long_help(
                        "Pass records through a filter, in the order given; `./mine.wasm` is a component of your \
                         own. A value goes on over commas unless `key=` follows. Values that are JSON are passed as \
                         such, `[a,b]` is a list, anything else is a string. `weir filters` lists what there is",
                    ),
            )
            .arg(
                Arg::new("filter_params")
                    .long("filter-params")
                    .value_name("JSON")
                    .action(ArgAction::Append)
                    .help("Parameters of the --filter before it, as a JSON object"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<FilterArgs, clap::Error> {
        let values = |id: &str, wrap: fn(String) -> Typed| -> Vec<(usize, Typed)> {
            let indices = matches.indices_of(id).into_iter().flatten();
            let texts = matches.get_many::<String>(id).into_iter().flatten().cloned();
            indices.zip(texts.map(wrap)).collect()
        };
        let mut typed = values("filter", Typed::Filter);
        typed.extend(values("filter_params", Typed::Params));
        typed.sort_by_key(|(index, _)| *index);
        Ok(FilterArgs { typed: typed.into_iter().map(|(_, typed)| typed).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = FilterArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

fn read_component(path: &str) -> Result<FilterRef, Failure> {
    let refused = |reason: String| Failure::refused(format!("--filter '{path}': {reason}"));
    let file = File::open(Path::new(path)).map_err(|error| refused(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(COMPONENT_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > COMPONENT_FILE_BYTES {
        return Err(refused(format!(
            "the file is over {} MiB; is it a component?",
            COMPONENT_FILE_BYTES >> 20
        )));
    }
    Ok(FilterRef::Component { label: path.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn params_belong_to_the_filter_before_them() {
        let command = FilterArgs::augment_args(Command::new("x"));
        let resolve = |args: &[&str]| {
            let matches = command.clone().try_get_matches_from([&["x"], args].concat()).expect("valid flags");
            FilterArgs::from_arg_matches(&matches).expect("valid flags").resolve()
        };
        let filters =
            resolve(&["--filter", "a:x=1", "--filter", "b", "--filter-params", "{\"y\":2}"]).expect("valid");
        let params: Vec<&str> = filters.iter().map(|filter| filter.params.as_str()).collect();
        assert_eq!(params, ["{\"x\":1}", "{\"y\":2}"]);
        let filters =
            resolve(&["--filter", "a:x=1", "--filter-params", "{\"y\":2}", "--filter", "b"]).expect("valid");
        let params: Vec<&str> = filters.iter().map(|filter| filter.params.as_str()).collect();
        assert_eq!(params, ["{\"x\":1,\"y\":2}", "{}"]);
        for wrong in [
            &["--filter-params", "{}"][..],
            &["--filter", "a", "--filter-params", "[]"],
            &["--filter", "a", "--filter-params", "{"],
            &["--filter", "a:x=1", "--filter-params", "{\"x\":2}"],
            &["--filter", "./does-not-exist.wasm"],
        ] {
            assert!(matches!(resolve(wrong), Err(Failure::Refused(_))), "{wrong:?}");
        }
    }
}
