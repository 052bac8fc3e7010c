//! Names of fields whose values are secret, and how they are found: before a `:` or `=`, in flags and in XML tags.

use crate::detector::{Detector, Detectors};
use crate::text::{is_blank, is_word, run_end, starts_word};
use crate::value::{self, Extent};
use std::ops::Range;

/// Names whose values `password` hides when the parameters name no others. Words are joined by `_`.
pub(crate) const SECRET_NAMES: [&str; 23] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pass",
    "secret",
    "token",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "encryption_key",
    "signing_key",
    "auth_key",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "cvv",
    "cvc",
    "otp",
    "ssn",
];

/// Most names; their search keeps one bit for each.
pub(crate) const MOST_NAMES: usize = 48;

/// Most digits, blanks, quotes and the like between a name and its separator.
const TAIL: usize = 64;
/// Shorter names must stand at the start of a word: `pass` is not in `bypass`.
const SHORT: usize = 5;

/// A name, ready to be compared from its end.
#[derive(Debug)]
pub(crate) struct FieldName {
    /// Words in lower case, joined by `_`.
    name: Vec<u8>,
    pub(crate) detector: Detector,
    pub(crate) extent: Extent,
    /// Fewest bytes of a value that is hidden.
    pub(crate) least: usize,
}

/// The names to look for.
#[derive(Debug)]
pub(crate) struct Fields {
    names: Vec<FieldName>,
    /// For each byte, the names that end with it, one bit each.
    by_last: [u64; 256],
    /// For each byte, the names that may have it before their last: few that end as a text does are left.
    by_second: [u64; 256],
}

/// Why a name can't be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// It has no letter, or a character that isn't a letter, digit, `_`, `-`, `.` or blank.
    Characters,
    /// There are more than [`MOST_NAMES`].
    TooMany,
}

