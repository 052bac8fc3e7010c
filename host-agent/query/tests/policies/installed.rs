//! What comes with filters that are installed under names, and with labels: what holds where, who may what, and what is refused
//! while it isn't known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use weir_query::{
    Cancel, Engine, FilterRef, FilterSpec, InstalledSpec, LabelRequirement, LabelSelector, LabelValue,
    PolicyScope, PolicySpec, QueryError, QuerySpec, Right, Scope,
};

use crate::answer::ask;
use crate::rules::{CARD, lines, of_messages};
use crate::{filter, load, policy};

/// The uid in the name of the pod's folder.
const UID: &str = "1111";

fn installed(name: &str, of: Result<&str, &str>, params: &str) -> InstalledSpec {
    let filter = of.map(|name| FilterRef::Name(name.to_owned())).map_err(str::to_owned);
    InstalledSpec { name: name.to_owned(), filter, params: params.to_owned(), limits: BTreeMap::new() }
}

fn install(engine: &Engine, specs: &[InstalledSpec]) -> Vec<Result<String, String>> {
    engine.install(specs, &Cancel::default()).filters
}

fn shown(engine: &Engine) -> Result<Vec<String>, QueryError> {
    ask(engine, &QuerySpec::default()).map(|answer| lines(&answer))
}

fn by_label(key: &str, value: &str) -> Option<LabelSelector> {
    let value = LabelValue::In(vec![value.to_owned()]);
    Some(LabelSelector { requirements: vec![LabelRequirement { key: key.to_owned(), value }] })
}

