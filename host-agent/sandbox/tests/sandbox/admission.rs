//! What is let in, and in what words the rest is refused.

use weir_sandbox::{AdmissionError, SandboxLimits, admit};

use crate::guests::{Puppet, WIT, encode};
use crate::sandbox;

fn refused(component: &[u8]) -> AdmissionError {
    admit(component, &SandboxLimits::default()).expect_err("refused")
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid text")
}

#[test]
fn what_is_no_component_is_refused_with_what_it_is() {
    assert!(matches!(refused(b""), AdmissionError::NotWasm { found } if found == "nothing"));
    assert!(matches!(refused(b"\x7fELF...."), AdmissionError::NotWasm { found } if found.contains("ELF")));
    assert!(matches!(refused(b"(component)"), AdmissionError::NotWasm { found } if found.contains("WAT")));
    assert!(matches!(refused(b"GIF89a"), AdmissionError::NotWasm { .. }));
    let core = refused(&component("(module)"));
    assert_eq!(core, AdmissionError::CoreModule);
    assert!(core.to_string().contains("`weir filter adapt`"), "{core}");
    assert!(matches!(refused(b"\0asm\x0d\0\x01\0garbage"), AdmissionError::Invalid { .. }));
    assert!(matches!(refused(b"\0asm"), AdmissionError::Invalid { .. }));
    let mut cut = Puppet::default().build();
    cut.truncate(cut.len() / 2);
    assert!(matches!(refused(&cut), AdmissionError::Invalid { .. }));
}

#[test]
fn a_component_over_the_size_limit_is_refused_with_the_limits_name() {
    let limits = SandboxLimits { component_bytes: 100, ..SandboxLimits::default() };
    let error = admit(&Puppet::default().build(), &limits).expect_err("refused");
    assert!(matches!(error, AdmissionError::TooLarge { limit: 100, .. }));
    assert!(error.to_string().contains("component_bytes"), "{error}");
}

#[test]
fn any_import_but_types_is_refused_by_name() {
    let named = |text: &str| match refused(&component(text)) {
        AdmissionError::Import { name, kind } => format!("{kind} {name}"),
        other => panic!("{other}"),
    };
    assert_eq!(named(r#"(component (import "f" (func)))"#), "function f");
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0" (instance
        (export "get-environment" (func (result (list (tuple string string))))))))"#;
    assert_eq!(named(wasi), "function wasi:cli/environment@0.2.0#get-environment");
    let resource =
        r#"(component (import "wasi:io/error@0.2.0" (instance (export "error" (type (sub resource))))))"#;
    assert_eq!(named(resource), "resource wasi:io/error@0.2.0#error");
    assert_eq!(named(r#"(component (import "m" (core module)))"#), "module m");
    assert_eq!(named(r#"(component (import "c" (component)))"#), "component c");
    let text = refused(&component(wasi)).to_string();
    assert!(text.contains("may import nothing but types"), "{text}");
}

#[test]
fn a_filter_that_uses_an_import_of_its_own_world_is_refused() {
    let wit =
        WIT.replace("export filter;", "import clock: interface { now: func() -> u64; }\nexport filter;");
    let puppet = Puppet { extra: r#"(import "clock" "now" (func (result i64)))"#, ..Puppet::default() };
    match refused(&encode(&wit, &puppet.module())) {
        AdmissionError::Import { name, .. } => assert_eq!(name, "clock#now"),
        other => panic!("{other}"),
    }
}

#[test]
fn another_world_or_version_is_refused_with_both_names() {
    let error = refused(&component("(component)"));
    assert_eq!(error, AdmissionError::World { found: "nothing".to_owned() });
    let other = r#"(component (instance $i) (export "acme:plug/in@1.0.0" (instance $i)))"#;
    let error = refused(&component(other));
    assert_eq!(error, AdmissionError::World { found: "`acme:plug/in@1.0.0`".to_owned() });
    for version in ["0.2.0", "1.0.0", "0.10.0"] {
        let wit = WIT.replace("weir:filter@0.1.0", &format!("weir:filter@{version}"));
        let module = Puppet::default().module().replace("@0.1.0", &format!("@{version}"));
        let error = refused(&encode(&wit, &module));
        assert!(
            matches!(&error, AdmissionError::WorldVersion { found } if found.ends_with(version)),
            "{error}"
        );
        assert!(error.to_string().contains("expects `weir:filter/filter@0.1.0`"), "{error}");
    }
    let empty = r#"(component (instance $i) (export "weir:filter/filter@0.1.0" (instance $i)))"#;
    let error = refused(&component(empty));
    assert!(matches!(error, AdmissionError::MissingFunction { function: "describe", .. }), "{error}");
}

#[test]
fn a_later_patch_of_the_contract_is_accepted() {
    let wit = WIT.replace("weir:filter@0.1.0", "weir:filter@0.1.7");
    let module = Puppet::default().module().replace("@0.1.0", "@0.1.7");
    let component = encode(&wit, &module);
    assert_eq!(admit(&component, &SandboxLimits::default()).expect("admitted").world_version, "0.1.7");
    assert_eq!(sandbox().load(&component).expect("loads").description().name, "puppet");
}

#[test]
fn functions_of_other_types_are_refused_before_they_run() {
    let wit = WIT.replace("finish: func() -> list<string>", "finish: func() -> string");
    let component = encode(&wit, &Puppet::default().module());
    let error = refused(&component);
    assert!(matches!(error, AdmissionError::Signature { function: "finish", .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("`func() -> string`; expected `func() -> list<string>`"), "{text}");
}
