//! Regular expressions compiled at build time: dense DFAs that a guest embeds and searches with, a fifth of the
//! size of a regex engine and without its compile time.
//!
//! A build script writes the file, with this crate among its `[build-dependencies]`:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dfa = weir_sdk::dfa::build(&["[0-9]{3}-[0-9]{4}", "(?i)ticket"])?;
//! std::fs::write(format!("{}/phones.dfa", std::env::var("OUT_DIR")?), dfa)?;
//! # Ok(())
//! # }
//! ```
//!
//! The filter embeds it with `embed_dfa!(concat!(env!("OUT_DIR"), "/phones.dfa"))` and searches:
//!
//! ```
//! # let embedded = weir_sdk::dfa::build(&["[0-9]{3}-[0-9]{4}", "(?i)ticket"])?;
//! # let embedded = embedded.as_ref();
//! let dfa = weir_sdk::dfa::Dfa::load(embedded)?;
//! let hit = dfa.find(b"call 555-1234 now", 0).ok_or("no hit")?;
//! assert_eq!((hit.pattern, hit.start, hit.end), (0, 5, 13));
//! assert_eq!(dfa.find(b"TICKET", 0).map(|hit| hit.pattern), Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use regex_automata::Input;
use regex_automata::dfa::dense::DFA;
use regex_automata::dfa::regex::Regex;

/// Bytes before the forward DFA: its length, little-endian, in 8 bytes so that what follows stays aligned.
const HEADER: usize = 8;

/// Patterns compiled ahead, ready to search.
pub struct Dfa<'a>(Regex<DFA<&'a [u32]>>);

impl<'a> Dfa<'a> {
    /// Reads what [`build`] made. It is checked in full, at a cost of some microseconds per 10 KiB.
    ///
    /// # Errors
    /// Bytes that [`build`] did not make, that are not aligned to 4 bytes, or that are made for a machine of the
    /// other byte order.
    pub fn load(bytes: &'a [u8]) -> Result<Dfa<'a>, LoadError> {
        let short = || LoadError("it ends too early".to_owned());
        let header = bytes.first_chunk::<HEADER>().ok_or_else(short)?;
        let forward_len = usize::try_from(u64::from_le_bytes(*header)).map_err(|_| short())?;
        let (forward, reverse) = bytes[HEADER..].split_at_checked(forward_len).ok_or_else(short)?;
        let read = |bytes| DFA::from_bytes(bytes).map(|(dfa, _)| dfa).map_err(|e| LoadError(e.to_string()));
        Ok(Dfa(Regex::builder().build_from_dfas(read(forward)?, read(reverse)?)))
    }

    /// The leftmost match that starts at `from` or later; of those the one whose pattern comes first.
    ///
    /// # Panics
    /// When `from` lies beyond the end.
    #[must_use]
    pub fn find(&self, haystack: &[u8], from: usize) -> Option<Hit> {
        let found = self.0.find(Input::new(haystack).span(from..haystack.len()))?;
        Some(Hit { pattern: found.pattern().as_usize(), start: found.start(), end: found.end() })
    }

    /// Whether anything matches: half the work of [`find`](Dfa::find).
    #[must_use]
    pub fn is_match(&self, haystack: &[u8]) -> bool {
        self.0.is_match(haystack)
    }
}

impl fmt::Debug for Dfa<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dfa")
    }
}

/// One match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which pattern matched, by its place in the list given to [`build`].
    pub pattern: usize,
    /// Where the match starts.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What was to be loaded is no DFA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no DFA that `weir_sdk::dfa::build` made for this machine: {}", self.0)
    }
}

impl std::error::Error for LoadError {}

/// Bytes aligned as a DFA needs them; see [`embed_dfa!`](crate::embed_dfa).
#[doc(hidden)]
#[derive(Debug)]
#[repr(C)]
pub struct Aligned<B: ?Sized> {
    /// Takes no room, but asks for its alignment.
    pub align: [u32; 0],
    /// The file.
    pub bytes: B,
}

