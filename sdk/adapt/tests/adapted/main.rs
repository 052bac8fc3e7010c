//! What WASI answers a filter, function by function, in the real sandbox: guests that import each of them are adapted,
//! loaded as the host loads any filter, and say by their verdicts whether they were answered as is documented.

mod components;
mod guest;
mod modules;

use weir_adapt::{AdaptError, adapt};

#[test]
fn what_imports_nothing_is_left_as_it_is() {
    let module = guest::module("", &[("", "(i32.const 1)")]);
    let component = adapt(&module).expect("a filter").into_owned();
    assert_eq!(adapt(&component).expect("a filter"), component);
    guest::Guest::load(&component).keeps(0, "nothing is asked");
}

#[test]
fn what_is_no_wasi_is_refused_by_its_name() {
    let module = guest::module(r#"(import "env" "gettimeofday" (func))"#, &[("", "(i32.const 1)")]);
    let error = adapt(&module).expect_err("env isn't WASI");
    assert!(matches!(&error, AdaptError::Import { name } if name == "env#gettimeofday"), "{error}");

    let wit = "package acme:time@1.0.0 { interface clock { now: func() -> u64; } }";
    let import = r#"(import "acme:time/clock@1.0.0" "now" (func (result i64)))"#;
    let component = guest::component(wit, &["acme:time/clock@1.0.0"], import, &[("", "(i32.const 1)")]);
    let error = adapt(&component).expect_err("acme isn't WASI");
    assert!(matches!(&error, AdaptError::Import { name } if name == "acme:time/clock@1.0.0#now"), "{error}");
}

#[test]
fn what_is_no_filter_is_refused() {
    assert!(matches!(adapt(b"#!/bin/sh"), Err(AdaptError::NotWasm)));
    assert!(matches!(adapt(b"\0asm\x01\0\0\0\xff"), Err(AdaptError::Invalid(_))));
    let error = adapt(b"\0asm\x01\0\0\0").expect_err("it exports nothing").to_string();
    assert!(error.contains("weir:filter/filter@0.1.0"), "{error}");
}
