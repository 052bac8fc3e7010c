//! CRI lines: never a panic, and what is taken for a message is the end of the line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if let Some((_, message)) = weir_scan::cri::parse_line(line) {
        assert!(message <= line.len());
    }
});
