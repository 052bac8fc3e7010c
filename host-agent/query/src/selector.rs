//! Which sources a query is about: `namespace:pod/container`, each part a glob and optional.

use globset::{Glob, GlobSet};
use weir_scan::Source;

use crate::QueryError;

/// One selector, ready to match.
#[derive(Debug)]
pub(crate) struct Selector {
    namespace: Option<GlobSet>,
    pod: Option<GlobSet>,
    container: Option<GlobSet>,
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
        let glob = |part: &str| -> Result<Option<GlobSet>, QueryError> {
            if part.is_empty() {
                return Ok(None);
            }
            let set = Glob::new(part).and_then(|glob| GlobSet::new([glob]));
            set.map(Some)
                .map_err(|error| QueryError::invalid(field, format!("'{text}' is not a source: {error}")))
        };
        Ok(Selector { namespace: glob(namespace)?, pod: glob(pod)?, container: glob(container)? })
    }

    /// Whether the selector may take a source of which only the parts that aren't empty are known.
    pub(crate) fn may_take(&self, known: &Source) -> bool {
        let part = |glob: &Option<GlobSet>, name: &str| {
            name.is_empty() || glob.as_ref().is_none_or(|glob| glob.is_match(name))
        };
        part(&self.namespace, &known.namespace)
            && part(&self.pod, &known.pod)
            && part(&self.container, &known.container)
    }

    /// Whether the selector takes `source`.
    pub(crate) fn takes(&self, source: &Source) -> bool {
        let part = |glob: &Option<GlobSet>, name: &str| glob.as_ref().is_none_or(|glob| glob.is_match(name));
        part(&self.namespace, &source.namespace)
            && part(&self.pod, &source.pod)
            && part(&self.container, &source.container)
    }
}

/// Whether any of the selectors takes `source`; without one, every source is taken.
pub(crate) fn take(selectors: &[Selector], source: &Source) -> bool {
    selectors.is_empty() || selectors.iter().any(|selector| selector.takes(source))
}

/// Whether any of the selectors may take a source of which only the parts that aren't empty are known.
pub(crate) fn may_take(selectors: &[Selector], known: &Source) -> bool {
    selectors.is_empty() || selectors.iter().any(|selector| selector.may_take(known))
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
    fn errors_name_the_selector() {
        for text in ["a:b/c/d", "a:b:c", "a:[b"] {
            let error = Selector::parse(text, "sources[0]").expect_err(text).to_string();
            assert!(error.contains("sources[0]") && error.contains(text), "{error}");
        }
    }
}
