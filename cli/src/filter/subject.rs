//! The filter that a verb is about: one that ships with Weir, a component, or a folder, which is built first.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use weir_query::{Engine, FilterInfo, FilterRef, FilterSpec, Inputs, check_params};
use weir_trust::SIGNATURE_BYTES;

use super::fit::Excess;
use super::project::{Project, is_folder};
use crate::failure::Failure;
use crate::filter_text::{is_path, merge_json, misnamed, parse_params, split_name};
use crate::target;

/// Most bytes read of a component file. The sandbox has a limit of its own; this one keeps a wrong path
/// from filling the memory.
pub(super) const COMPONENT_FILE_BYTES: u64 = 64 << 20;

/// What was chosen.
pub(super) struct Subject {
    /// The filter.
    pub(super) filter: FilterRef,
    /// The parameters that stand on the command line.
    pub(super) params: Map<String, Value>,
    /// Its folder, when one was named.
    pub(super) project: Option<Project>,
    /// What it needs beyond an agent's defaults.
    pub(super) excess: Excess,
}

impl Subject {
    /// Reads `NAME[:key=value,...]`, and parameters beside it. A folder is built when it is stale.
    pub(super) fn choose(text: &str, more: &[String]) -> Result<Subject, Failure> {
        let (name, own) = split_name(text);
        let path = Path::new(name);
        let (filter, project) = if is_folder(name) {
            let project = Project::open(path)?;
            let label = project.component().display().to_string();
            (FilterRef::Component { label, bytes: project.up_to_date()?, signature: None }, Some(project))
        } else if let Some(problem) = misnamed(name, own) {
            return Err(Failure::refused(format!("'{text}': {problem}")));
        } else if is_path(name) {
            (read_component(name)?, None)
        } else {
            (FilterRef::Name(name.to_owned()), None)
        };
        let params = params(own, more)?;
        let excess = Excess::told(&filter);
        Ok(Subject { filter, params, project, excess })
    }

    /// An engine with an agent's limits, to run it on files; with wider ones where it would not be taken otherwise.
    pub(super) fn engine(&self, inputs: Inputs) -> Result<Engine, Failure> {
        target::local_engine(inputs, 1, self.excess.sandbox_limits())
    }

    /// It, ready for a query, its parameters checked.
    pub(super) fn spec(&self, engine: &Engine) -> Result<FilterSpec, Failure> {
        let params = Value::Object(self.params.clone()).to_string();
        let filter = engine.load(&self.filter)?;
        check_params(&filter.description().params_schema, &params)
            .map_err(|problem| Failure::refused(format!("filter {}: {problem}", self.filter.name())))?;
        let mut spec = FilterSpec { params, ..FilterSpec::new(self.filter.clone()) };
        self.excess.raise(&mut spec);
        Ok(spec)
    }
}

/// Parameters behind a filter's name, and more of them: each `key=value,...` or a JSON object.
pub(super) fn params(own: &str, more: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut params = parse_params(own).map_err(|reason| Failure::refused(format!("'{own}': {reason}")))?;
    for given in more {
        let object = match given.trim_start().starts_with('{') {
            true => Ok(given.clone()),
            false => parse_params(given).map(|more| Value::Object(more).to_string()),
        };
        object
            .and_then(|object| merge_json(&mut params, &object))
            .map_err(|reason| Failure::refused(format!("--params '{given}': {reason}")))?;
    }
    Ok(params)
}

/// What a filter says of itself, looked at here whoever will run it.
pub(crate) fn info(filter: &FilterRef) -> Result<FilterInfo, Failure> {
    let limits = Excess::told(filter).sandbox_limits();
    Ok(target::local_engine(Inputs::Files(Vec::new()), 1, limits)?.info(filter)?)
}

/// Reads the component in a file, and the signature beside it.
pub(crate) fn read_component(path: &str) -> Result<FilterRef, Failure> {
    let bytes = component_file(Path::new(path))?;
    let signature = signature_file(&signature_path(Path::new(path)))?;
    Ok(FilterRef::Component { label: path.to_owned(), bytes, signature })
}

/// Reads the component in a file.
pub(super) fn component_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let refused = |reason: String| Failure::refused(format!("filter '{}': {reason}", path.display()));
    if path.is_dir() {
        let reason = "it is a folder; give the component in it, which `weir filter build` makes";
        return Err(refused(reason.to_owned()));
    }
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
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
    Ok(bytes)
}

/// Where the signature of a file lies.
pub(super) fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Reads a signature file; `None` where there is none.
pub(super) fn signature_file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let refused = |error: io::Error| Failure::refused(format!("{}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let mut bytes = Vec::new();
    // One byte more than it may have: what is too large is told by whoever parses it.
    file.take(SIGNATURE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
    Ok(Some(bytes))
}
