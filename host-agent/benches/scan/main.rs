//! Weir measured as its users run it: whole commands beside `rg` on the same logs in the same run, following,
//! and a real agent that serves over TLS. Prints the tables of `docs/performance.md`.
//!
//! `scripts/bench` builds what is needed and runs this. It reads from the environment: `WEIR`, `WEIR_AGENT_BINARY`
//! and `RG`, the programs to run; `WEIR_BENCH_MIB`, the size of the log in MiB (default 1024); and
//! `WEIR_BENCH_TABLES`, words of which a table's name must have one (default: every table).

mod agent;
#[path = "../../tests/agent/certs.rs"]
mod certs;
mod compare;
mod cost;
mod follow;
mod health;
#[path = "../logs/mod.rs"]
mod logs;
mod memory;
mod serve;
mod skip;
mod table;
mod threads;
mod tree;

use std::path::PathBuf;

use crate::tree::Tree;

/// How often each command runs; the best counts, since noise only adds.
const RUNS: usize = 5;

/// The programs that are measured, and the logs that they read.
struct Setup {
    weir: PathBuf,
    agent: PathBuf,
    rg: PathBuf,
    tree: Tree,
}

/// Measures and prints one table.
type Print = fn(&Setup);

/// Every table by its name.
const TABLES: [(&str, Print); 7] = [
    ("compare", compare::print),
    ("threads", threads::print),
    ("skip", skip::print),
    ("follow", follow::print),
    ("serve", serve::print),
    ("health", health::print),
    ("memory", memory::print),
];

fn main() {
    // `cargo test --benches` runs this too; without the flag of `cargo bench` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let program =
        |name: &str, default: &str| std::env::var_os(name).map_or_else(|| default.into(), PathBuf::from);
    let mebibytes: usize = std::env::var("WEIR_BENCH_MIB")
        .map_or(1024, |text| text.parse().unwrap_or_else(|error| panic!("WEIR_BENCH_MIB={text:?}: {error}")));
    let wanted = std::env::var("WEIR_BENCH_TABLES").unwrap_or_default();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let setup = Setup {
        weir: program("WEIR", "target/release/weir"),
        agent: program("WEIR_AGENT_BINARY", "target/release/weir-agent"),
        rg: program("RG", "rg"),
        tree: Tree::write(dir.path(), mebibytes << 20),
    };

    println!("A log of {mebibytes} MiB, {}, best of {RUNS}.", cost::version(&setup.rg));
    for (name, print) in TABLES {
        if wanted.is_empty() || wanted.split_whitespace().any(|word| name.contains(word)) {
            print(&setup);
        }
    }
}
