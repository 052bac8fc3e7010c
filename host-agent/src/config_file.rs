//! The config file as text: which keys it has, and on which line each stands.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_norway::Value;

use crate::{ConfigError, Settings};

/// A file that was read.
pub(crate) struct ConfigFile {
    path: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads a config file, and what it sets. An empty one sets nothing.
    ///
    /// # Errors
    /// A file that can't be read, YAML that isn't well formed, a key that doesn't exist, a value of another type.
    pub(crate) fn read(path: &Path) -> Result<(ConfigFile, Settings), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
            path: path.to_owned(),
            line: None,
            reason: error.to_string(),
        })?;
        let file = ConfigFile { path: path.to_owned(), text };
        let settings = file.settings()?;
        Ok((file, settings))
    }

    fn settings(&self) -> Result<Settings, ConfigError> {
        let failed = |error: serde_norway::Error| {
            let line = error.location().map(|location| location.line());
            let told = error.to_string();
            let reason = told.split(" at line ").next().unwrap_or(&told).to_owned();
            self.error(line, reason)
        };
        let value: Value = serde_norway::from_str(&self.text).map_err(failed)?;
        let known = serde_norway::to_value(Settings::default()).expect("settings are plain data");
        if let Some(unknown) = Unknown::find(&value, &known, &[]) {
            return Err(self.error(self.line_of(&unknown.path), unknown.to_string()));
        }
        let settings: Option<Settings> = serde_norway::from_str(&self.text).map_err(failed)?;
        Ok(settings.unwrap_or_default())
    }

    /// The same error, with the place in the file where its key, or the section that it belongs into, stands.
    pub(crate) fn placed(&self, error: ConfigError) -> ConfigError {
        let ConfigError::Value { field, .. } = &error else { return error };
        let mut path: Vec<&str> = field.split('.').collect();
        while !path.is_empty() {
            if let line @ Some(_) = self.line_of(&path) {
                return self.error(line, error.to_string());
            }
            path.pop();
        }
        error
    }

    fn error(&self, line: Option<usize>, reason: String) -> ConfigError {
        ConfigError::File { path: self.path.clone(), line, reason }
    }

    /// The line on which a key stands, from 1.
    fn line_of(&self, path: &[impl AsRef<str>]) -> Option<usize> {
        let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let reader = serde_norway::Deserializer::from_str(&self.text);
        // Where the key is found an error is made, to which the reader adds where it is.
        let found = Search(&path).deserialize(reader).err()?;
        found.location().filter(|_| found.to_string().contains(FOUND)).map(|location| location.line())
    }
}

/// A key that doesn't exist.
struct Unknown {
    path: Vec<String>,
    nearest: Option<String>,
}

/// Likeness from which on a name may be what was meant.
const ALIKE: f64 = 0.75;

impl Unknown {
    /// The first key of `value`, which is the section at `path`, that isn't in `known`.
    fn find(value: &Value, known: &Value, path: &[String]) -> Option<Unknown> {
        let (Value::Mapping(value), Value::Mapping(known)) = (value, known) else { return None };
        value.iter().find_map(|(key, below)| {
            // What isn't text isn't the name of anything; reading the settings says so.
            let name = key.as_str()?;
            let path = [path, &[name.to_owned()]].concat();
            match known.get(key) {
                Some(known) => Unknown::find(below, known, &path),
                None => Some(Unknown { nearest: nearest(name, known), path }),
            }
        })
    }
}

/// Of the names in a section the one most like `name`, if it is like it at all.
fn nearest(name: &str, section: &serde_norway::Mapping) -> Option<String> {
    let names = section.keys().filter_map(Value::as_str);
    let alike = names.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= ALIKE).then(|| best.1.to_owned())
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: there is no such key", self.path.join("."))?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean '{nearest}'?"),
            None => f.write_str("; docs/agent.md lists all"),
        }
    }
}

/// What the error says that tells a key's place.
const FOUND: &str = "the key that was looked for";

/// Looks for a key.
struct Search<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, below)) = self.0.split_first() else { return Ok(()) };
        let is_last = below.is_empty();
        while let Some(is_it) = map.next_key_seed(Key { name: first, is_last })? {
            match is_it {
                true => map.next_value_seed(Search(below))?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Compares a key with a name.
struct Key<'a> {
    name: &'a str,
    /// The key itself is looked for.
    is_last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.name {
            true if self.is_last => Err(E::custom(FOUND)),
            is_it => Ok(is_it),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(ConfigFile, Settings), ConfigError> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("agent.yaml");
        std::fs::write(&path, text).expect("a file");
        ConfigFile::read(&path)
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for text in ["", "# nothing\n", "{}"] {
            assert_eq!(read(text).expect(text).1, Settings::default());
        }
    }

    #[test]
    fn a_key_that_does_not_exist_is_told_with_its_line_and_the_nearest_name() {
        for (text, says) in [
            (
                "node: n\nlistne: 127.0.0.1:1",
                "agent.yaml:2: listne: there is no such key; did you mean 'listen'?",
            ),
            ("tls:\n\n  certs: x", "agent.yaml:3: tls.certs: there is no such key; did you mean 'cert'?"),
            (
                "limits: {query: {filter: 1}}",
                "agent.yaml:1: limits.query.filter: there is no such key; did you mean 'filters'?",
            ),
            (
                "limits:\n  max_querys: 1",
                "agent.yaml:2: limits.max_querys: there is no such key; did you mean 'max_queries'?",
            ),
            ("colour: red", "agent.yaml:1: colour: there is no such key; docs/agent.md lists all"),
        ] {
            let error = read(text).err().expect(text).to_string();
            assert!(error.ends_with(says), "{error}");
        }
    }

    #[test]
    fn what_is_no_config_is_told_with_its_line() {
        for (text, line, says) in [
            ("node: n\nlimits: {max_queries: many}", 2, "max_queries"),
            ("\ndrain_seconds: -1", 2, "drain_seconds"),
            ("node: n\n  listen: x\n", 2, "mapping values"),
            ("limits:\n- 1", 2, "invalid type"),
            ("1: 2", 1, "1"),
        ] {
            let error = read(text).err().expect(text).to_string();
            let place = format!("agent.yaml:{line}: ");
            assert!(error.contains(&place) && error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_bad_value_is_told_with_its_line() {
        let (file, _) =
            read("node: n\ntls:\n  cert: a\nlimits:\n  query:\n    threads: 0\n").expect("a config");
        for (field, line) in [("limits.query.threads", 6), ("tls.key", 2), ("limits.max_queries", 4)] {
            let error = file.placed(ConfigError::value(field, "bad")).to_string();
            assert!(error.ends_with(&format!("agent.yaml:{line}: {field}: bad")), "{error}");
        }
        assert_eq!(file.placed(ConfigError::value("listen", "bad")).to_string(), "listen: bad");
    }
}
