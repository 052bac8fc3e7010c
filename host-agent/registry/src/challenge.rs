//! What a registry wants to know before it answers: the header `WWW-Authenticate` (RFC 9110, section 11), as far as
//! registries use it.

/// How to say who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// With a token, which somebody else gives.
    Bearer {
        /// URL of who gives it.
        realm: String,
        /// For whom it is to be.
        service: Option<String>,
        /// What it is to allow.
        scope: Option<String>,
    },
    /// With a name and a password.
    Basic,
}

/// Most bytes of the header that are read.
const BYTES: usize = 4 << 10;

/// A scheme with its parameters.
type Part<'a> = (&'a str, Vec<(&'a str, String)>);

impl Challenge {
    /// The challenges that can be met in the value of a header, in their order. What can't be read, and all behind it, is
    /// left out.
    pub fn parse(header: &str) -> Vec<Challenge> {
        let parts = if header.len() <= BYTES { parts(header) } else { Vec::new() };
        parts.into_iter().filter_map(Challenge::of).collect()
    }

    fn of((scheme, parameters): Part<'_>) -> Option<Challenge> {
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let get = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        Some(Challenge::Bearer { realm: get("realm")?, service: get("service"), scope: get("scope") })
    }
}

/// Schemes with their parameters. A word with `=` behind it is a parameter of the scheme before, and any other one a scheme.
fn parts(header: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|letter: char| !is_token(letter)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            return parts;
        }
        let value = behind.trim_start_matches([' ', '\t']).strip_prefix('=');
        match (value, parts.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let Some((value, behind)) = parameter(value.trim_start_matches([' ', '\t'])) else {
                    return parts;
                };
                parameters.push((word, value));
                rest = behind;
            }
            (Some(_), None) => return parts,
            (None, _) => {
                parts.push((word, Vec::new()));
                rest = behind;
            }
        }
    }
}

/// The value that a text begins with, a word or in quotes, and what is behind it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|letter: char| !is_token(letter)).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        // A lone token68, such as `Negotiate abc==`, ends so.
        return Some((value.to_owned(), behind.trim_start_matches('=')));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: own(service), scope: own(scope) }
    }

    #[test]
    fn challenges_of_registries_are_read() {
        for (header, challenges) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            (r#"bearer Realm = "a\"b" , service=x"#, vec![bearer("a\"b", Some("x"), None)]),
            (r#"Basic realm="x", charset="UTF-8""#, vec![Challenge::Basic]),
            (
                r#"Negotiate abc==, Basic realm="x", Bearer realm="y""#,
                vec![Challenge::Basic, bearer("y", None, None)],
            ),
            (r#"Negotiate, Basic"#, vec![Challenge::Basic]),
            (r#"Bearer service="x""#, vec![]),
            (r#"Basic realm="x", Bearer realm="unended"#, vec![Challenge::Basic]),
            ("", vec![]),
            (r#"="x""#, vec![]),
        ] {
            assert_eq!(Challenge::parse(header), challenges, "{header}");
        }
        assert_eq!(Challenge::parse(&format!("Basic realm=\"{}\"", "x".repeat(BYTES))), []);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_left_out(text in "\\PC{0,100}") {
            Challenge::parse(&text);
        }

        #[test]
        fn what_is_quoted_is_read_back(realm in "[ -~]{1,40}", scope in "[ -~]{0,40}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{}\",scope=\"{}\"", quoted(&realm), quoted(&scope));
            prop_assert_eq!(Challenge::parse(&header), vec![bearer(&realm, None, Some(&scope))]);
        }
    }
}
