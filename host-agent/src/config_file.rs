//! The config file: what it sets, and on which line each key stands.

use std::path::Path;

use weir_config::{Document, DocumentError};

use crate::settings::RegistrySettings;
use crate::{ConfigError, Settings};

/// Where all keys are listed.
const KEYS: &str = "docs/agent.md";

/// A file that was read.
pub(crate) struct ConfigFile(Document);

impl ConfigFile {
    /// Reads a config file, and what it sets. An empty one sets nothing.
    ///
    /// # Errors
    /// A file that can't be read, YAML that isn't well formed, a key that doesn't exist, a value of another type.
    pub(crate) fn read(path: &Path) -> Result<(ConfigFile, Settings), ConfigError> {
        let document = Document::read(path)?;
        let known = Settings { registries: vec![RegistrySettings::default()], ..Settings::default() };
        let settings = document.parse(&known, KEYS)?;
        Ok((ConfigFile(document), settings))
    }

    /// The same error, with the place in the file where its key, or the section that it belongs into, stands.
    pub(crate) fn placed(&self, error: ConfigError) -> ConfigError {
        match &error {
            ConfigError::Value { field, .. } => {
                self.0.placed(field, &error).map(ConfigError::from).unwrap_or(error)
            }
            ConfigError::File { .. } => error,
        }
    }
}

impl From<DocumentError> for ConfigError {
    fn from(DocumentError { path, line, reason }: DocumentError) -> ConfigError {
        ConfigError::File { path, line, reason }
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
            (
                "registries:\n- host: a.io\n  auth: x",
                "agent.yaml:3: registries.0.auth: there is no such key; did you mean 'auth_file'?",
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
