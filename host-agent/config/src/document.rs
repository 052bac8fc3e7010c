//! A file as text: which keys it has, and on which line each stands.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_norway::Value;

use crate::place::line_of;

/// Most bytes of a file.
const BYTES: u64 = 1 << 20;

/// Likeness from which on a name may be what was meant.
const ALIKE: f64 = 0.75;

/// A file that was read.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    text: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {reason}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct DocumentError {
    /// Which file.
    pub path: PathBuf,
    /// On which line, from 1, where that is known.
    pub line: Option<usize>,
    /// What.
    pub reason: String,
}

impl Document {
    /// Reads a regular file of at most 1 MiB.
    ///
    /// # Errors
    /// A file that can't be read, isn't a regular one, is larger, or isn't UTF-8.
    pub fn read(path: &Path) -> Result<Document, DocumentError> {
        let text = read_text(path).map_err(|error| DocumentError {
            path: path.to_owned(),
            line: None,
            reason: error.to_string(),
        })?;
        Ok(Document { path: path.to_owned(), text })
    }

    /// What the file sets; an empty one sets nothing. Keys are those of `known`, in which everything is set that has keys
    /// below it: one entry of each list stands for all.
    ///
    /// # Errors
    /// YAML that isn't well formed, a key that doesn't exist, a value of another type. `more` says where all keys are
    /// listed.
    pub fn parse<T: Default + DeserializeOwned + Serialize>(
        &self,
        known: &T,
        more: &str,
    ) -> Result<T, DocumentError> {
        let failed = |error: serde_norway::Error| {
            let line = error.location().map(|location| location.line());
            let told = error.to_string();
            let reason = told.split(" at line ").next().unwrap_or(&told).to_owned();
            self.error(line, reason)
        };
        let value: Value = serde_norway::from_str(&self.text).map_err(failed)?;
        let known = serde_norway::to_value(known).expect("settings are plain data");
        if let Some(unknown) = Unknown::find(&value, &known, &[]) {
            let line = line_of(&self.text, &unknown.path);
            return Err(self.error(line, unknown.told(more)));
        }
        let settings: Option<T> = serde_norway::from_str(&self.text).map_err(failed)?;
        Ok(settings.unwrap_or_default())
    }

    /// The value of a key of the file's top level, if the file is YAML and has it.
    pub fn value(&self, key: &str) -> Option<Value> {
        let value: Value = serde_norway::from_str(&self.text).ok()?;
        value.get(key).cloned()
    }

    /// What is wrong with a field, whose name is that of its key with those of its sections before it and dots between; with
    /// the place where the key, or the section that it belongs into, stands. `None` when none of these is in the file.
    pub fn placed(&self, field: &str, reason: impl fmt::Display) -> Option<DocumentError> {
        let mut path: Vec<&str> = field.split('.').collect();
        while !path.is_empty() {
            if let line @ Some(_) = line_of(&self.text, &path) {
                return Some(self.error(line, reason.to_string()));
            }
            path.pop();
        }
        None
    }

    /// What is wrong with the file as a whole, or on a line of it.
    pub fn error(&self, line: Option<usize>, reason: impl Into<String>) -> DocumentError {
        DocumentError { path: self.path.clone(), line, reason: reason.into() }
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_file(path, BYTES)?).map_err(io::Error::other)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// One that can't be read, is larger, or isn't a regular file: opening that might wait.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// A key that doesn't exist.
struct Unknown {
    path: Vec<String>,
    nearest: Option<String>,
}

impl Unknown {
    /// The first key of `value`, which is the section at `path`, that isn't in `known`.
    fn find(value: &Value, known: &Value, path: &[String]) -> Option<Unknown> {
        let below = |name: &str| [path, &[name.to_owned()]].concat();
        match (value, known) {
            (Value::Mapping(value), Value::Mapping(known)) => value.iter().find_map(|(key, inner)| {
                // What isn't text isn't the name of anything; reading the settings says so.
                let name = key.as_str()?;
                match known.get(key) {
                    Some(known) => Unknown::find(inner, known, &below(name)),
                    None => Some(Unknown { nearest: nearest(name, known), path: below(name) }),
                }
            }),
            (Value::Sequence(values), Value::Sequence(known)) => {
                let known = known.first()?;
                let mut numbered = values.iter().enumerate();
                numbered.find_map(|(number, value)| Unknown::find(value, known, &below(&number.to_string())))
            }
            _ => None,
        }
    }

    fn told(&self, more: &str) -> String {
        let path = self.path.join(".");
        match &self.nearest {
            Some(nearest) => format!("{path}: there is no such key; did you mean '{nearest}'?"),
            None => format!("{path}: there is no such key; {more} lists all"),
        }
    }
}

/// Of the names in a section the one most like `name`, if it is like it at all.
fn nearest(name: &str, section: &serde_norway::Mapping) -> Option<String> {
    let names = section.keys().filter_map(Value::as_str);
    let alike = names.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= ALIKE).then(|| best.1.to_owned())
}
