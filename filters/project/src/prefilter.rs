//! The regular expression that every line which is changed matches.

use crate::params::Work;
use weir_fields::Format;

/// The expression for lines read as `format`.
pub(crate) fn of(format: Format, work: &Work) -> String {
    let any = match format {
        Format::Auto => r"\{|=",
        Format::Json => r"\{",
        // A key alone is a record too.
        Format::Logfmt => "(?-u:[^ ])",
    };
    let keys = match work {
        Work::Rules(rules) => rules.keys(),
        Work::Template(_) => None,
    };
    keys.and_then(|keys| having(format, keys)).unwrap_or_else(|| any.to_owned())
}

/// The lines that have one of the keys; `None` if a key can be written in too many ways.
fn having(format: Format, keys: &[String]) -> Option<String> {
    // JSON may write any character as `\u....`.
    let mut pattern = String::new();
    if format != Format::Logfmt {
        pattern.push_str(r"\\u");
    }
    let quote = if format == Format::Json { "\"" } else { "" };
    for key in keys {
        if !pattern.is_empty() {
            pattern.push('|');
        }
        pattern.push_str(quote);
        for char in key.chars() {
            if char <= ' ' || matches!(char, '"' | '\\' | '/') {
                return None;
            }
            if r".+*?()|[]{}^$#&-~".contains(char) {
                pattern.push('\\');
            }
            pattern.push(char);
        }
        pattern.push_str(quote);
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::having;
    use weir_fields::Format;

    #[test]
    fn keys_become_literals() {
        let having = |format, keys: &[&str]| {
            having(format, &keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(having(Format::Json, &["a", "b.c"]).as_deref(), Some(r#"\\u|"a"|"b\.c""#));
        assert_eq!(having(Format::Logfmt, &["a", "@t"]).as_deref(), Some("a|@t"));
        assert_eq!(having(Format::Auto, &["a/b"]), None);
    }
}
