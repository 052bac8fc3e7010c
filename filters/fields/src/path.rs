//! Paths to fields: `level`, `user.id`, `"dotted.key".x`, `a["x y"]`, `items[*].id`.

use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To the field of that name.
    Key(String),
    /// To every item of an array.
    Items,
}

impl Step {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Items => None,
        }
    }
}

/// A path, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// Why a text is no path.
#[derive(Debug, PartialEq, Eq)]
pub struct PathError {
    /// Byte at which it stops being one.
    at: usize,
    due: &'static str,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is no path: expected {} at character {}", self.due, self.at + 1)
    }
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// The place where it stops being one, and what should stand there.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, at: 0 };
        let mut steps = vec![Step::Key(parser.key()?)];
        while parser.at < text.len() {
            steps.push(parser.step()?);
        }
        Ok(Self(steps))
    }

    /// Its steps, at least one.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The last key on the way: a line without it has nothing at this path.
    #[must_use]
    pub fn last_key(&self) -> &str {
        let last = self.0.iter().rev().find_map(Step::key);
        last.expect("a path starts with a key")
    }

    /// The keys, if the path has no `[*]`.
    #[must_use]
    pub fn keys(&self) -> Option<Vec<&str>> {
        self.0.iter().map(Step::key).collect()
    }

    /// The key of a flat record that the path stands for: its keys, joined by dots.
    #[must_use]
    pub fn flat(&self) -> Option<String> {
        self.keys().map(|keys| keys.join("."))
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn step(&mut self) -> Result<Step, PathError> {
        if self.take(".") {
            return self.key().map(Step::Key);
        }
        if self.take("[*]") {
            return Ok(Step::Items);
        }
        if self.take("[") {
            let key = self.quoted()?;
            return if self.take("]") { Ok(Step::Key(key)) } else { Err(self.due("`]`")) };
        }
        Err(self.due("`.`, `[*]`, `[\"key\"]` or the end"))
    }

    fn key(&mut self) -> Result<String, PathError> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let length = self.rest().find(['.', '[', ']', '"']).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.due("a key"));
        }
        let key = self.rest()[..length].to_owned();
        self.at += length;
        Ok(key)
    }

    /// A key in quotes, in which `\"` and `\\` stand for a quote and a backslash.
    fn quoted(&mut self) -> Result<String, PathError> {
        if !self.take("\"") {
            return Err(self.due("a key in quotes"));
        }
        let mut key = String::new();
        let mut chars = self.text[self.at..].char_indices();
        while let Some((index, char)) = chars.next() {
            match char {
                '"' => {
                    self.at += index + 1;
                    return Ok(key);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => key.push(escaped),
                    _ => {
                        self.at += index + 1;
                        return Err(self.due("`\"` or `\\` behind a backslash"));
                    }
                },
                char => key.push(char),
            }
        }
        self.at = self.text.len();
        Err(self.due("a closing quote"))
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest().starts_with(token);
        if taken {
            self.at += token.len();
        }
        taken
    }

    fn due(&self, due: &'static str) -> PathError {
        PathError { at: self.text[..self.at].chars().count(), due }
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Step};

    #[test]
    fn paths() {
        let key = |key: &str| Step::Key(key.to_owned());
        for (text, steps) in [
            ("level", vec![key("level")]),
            ("user.id", vec![key("user"), key("id")]),
            (r#""a.b".c"#, vec![key("a.b"), key("c")]),
            (r#"a["x \"y\""]"#, vec![key("a"), key("x \"y\"")]),
            ("items[*].id", vec![key("items"), Step::Items, key("id")]),
            ("@timestamp", vec![key("@timestamp")]),
        ] {
            assert_eq!(Path::parse(text).expect("valid").steps(), steps, "{text}");
        }
    }

    #[test]
    fn errors_tell_the_place() {
        for (text, error) in [
            ("", "expected a key at character 1"),
            ("a..b", "expected a key at character 3"),
            ("ä[0]", "expected a key in quotes at character 3"),
            ("a[\"b\"", "expected `]` at character 6"),
            ("\"a", "expected a closing quote at character 3"),
        ] {
            let told = Path::parse(text).expect_err("refused").to_string();
            assert!(told.ends_with(error), "{text}: {told}");
        }
    }
}
