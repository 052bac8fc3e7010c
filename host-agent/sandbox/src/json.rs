//! Checks that text from a guest is a JSON object, without building it.
//!
//! Stricter than skipping over it: whoever parses the text later with the same library can rely on it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Whether `text` is one JSON object: UTF-8, whole, nested at most 127 deep, numbers in range.
/// The error tells in one line what is wrong.
pub(crate) fn check_object(text: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    match serde_json::from_str::<Valid>(text) {
        Ok(Valid) => Ok(()),
        Err(error) => Err(format!("not valid JSON: {error}")),
    }
}

/// Any JSON value, read to its end and forgotten.
struct Valid;

impl<'de> Deserialize<'de> for Valid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Valid, D::Error> {
        deserializer.deserialize_any(ValidVisitor)
    }
}

struct ValidVisitor;

impl<'de> Visitor<'de> for ValidVisitor {
    type Value = Valid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Valid, E> {
        Ok(Valid)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Valid, E> {
        Ok(Valid)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Valid, E> {
        Ok(Valid)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Valid, E> {
        Ok(Valid)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Valid, E> {
        Ok(Valid)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Valid, E> {
        Ok(Valid)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Valid, A::Error> {
        while items.next_element::<Valid>()?.is_some() {}
        Ok(Valid)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Valid, A::Error> {
        while entries.next_entry::<Valid, Valid>()?.is_some() {}
        Ok(Valid)
    }
}

#[cfg(test)]
mod tests {
    use super::check_object;

    #[test]
    fn takes_objects_and_nothing_else() {
        for good in ["{}", " {\"a\":[1,-2,3.5,null,true,\"\\u00e9\"],\"b\":{}} ", "{\"a\":1,\"a\":2}"] {
            assert_eq!(check_object(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "[]",
            "1",
            "\"{}\"",
            "{",
            "{}{}",
            "{\"a\"}",
            "{\"a\":01}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1e999}",
        ] {
            assert!(check_object(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_object(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn refuses_what_a_parser_would_refuse_for_its_depth() {
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(check_object(deep(100).as_bytes()).is_ok());
        assert!(check_object(deep(100_000).as_bytes()).is_err());
    }
}
