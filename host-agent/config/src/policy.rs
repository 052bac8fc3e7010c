//! Policies in files, one in each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_norway::Value;
use weir_query::{FilterRef, PolicyFailure, PolicyFilter, PolicyScope, PolicySpec};

use crate::document::read_file;
use crate::{Document, DocumentError};

/// Where all keys are listed.
const KEYS: &str = "docs/policies.md";

/// Most bytes of a component's signature file.
const SIGNATURE_BYTES: u64 = 64 << 10;

/// Named bounds of a folder of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Policies in it (default 256). With more, none is known, and everything is refused.
    pub policies: usize,
    /// Bytes of a component that a policy names by its file (default 32 MiB).
    pub component_bytes: usize,
}

impl Default for PolicyLimits {
    fn default() -> PolicyLimits {
        PolicyLimits { policies: 256, component_bytes: 32 << 20 }
    }
}

/// A policy's file as written.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct PolicySettings {
    /// Unless set, the file's name without its ending.
    name: Option<String>,
    namespaces: Option<Vec<String>>,
    pods: Option<Vec<String>>,
    /// Refused: these are for a `FilterPolicy` of the cluster.
    labels: Option<Value>,
    on_failure: Option<String>,
    filters: Vec<FilterSettings>,
}

/// An entry of `filters`: `name` or `file`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct FilterSettings {
    name: Option<String>,
    /// Of a component, relative to the policy's file.
    file: Option<PathBuf>,
    params: Option<Value>,
    limits: Option<BTreeMap<String, u64>>,
}

/// Reads a policy. Components that it names by their files are read too, with their signatures.
///
/// # Errors
/// A file that can't be read, or isn't a policy.
pub fn read_policy(path: &Path, limits: &PolicyLimits) -> Result<PolicySpec, DocumentError> {
    let document = Document::read(path)?;
    let settings = document.parse(&all_keys(), KEYS)?;
    let wrong = |field: &str, reason: String| -> DocumentError {
        let reason = format!("{field}: {reason}");
        document.placed(field, &reason).unwrap_or_else(|| document.error(None, reason.clone()))
    };
    if settings.labels.is_some() {
        let reason =
            "labels select in a FilterPolicy of the cluster; name namespaces and pods here".to_owned();
        return Err(wrong("labels", reason));
    }
    let on_failure = match settings.on_failure.as_deref() {
        None | Some("withhold") => PolicyFailure::Withhold,
        Some("refuse") => PolicyFailure::Refuse,
        Some(other) => return Err(wrong("on_failure", format!("'{other}' is not withhold or refuse"))),
    };
    for (field, names) in [("namespaces", &settings.namespaces), ("pods", &settings.pods)] {
        if names.as_ref().is_some_and(Vec::is_empty) {
            let reason = format!("an empty list covers nothing; name {field}, or leave it out to cover all");
            return Err(wrong(field, reason));
        }
    }
    if settings.filters.is_empty() {
        return Err(wrong("filters", "there is none; give at least one".to_owned()));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let filter = |(number, settings): (usize, FilterSettings)| {
        let field = format!("filters.{number}");
        policy_filter(settings, folder, limits)
            .map_err(|(key, reason)| wrong(&format!("{field}.{key}"), reason))
    };
    let filters =
        settings.filters.into_iter().enumerate().map(filter).collect::<Result<_, DocumentError>>()?;
    let scope = PolicyScope {
        namespaces: settings.namespaces.unwrap_or_default(),
        pods: settings.pods.unwrap_or_default(),
        ..PolicyScope::default()
    };
    let name = settings.name.unwrap_or_else(|| name_of(path));
    Ok(PolicySpec { name, scope, filters: Ok(filters), on_failure })
}

/// Reads the policies of a folder: files that end in `.yaml` or `.yml` and whose names don't begin with a dot. One that
/// is wrong becomes a policy of which the filters aren't known, with what can be told of the scope that was meant; all that it
/// may cover is refused.
///
/// # Errors
/// The folder can't be read, or holds more than [`PolicyLimits::policies`]: then none is known.
pub fn read_policies(folder: &Path, limits: &PolicyLimits) -> io::Result<Vec<PolicySpec>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && !is_hidden {
            paths.push(path);
        }
        if paths.len() > limits.policies {
            let reason = format!("it has more than {} policies; join some of them", limits.policies);
            return Err(io::Error::other(reason));
        }
    }
    paths.sort();
    let policies = paths.iter().map(|path| {
        read_policy(path, limits).unwrap_or_else(|wrong| PolicySpec {
            name: name_of(path),
            scope: scope_of(path),
            filters: Err(wrong.to_string()),
            on_failure: PolicyFailure::default(),
        })
    });
    Ok(policies.collect())
}