impl Fields {
    /// Takes what the set of detectors asks for, with `secrets` as the names for `password`.
    pub(crate) fn new<'a>(
        detectors: Detectors,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (usize, NameError)> {
        let mut fields = Self { names: Vec::new(), by_last: [0; 256], by_second: [0; 256] };
        // Always below the limit, and valid: a test builds them.
        let fixed = [
            ("secret_access_key", Detector::AwsKey, 16),
            ("aws_secret_key", Detector::AwsKey, 16),
            ("aws_secret", Detector::AwsKey, 16),
            ("aws_session_token", Detector::AwsKey, 16),
            ("account_key", Detector::AzureKey, 16),
            ("shared_access_key", Detector::AzureKey, 16),
            ("sig", Detector::AzureKey, 32),
            ("authorization", Detector::Bearer, 1),
        ];
        for (name, detector, least) in fixed.into_iter().filter(|field| detectors.has(field.1)) {
            fields.push(name, detector, least).map_err(|error| (0, error))?;
        }
        if detectors.has(Detector::Password) {
            for (index, name) in secrets.into_iter().enumerate() {
                fields.push(name, Detector::Password, 1).map_err(|error| (index, error))?;
            }
        }
        Ok(fields)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn push(&mut self, name: &str, detector: Detector, least: usize) -> Result<(), NameError> {
        let name = normal(name)?;
        // The fixed names and the user's together; the limit leaves room for the fixed ones.
        if self.names.iter().filter(|name| name.detector == Detector::Password).count() >= MOST_NAMES {
            return Err(NameError::TooMany);
        }
        let extent = match name.as_slice() {
            b"authorization" | b"cookie" => Extent::Line,
            _ => Extent::Word,
        };
        let last = name[name.len() - 1];
        for byte in [last, last.to_ascii_uppercase()] {
            self.by_last[usize::from(byte)] |= 1 << self.names.len();
        }
        for byte in u8::MIN..=u8::MAX {
            if may_be_second(&name, byte) {
                self.by_second[usize::from(byte)] |= 1 << self.names.len();
            }
        }
        self.names.push(FieldName { name, detector, extent, least });
        Ok(())
    }

    /// Reports the names that stand before the separator at `separator`.
    pub(crate) fn before<'f>(&'f self, text: &[u8], separator: usize, mut found: impl FnMut(&'f FieldName)) {
        let tail = text[..separator].iter().rev().take(TAIL).take_while(|&&byte| is_tail(byte));
        let end = separator - tail.count();
        // The label of what an earlier run replaced is no name.
        if text.get(end) == Some(&b']') && crate::marker::ends_at(text, end + 1) {
            return;
        }
        self.ending_at(text, end, &mut found);
    }

    /// Reports the value of the XML element whose start tag ends at `close`: `<name>value<`.
    pub(crate) fn element<'f>(
        &'f self,
        text: &[u8],
        close: usize,
        mut found: impl FnMut(&'f FieldName, Range<usize>),
    ) {
        let within = |byte: u8| is_word(byte) || matches!(byte, b'-' | b'.' | b':');
        let name = text[..close].iter().rev().take(TAIL).take_while(|&&byte| within(byte)).count();
        let start = close - name;
        if start == 0 || text[start - 1] != b'<' {
            return;
        }
        let value = close + 1..run_end(text, close + 1, |byte| byte != b'<');
        if !value::is_empty(&text[value.clone()]) {
            self.ending_at(text, close, &mut |field| found(field, value.clone()));
        }
    }

    /// Reports the value of the command line's flag whose second dash is at `dash`: `--name value`, or as two
    /// strings of a list, `"--name", "value"`.
    pub(crate) fn flag<'f>(
        &'f self,
        text: &[u8],
        dash: usize,
        mut found: impl FnMut(&'f FieldName, Range<usize>),
    ) {
        if dash > 1 && (is_word(text[dash - 2]) || text[dash - 2] >= 0x80) {
            return;
        }
        let name_end = run_end(text, dash + 1, |byte| is_word(byte) || matches!(byte, b'-' | b'.'));
        let quote = run_end(text, name_end, |byte| byte == b'\\');
        let quote = run_end(text, quote, |byte| matches!(byte, b'"' | b'\'' | b'`'));
        let start = run_end(text, quote, |byte| is_blank(byte) || byte == b',');
        if start == quote {
            return;
        }
        let digits = text[dash + 1..name_end].iter().rev().take_while(|&&byte| is_tail(byte)).count();
        self.ending_at(text, name_end - digits, &mut |field| {
            let value = value::at(text, start, Extent::Word);
            if let Some(value) = value.filter(|value| text[value.start] != b'-') {
                found(field, value);
            }
        });
    }

    fn ending_at<'f>(&'f self, text: &[u8], end: usize, found: &mut impl FnMut(&'f FieldName)) {
        let Some(&last) = end.checked_sub(1).and_then(|index| text.get(index)) else {
            return;
        };
        let mut left = self.by_last[usize::from(last)];
        if let Some(second) = end.checked_sub(2) {
            left &= self.by_second[usize::from(text[second])];
        }
        while left != 0 {
            let name = &self.names[left.trailing_zeros() as usize];
            if name.ends_at(text, end) {
                found(name);
            }
            left &= left - 1;
        }
    }

    /// Matches every line in which a name is found with its value.
    pub(crate) fn pattern(&self) -> String {
        let mut names = String::new();
        for field in &self.names {
            if !names.is_empty() {
                names.push('|');
            }
            for &byte in &field.name {
                match byte {
                    b'_' => names.push_str(r"[ _.\-]?"),
                    byte => names.push(char::from(byte)),
                }
            }
        }
        let before = r#")[0-9_.\-\]"'`\\ \t]*[:=>]"#;
        let flag = r#")[0-9_.\-]*[\\"'`]*[ \t,]"#;
        ["(?i:", &names, before, r"|--[A-Za-z0-9_.\-]*(?i:", &names, flag].concat()
    }
}

impl FieldName {
    fn ends_at(&self, text: &[u8], end: usize) -> bool {
        let mut at = end;
        for &byte in self.name.iter().rev() {
            let before = at.checked_sub(1).map(|index| text[index]);
            if byte == b'_' {
                if matches!(before, Some(b'_' | b'-' | b'.' | b' ')) {
                    at -= 1;
                }
            } else if before.is_some_and(|before| before.to_ascii_lowercase() == byte) {
                at -= 1;
            } else {
                return false;
            }
        }
        self.name.len() >= SHORT || starts_word(text, at) || is_camel_border(text, at)
    }
}

/// Whether `byte` may stand before the last of `name`, as [`FieldName::ends_at`] compares.
fn may_be_second(name: &[u8], byte: u8) -> bool {
    let mut before = name.iter().rev().skip(1);
    match before.next() {
        None => true,
        // Words may be joined by nothing.
        Some(b'_') => {
            matches!(byte, b'_' | b'-' | b'.' | b' ') || before.next() == Some(&byte.to_ascii_lowercase())
        }
        Some(second) => *second == byte.to_ascii_lowercase(),
    }
}

/// Whether a capital stands at `at` behind a small letter.
fn is_camel_border(text: &[u8], at: usize) -> bool {
    text[at].is_ascii_uppercase() && text[at - 1].is_ascii_lowercase()
}

/// What may stand between a name and its separator: digits (`password2`), a bracket (`user[token]=`),
/// quotes and blanks.
fn is_tail(byte: u8) -> bool {
    byte.is_ascii_digit()
        || matches!(byte, b'_' | b'.' | b'-' | b']' | b'"' | b'\'' | b'`' | b'\\' | b' ' | b'\t')
}

/// Lower case, words joined by `_`, digits at the end left out: `apiKey`, `API-KEY` -> `api_key`.
fn normal(name: &str) -> Result<Vec<u8>, NameError> {
    let mut words: Vec<u8> = Vec::new();
    let mut after_small = false;
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => words.push(byte),
            b'A'..=b'Z' => {
                if after_small {
                    words.push(b'_');
                }
                words.push(byte.to_ascii_lowercase());
            }
            b'_' | b'-' | b'.' | b' ' if words.last().is_some_and(|&last| last != b'_') => {
                words.push(b'_');
            }
            b'_' | b'-' | b'.' | b' ' => {}
            _ => return Err(NameError::Characters),
        }
        after_small = byte.is_ascii_lowercase();
    }
    while words.last().is_some_and(|&last| last == b'_' || last.is_ascii_digit()) {
        words.pop();
    }
    if words.iter().any(u8::is_ascii_lowercase) { Ok(words) } else { Err(NameError::Characters) }
}

