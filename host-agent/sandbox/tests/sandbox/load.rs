//! What is let in, and what becomes of it: admission, compiling, cache, description, parameters.

use std::fs;

use weir_sandbox::{
    AdmissionError, Columns, Compiler, FailureReason, FilterLimits, GuestCall, Kind, LoadError,
    OpenError, Sandbox, SandboxConfig, SandboxError, SandboxLimits, admit,
};

use crate::guests::{Puppet, WIT, encode};
use crate::{load, sandbox};

fn refused(component: &[u8]) -> AdmissionError {
    admit(component, &SandboxLimits::default()).expect_err("refused")
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid text")
}

#[test]
fn a_filter_describes_itself() {
    let puppet = Puppet {
        kind: 2,
        ..Puppet::default()
    };
    let component = puppet.build();
    let filter = sandbox().load(&component).expect("loads");
    let description = filter.description();
    assert_eq!(description.name, "puppet");
    assert_eq!(description.version, "1.2.3");
    assert_eq!(description.kind, Kind::Redact);
    assert_eq!(description.summary, "Does as it is told");
    assert_eq!(description.params_schema, "{\"type\":\"object\"}");
    assert_eq!(filter.size(), component.len());
    assert!(filter.digest().starts_with("sha256:") && filter.digest().len() == 71);
    assert!(!filter.compile().cached);
    let admission = admit(&component, &SandboxLimits::default()).expect("admitted");
    assert_eq!(
        (admission.digest.as_str(), admission.world_version.as_str()),
        (filter.digest(), "0.1.0")
    );
}

#[test]
fn what_is_no_component_is_refused_with_what_it_is() {
    assert!(matches!(refused(b""), AdmissionError::NotWasm { found } if found == "nothing"));
    assert!(
        matches!(refused(b"\x7fELF...."), AdmissionError::NotWasm { found } if found.contains("ELF"))
    );
    assert!(
        matches!(refused(b"(component)"), AdmissionError::NotWasm { found } if found.contains("WAT"))
    );
    assert!(matches!(refused(b"GIF89a"), AdmissionError::NotWasm { .. }));
    let core = refused(&component("(module)"));
    assert_eq!(core, AdmissionError::CoreModule);
    assert!(
        core.to_string().contains("wasm-tools component new"),
        "{core}"
    );
    assert!(matches!(
        refused(b"\0asm\x0d\0\x01\0garbage"),
        AdmissionError::Invalid { .. }
    ));
    assert!(matches!(refused(b"\0asm"), AdmissionError::Invalid { .. }));
    let mut cut = Puppet::default().build();
    cut.truncate(cut.len() / 2);
    assert!(matches!(refused(&cut), AdmissionError::Invalid { .. }));
}

