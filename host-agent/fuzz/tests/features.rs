//! Tests nothing. Where cargo builds a test, dependencies get the features that tests of the workspace ask for; so
//! `scripts/fuzz` builds this one besides the targets, and shares its dependencies with `scripts/test`.

fn main() {}