#[test]
fn an_installed_filter_has_parameters_of_its_own() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD} of a@example.com")]);
    let cards = installed("cards", Ok("redact"), r#"{"detectors": ["card"]}"#);
    install(&engine, &[cards])[0].as_ref().expect("it is installed");
    load(&engine, &[policy("pci", "shop", vec![filter("cards", "")])]);
    assert_eq!(shown(&engine).expect("a query"), ["card [REDACTED:card] of a@example.com"]);
    load(&engine, &[policy("pci", "shop", vec![filter("cards", r#"{"detectors": ["email"]}"#)])]);
    assert_eq!(shown(&engine).expect("a query"), [format!("card {CARD} of [REDACTED:email]")]);
    // With it goes what the policy needs.
    install(&engine, &[]);
    load(&engine, &[policy("pci", "shop", vec![filter("cards", "")])]);
    assert!(shown(&engine).expect_err("refused").to_string().contains("no filter is named 'cards'"));
}

#[test]
fn what_can_not_be_installed_refuses_what_names_it() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD}")]);
    for (spec, why) in [
        (installed("cards", Err("the ConfigMap is gone"), ""), "the ConfigMap is gone"),
        (installed("cards", Ok("nothing"), ""), "no filter is named 'nothing'"),
        (installed("cards", Ok("redact"), r#"{"mode": "lable"}"#), "lable"),
    ] {
        let told = install(&engine, &[spec]).remove(0).expect_err(why);
        assert!(told.contains(why), "{told}");
        load(&engine, &[policy("pci", "shop", vec![filter("cards", "")])]);
        let refused = shown(&engine).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let double = || installed("cards", Ok("redact"), "");
    assert!(install(&engine, &[double(), double()]).iter().all(Result::is_err));
    // Without it, the one that ships would be taken for it.
    let told =
        install(&engine, &[installed("redact", Ok("time-window"), "")]).remove(0).expect_err("reserved");
    assert!(told.contains("ships with Weir"), "{told}");
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    assert_eq!(shown(&engine).expect("a query"), ["card [REDACTED:card]"]);
}

#[test]
fn what_has_not_changed_is_not_made_anew() {
    let (_dir, engine) = of_messages(&["x"]);
    let spec = || installed("cards", Ok("redact"), r#"{"detectors": ["card"]}"#);
    assert!(engine.install(&[spec()], &Cancel::default()).is_changed);
    assert!(!engine.install(&[spec()], &Cancel::default()).is_changed);
    assert!(engine.install(&[installed("cards", Ok("redact"), "")], &Cancel::default()).is_changed);
    assert!(engine.install(&[], &Cancel::default()).is_changed);
}

#[test]
fn labels_that_are_not_known_are_covered() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD}")]);
    let of_pods = PolicyScope { pod_selector: by_label("pci", "yes"), ..PolicyScope::default() };
    let of_namespaces = PolicyScope { namespace_selector: by_label("pci", "yes"), ..PolicyScope::default() };
    let hidden = ["card [REDACTED:card]".to_owned()];
    let open = [format!("card {CARD}")];
    let labels = |value: &str| BTreeMap::from([("pci".to_owned(), value.to_owned())]);

    load(&engine, &[PolicySpec { scope: of_pods, ..policy("pci", "", vec![filter("redact", "")]) }]);
    assert_eq!(shown(&engine).expect("a query"), hidden, "nobody knows the pod");
    engine.labels().set_pod(UID.to_owned(), labels("no"));
    assert_eq!(shown(&engine).expect("a query"), open);
    engine.labels().set_pod(UID.to_owned(), labels("yes"));
    assert_eq!(shown(&engine).expect("a query"), hidden);

    load(&engine, &[PolicySpec { scope: of_namespaces, ..policy("pci", "", vec![filter("redact", "")]) }]);
    assert_eq!(shown(&engine).expect("a query"), hidden, "nobody knows the namespace");
    engine.labels().set_namespaces([("shop".to_owned(), labels("no"))].into());
    assert_eq!(shown(&engine).expect("a query"), open);
}

#[test]
fn what_a_policy_covers_that_is_being_loaded_is_refused() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD}")]);
    let old = policy("old", "elsewhere", vec![filter("redact", "")]);
    load(&engine, std::slice::from_ref(&old));
    assert_eq!(shown(&engine).expect("a query"), [format!("card {CARD}")]);
    let new = policy("new", "shop", vec![filter("redact", "")]);
    engine.announce_policies(&[old.clone(), new.clone()], std::slice::from_ref(&old));
    let refused = shown(&engine).expect_err("it is being loaded");
    assert!(matches!(&refused, QueryError::NotReady { message } if message.contains("'new'")), "{refused}");
    load(&engine, &[old, new]);
    assert_eq!(shown(&engine).expect("a query"), ["card [REDACTED:card]"]);
}

/// A scope of these rights besides that of reading, and what it was asked.
fn scope(rights: &[Right]) -> (Scope, Arc<Mutex<Vec<Right>>>) {
    let (rights, asked) = (rights.to_vec(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&asked);
    let scope = Scope::new(move |right| {
        let is_read = matches!(right, Right::Read(_));
        if !is_read {
            noted.lock().expect("one thread").push(right.clone());
        }
        Ok(is_read || rights.contains(right))
    });
    (scope, asked)
}

#[test]
fn installed_filters_own_ones_and_policies_that_are_left_out_take_rights() {
    let (_dir, engine) = of_messages(&[&format!("card {CARD}")]);
    install(&engine, &[installed("cards", Ok("redact"), "")]);
    load(&engine, &[policy("pci", "shop", vec![filter("redact", "")])]);
    let named = |name: &str| FilterRef::Name(name.to_owned());
    let own = FilterRef::Component { label: "own.wasm".to_owned(), bytes: Vec::new(), signature: None };
    let with =
        |filter: FilterRef| QuerySpec { filters: vec![FilterSpec::new(filter)], ..QuerySpec::default() };
    let without = |name: &str| QuerySpec { bypass: vec![name.to_owned()], ..QuerySpec::default() };
    for (spec, right, verb) in [
        (with(named("cards")), Right::UseFilter("cards".to_owned()), "'use'"),
        (with(own), Right::UploadFilter, "'upload'"),
        (without("pci"), Right::BypassPolicy("pci".to_owned()), "'bypass'"),
        (without("nothing"), Right::BypassPolicy("nothing".to_owned()), "'bypass'"),
    ] {
        let (nothing, asked) = scope(&[]);
        let refused = engine.plan_within(&spec, &nothing, &Cancel::default()).err().expect("refused");
        assert!(
            matches!(&refused, QueryError::Refused { message, .. } if message.contains(verb)),
            "{refused}"
        );
        assert_eq!(*asked.lock().expect("one thread"), std::slice::from_ref(&right));
        let (granted, _) = scope(&[right]);
        let planned = engine.plan_within(&spec, &granted, &Cancel::default());
        let is_refused = matches!(planned, Err(QueryError::Refused { .. }));
        assert!(!is_refused, "{verb}");
    }
    // Filters that ship with Weir are for everybody, and where nobody is asked who calls, nobody leaves a policy out.
    let (nothing, asked) = scope(&[]);
    assert!(engine.plan_within(&with(named("redact")), &nothing, &Cancel::default()).is_ok());
    assert!(asked.lock().expect("one thread").is_empty());
    assert!(matches!(engine.plan(&without("pci")), Err(QueryError::Refused { .. })));
    let (granted, _) = scope(&[Right::BypassPolicy("nothing".to_owned())]);
    let unknown = engine.plan_within(&without("nothing"), &granted, &Cancel::default()).err();
    assert!(matches!(unknown, Some(QueryError::NotFound { .. })), "{unknown:?}");
}