#[test]
fn a_component_over_the_size_limit_is_refused_with_the_limits_name() {
    let limits = SandboxLimits {
        component_bytes: 100,
        ..SandboxLimits::default()
    };
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
    assert_eq!(
        named(wasi),
        "function wasi:cli/environment@0.2.0#get-environment"
    );
    let resource = r#"(component (import "wasi:io/error@0.2.0" (instance (export "error" (type (sub resource))))))"#;
    assert_eq!(named(resource), "resource wasi:io/error@0.2.0#error");
    assert_eq!(
        named(r#"(component (import "m" (core module)))"#),
        "module m"
    );
    assert_eq!(
        named(r#"(component (import "c" (component)))"#),
        "component c"
    );
    let text = refused(&component(wasi)).to_string();
    assert!(text.contains("may import nothing but types"), "{text}");
}

#[test]
fn a_filter_that_uses_an_import_of_its_own_world_is_refused() {
    let wit = WIT.replace(
        "export filter;",
        "import clock: interface { now: func() -> u64; }\nexport filter;",
    );
    let puppet = Puppet {
        extra: r#"(import "clock" "now" (func (result i64)))"#,
        ..Puppet::default()
    };
    match refused(&encode(&wit, &puppet.module())) {
        AdmissionError::Import { name, .. } => assert_eq!(name, "clock#now"),
        other => panic!("{other}"),
    }
}

#[test]
fn another_world_or_version_is_refused_with_both_names() {
    let error = refused(&component("(component)"));
    assert_eq!(
        error,
        AdmissionError::World {
            found: "nothing".to_owned()
        }
    );
    let other = r#"(component (instance $i) (export "acme:plug/in@1.0.0" (instance $i)))"#;
    let error = refused(&component(other));
    assert_eq!(
        error,
        AdmissionError::World {
            found: "`acme:plug/in@1.0.0`".to_owned()
        }
    );
    for version in ["0.2.0", "1.0.0", "0.10.0"] {
        let wit = WIT.replace("weir:filter@0.1.0", &format!("weir:filter@{version}"));
        let module = Puppet::default()
            .module()
            .replace("@0.1.0", &format!("@{version}"));
        let error = refused(&encode(&wit, &module));
        assert!(
            matches!(&error, AdmissionError::WorldVersion { found } if found.ends_with(version)),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("expects `weir:filter/filter@0.1.0`"),
            "{error}"
        );
    }
    let empty = r#"(component (instance $i) (export "weir:filter/filter@0.1.0" (instance $i)))"#;
    let error = refused(&component(empty));
    assert!(
        matches!(
            error,
            AdmissionError::MissingFunction {
                function: "describe",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_later_patch_of_the_contract_is_accepted() {
    let wit = WIT.replace("weir:filter@0.1.0", "weir:filter@0.1.7");
    let module = Puppet::default().module().replace("@0.1.0", "@0.1.7");
    let component = encode(&wit, &module);
    assert_eq!(
        admit(&component, &SandboxLimits::default())
            .expect("admitted")
            .world_version,
        "0.1.7"
    );
    assert_eq!(
        sandbox()
            .load(&component)
            .expect("loads")
            .description()
            .name,
        "puppet"
    );
}

#[test]
fn functions_of_other_types_are_refused_before_they_run() {
    let wit = WIT.replace("finish: func() -> list<string>", "finish: func() -> string");
    let component = encode(&wit, &Puppet::default().module());
    let error = refused(&component);
    assert!(
        matches!(
            error,
            AdmissionError::Signature {
                function: "finish",
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("`func() -> string`; expected `func() -> list<string>`"),
        "{text}"
    );
}

#[test]
fn a_description_must_be_well_formed() {
    for (puppet, field) in [
        (
            Puppet {
                name: "No Name",
                ..Puppet::default()
            },
            "`name`",
        ),
        (
            Puppet {
                version: "latest",
                ..Puppet::default()
            },
            "`version`",
        ),
        (
            Puppet {
                summary: "two\nlines",
                ..Puppet::default()
            },
            "`summary`",
        ),
        (
            Puppet {
                schema: "[]",
                ..Puppet::default()
            },
            "`params-schema`",
        ),
    ] {
        match sandbox().load(&puppet.build()).expect_err("refused") {
            LoadError::Describe(failure) => {
                assert_eq!(
                    (failure.call, failure.reason),
                    (GuestCall::Describe, FailureReason::Contract)
                );
                assert!(failure.filter.starts_with("sha256:"), "{failure}");
                assert!(failure.detail.contains(field), "{failure}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_component_in_use_is_not_made_again() {
    let sandbox = sandbox();
    let component = Puppet::default().build();
    let first = sandbox.load(&component).expect("loads");
    let second = sandbox.load(&component).expect("loads");
    assert!(std::ptr::eq(first.description(), second.description()));
}

#[test]
fn threads_that_load_the_same_component_share_one_filter() {
    let sandbox = sandbox();
    let component = Puppet::default().build();
    let filters: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| sandbox.load(&component).expect("loads")))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(
        filters
            .iter()
            .all(|filter| std::ptr::eq(filter.description(), filters[0].description()))
    );
}

fn cached(dir: &std::path::Path) -> Result<Sandbox, SandboxError> {
    Sandbox::new(SandboxConfig {
        compiler: Compiler::InProcess,
        cache_dir: Some(dir.to_owned()),
        limits: SandboxLimits::default(),
    })
}

#[test]
fn compiled_components_are_kept_on_disk_and_made_again_when_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("compiled");
    let component = Puppet::default().build();
    let load = || {
        cached(&path)
            .expect("ours")
            .load(&component)
            .expect("loads")
    };
    assert!(!load().compile().cached);
    assert!(load().compile().cached);

    let entries: Vec<_> = fs::read_dir(&path)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .collect();
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    let whole = fs::read(entry).expect("readable");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x40;
    for damaged in [&whole[..whole.len() - 1], &flipped, b"", b"#!/bin/sh"] {
        fs::write(entry, damaged).expect("ours");
        let filter = load();
        assert!(!filter.compile().cached);
        filter.open("{}", &FilterLimits::default()).expect("runs");
        assert!(load().compile().cached);
    }
}

#[test]
fn a_cache_that_others_can_reach_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let error = cached(dir.path()).expect_err("refused");
    assert!(
        error.to_string().contains("mode 755; expected 700"),
        "{error}"
    );
}

#[test]
fn parameters_are_checked_by_host_and_filter() {
    let filter = load(&Puppet::default());
    let limits = FilterLimits {
        params_bytes: 100,
        ..FilterLimits::default()
    };
    for (params, expected) in [
        ("[]", "not a JSON object"),
        ("{", "not valid JSON"),
        ("", "not a JSON object"),
    ] {
        match filter.open(params, &limits).expect_err("refused") {
            OpenError::Params {
                filter,
                field,
                message,
            } => {
                assert_eq!((filter.as_str(), field.as_str()), ("puppet", ""));
                assert!(message.contains(expected), "{message}");
            }
            other => panic!("{other}"),
        }
    }
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
    let error = filter.open(&long, &limits).expect_err("refused");
    assert!(error.to_string().contains("params_bytes"), "{error}");
    let error = filter.open("{\"r\":1}", &limits).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "filter `puppet`: parameter `limit.max`: expected less"
    );
    match filter.open("{\"x\":1}", &limits).expect_err("traps") {
        OpenError::Failed(failure) => {
            assert_eq!(
                (failure.call, failure.reason),
                (GuestCall::Open, FailureReason::Trap)
            );
            assert!(
                failure
                    .to_string()
                    .contains("filter `puppet` failed in `open` (trap)"),
                "{failure}"
            );
        }
        other => panic!("{other}"),
    }
    filter.open("{}", &limits).expect("the filter stays usable");
}

#[test]
fn a_plan_tells_columns_and_prefilter() {
    let puppet = Puppet {
        columns: 0b010,
        prefilter: Some("^err"),
        ..Puppet::default()
    };
    let binding = load(&puppet)
        .open("{}", &FilterLimits::default())
        .expect("opens");
    let columns = Columns {
        timestamp: true,
        ..Columns::default()
    };
    assert_eq!(
        (binding.plan().columns, binding.plan().prefilter.as_deref()),
        (columns, Some("^err"))
    );
    assert_eq!(binding.kind(), Kind::Transform);

    let nothing = Puppet {
        columns: 0,
        ..Puppet::default()
    };
    let error = load(&nothing)
        .open("{}", &FilterLimits::default())
        .expect_err("refused");
    assert!(error.to_string().contains("asks for no column"), "{error}");
    let aggregate = Puppet {
        kind: 3,
        prefilter: Some("x"),
        ..Puppet::default()
    };
    let error = load(&aggregate)
        .open("{}", &FilterLimits::default())
        .expect_err("refused");
    assert!(error.to_string().contains("no prefilter"), "{error}");
}
