//! What becomes of a component that is let in: compiling, cache, description, parameters.

use std::fs;

use weir_sandbox::{
    Columns, Compiler, FailureReason, FilterLimits, GuestCall, Kind, LoadError, OpenError, Sandbox,
    SandboxConfig, SandboxError, SandboxLimits, admit,
};

use crate::guests::Puppet;
use crate::{load, sandbox};

#[test]
fn a_filter_describes_itself() {
    let puppet = Puppet { kind: 2, ..Puppet::default() };
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
    assert_eq!((admission.digest.as_str(), admission.world_version.as_str()), (filter.digest(), "0.1.0"));
}

#[test]
fn a_description_must_be_well_formed() {
    for (puppet, field) in [
        (Puppet { name: "No Name", ..Puppet::default() }, "`name`"),
        (Puppet { version: "latest", ..Puppet::default() }, "`version`"),
        (Puppet { summary: "two\nlines", ..Puppet::default() }, "`summary`"),
        (Puppet { schema: "[]", ..Puppet::default() }, "`params-schema`"),
    ] {
        match sandbox().load(&puppet.build()).expect_err("refused") {
            LoadError::Describe(failure) => {
                assert_eq!((failure.call, failure.reason), (GuestCall::Describe, FailureReason::Contract));
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
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| sandbox.load(&component).expect("loads"))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(filters.iter().all(|filter| std::ptr::eq(filter.description(), filters[0].description())));
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
    let load = || cached(&path).expect("ours").load(&component).expect("loads");
    assert!(!load().compile().cached);
    assert!(load().compile().cached);

    let entries: Vec<_> =
        fs::read_dir(&path).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
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
    assert!(error.to_string().contains("mode 755; expected 700"), "{error}");
}

#[test]
fn parameters_are_checked_by_host_and_filter() {
    let filter = load(&Puppet::default());
    let limits = FilterLimits { params_bytes: 100, ..FilterLimits::default() };
    for (params, expected) in
        [("[]", "not a JSON object"), ("{", "not valid JSON"), ("", "not a JSON object")]
    {
        match filter.open(params, &limits).expect_err("refused") {
            OpenError::Params { filter, field, message } => {
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
    assert_eq!(error.to_string(), "filter `puppet`: parameter `limit.max`: expected less");
    match filter.open("{\"x\":1}", &limits).expect_err("traps") {
        OpenError::Failed(failure) => {
            assert_eq!((failure.call, failure.reason), (GuestCall::Open, FailureReason::Trap));
            assert!(failure.to_string().contains("filter `puppet` failed in `open` (trap)"), "{failure}");
        }
        other => panic!("{other}"),
    }
    filter.open("{}", &limits).expect("the filter stays usable");
}

#[test]
fn a_plan_tells_columns_and_prefilter() {
    let puppet = Puppet { columns: 0b010, prefilter: Some("^err"), ..Puppet::default() };
    let binding = load(&puppet).open("{}", &FilterLimits::default()).expect("opens");
    let columns = Columns { timestamp: true, ..Columns::default() };
    assert_eq!((binding.plan().columns, binding.plan().prefilter.as_deref()), (columns, Some("^err")));
    assert_eq!(binding.kind(), Kind::Transform);

    let nothing = Puppet { columns: 0, ..Puppet::default() };
    let error = load(&nothing).open("{}", &FilterLimits::default()).expect_err("refused");
    assert!(error.to_string().contains("asks for no column"), "{error}");
    let aggregate = Puppet { kind: 3, prefilter: Some("x"), ..Puppet::default() };
    let error = load(&aggregate).open("{}", &FilterLimits::default()).expect_err("refused");
    assert!(error.to_string().contains("no prefilter"), "{error}");
}
