//! Verdicts as a hostile guest could send them: refused or safe to use, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|_input: &[u8]| {});