/// Every key that there is.
fn all_keys() -> PolicySettings {
    PolicySettings { filters: vec![FilterSettings::default()], ..PolicySettings::default() }
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a file that is wrong would have covered, as far as it says so; else all.
fn scope_of(path: &Path) -> PolicyScope {
    let names = |key: &str| -> Option<Vec<String>> {
        let value = Document::read(path).ok()?.value(key)?;
        serde_norway::from_value(value).ok()
    };
    PolicyScope {
        namespaces: names("namespaces").unwrap_or_default(),
        pods: names("pods").unwrap_or_default(),
        ..PolicyScope::default()
    }
}

/// A filter of a policy; or which key is wrong, and why.
fn policy_filter(
    settings: FilterSettings,
    folder: &Path,
    limits: &PolicyLimits,
) -> Result<PolicyFilter, (&'static str, String)> {
    let filter = match (settings.name, settings.file) {
        (Some(name), None) => FilterRef::Name(name),
        (None, Some(file)) => component(&folder.join(file), limits).map_err(|reason| ("file", reason))?,
        (None, None) => {
            return Err(("name", "it names no filter; give its name, or file of a component".to_owned()));
        }
        (Some(_), Some(_)) => return Err(("file", "it has a name already; give one of the two".to_owned())),
    };
    let params = match settings.params {
        None => String::new(),
        Some(params @ Value::Mapping(_)) => serde_json::to_string(&params)
            .map_err(|error| ("params", format!("they can't be written as JSON: {error}")))?,
        Some(_) => return Err(("params", "they are to be a section: names and values".to_owned())),
    };
    Ok(PolicyFilter { filter, params, limits: settings.limits.unwrap_or_default() })
}

fn component(path: &Path, limits: &PolicyLimits) -> Result<FilterRef, String> {
    let told = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let bytes = read_file(path, limits.component_bytes as u64).map_err(|error| told(path, error))?;
    let mut signature_path = path.as_os_str().to_owned();
    signature_path.push(".sig");
    let signature_path = PathBuf::from(signature_path);
    let signature = match read_file(&signature_path, SIGNATURE_BYTES) {
        Ok(signature) => Some(signature),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(told(&signature_path, error)),
    };
    let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(FilterRef::Component { label, bytes, signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<PolicySpec, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pci.yaml");
        std::fs::write(&path, text).expect("a file");
        let prefix = format!("{}/", dir.path().display());
        read_policy(&path, &PolicyLimits::default()).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn a_policy_is_what_its_file_says() {
        let policy = read_text(
            "namespaces: [shop, pay-*]\npods: [web-*]\non_failure: refuse\nfilters:\n- name: redact\n  params:\n    \
             detectors: [card]\n  limits: {batch_ms: 100}\n",
        )
        .expect("a policy");
        assert_eq!(policy.name, "pci");
        assert_eq!(policy.scope.namespaces, ["shop", "pay-*"]);
        assert_eq!(policy.on_failure, PolicyFailure::Refuse);
        let filters = policy.filters.expect("filters");
        assert_eq!(filters[0].filter, FilterRef::Name("redact".to_owned()));
        assert_eq!(filters[0].params, r#"{"detectors":["card"]}"#);
        assert_eq!(filters[0].limits["batch_ms"], 100);
        let plain = read_text("name: all\nfilters: [{name: redact}]").expect("a policy");
        assert_eq!((plain.name.as_str(), plain.scope), ("all", PolicyScope::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, says) in [
            ("namespace: [a]", "pci.yaml:1: namespace: there is no such key; did you mean 'namespaces'?"),
            ("colour: red", "pci.yaml:1: colour: there is no such key; docs/policies.md lists all"),
            ("name: x\nlabels: {a: b}", "pci.yaml:2: labels: labels select in a FilterPolicy"),
            (
                "filters:\n- name: redact\n- name: a\n  parms: {}",
                "pci.yaml:4: filters.1.parms: there is no such key; did you mean 'params'?",
            ),
            ("namespaces: []\nfilters: [{name: a}]", "pci.yaml:1: namespaces: an empty list covers nothing"),
            ("name: x\non_failure: pass", "pci.yaml:2: on_failure: 'pass' is not withhold or refuse"),
            ("name: x", "pci.yaml: filters: there is none"),
            ("filters:\n- params: {a: 1}", "pci.yaml:1: filters.0.name: it names no filter"),
            ("filters:\n- {name: a, file: b}", "pci.yaml:2: filters.0.file: it has a name already"),
            ("filters:\n- {name: a, params: [1]}", "pci.yaml:2: filters.0.params: they are to be a section"),
            ("filters:\n- file: gone.wasm", "pci.yaml:2: filters.0.file: gone.wasm: No such file"),
            ("filters: {}", "pci.yaml:1: filters: invalid type"),
        ] {
            let error = read_text(text).expect_err(text);
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_covers_what_it_says_or_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file");
        write("a.yaml", "namespaces: [shop]\nfilters: [{nme: redact}]");
        write("b.yml", "namespaces: [shop\n");
        write("c.yaml", "namespace: [shop]\nfilters: [{name: redact}]");
        write(".hidden.yaml", "nothing: 1");
        write("notes.txt", "nothing: 1");
        let policies = read_policies(dir.path(), &PolicyLimits::default()).expect("policies");
        let told: Vec<_> =
            policies.iter().map(|it| (it.name.as_str(), it.scope.namespaces.concat())).collect();
        assert_eq!(told, [("a", "shop".to_owned()), ("b", String::new()), ("c", String::new())]);
        assert!(policies.iter().all(|policy| policy.filters.is_err()));
        let few = PolicyLimits { policies: 2, ..PolicyLimits::default() };
        assert!(read_policies(dir.path(), &few).is_err());
    }
}
