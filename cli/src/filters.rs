//! `weir filters`: what records can be passed through.

use weir_query::{FilterInfo, FilterList, FolderFile};

use crate::args::{FiltersArgs, ListFormat};
use crate::failure::{Exit, Failure};
use crate::filter::{describe, push_json, read_component};
use crate::filter_text::is_path;
use crate::json::Object;
use crate::output::Out;
use crate::output::jsonl::kind_name;
use crate::target::Choice;
use crate::units;
use crate::visible;

/// Lists filters, or describes one.
pub(crate) fn run(args: &FiltersArgs) -> Result<Exit, Failure> {
    let mut target = Choice::for_filters(&args.agent)?.open(1)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let one = |info: FilterInfo| FilterList { filters: vec![info], files: Vec::new() };
    let FilterList { filters, files } = match &args.name {
        Some(path) if is_path(path) => one(target.component(&read_component(path)?)?),
        Some(name) => one(target.filter(name)?),
        None => target.filters()?,
    };
    match (args.output, &args.name) {
        (ListFormat::Jsonl, _) => {
            filters.iter().for_each(|info| push_json(&mut out.buffer, info));
            files.iter().for_each(|file| push_file(&mut out.buffer, file));
        }
        (ListFormat::Text, None) => {
            out.buffer.extend_from_slice(list(&filters).as_bytes());
            if !files.is_empty() {
                out.buffer.push(b'\n');
                out.buffer.extend_from_slice(list_files(&files).as_bytes());
            }
        }
        (ListFormat::Text, Some(_)) => {
            filters.iter().for_each(|info| out.buffer.extend_from_slice(describe(info).as_bytes()));
        }
    }
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

fn list(filters: &[FilterInfo]) -> String {
    let rows: Vec<Vec<String>> = filters
        .iter()
        .map(|info| {
            vec![
                visible::message(&info.name),
                visible::message(&info.version),
                kind_name(info.kind).to_owned(),
                units::bytes(info.size),
                if info.file.is_empty() { "weir".to_owned() } else { visible::message(&info.file) },
                visible::message(&info.summary),
            ]
        })
        .collect();
    units::table(&["NAME", "VERSION", "KIND", "SIZE", "FROM", "SUMMARY"], &rows, &["SIZE"])
}

/// What became of a file of an agent's folder of filters, in one word.
fn state(file: &FolderFile) -> &'static str {
    match (&file.problem, &file.filter) {
        (None, _) => "loaded",
        (Some(_), None) => "refused",
        (Some(_), Some(_)) => "kept",
    }
}

/// The files of an agent's folder of filters. `kept` is the version from before.
fn list_files(files: &[FolderFile]) -> String {
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|file| {
            let told = |text: Option<&String>| text.map_or("-".to_owned(), |text| visible::message(text));
            vec![
                visible::message(&file.file),
                state(file).to_owned(),
                told(file.filter.as_ref()),
                units::bytes(file.size),
                told(Some(&file.digest).filter(|digest| !digest.is_empty())),
                told(file.problem.as_ref()),
            ]
        })
        .collect();
    units::table(&["FILE", "STATE", "FILTER", "SIZE", "DIGEST", "WHY"], &rows, &["SIZE"])
}

fn push_file(out: &mut Vec<u8>, file: &FolderFile) {
    let object = Object::new(out)
        .string("type", "file")
        .string("file", &file.file)
        .string("state", state(file))
        .string("digest", &file.digest)
        .value("size", file.size);
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
