//! Doc comments as text.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The doc comment: paragraphs parted by an empty line, the lines of each joined.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    let mut gap = "";
    for line in attributes.iter().filter_map(line) {
        let line = line.trim();
        if line.is_empty() {
            gap = "\n\n";
        } else {
            if !text.is_empty() {
                text.push_str(gap);
            }
            text.push_str(line);
            gap = if line.starts_with("- ") { "\n" } else { " " };
        }
    }
    text
}

/// The first paragraph, without its final period.
pub(crate) fn summary(attributes: &[Attribute]) -> String {
    let text = text(attributes);
    let first = text.split("\n\n").next().unwrap_or_default();
    first.strip_suffix('.').unwrap_or(first).to_owned()
}

fn line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
