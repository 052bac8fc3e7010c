//! What stands in a secret's place.

use crate::marker::HASH_DIGITS;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How secrets are replaced.
pub(crate) enum Style {
    /// `[REDACTED:label]`.
    Label,
    /// `[label:0123456789ab]`: the first digits of the value's HMAC-SHA256. Boxed, since the others are
    /// nothing beside its state.
    Hash(Box<Hmac<Sha256>>),
    /// As many `*` as the value has bytes.
    Mask,
}

/// What a value is, where that decides how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Card,
    Email,
    Other,
}

impl Style {
    /// A style of keyed hashes.
    pub(crate) fn hash(key: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self::Hash(Box::new(mac))
    }

    /// Appends what stands for `value`.
    pub(crate) fn write(&self, label: &str, form: Form, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Label => {
                out.extend_from_slice(b"[REDACTED:");
                out.extend_from_slice(label.as_bytes());
                out.push(b']');
            }
            Self::Hash(key) => {
                out.push(b'[');
                out.extend_from_slice(label.as_bytes());
                out.push(b':');
                hash(key, form, value, out);
                out.push(b']');
            }
            Self::Mask => mask(form, value, out),
        }
    }
}

/// Cards are hashed by their digits alone, so that spaces and dashes make no difference.
fn hash(key: &Hmac<Sha256>, form: Form, value: &[u8], out: &mut Vec<u8>) {
    let mut mac = key.clone();
    if form == Form::Card {
        value.iter().filter(|byte| byte.is_ascii_digit()).for_each(|&digit| mac.update(&[digit]));
    } else {
        mac.update(value);
    }
    let digest = mac.finalize().into_bytes();
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    out.extend(digest.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).take(HASH_DIGITS));
}

/// Cards keep their separators and last four digits, addresses their `@`.
fn mask(form: Form, value: &[u8], out: &mut Vec<u8>) {
    let mut digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    out.extend(value.iter().map(|&byte| match (form, byte) {
        (Form::Card, b'0'..=b'9') => {
            digits -= 1;
            if digits < 4 { byte } else { b'*' }
        }
        (Form::Card, _) | (Form::Email, b'@') => byte,
        _ => b'*',
    }));
}

#[cfg(test)]
mod tests {
    use super::{Form, Style};

    fn written(style: &Style, form: Form, value: &str) -> String {
        let mut out = Vec::new();
        style.write("label", form, value.as_bytes(), &mut out);
        String::from_utf8(out).expect("markers are ASCII")
    }

    #[test]
    fn styles() {
        assert_eq!(written(&Style::Label, Form::Other, "x"), "[REDACTED:label]");
        assert_eq!(written(&Style::Mask, Form::Other, "hunter2"), "*******");
        assert_eq!(written(&Style::Mask, Form::Email, "a@b.co"), "*@****");
        assert_eq!(written(&Style::Mask, Form::Card, "4111 1111-1111 1234"), "**** ****-**** 1234");
    }

    #[test]
    fn hashes_are_the_standard_ones() {
        // RFC 4231, test case 2.
        let style = Style::hash(b"Jefe");
        let hash = written(&style, Form::Other, "what do ya want for nothing?");
        assert_eq!(hash, "[label:5bdcc146bf60]");
        assert_ne!(hash, written(&Style::hash(b"jefe"), Form::Other, "what do ya want for nothing?"));
        let card = |text| written(&style, Form::Card, text);
        assert_eq!(card("4111-1111-1111-1111"), card("4111 1111 1111 1111"));
    }
}
