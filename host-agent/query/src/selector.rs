//! Which sources a query is about: `namespace:pod/container`, each part a glob and optional.

use globset::{Glob, GlobSet};
use weir_scan::Source;

use crate::QueryError;

/// One selector, ready to match. By default it takes everything.
#[derive(Debug, Default)]
pub(crate) struct Selector {
    namespace: Option<Part>,
    pod: Option<Part>,
    container: Option<Part>,
}

/// A part of a selector that was given.
#[derive(Debug)]
struct Part {
    glob: GlobSet,
    /// The only name that it takes, where it is no pattern.
    name: Option<String>,
}

/// Whatever may make a glob of a name.
const GLOB: [char; 8] = ['*', '?', '[', ']', '{', '}', '!', '\\'];

impl Part {
    fn is_match(&self, name: &str) -> bool {
        self.glob.is_match(name)
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl Selector {
    /// Reads a selector. A part that is empty or left out takes everything: `prod:`, `web-*`,
    /// `prod:web-*/nginx`, `/nginx`.
    pub(crate) fn parse(text: &str, field: &str) -> Result<Selector, QueryError> {
        let (namespace, rest) = text.split_once(':').unwrap_or(("", text));
        let (pod, container) = rest.split_once('/').unwrap_or((rest, ""));
        if container.contains(['/', ':']) || pod.contains(':') {
            return Err(QueryError::invalid(
                field,
                format!(
                    "'{text}' is not a source: give namespace:pod/container, with globs, each part optional"
                ),
            ));
        }
        let part = |part: &str| -> Result<Option<Part>, QueryError> {
            if part.is_empty() {
                return Ok(None);
            }
            let glob = Glob::new(part)
                .and_then(|glob| GlobSet::new([glob]))
                .map_err(|error| QueryError::invalid(field, format!("'{text}' is not a source: {error}")))?;
            Ok(Some(Part { glob, name: (!part.contains(GLOB)).then(|| part.to_owned()) }))
        };
        Ok(Selector { namespace: part(namespace)?, pod: part(pod)?, container: part(container)? })
    }

    /// The only namespace that it takes sources of, where it names one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref().and_then(Part::name)
    }

    /// The only name of pods that it takes sources of, where it names one.
    pub(crate) fn pod(&self) -> Option<&str> {
        self.pod.as_ref().and_then(Part::name)
    }

    /// Whether the selector may take a source of which only the parts that aren't empty are known.
    pub(crate) fn may_take(&self, known: &Source) -> bool {
        let part = |part: &Option<Part>, name: &str| {
            name.is_empty() || part.as_ref().is_none_or(|part| part.is_match(name))
        };
        part(&self.namespace, &known.namespace)
            && part(&self.pod, &known.pod)
            && part(&self.container, &known.container)
    }

    /// Whether the selector takes `source`.
    pub(crate) fn takes(&self, source: &Source) -> bool {
        let part = |part: &Option<Part>, name: &str| part.as_ref().is_none_or(|part| part.is_match(name));
        part(&self.namespace, &source.namespace)
            && part(&self.pod, &source.pod)
            && part(&self.container, &source.container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(namespace: &str, pod: &str, container: &str) -> Source {
        Source {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            ..Source::default()
        }
    }

    #[test]
    fn each_part_is_optional() {
        let web = source("prod", "web-7d9f-x2x", "nginx");
        for text in [
            "",
            "prod:",
            "web-*",
            "prod:web-*/nginx",
            "/nginx",
            "pr?d:",
            ":/ngin[xy]",
            "*:*/*",
            "{prod,dev}:",
        ] {
            assert!(Selector::parse(text, "sources").expect(text).takes(&web), "{text}");
        }
        for text in ["dev:", "web", "prod:web-*/redis", "/ngin", ":web/nginx"] {
            assert!(!Selector::parse(text, "sources").expect(text).takes(&web), "{text}");
        }
    }

    #[test]
    fn names_are_told_from_patterns() {
        for (text, namespace, pod) in [
            ("prod:web-1/nginx", Some("prod"), Some("web-1")),
            ("prod:", Some("prod"), None),
            ("web-1", None, Some("web-1")),
            ("pr?d:web-*", None, None),
            ("{prod}:web[1]", None, None),
            ("pr\\od:", None, None),
            ("", None, None),
        ] {
            let selector = Selector::parse(text, "sources").expect(text);
            assert_eq!((selector.namespace(), selector.pod()), (namespace, pod), "{text}");
        }
    }

    #[test]
    fn errors_name_the_selector() {
        for text in ["a:b/c/d", "a:b:c", "a:[b"] {
            let error = Selector::parse(text, "sources[0]").expect_err(text).to_string();
            assert!(error.contains("sources[0]") && error.contains(text), "{error}");
        }
    }
}
