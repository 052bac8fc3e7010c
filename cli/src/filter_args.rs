//! `--filter` and what goes with it: which parameters, limits and shadow belong to which filter, in the order in which both were
//! typed. How the text of a filter is read is [`filter_text`](crate::filter_text)'s part.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};
use weir_query::{FilterRef, FilterSpec, OnFailure, ShadowSpec};

use crate::failure::Failure;
use crate::filter::read_component;
use crate::filter_text::{is_path, merge_json, misnamed, parse_params, split_name};

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
    OnFailure(OnFailure),
    Limit(String),
    Shadow(String),
}

impl Typed {
    /// The flag, and what was given with it.
    fn text(&self) -> String {
        match self {
            Typed::Filter(text) => format!("--filter '{text}'"),
            Typed::Params(text) => format!("--filter-params '{text}'"),
            Typed::OnFailure(_) => "--on-failure".to_owned(),
            Typed::Limit(text) => format!("--filter-limit '{text}'"),
            Typed::Shadow(text) => format!("--shadow '{text}'"),
        }
    }
}

impl FilterArgs {
    /// Whether no filter is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// Reads what was typed, and the components that it names.
    pub(crate) fn resolve(&self) -> Result<Vec<FilterSpec>, Failure> {
        let mut filters: Vec<(FilterSpec, Map<String, Value>)> = Vec::new();
        for typed in &self.typed {
            let refused = |reason: String| Failure::refused(format!("{}: {reason}", typed.text()));
            if let Typed::Filter(text) = typed {
                let (filter, params) = named(text)?;
                filters.push((FilterSpec::new(filter), parse_params(params).map_err(refused)?));
                continue;
            }
            let Some((spec, params)) = filters.last_mut() else {
                let reason = "it comes before any --filter: put it after the one it is for";
                return Err(refused(reason.to_owned()));
            };
            match typed {
                Typed::Filter(_) => {}
                Typed::Params(text) => merge_json(params, text).map_err(refused)?,
                Typed::OnFailure(what) => spec.on_failure = *what,
                Typed::Shadow(_) if spec.shadow.is_some() => {
                    let reason =
                        "the --filter before it has a shadow already; repeat that filter in another run";
                    return Err(refused(reason.to_owned()));
                }
                Typed::Shadow(text) => {
                    let (filter, own) = named(text)?;
                    let params = match parse_params(own).map_err(refused)? {
                        own if own.is_empty() => String::new(),
                        own => Value::Object(own).to_string(),
                    };
                    spec.shadow = Some(ShadowSpec { filter, params });
                }
                Typed::Limit(text) => {
                    let (name, value) = parse_limit(text).map_err(refused)?;
                    if spec.limits.insert(name.to_owned(), value).is_some() {
                        return Err(refused(format!("limit '{name}' is given twice")));
                    }
                }
            }
        }
        let spec = |(spec, params): (FilterSpec, Map<String, Value>)| {
            let params = Value::Object(params).to_string();
            // Without parameters of its own, a shadow has those of the filter that it runs beside.
            let shadow = spec.shadow.map(|shadow| match shadow.params.is_empty() {
                true => ShadowSpec { params: params.clone(), ..shadow },
                false => shadow,
            });
            FilterSpec { params, shadow, ..spec }
        };
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
                    .add(crate::completion::filters())
                    .action(ArgAction::Append)
                    .help("Pass records through a filter; `./mine.wasm` is a component of your own")
                    .long_help(
                        "Pass records through a filter, in the order given; `./mine.wasm` is a component of your \
                         own. A value goes on over commas unless `key=` follows. Values that are JSON are passed as \
                         such, `[a,b]` is a list, anything else, and what stands in single quotes, is a string. `weir filters` lists what there is",
                    ),
            )
            .arg(
                Arg::new("filter_params")
                    .long("filter-params")
                    .value_name("JSON")
                    .action(ArgAction::Append)
                    .help("Parameters of the --filter before it, as a JSON object"),
            )
            .arg(
                Arg::new("on_failure")
                    .long("on-failure")
                    .value_name("WHAT")
                    .action(ArgAction::Append)
                    .value_parser(["pass", "drop", "end"])
                    .help("What becomes of a record that the --filter before it fails on")
                    .long_help(
                        "What becomes of a record that the --filter before it fails on: `pass` it on as it was, marked \
                         (the default, but not for a redaction, which withholds it), `drop` it, or `end` the query \
                         there. The answer is incomplete in any case",
                    ),
            )
            .arg(
                Arg::new("shadow")
                    .long("shadow")
                    .value_name("NAME[:KEY=VALUE,...]")
                    .add(crate::completion::filters())
                    .action(ArgAction::Append)
                    .help("Run another filter beside the --filter before it, and tell where they differ")
                    .long_help(
                        "Run another filter, such as a new version, beside the --filter before it, on the same records. \
                         It is named as for --filter, must be of the same kind, and has the parameters of that filter \
                         unless it is given its own. It changes nothing of the answer; how many records would have come \
                         out otherwise, and the first of them, is told at the end",
                    ),
            )
            .arg(
                Arg::new("filter_limit")
                    .long("filter-limit")
                    .value_name("NAME=VALUE")
                    .action(ArgAction::Append)
                    .help("A limit of the --filter before it, such as batch_ms=500 or memory_bytes=134217728")
                    .long_help(
                        "A limit of the --filter before it, such as `batch_ms=500` or `memory_bytes=134217728`. A wrong \
                         name is answered with those there are; docs/limits.md says what each bounds",
                    ),
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
        typed.extend(values("filter_limit", Typed::Limit));
        typed.extend(values("shadow", Typed::Shadow));
        typed.extend(values("on_failure", |text| {
            Typed::OnFailure(match text.as_str() {
                "pass" => OnFailure::Pass,
                "drop" => OnFailure::Drop,
                _ => OnFailure::End,
            })
        }));
        typed.sort_by_key(|(index, _)| *index);
        Ok(FilterArgs { typed: typed.into_iter().map(|(_, typed)| typed).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = FilterArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The filter that a text names, and the text of its parameters.
fn named(text: &str) -> Result<(FilterRef, &str), Failure> {
    let (name, params) = split_name(text);
    if let Some(problem) = misnamed(name, params) {
        return Err(Failure::refused(format!("filter '{text}': {problem}")));
    }
    let filter = if is_path(name) { read_component(name)? } else { FilterRef::Name(name.to_owned()) };
    Ok((filter, params))
}

fn parse_limit(text: &str) -> Result<(&str, u64), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, such as batch_ms=500")?;
    let value = value.parse().map_err(|_| format!("'{value}' is not a whole number"))?;
    Ok((name, value))
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
        let filters = resolve(&[
            "--filter",
            "a",
            "--on-failure",
            "drop",
            "--filter-limit",
            "batch_ms=5",
            "--filter",
            "b",
        ])
        .expect("valid");
        assert_eq!((filters[0].on_failure, filters[1].on_failure), (OnFailure::Drop, OnFailure::Kind));
        assert_eq!((filters[0].limits.get("batch_ms"), filters[1].limits.len()), (Some(&5), 0));
        let filters = resolve(&[
            "--filter",
            "a:x=1",
            "--shadow",
            "b",
            "--filter-params",
            "{\"z\":3}",
            "--filter",
            "c",
            "--shadow",
            "d:y=2",
        ])
        .expect("valid");
        let shadows: Vec<_> = filters.iter().filter_map(|filter| filter.shadow.as_ref()).collect();
        assert_eq!((shadows[0].filter.name(), shadows[0].params.as_str()), ("b", "{\"x\":1,\"z\":3}"));
        assert_eq!((shadows[1].filter.name(), shadows[1].params.as_str()), ("d", "{\"y\":2}"));
        for wrong in [
            &["--filter-params", "{}"][..],
            &["--shadow", "b", "--filter", "a"],
            &["--filter", "a", "--shadow", "b", "--shadow", "c"],
            &["--filter", "a", "--shadow", "./does-not-exist.wasm"],
            &["--on-failure", "drop", "--filter", "a"],
            &["--filter", "a", "--filter-limit", "batch_ms"],
            &["--filter", "a", "--filter-limit", "batch_ms=1s"],
            &["--filter", "a", "--filter-limit", "batch_ms=1", "--filter-limit", "batch_ms=2"],
            &["--filter", "a", "--filter-params", "[]"],
            &["--filter", "a", "--filter-params", "{"],
            &["--filter", "a:x=1", "--filter-params", "{\"x\":2}"],
            &["--filter", "./does-not-exist.wasm"],
        ] {
            assert!(matches!(resolve(wrong), Err(Failure::Refused(_))), "{wrong:?}");
        }
    }
}
