//! Keys and tokens that are told by how they look: cloud keys, tokens of well-known services, JSON
//! Web Tokens, and credentials behind `Bearer` and `Basic`.

use crate::detector::{Detector, Detectors};
use crate::text::{has_word_at, is_base64, is_unreserved, is_word, run_end, starts_word};
use core::ops::Range;

/// The characters of a token behind its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// Capitals and digits.
    Upper,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Letters, digits, `_` and `-`.
    Url,
    /// Letters, digits, `_`, `-`, `.` and `~`.
    Unreserved,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Url => is_word(byte) || byte == b'-',
            Self::Unreserved => is_unreserved(byte),
            Self::Base64 => is_base64(byte) || byte == b'=',
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Upper => "[A-Z0-9]",
            Self::Hex => "[0-9a-f]",
            Self::Url => r"[A-Za-z0-9_\-]",
            Self::Unreserved => r"[A-Za-z0-9_.~\-]",
            Self::Base64 => "[A-Za-z0-9+/=]",
        }
    }
}

/// A kind of token: its prefix, and at least so many characters behind it. Together they are at least
/// as long as the shortest run that is looked at.
struct Shape(Detector, &'static str, usize, Alphabet);

/// From the services' own pages on their token formats, and the rules of public secret scanners.
const SHAPES: [Shape; 58] = [
    Shape(Detector::AwsKey, "AKIA", 16, Alphabet::Upper),
    Shape(Detector::AwsKey, "ASIA", 16, Alphabet::Upper),
    Shape(Detector::AwsKey, "ABIA", 16, Alphabet::Upper),
    Shape(Detector::AwsKey, "ACCA", 16, Alphabet::Upper),
    Shape(Detector::AwsKey, "FwoGZXIvYXdz", 40, Alphabet::Base64),
    Shape(Detector::AwsKey, "IQoJb3JpZ2lu", 40, Alphabet::Base64),
    Shape(Detector::GcpKey, "AIza", 35, Alphabet::Url),
    Shape(Detector::GcpKey, "ya29.", 20, Alphabet::Unreserved),
    Shape(Detector::GcpKey, "GOCSPX-", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "ghp_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "gho_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "ghu_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "ghs_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "ghr_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "github_pat_", 22, Alphabet::Url),
    Shape(Detector::ApiToken, "glpat-", 16, Alphabet::Unreserved),
    Shape(Detector::ApiToken, "gldt-", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "glrt-", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "glptt-", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxa-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxb-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxp-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxr-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxs-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxe-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "xoxe.", 12, Alphabet::Unreserved),
    Shape(Detector::ApiToken, "xapp-", 12, Alphabet::Url),
    Shape(Detector::ApiToken, "sk_live_", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "sk_test_", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "rk_live_", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "rk_test_", 16, Alphabet::Url),
    Shape(Detector::ApiToken, "whsec_", 20, Alphabet::Base64),
    Shape(Detector::ApiToken, "npm_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "pypi-AgE", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "rubygems_", 40, Alphabet::Hex),
    Shape(Detector::ApiToken, "SG.", 40, Alphabet::Unreserved),
    Shape(Detector::ApiToken, "sk-ant-", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "sk-proj-", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "sk-svcacct-", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "hf_", 30, Alphabet::Url),
    Shape(Detector::ApiToken, "dop_v1_", 40, Alphabet::Hex),
    Shape(Detector::ApiToken, "doo_v1_", 40, Alphabet::Hex),
    Shape(Detector::ApiToken, "dor_v1_", 40, Alphabet::Hex),
    Shape(Detector::ApiToken, "hvs.", 20, Alphabet::Unreserved),
    Shape(Detector::ApiToken, "hvb.", 20, Alphabet::Unreserved),
    Shape(Detector::ApiToken, "hvr.", 20, Alphabet::Unreserved),
    Shape(Detector::ApiToken, "dckr_pat_", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "shpat_", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "shpss_", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "shpca_", 20, Alphabet::Url),
    Shape(Detector::ApiToken, "dapi", 32, Alphabet::Hex),
    Shape(Detector::ApiToken, "glsa_", 32, Alphabet::Url),
    Shape(Detector::ApiToken, "lin_api_", 32, Alphabet::Url),
    Shape(Detector::ApiToken, "ATATT3x", 50, Alphabet::Url),
    Shape(Detector::ApiToken, "AGE-SECRET-KEY-1", 50, Alphabet::Upper),
    Shape(Detector::ApiToken, "NRAK-", 20, Alphabet::Upper),
    Shape(Detector::ApiToken, "PMAK-", 40, Alphabet::Url),
    Shape(Detector::ApiToken, "sntrys_", 32, Alphabet::Url),
];

/// Most characters behind a prefix that the pattern asks for: more would only make it larger.
const PATTERN_LEAST: usize = 8;

/// For each byte, the shapes whose prefixes start with it, one bit each.
static BY_FIRST: [u64; 128] = {
    let mut table = [0; 128];
    let mut index = 0;
    while index < SHAPES.len() {
        table[SHAPES[index].1.as_bytes()[0] as usize] |= 1 << index;
        index += 1;
    }
    table[b'e' as usize] |= JWT;
    table
};
/// The bit of JSON Web Tokens, which begin with `eyJ`.
const JWT: u64 = 1 << 63;

/// Reports the tokens in the run of unreserved characters that starts at `start`. Returns whether one
/// of them was the id of an AWS key.
pub(crate) fn in_run(
    text: &[u8],
    start: usize,
    detectors: Detectors,
    mut found: impl FnMut(Detector, Range<usize>),
) -> bool {
    let end = run_end(text, start, is_unreserved);
    let mut aws_id = false;
    // Where a JSON Web Token can't begin any more: the part between dots holds none.
    let mut no_jwt_before = start;
    let mut at = start;
    while at < end {
        let mut next = at + 1;
        let candidates = BY_FIRST.get(usize::from(text[at])).copied().unwrap_or(0);
        if candidates != 0 && starts_word(text, at) {
            if let Some((index, range)) = shape_at(text, at, candidates & !JWT, detectors) {
                aws_id |= index < 4;
                next = range.end.min(end);
                found(SHAPES[index].0, range);
            } else if candidates & JWT != 0 && at >= no_jwt_before && detectors.has(Detector::Jwt) {
                match jwt(text, at) {
                    Ok(range) => {
                        next = range.end;
                        found(Detector::Jwt, range);
                    }
                    Err(part_end) => no_jwt_before = part_end,
                }
            }
        } else if text[at] == b'~'
            && detectors.has(Detector::AzureKey)
            && let Some(range) = azure_secret(text, start, at)
        {
            found(Detector::AzureKey, range);
        }
        at = next;
    }
    aws_id
}

fn shape_at(
    text: &[u8],
    at: usize,
    mut candidates: u64,
    detectors: Detectors,
) -> Option<(usize, Range<usize>)> {
    while candidates != 0 {
        let index = candidates.trailing_zeros() as usize;
        let Shape(detector, prefix, least, alphabet) = &SHAPES[index];
        if detectors.has(*detector) && text[at..].starts_with(prefix.as_bytes()) {
            let start = at + prefix.len();
            let end = run_end(text, start, |byte| alphabet.has(byte));
            if end - start >= *least {
                return Some((index, at..end));
            }
        }
        candidates &= candidates - 1;
    }
    None
}

/// The JSON Web Token at `at`: base64url parts joined by dots, at least a header and a payload. If
/// there is none, the end of the part that was looked at.
fn jwt(text: &[u8], at: usize) -> Result<Range<usize>, usize> {
    let part_end = |from| run_end(text, from, |byte| is_word(byte) || byte == b'-');
    let header = part_end(at);
    if !text[at..].starts_with(b"eyJ") {
        return Err(at);
    }
    if header - at < 12 || text.get(header) != Some(&b'.') {
        return Err(header);
    }
    let mut end = part_end(header + 1);
    if end == header + 1 {
        return Err(header);
    }
    // A signature; an encrypted token has two parts more.
    for _ in 0..3 {
        if text.get(end) == Some(&b'.') {
            end = part_end(end + 1);
        }
    }
    Ok(at..end)
}

/// A client secret of Entra ID around the `~` at `tilde`: three characters, a digit, `Q~`, and 31 to 34
/// characters.
fn azure_secret(text: &[u8], run: usize, tilde: usize) -> Option<Range<usize>> {
    let start = tilde.checked_sub(5).filter(|&start| start >= run)?;
    if text[tilde - 1] != b'Q' || !text[tilde - 2].is_ascii_digit() {
        return None;
    }
    let end = run_end(text, tilde + 1, is_unreserved);
    (end - tilde > 31).then_some(start..end)
}

/// Reports the words of exactly 40 base64 characters: near the id of an AWS key, its secret.
pub(crate) fn aws_secrets(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        let end = run_end(text, at, is_base64);
        let word = &text[at..end];
        if word.len() == 40 && is_mixed(word) {
            found(at..end);
        }
        at = end + 1;
    }
}

/// Whether a word has small letters, capitals and digits.
pub(crate) fn is_mixed(word: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| word.iter().any(class);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// The credential behind the `Bearer` or `Basic` that ends before the blank at `blank`. Words of prose
/// ("basic authentication") aren't one: it must have a digit, mixed case, or 32 characters.
pub(crate) fn credential(text: &[u8], blank: usize) -> Option<Range<usize>> {
    let scheme = [&b"bearer"[..], b"basic"].into_iter().find_map(|word| {
        let at = blank.checked_sub(word.len())?;
        (has_word_at(text, at, word) && starts_word(text, at)).then_some(word)
    })?;
    let start = run_end(text, blank, |byte| byte == b' ');
    let end = run_end(text, start, |byte| is_unreserved(byte) || matches!(byte, b'+' | b'/' | b'='));
    let word = &text[start..end];
    let least = if scheme == b"basic" { 6 } else { 8 };
    let secret = word.len() >= least
        && (word.len() >= 32
            || word.iter().any(u8::is_ascii_digit)
            || (word[1..].iter().any(u8::is_ascii_uppercase) && word.iter().any(u8::is_ascii_lowercase)));
    secret.then_some(start..end)
}

/// Matches every line in which [`credential`] finds one.
pub(crate) const CREDENTIAL_PATTERN: &str = "(?i:bearer|basic) ";
/// Matches every line in which [`in_run`] finds a JSON Web Token.
pub(crate) const JWT_PATTERN: &str = r"eyJ[A-Za-z0-9_\-]{9}";
/// Matches every line in which [`in_run`] finds a client secret of Entra ID.
pub(crate) const AZURE_PATTERN: &str = "[0-9]Q~";

/// Adds the patterns of the shapes of one detector.
pub(crate) fn shape_patterns(of: Detector, mut add: impl FnMut(String)) {
    for Shape(_, prefix, least, alphabet) in SHAPES.iter().filter(|shape| shape.0 == of) {
        let least = if *least < PATTERN_LEAST { *least } else { PATTERN_LEAST };
        let mut pattern = String::new();
        for letter in prefix.chars() {
            match letter {
                '.' => pattern.push_str(r"\."),
                '-' => pattern.push_str(r"\-"),
                letter => pattern.push(letter),
            }
        }
        for _ in 0..least {
            pattern.push_str(alphabet.pattern());
        }
        add(pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::{SHAPES, aws_secrets, credential, in_run};
    use crate::detector::{ALL, Detector};
    use crate::masks::TOKEN_RUN;

    fn tokens(text: &str) -> Vec<(Detector, &str)> {
        let mut found = Vec::new();
        in_run(text.as_bytes(), 0, ALL.into_iter().collect(), |detector, range| {
            found.push((detector, &text[range]));
        });
        found
    }

    #[test]
    fn every_shape_is_found_and_long_enough_to_be_looked_at() {
        for shape in &SHAPES {
            let token = format!("{}{}", shape.1, "A1b2c3d4".repeat(8));
            let token = match shape.3 {
                super::Alphabet::Upper => token[shape.1.len()..].to_uppercase(),
                super::Alphabet::Hex => token[shape.1.len()..].to_lowercase(),
                _ => token[shape.1.len()..].to_owned(),
            };
            let token = format!("{}{token}", shape.1);
            assert!(shape.1.len() + shape.2 >= TOKEN_RUN, "{}", shape.1);
            assert_eq!(tokens(&token), [(shape.0, token.as_str())]);
            let glued = format!("my_{token}");
            assert_eq!(tokens(&glued), [(shape.0, token.as_str())]);
        }
    }

    #[test]
    fn json_web_tokens() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_";
        assert_eq!(tokens(token), [(Detector::Jwt, token)]);
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.";
        assert_eq!(tokens(unsigned), [(Detector::Jwt, unsigned)]);
        assert_eq!(tokens("eyJhbGciOiJIUzI1NiJ9"), []);
        assert_eq!(tokens("xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"), []);
    }

    #[test]
    fn entra_secrets() {
        let secret = format!("aB38Q~{}", "x".repeat(34));
        assert_eq!(tokens(&secret), [(Detector::AzureKey, secret.as_str())]);
    }

    #[test]
    fn credentials_and_prose() {
        for (text, expected) in [
            ("Bearer abc123def", Some("abc123def")),
            ("bearer  mF_9.B5f-4.1JqM", Some("mF_9.B5f-4.1JqM")),
            ("Basic dTpw", None),
            ("Basic dXNlcjpwdw==", Some("dXNlcjpwdw==")),
            ("Basic Authentication", None),
            ("Bearer authentication", None),
            ("Forbearer abc123def", None),
        ] {
            let blank = text.find(' ').expect("each case has a blank");
            let found = credential(text.as_bytes(), blank).map(|range| &text[range]);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn secrets_of_forty_characters() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let text = format!("id x {secret} {}", "a".repeat(40));
        let mut found = Vec::new();
        aws_secrets(text.as_bytes(), |range| found.push(&text[range]));
        assert_eq!(found, [secret]);
    }
}
