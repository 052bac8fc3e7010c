//! json-file lines: never a panic, and where serde_json-like escapes are absent the text comes out as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let mut message = Vec::new();
    if weir_scan::json_file::parse_line(line, &mut message).is_some() {
        // No escape makes a text longer than it was written.
        assert!(message.len() <= line.len());
    }
});
