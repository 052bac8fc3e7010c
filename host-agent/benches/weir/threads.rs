//! Weir with two threads beside Weir with one: wall time.

use crate::cost::{Cost, milliseconds, on_processors, run};
use crate::tree::text;
use crate::{RUNS, Setup, table};

const GOAL: f64 = 1.8;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Two threads against one",
        "A rare literal, counted. The ratio is of Weir's wall times; `rg -j2` uses one thread for a single file.",
        &[
            "what",
            "one: CPU ms",
            "two: CPU ms",
            "one: wall ms",
            "two: wall ms",
            "goal",
            "ratio",
            "rg -j2: CPU ms",
            "rg -j2: wall ms",
        ],
    );
    let count = ["--count", "-e", "needle-in-the-log"];
    let tree = &setup.tree;
    for (what, place) in
        [("the large file", ["--file", text(&tree.cri)]), ("500 files", ["--dir", text(&tree.many)])]
    {
        let arguments = [&["logs"], &place[..], &count].concat();
        let rg = ["-j2", "--no-config", "--no-ignore", "-c", "needle-in-the-log", place[1]];
        let mut best = [Cost::MAX; 3];
        for _ in 0..RUNS {
            best[0] = best[0].best(on_processors(1, || run(&setup.weir, &arguments)));
            best[1] = best[1].best(on_processors(2, || run(&setup.weir, &arguments)));
            best[2] = best[2].best(on_processors(2, || run(&setup.rg, &rg)));
        }
        let ratio = best[0].wall.as_secs_f64() / best[1].wall.as_secs_f64();
        let ms = |duration| format!("{:.1}", milliseconds(duration));
        table::row(&[
            what,
            &ms(best[0].cpu),
            &ms(best[1].cpu),
            &ms(best[0].wall),
            &ms(best[1].wall),
            &format!("{GOAL:.2}"),
            &table::at_least(ratio, GOAL),
            &ms(best[2].cpu),
            &ms(best[2].wall),
        ]);
    }
}
