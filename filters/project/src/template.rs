//! Templates: `{level} {msg} user={user.id:-nobody}`.

use weir_fields::Field;
use weir_fields::logfmt::Pair;

/// A template, parsed.
#[derive(Debug)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Field {
        field: Field,
        /// What stands for a missing field.
        default: String,
    },
}

impl Template {
    /// Parses a template; an error says what is wrong with it and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                plain.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let place = text.len() - brace.len();
            let place = text[..place].chars().count() + 1;
            let Some(inner) = brace.strip_prefix('{') else {
                return Err(format!(
                    "has a `}}` at character {place} that closes nothing; write `}}}}` for the brace itself"
                ));
            };
            let end = inner.find('}').ok_or_else(|| {
                format!(
                    "has a `{{` at character {place} that is not closed; write `{{{{` for the brace itself"
                )
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(field(&inner[..end])?);
            rest = &inner[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Field { .. })) {
            return Err("names no field; name one in braces, as in `{level} {msg}`".to_owned());
        }
        Ok(Self(pieces))
    }

    /// Appends the template filled from a JSON object.
    pub(crate) fn fill_json(&self, line: &[u8], out: &mut Vec<u8>) {
        self.fill(out, |field, out| field.json(line, out));
    }

    /// Appends the template filled from a line of logfmt, of which `pairs` are the words.
    pub(crate) fn fill_logfmt(&self, line: &[u8], pairs: &[Pair], out: &mut Vec<u8>) {
        self.fill(out, |field, out| field.logfmt(line, pairs, out));
    }

    fn fill(&self, out: &mut Vec<u8>, write: impl Fn(&Field, &mut Vec<u8>) -> Option<()>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Field { field, default } => {
                    if write(field, out).is_none() {
                        out.extend_from_slice(default.as_bytes());
                    }
                }
            }
        }
    }
}

fn field(inner: &str) -> Result<Piece, String> {
    let (path, default) = inner.split_once(":-").unwrap_or((inner, ""));
    let field = Field::parse(path).map_err(|reason| format!("has `{{{inner}}}`, and `{path}` {reason}"))?;
    Ok(Piece::Field { field, default: default.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::Template;

    fn filled(template: &str, line: &str) -> String {
        let mut out = Vec::new();
        Template::parse(template).expect("valid").fill_json(line.as_bytes(), &mut out);
        String::from_utf8(out).expect("the cases are UTF-8")
    }

    #[test]
    fn fields_defaults_and_braces() {
        let line = r#"{"level":"info","user":{"id":7},"n":null,"s":"a\nb","q":"say \"hi\"","l":[1, 2]}"#;
        for (template, expected) in [
            ("{level} user={user.id}", "info user=7"),
            ("{none}|{none:-x}|{n:-null}|{user.none:-}", "|x|null|"),
            ("{{{level}}}", "{info}"),
            ("{q} {l} {user}", r#"say "hi" [1, 2] {"id":7}"#),
            ("{s}", r"a\nb"),
        ] {
            assert_eq!(filled(template, line), expected, "{template}");
        }
    }

    #[test]
    fn errors() {
        for (template, reason) in [
            ("plain", "names no field"),
            ("{a", "not closed"),
            ("a}", "closes nothing"),
            ("{a..b}", "expected a key"),
            ("{a[*]}", "single field"),
            ("{}", "expected a key"),
        ] {
            let error = Template::parse(template).expect_err("refused");
            assert!(error.contains(reason), "{template}: {error}");
        }
    }
}