/// Embeds the file that a build script wrote with [`dfa::build`](crate::dfa::build), as `&'static [u8]`.
#[macro_export]
macro_rules! embed_dfa {
    ($path:expr) => {{
        static EMBEDDED: &$crate::dfa::Aligned<[u8]> =
            &$crate::dfa::Aligned { align: [], bytes: *::core::include_bytes!($path) };
        &EMBEDDED.bytes
    }};
}

#[cfg(not(target_arch = "wasm32"))]
pub use building::{BuildError, Built, build};

#[cfg(not(target_arch = "wasm32"))]
mod building {
    use std::fmt;

    use regex_automata::dfa::{dense, regex};
    use regex_automata::util::syntax;

    use super::HEADER;

    /// What [`build`] made: the bytes to write to a file.
    #[derive(Clone, Debug)]
    pub struct Built {
        buffer: Vec<u8>,
        /// Where the bytes start in the buffer, aligned for use in place.
        start: usize,
    }

    impl AsRef<[u8]> for Built {
        fn as_ref(&self) -> &[u8] {
            &self.buffer[self.start..]
        }
    }

    /// The patterns do not compile, or not to a DFA under the size limit.
    #[derive(Clone, Debug)]
    pub struct BuildError(Box<dense::BuildError>);

    impl fmt::Display for BuildError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the patterns make no DFA")
        }
    }

    impl std::error::Error for BuildError {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&*self.0)
        }
    }

    /// The automaton of one build may take up this much memory; it bounds the file too, but not the build's time.
    const DFA_LIMIT: usize = 4 << 20;

    /// Compiles patterns to a minimal DFA, for build scripts. Patterns are in the syntax of the `regex` crate with
    /// Unicode off: they match bytes, and classes are ASCII's.
    ///
    /// # Errors
    /// A pattern that does not compile, or whose DFA would take over 4 MiB.
    pub fn build(patterns: &[&str]) -> Result<Built, BuildError> {
        let dense = dense::Config::new()
            .minimize(true)
            .dfa_size_limit(Some(DFA_LIMIT))
            .determinize_size_limit(Some(8 * DFA_LIMIT));
        let regex = regex::Builder::new()
            .dense(dense)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build_many(patterns)
            .map_err(|e| BuildError(Box::new(e)))?;
        let (mut forward, reverse) = (plain(regex.forward()), plain(regex.reverse()));
        forward.resize(forward.len().next_multiple_of(4), 0);

        let mut buffer = Vec::<u8>::with_capacity(4 + HEADER + forward.len() + reverse.len());
        let start = buffer.as_ptr().align_offset(4);
        buffer.resize(start, 0);
        buffer.extend_from_slice(&(forward.len() as u64).to_le_bytes());
        buffer.extend_from_slice(&forward);
        buffer.extend_from_slice(&reverse);
        Ok(Built { buffer, start })
    }

    /// Guests are little-endian; so are the machines that tests run on.
    fn plain<T: AsRef<[u32]>>(dfa: &dense::DFA<T>) -> Vec<u8> {
        let (bytes, padding) = dfa.to_bytes_little_endian();
        bytes[padding..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_the_regex_engine_finds(hay in "[abc0-9 -]{0,40}", from in 0usize..4) {
            let pattern = r"[a-c]+[0-9]{2,}|-{2}|c\b";
            let built = build(&[pattern]).unwrap();
            let dfa = Dfa::load(built.as_ref()).unwrap();
            let from = from.min(hay.len());
            let expected = regex::bytes::Regex::new(&format!("(?-u){pattern}")).unwrap();
            let expected = expected.find_at(hay.as_bytes(), from).map(|m| (m.start(), m.end()));
            prop_assert_eq!(dfa.find(hay.as_bytes(), from).map(|hit| (hit.start, hit.end)), expected);
            prop_assert_eq!(dfa.is_match(&hay.as_bytes()[from..]), dfa.find(&hay.as_bytes()[from..], 0).is_some());
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let built = build(&["abc"]).unwrap();
        let whole = built.as_ref();
        for cut in [0, 4, 8, 40, whole.len() / 2] {
            assert!(Dfa::load(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Dfa::load(&[0xff; 64]).is_err());
    }
}
