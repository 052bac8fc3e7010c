//! What a shell completes behind `--filter` and other names of filters: the filters, then their parameters. Shells ask
//! this program itself, by the environment variable `COMPLETE`.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use clap_complete::Shell;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::Shells;
use serde_json::Value;
use weir_query::{FilterRef, Inputs, type_name};

use crate::failure::Failure;
use crate::filter::{Excess, Project, is_folder, read_component};
use crate::filter_text::{is_path, split_name};
use crate::target::local_engine;

/// The variable by which shells ask.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// What bash needs besides: it takes a word apart at `:` and `=`, which belong to filters here.
const BASH: &str = r#"
_weir_joined() {
    local line=$COMP_LINE rest word i at=-1 current=0 joined=()
    for i in "${!COMP_WORDS[@]}"; do
        word=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:space:]]*}"}
        if [[ $at -lt 0 || $rest != "$line" ]]; then
            at=$((at + 1))
            joined[at]=$word
        else
            joined[at]+=$word
        fi
        line=${rest#"$word"}
        if [[ $i == "$COMP_CWORD" ]]; then current=$at; fi
    done
    local COMP_WORDS=("${joined[@]}") COMP_CWORD=$current typed=${joined[current]}
    _clap_complete_weir "$1" "$typed" "$3"
    local kept=${typed%"${typed##*[:=]}"}
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
complete -o nospace -o bashdefault -F _weir_joined weir
"#;

/// How zsh adds what it has completed, and how it does so without a space behind it: parameters may follow.
const ZSH: [&str; 2] = ["_describe -V 'values' other\n", "_describe -V 'values' other -S ''\n"];

/// Completes the names of filters, files that may be components, and parameters.
pub(crate) fn filters() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(current))
}

/// Writes what a shell must run to ask this program.
pub(crate) fn register(shell: Shell, out: &mut dyn Write) -> Result<(), Failure> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let completer = shells
        .completer(&name)
        .ok_or_else(|| Failure::refused(format!("there is no completion for {name}")))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "weir", "weir", "weir", &mut script).map_err(Failure::Output)?;
    let mut script = String::from_utf8(script).expect("a script is text");
    match shell {
        Shell::Bash => script.push_str(BASH),
        Shell::Zsh => script = script.replace(ZSH[0], ZSH[1]),
        _ => {}
    }
    out.write_all(script.as_bytes()).map_err(Failure::Output)
}

fn candidates(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_string_lossy();
    let (name, params) = split_name(&text);
    if text.len() > name.len() {
        return parameters(name, params, &text);
    }
    let mut found: Vec<CompletionCandidate> = weir_filters::all()
        .iter()
        .filter(|filter| filter.name.starts_with(&*text))
        .map(|filter| CompletionCandidate::new(filter.name))
        .collect();
    found.extend(PathCompleter::any().complete(current));
    found
}

/// Completes the last of `key=value,...`: its key, or its value where the schema names those there are.
fn parameters(name: &str, params: &str, text: &str) -> Vec<CompletionCandidate> {
    // Whoever types gets no error here: a filter that can't be read has nothing to complete.
    let Some(schema) = schema(name) else { return Vec::new() };
    let last = params.rsplit(',').next().unwrap_or_default();
    let before = &text[..text.len() - last.len()];
    let properties = schema["properties"].as_object().into_iter().flatten();
    let candidate = |value: String, help: String| CompletionCandidate::new(value).help(Some(help.into()));
    let Some((key, value)) = last.split_once('=') else {
        let keys = properties.filter(|(key, _)| key.starts_with(last));
        return keys
            .map(|(key, property)| {
                let what =
                    property["description"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
                candidate(format!("{before}{key}="), format!("{}: {what}", type_name(property, &schema)))
            })
            .collect();
    };
    let Some((_, property)) = properties.into_iter().find(|(name, _)| *name == key) else {
        return Vec::new();
    };
    values(property)
        .into_iter()
        .filter(|choice| choice.starts_with(value))
        .map(|choice| candidate(format!("{before}{key}={choice}"), String::new()))
        .collect()
}

/// The values that a property may have, where they are named.
fn values(property: &Value) -> Vec<String> {
    if property["type"] == "boolean" {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    let choices = property["enum"].as_array().or_else(|| property["items"]["enum"].as_array());
    choices.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn schema(name: &str) -> Option<Value> {
    let filter = if is_folder(name) {
        // What was built last: nobody waits for a compiler here.
        read_component(Project::open(Path::new(name)).ok()?.component().to_str()?).ok()?
    } else if is_path(name) {
        read_component(name).ok()?
    } else {
        FilterRef::Name(name.to_owned())
    };
    let engine = local_engine(Inputs::Files(Vec::new()), 1, Excess::of(&filter).sandbox_limits()).ok()?;
    serde_json::from_str(&engine.load(&filter).ok()?.description().params_schema).ok()
}
