//! Patterns: compiling never panics, and what a compiled pattern says of a message is the same each time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_scan::{Case, Matcher, PatternLimits, PatternSpec};

fuzz_target!(|input: (&str, u8, &[u8])| {
    let (pattern, bits, message) = input;
    let spec = PatternSpec {
        patterns: vec![pattern.to_owned()],
        fixed: bits & 1 != 0,
        word: bits & 2 != 0,
        line: bits & 4 != 0,
        invert: bits & 8 != 0,
        case: [Case::Sensitive, Case::Insensitive, Case::Smart][usize::from(bits >> 4) % 3],
        ..PatternSpec::default()
    };
    let limits = PatternLimits { compiled_bytes: 1 << 20, ..PatternLimits::default() };
    if let Ok(Some(matcher)) = Matcher::new(&spec, &limits) {
        assert_eq!(matcher.is_match(message), matcher.is_match(message));
    }
});
