//! Weir with two threads beside Weir with one: wall time.

use crate::cost::{Cost, milliseconds, on_one_processor, run};
use crate::tree::text;
use crate::{RUNS, Setup, table};

const GOAL: f64 = 1.8;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Two threads against one",
        "A rare literal, counted. The ratio is of wall time.",
        &["what", "one: CPU ms", "two: CPU ms", "one: wall ms", "two: wall ms", "goal", "ratio"],
    );
    let count = ["--count", "-e", "needle-in-the-log"];
    let tree = &setup.tree;
    for (what, place) in
        [("the large file", ["--file", text(&tree.cri)]), ("500 files", ["--dir", text(&tree.many)])]
    {
        let arguments = [&["logs"], &place[..], &count].concat();
        let mut best = [Cost::MAX; 2];
        for _ in 0..RUNS {
            best[0] = best[0].best(on_one_processor(|| run(&setup.weir, &arguments)));
            best[1] = best[1].best(run(&setup.weir, &arguments));
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
        ]);
    }
}
