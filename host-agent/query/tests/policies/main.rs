//! Policies in whole queries, without an agent: random logs with secrets in random places, random queries.
//!
//! - [`leak`]: nothing that a query tells holds a part of a secret, and the answer is that to the same query of logs in
//!   which the secrets were taken out before.
//! - [`twins`]: two nodes whose logs differ only in secrets of equal kind give equal answers.
//! - [`installed`]: filters under names of their own, labels, and rights.
//! - [`rules`]: what becomes of failures, of policies that can't be loaded, of what queries try to get around them.
//!
//! `WEIR_CASES` sets how many nodes are made up, `WEIR_SEED` with which to begin: the seed that a failure names repeats it.

#[path = "../../../sandbox/tests/sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;

mod answer;
mod installed;
mod leak;
mod node;
mod queries;
mod rules;
mod secrets;
mod twins;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use weir_query::{
    Builtin, Cancel, Compiler, Engine, EngineConfig, FilterRef, Inputs, PolicyFailure, PolicyFilter,
    PolicyScope, PolicySpec,
};

/// Nodes that are made up when nothing says how many; a long run takes more of them.
const CASES: u64 = 40;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs `case` with each seed.
fn each_seed(case: impl Fn(u64)) {
    let first = number("WEIR_SEED", 0);
    for seed in first..first + number("WEIR_CASES", CASES) {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(seed))).is_err();
        assert!(!failed, "repeat it with WEIR_SEED={seed} WEIR_CASES=1");
    }
}

/// Where filters are kept compiled, for all tests of a run: nobody else may write there.
fn cache() -> &'static Path {
    static CACHE: std::sync::LazyLock<tempfile::TempDir> = std::sync::LazyLock::new(|| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        tempfile::Builder::new().permissions(mode).tempdir().expect("a folder")
    });
    CACHE.path()
}

/// An engine on the logs below a folder, with the filters that ship with Weir.
fn engine(root: &Path) -> Engine {
    let mut config = EngineConfig::new(Inputs::root(root), Compiler::InProcess);
    config.cache_dir = Some(cache().to_owned());
    let builtin: Vec<_> = weir_filters::all()
        .iter()
        .map(|filter| Builtin::new(filter.name, filter.digest, filter.size, weir_filters::component))
        .collect();
    Engine::new(config, &builtin).expect("an engine")
}

fn load(engine: &Engine, policies: &[PolicySpec]) {
    let set = engine.load_policies(policies, &Cancel::default());
    engine.set_policies(Arc::new(set));
}

/// A policy on a namespace.
fn policy(name: &str, namespace: &str, filters: Vec<PolicyFilter>) -> PolicySpec {
    PolicySpec {
        name: name.to_owned(),
        scope: PolicyScope { namespaces: vec![namespace.to_owned()], ..PolicyScope::default() },
        filters: Ok(filters),
        on_failure: PolicyFailure::Withhold,
    }
}

fn filter(name: &str, params: &str) -> PolicyFilter {
    PolicyFilter {
        filter: FilterRef::Name(name.to_owned()),
        params: params.to_owned(),
        limits: BTreeMap::new(),
    }
}

/// A filter that does what the first byte of a message says.
fn puppet(kind: u8, prefilter: Option<&'static str>) -> PolicyFilter {
    let bytes = guests::Puppet { kind, prefilter, ..guests::Puppet::default() }.build();
    let filter = FilterRef::Component { label: "puppet.wasm".to_owned(), bytes, signature: None };
    // Whether it is called must not depend on time.
    let limits = BTreeMap::from([("failures".to_owned(), 1_000_000)]);
    PolicyFilter { filter, params: String::new(), limits }
}
