//! Time expressions: never a panic, and what is read is a time that jiff can hold.
#![no_main]

use jiff::{Timestamp, ZonedDateTime};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let now: ZonedDateTime = "2026-03-29T01:59:59+01:00[Europe/Berlin]".parse().expect("a valid time");
    if let Ok(nanos) = weir_query::time::parse_time(text, &now) {
        assert!(Timestamp::from_nanosecond(i128::from(nanos)).is_ok());
    }
    if let Ok(step) = weir_query::time::parse_step(text) {
        assert!(step.get() > 0);
    }
});
