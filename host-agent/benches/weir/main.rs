//! Weir measured as its users run it: whole commands beside `rg` on the same logs in the same run, following,
//! and a real agent that serves over TLS, with filters and without. Prints the tables of `docs/performance.md`.
//!
//! `scripts/bench` and `scripts/footprint` build what is needed and run this. It reads from the environment: `WEIR`,
//! `WEIR_AGENT_BINARY`, `WEIR_FILTERS_NATIVE` and `RG`, the programs to run; `WEIR_BENCH_MIB`, the size of the log in
//! MiB (default 1024); `WEIR_BENCH_MINUTES`, how long the load of `soak` lasts (default 30); and `WEIR_BENCH_TABLES`,
//! the names of those to make (default: every one but `soak`).

mod agent;
#[path = "../../tests/agent/certs.rs"]
mod certs;
mod compare;
mod cost;
mod filters;
mod first;
mod follow;
#[path = "../../sandbox/tests/sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;
mod harm;
mod health;
mod held;
mod idle;
#[path = "../logs/mod.rs"]
mod logs;
mod policies;
mod relay;
mod serve;
mod skip;
mod soak;
mod table;
mod threads;
mod tree;

use std::cell::LazyCell;
use std::path::PathBuf;

use crate::tree::Tree;

/// How often each command runs; the best counts, since noise only adds.
const RUNS: usize = 5;

/// The programs that are measured, and the logs that they read.
struct Setup {
    weir: PathBuf,
    agent: PathBuf,
    native: PathBuf,
    rg: PathBuf,
    minutes: usize,
    mebibytes: usize,
    /// Written when a table asks for it.
    tree: LazyCell<Tree, Box<dyn FnOnce() -> Tree>>,
    /// For what else a measurement writes.
    scratch: PathBuf,
}

/// Measures and prints one table.
type Print = fn(&Setup);

/// Every table by its name.
const TABLES: [(&str, Print); 16] = [
    ("compare", compare::print),
    ("threads", threads::print),
    ("skip", skip::print),
    ("follow", follow::print),
    ("serve", serve::print),
    ("relay", relay::print),
    ("health", health::print),
    ("harm", harm::print),
    ("memory", held::print),
    ("filters", filters::print),
    ("pass", filters::print_pass_through),
    ("prefilter", filters::print_prefilter),
    ("policies", policies::print),
    ("first", first::print),
    ("idle", idle::print),
    (SOAK, soak::print),
];

/// Takes long, so it must be asked for.
const SOAK: &str = "soak";

fn main() {
    // `cargo test --benches` runs this too; without the flag of `cargo bench` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let program =
        |name: &str, default: &str| std::env::var_os(name).map_or_else(|| default.into(), PathBuf::from);
    let number = |name: &str, default: usize| {
        std::env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text:?}: {error}")))
    };
    let mebibytes = number("WEIR_BENCH_MIB", 1024);
    let wanted = std::env::var("WEIR_BENCH_TABLES").unwrap_or_default();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let logs = dir.path().join("logs");
    let setup = Setup {
        weir: program("WEIR", "target/release/weir"),
        agent: program("WEIR_AGENT_BINARY", "target/release/weir-agent"),
        native: program("WEIR_FILTERS_NATIVE", "target/filters/release/weir-filters-native"),
        rg: program("RG", "rg"),
        minutes: number("WEIR_BENCH_MINUTES", 30),
        mebibytes,
        tree: LazyCell::new(Box::new(move || Tree::write(&logs, mebibytes << 20))),
        scratch: dir.path().join("scratch"),
    };
    std::fs::create_dir(&setup.scratch).expect("a folder");

    for (name, print) in TABLES {
        let asked = wanted.split_whitespace().any(|word| name == word);
        if asked || (wanted.is_empty() && name != SOAK) {
            print(&setup);
        }
    }
}