#[cfg(test)]
mod tests {
    use super::{Fields, MOST_NAMES, NameError, SECRET_NAMES, normal};
    use crate::detector::{ALL, Detector};

    #[test]
    fn names_before_separators() {
        let fields = Fields::new(ALL.into_iter().collect(), SECRET_NAMES).expect("valid names");
        let pattern = regex::bytes::Regex::new(&format!("(?-u:{})", fields.pattern())).expect("valid");
        for (text, detector) in [
            ("password=", Some(Detector::Password)),
            ("\"dbPassword\" : ", Some(Detector::Password)),
            ("PASSWORD_2=", Some(Detector::Password)),
            ("user[password]=", Some(Detector::Password)),
            (r#"\"api-key\":"#, Some(Detector::Password)),
            ("X-Api-Key: ", Some(Detector::Password)),
            ("apikey=", Some(Detector::Password)),
            ("userPass=", Some(Detector::Password)),
            ("db_pass=", Some(Detector::Password)),
            (r"\npwd=", Some(Detector::Password)),
            ("AccountKey=", Some(Detector::AzureKey)),
            ("Authorization: ", Some(Detector::Bearer)),
            ("bypass=", None),
            ("compass: ", None),
            ("max_tokens=", None),
            ("password hash", None),
            ("=", None),
        ] {
            let separator = text.find([':', '=']).unwrap_or(text.len());
            let mut found = None;
            fields.before(text.as_bytes(), separator, |name| {
                found = found.or(Some(name.detector));
            });
            assert_eq!(found, detector, "{text}");
            assert!(found.is_none() || pattern.is_match(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn names_are_brought_into_one_form() {
        assert_eq!(normal("apiKey").expect("valid"), b"api_key");
        assert_eq!(normal("API-KEY 2").expect("valid"), b"api_key");
        assert_eq!(normal("passwörd"), Err(NameError::Characters));
        assert_eq!(normal("12"), Err(NameError::Characters));
        let many = vec!["name"; MOST_NAMES + 1];
        let refused = Fields::new(ALL.into_iter().collect(), many).expect_err("too many");
        assert_eq!(refused, (MOST_NAMES, NameError::TooMany));
    }
}
