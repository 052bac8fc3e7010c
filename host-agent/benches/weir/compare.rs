//! Weir beside `rg`, one thread each: as `rg` is, which maps a single file into memory, and with `--no-mmap`, which
//! reads it in blocks as Weir does.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::sys::resource::UsageWho;

use crate::cost::{Cost, cpu_time, milliseconds, on_processors, run, version};
use crate::tree::text;
use crate::{RUNS, Setup, table};

/// Bytes that Weir reads at once.
const BLOCK: usize = 128 << 10;

/// The same search for both.
struct Row<'a> {
    what: &'static str,
    /// The ratio that is wanted.
    goal: f64,
    weir: Vec<&'a str>,
    rg: Vec<&'a str>,
}

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    let text = format!(
        "A log of {} MiB, {}, best of {RUNS}. CPU and wall time in ms; ratios are of CPU time, over 1 Weir takes less.",
        setup.mebibytes,
        version(&setup.rg)
    );
    table::head(
        "Against ripgrep, one thread each",
        &text,
        &[
            "what",
            "weir CPU",
            "rg CPU",
            "rg --no-mmap CPU",
            "goal",
            "ratio to rg",
            "ratio to --no-mmap",
            "weir wall",
            "rg wall",
            "rg --no-mmap wall",
        ],
    );
    for row in rows(setup) {
        row.measure(setup);
    }
    let floor = (0..RUNS).map(|_| floor(&setup.tree.cri)).fold(Cost::MAX, Cost::best);
    let (cpu, wall) = (format!("{:.1}", milliseconds(floor.cpu)), format!("{:.1}", milliseconds(floor.wall)));
    table::row(&["floor: the large file read, not looked at", &cpu, "", "", "", "", "", &wall, "", ""]);
}

fn rows(setup: &Setup) -> Vec<Row<'_>> {
    let tree = &setup.tree;
    let (cri, json, gzip, many) = (text(&tree.cri), text(&tree.json), text(&tree.gzip), text(&tree.many));
    let needle = "needle-in-the-log";
    let no_literal = r"\b[0-9a-f]{8}-[0-9a-f]{4}\b";
    let count = |file, pattern| vec!["logs", "--file", file, "--count", "-e", pattern];
    vec![
        Row {
            what: "rare literal, counted",
            goal: 0.95,
            weir: count(cri, needle),
            rg: vec!["-c", needle, cri],
        },
        Row {
            what: "rare literal, `-i`, counted",
            goal: 0.95,
            weir: [count(cri, needle), vec!["-i"]].concat(),
            rg: vec!["-ic", needle, cri],
        },
        Row {
            what: "`GET /(about\\|contact)`, counted",
            goal: 0.95,
            weir: count(cri, "GET /(about|contact)"),
            rg: vec!["-c", "GET /(about|contact)", cri],
        },
        Row {
            what: "5 % of lines out",
            goal: 1.05,
            weir: vec!["logs", "--file", cri, "-e", "level=error", "-o", "raw"],
            rg: vec!["level=error", cri],
        },
        Row {
            what: "no literal, counted",
            goal: 2.5,
            weir: count(cri, no_literal),
            rg: vec!["-c", no_literal, cri],
        },
        Row {
            what: "gzip (`rg -z`), an eighth of the log, counted",
            goal: 2.5,
            weir: count(gzip, needle),
            rg: vec!["-z", "-c", needle, gzip],
        },
        Row {
            what: "500 files, counted",
            goal: 1.1,
            weir: vec!["logs", "--dir", many, "--count", "-e", needle],
            rg: vec!["-c", needle, many],
        },
        Row {
            what: "json-file, rare literal, counted",
            goal: 0.95,
            weir: count(json, needle),
            rg: vec!["-c", needle, json],
        },
    ]
}

impl Row<'_> {
    /// Runs all in turn and keeps the best of each.
    fn measure(&self, setup: &Setup) {
        let rg = [&["-j1", "--no-config", "--no-ignore"], &self.rg[..]].concat();
        let unmapped = [&["--no-mmap"], &rg[..]].concat();
        let mut best = [Cost::MAX; 3];
        for _ in 0..RUNS {
            best[0] = best[0].best(on_processors(1, || run(&setup.weir, &self.weir)));
            best[1] = best[1].best(run(&setup.rg, &rg));
            best[2] = best[2].best(run(&setup.rg, &unmapped));
        }
        let [ours, theirs, unmapped] = best.map(|cost| cost.cpu.as_secs_f64());
        let cpu = best.map(|cost| format!("{:.1}", milliseconds(cost.cpu)));
        let wall = best.map(|cost| format!("{:.1}", milliseconds(cost.wall)));
        table::row(&[
            self.what,
            &cpu[0],
            &cpu[1],
            &cpu[2],
            &format!("{:.2}", self.goal),
            &table::at_least(theirs / ours, self.goal),
            &table::at_least(unmapped / ours, self.goal),
            &wall[0],
            &wall[1],
            &wall[2],
        ]);
    }
}

/// What reading a file costs when nobody looks at it.
fn floor(path: &Path) -> Cost {
    let file = File::open(path).expect("the file is there");
    let mut block = vec![0; BLOCK];
    let (before, started) = (cpu_time(UsageWho::RUSAGE_SELF), std::time::Instant::now());
    let mut offset = 0;
    loop {
        match file.read_at(&mut block, offset).expect("readable") {
            0 => break,
            count => offset += count as u64,
        }
    }
    Cost { cpu: cpu_time(UsageWho::RUSAGE_SELF) - before, wall: started.elapsed() }
}
