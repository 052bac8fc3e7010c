//! Components as anybody could upload them: refused or admitted, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_sandbox::SandboxLimits;

fuzz_target!(|component: &[u8]| {
    if let Ok(admission) = weir_sandbox::admit(component, &SandboxLimits::default()) {
        assert!(admission.digest.starts_with("sha256:"));
    }
});
