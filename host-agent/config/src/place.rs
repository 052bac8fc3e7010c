//! On which line of a file a key stands.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the error says that tells a key's place.
const FOUND: &str = "the key that was looked for";

/// The line on which a key stands, from 1. The path names a key, or an entry of a list by its number, on each level.
pub(crate) fn line_of(text: &str, path: &[impl AsRef<str>]) -> Option<usize> {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let reader = serde_norway::Deserializer::from_str(text);
    // Where the key is found an error is made, to which the reader adds where it is.
    let found = Search(&path).deserialize(reader).err()?;
    found.location().filter(|_| found.to_string().contains(FOUND)).map(|location| location.line())
}

/// Looks for a key.
struct Search<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, below)) = self.0.split_first() else { return Ok(()) };
        let is_last = below.is_empty();
        while let Some(is_it) = map.next_key_seed(Key { name: first, is_last })? {
            match is_it {
                true => map.next_value_seed(Search(below))?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((first, below)) = self.0.split_first() else { return Ok(()) };
        let wanted = first.parse().unwrap_or(usize::MAX);
        let mut number = 0;
        loop {
            let goes_on = match number == wanted {
                true => list.next_element_seed(Search(below))?.is_some(),
                false => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !goes_on {
                return Ok(());
            }
            number += 1;
        }
    }
}

/// Compares a key with a name.
struct Key<'a> {
    name: &'a str,
    /// The key itself is looked for.
    is_last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.name {
            true if self.is_last => Err(E::custom(FOUND)),
            is_it => Ok(is_it),
        }
    }
}
