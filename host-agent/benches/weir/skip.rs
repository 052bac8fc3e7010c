//! Searches that leave most of a log unread: what they take beyond the start of a process.

use std::time::Duration;

use crate::cost::{milliseconds, run};
use crate::tree::text;
use crate::{Setup, table};

/// Milliseconds of CPU time beyond the start of the process.
const GOAL: f64 = 1.0;

/// Short commands need more runs before one is undisturbed.
const RUNS: usize = 40;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "What is not read",
        "CPU time in ms, of which the start of the process is what the same command takes on an empty file.",
        &["what", "CPU", "start of the process", "goal", "beyond it"],
    );
    let tree = &setup.tree;
    let window = ["--since", "2026-11-01T02:00:00Z", "--until", "2026-11-01T02:01:00Z"];
    for (what, arguments) in [
        ("the last 100 of 5 %", &["-e", "level=error", "--tail", "100"][..]),
        ("a window of one minute, 600 lines", &window),
    ] {
        let on = |file| [&["logs", "-o", "raw", "--file", file], arguments].concat();
        let (full, empty) = (on(text(&tree.cri)), on(text(&tree.empty)));
        let mut best = [Duration::MAX; 2];
        for _ in 0..RUNS {
            best[0] = best[0].min(run(&setup.weir, &full).cpu);
            best[1] = best[1].min(run(&setup.weir, &empty).cpu);
        }
        let [full, start] = best.map(milliseconds);
        table::row(&[
            what,
            &format!("{full:.2}"),
            &format!("{start:.2}"),
            &format!("{GOAL:.2}"),
            &table::below(full - start, GOAL),
        ]);
    }
}
