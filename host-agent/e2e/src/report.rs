//! What passed and what failed.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

/// Results so far.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Prints how one check ended. A failed one doesn't stop the others.
    pub(crate) fn check(&mut self, name: &str, result: Result<String>) {
        match result {
            Ok(figures) => {
                self.passed += 1;
                println!("ok      {name}: {figures}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }

    /// Prints the sum, and tells how the program ends.
    pub(crate) fn end(&self, took: Duration) -> ExitCode {
        let Report { passed, failed } = self;
        println!("e2e: {passed} checks passed, {failed} failed, in {} s", took.as_secs());
        if *failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
