//! What is shown for a source, prepared once, as it stands in every one of its records.

use anstyle::{AnsiColor, Style};
use weir_query::Source;

use crate::json;
use crate::visible;

/// A source, ready to be shown.
pub(crate) struct Label {
    /// `namespace:pod/container`, or the path of a file, and which instance of the container it is, where there
    /// was more than one. Controls are as they came.
    pub(crate) name: String,
    /// Column texts, shown as the view wants them.
    pub(crate) agent: Vec<u8>,
    pub(crate) source: Vec<u8>,
    pub(crate) namespace: Vec<u8>,
    pub(crate) pod: Vec<u8>,
    pub(crate) uid: Vec<u8>,
    pub(crate) container: Vec<u8>,
    pub(crate) restart: Vec<u8>,
    /// Members of the source's JSON object, without braces.
    pub(crate) json: Vec<u8>,
}

impl Label {
    /// Prepares `source`, of which an `agent` told, with colours and with controls shown if so wanted.
    pub(crate) fn new(source: Source, agent: Option<String>, color: bool, visible: bool) -> Label {
        let style = if color { pod_style(&source) } else { Style::new() };
        let paint = |text: &str| {
            let mut out = Vec::new();
            if text.is_empty() {
                return out;
            }
            out.extend_from_slice(style.render().to_string().as_bytes());
            if visible {
                visible::for_each_piece(text.as_bytes(), |piece| piece.push_to(&mut out));
            } else {
                out.extend_from_slice(text.as_bytes());
            }
            out.extend_from_slice(style.render_reset().to_string().as_bytes());
            out
        };
        let name = source_name(&source);
        let instance = match source.restart {
            0 => name.clone(),
            restart => format!("{name} (restart {restart})"),
        };
        let mut json = Vec::new();
        if let Some(agent) = &agent {
            json.extend_from_slice(b"\"agent\":");
            json::push_string(&mut json, agent);
            json.push(b',');
        }
        json.extend_from_slice(&source_members(&source));
        Label {
            agent: paint(agent.as_deref().unwrap_or_default()),
            source: paint(&name),
            namespace: paint(&source.namespace),
            pod: paint(&source.pod),
            uid: paint(&source.uid),
            container: paint(&source.container),
            restart: paint(&source.restart.to_string()),
            json,
            name: instance,
        }
    }

    /// For a record whose source was never told.
    pub(crate) fn unknown() -> Label {
        Label::new(Source { container: "?".to_owned(), ..Source::default() }, None, false, false)
    }
}

/// `namespace:pod/container`, or the path of a file.
pub(crate) fn source_name(source: &Source) -> String {
    match (source.namespace.as_str(), source.pod.as_str()) {
        ("", "") => source.container.clone(),
        ("", pod) => format!("{pod}/{}", source.container),
        (namespace, pod) => format!("{namespace}:{pod}/{}", source.container),
    }
}

/// `"namespace":…,"pod":…,"container":…,"restart":…`.
pub(crate) fn source_members(source: &Source) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in
        [("namespace", &source.namespace), ("pod", &source.pod), ("container", &source.container)]
    {
        json::push_string(&mut out, key);
        out.push(b':');
        json::push_string(&mut out, value);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"restart\":{}", source.restart).as_bytes());
    out
}

/// A colour by pod, the same in every run. Red is left to matches.
fn pod_style(source: &Source) -> Style {
    const PALETTE: [AnsiColor; 10] = [
        AnsiColor::Green,
        AnsiColor::Yellow,
        AnsiColor::Blue,
        AnsiColor::Magenta,
        AnsiColor::Cyan,
        AnsiColor::BrightGreen,
        AnsiColor::BrightYellow,
        AnsiColor::BrightBlue,
        AnsiColor::BrightMagenta,
        AnsiColor::BrightCyan,
    ];
    let who = if source.pod.is_empty() { &source.container } else { &source.pod };
    // FNV-1a: the standard library's hashers may change from one version to the next.
    let hash = source
        .namespace
        .bytes()
        .chain([0])
        .chain(who.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // The high bits: the low ones of this hash are poor.
    let index = (hash >> 32) % PALETTE.len() as u64;
    Style::new().fg_color(Some(PALETTE[index as usize].into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(namespace: &str, pod: &str, container: &str) -> Source {
        let [namespace, pod, container] = [namespace, pod, container].map(str::to_owned);
        Source { namespace, pod, container, restart: 2, ..Source::default() }
    }

    #[test]
    fn names() {
        assert_eq!(Label::new(source("n", "p", "c"), None, false, true).name, "n:p/c (restart 2)");
        assert_eq!(Label::new(source("", "", "a.log"), None, false, true).name, "a.log (restart 2)");
        assert_eq!(Label::unknown().name, "?");
    }

    #[test]
    fn controls_in_names_are_shown() {
        assert_eq!(Label::new(source("", "", "a\x1b[2J"), None, false, true).source, b"a\\x1b[2J");
    }

    #[test]
    fn one_pod_has_one_colour() {
        let label = |container| Label::new(source("n", "p", container), None, true, true);
        assert_eq!(label("a").pod, label("b").pod);
        assert!(label("a").pod.starts_with(b"\x1b["));
    }
}
