//! What a filter tells of itself and of its parameters, checked, and what it is told of a source.

use std::fmt;

use crate::abi::weir::filter::types as wire;
use crate::json;

/// Longest summary line, in bytes.
const SUMMARY_BYTES: usize = 200;
/// Longest version, in bytes.
const VERSION_BYTES: usize = 64;

/// What a filter may do to a record, and what its failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Keeps or drops; never changes bytes.
    Select,
    /// May rewrite a message.
    Transform,
    /// A transform whose failure must withhold the line.
    Redact,
    /// Emits summary records when a query ends; never changes bytes.
    Aggregate,
}

impl Kind {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Select => "select",
            Kind::Transform => "transform",
            Kind::Redact => "redact",
            Kind::Aggregate => "aggregate",
        }
    }

    /// Whether a filter of this kind may change messages.
    pub fn may_replace(self) -> bool {
        matches!(self, Kind::Transform | Kind::Redact)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a filter says of itself. All of it is the filter's own word, but well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// `[a-z0-9-]{1,63}`, neither starting nor ending with `-`.
    pub name: String,
    /// Semantic version of the filter.
    pub version: String,
    /// See [`Kind`].
    pub kind: Kind,
    /// One line for listings; no control characters.
    pub summary: String,
    /// JSON Schema of the parameters: the text of a JSON object.
    pub params_schema: String,
}

/// The columns that a filter reads; what it doesn't ask for is not copied to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Message bytes.
    pub message: bool,
    /// [`Batch::timestamps`](crate::Batch::timestamps).
    pub timestamp: bool,
    /// [`Batch::attrs`](crate::Batch::attrs).
    pub attrs: bool,
}

/// How the host should call a filter with given parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// See [`Columns`]; at least one is set.
    pub columns: Columns,
    /// The regular expression, in the `regex` crate's syntax but not yet parsed, outside of which the
    /// filter needs no record: `select` never keeps one, `transform` and `redact` never change one.
    /// Always `None` for `aggregate`. At most [`FilterLimits::prefilter_bytes`](crate::FilterLimits::prefilter_bytes)
    /// long.
    pub prefilter: Option<String>,
}

/// Where records come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMeta {
    /// Namespace of the pod; empty when the source is a plain file or a stream.
    pub namespace: String,
    /// Name of the pod; empty as above.
    pub pod: String,
    /// Name of the container; empty as above.
    pub container: String,
    /// Name of the node; empty when unknown.
    pub node: String,
    /// The container's restart count.
    pub restart: u32,
    /// Labels of the pod, sorted by key.
    pub labels: Vec<(String, String)>,
}

impl SourceMeta {
    pub(crate) fn to_wire(&self) -> wire::SourceMeta {
        wire::SourceMeta {
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            container: self.container.clone(),
            node: self.node.clone(),
            restart: self.restart,
            labels: self.labels.clone(),
        }
    }
}

/// What a filter wants of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceVerdict {
    /// Hand its records over.
    Scan,
    /// It would keep none of them.
    Skip,
}

/// Checks a description. The error names the field and what is right for it, in one line.
pub(crate) fn check_description(raw: wire::Description, schema_bytes: usize) -> Result<Description, String> {
    let wire::Description { name, version, kind, summary, params_schema } = raw;
    if !is_name(&name) {
        return Err(
            "`name` must be 1 to 63 of a-z, 0-9 and `-`, neither starting nor ending with `-`".to_owned()
        );
    }
    if !is_version(&version) {
        return Err("`version` must be a semantic version such as 1.4.0".to_owned());
    }
    if summary.len() > SUMMARY_BYTES || summary.chars().any(char::is_control) {
        return Err(format!("`summary` must be one line of at most {SUMMARY_BYTES} bytes"));
    }
    if params_schema.len() > schema_bytes {
        let found = params_schema.len();
        return Err(format!("`params-schema` has {found} bytes; the limit schema_bytes is {schema_bytes}"));
    }
    json::check_object(params_schema.as_bytes())
        .map_err(|problem| format!("`params-schema` is {problem}"))?;
    let kind = match kind {
        wire::Kind::Select => Kind::Select,
        wire::Kind::Transform => Kind::Transform,
        wire::Kind::Redact => Kind::Redact,
        wire::Kind::Aggregate => Kind::Aggregate,
    };
    Ok(Description { name, version, kind, summary, params_schema })
}

/// Checks a plan. The error tells in one line what is wrong.
pub(crate) fn check_plan(raw: wire::Plan, kind: Kind, prefilter_bytes: usize) -> Result<Plan, String> {
    let columns = Columns {
        message: raw.columns.contains(wire::Columns::MESSAGE),
        timestamp: raw.columns.contains(wire::Columns::TIMESTAMP),
        attrs: raw.columns.contains(wire::Columns::ATTRS),
    };
    if columns == Columns::default() {
        return Err("the plan asks for no column; expected at least one".to_owned());
    }
    if let Some(prefilter) = &raw.prefilter {
        if kind == Kind::Aggregate {
            return Err("an aggregate filter's plan must have no prefilter".to_owned());
        }
        if prefilter.len() > prefilter_bytes {
            let found = prefilter.len();
            return Err(format!(
                "the plan's prefilter has {found} bytes; the limit prefilter_bytes is {prefilter_bytes}"
            ));
        }
    }
    Ok(Plan { columns, prefilter: raw.prefilter })
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_version(version: &str) -> bool {
    if version.len() > VERSION_BYTES {
        return false;
    }
    let end = version.find(['-', '+']).unwrap_or(version.len());
    let (numbers, rest) = version.split_at(end);
    let numbers: Vec<&str> = numbers.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && rest.len() != 1
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::{is_name, is_version};

    #[test]
    fn names_and_versions() {
        assert!(is_name("json-match") && is_name("a") && is_name("2fa"));
        let long = "x".repeat(64);
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "ä", "\u{1b}[31m", long.as_str()] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_version("0.1.0") && is_version("1.2.3-rc.1+build"));
        for bad in ["", "1", "1.2", "1.2.x", "1.2.3-", "v1.2.3", "1..3", "1.2.3 "] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
