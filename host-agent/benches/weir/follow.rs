//! Following many files that are written to: the follower's CPU time.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cost::cpu_time_of;
use crate::tree::{log_of_pod, text};
use crate::{Setup, table};

const FILES: usize = 100;

/// Lines a second over all files.
const RATE: u128 = 50_000;

/// How long is written before the follower is measured, and how long it is measured.
const TIMES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// How often the writer looks at the clock.
const TICK: Duration = Duration::from_millis(2);

/// Percent of a core.
const GOAL: f64 = 3.0;

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "Following",
        "`weir logs --follow` over 100 files that are written to line by line, 50,000 lines a second in all.",
        &["what", "lines given", "goal", "% of a core"],
    );
    let dir = setup.scratch.join("follow");
    let mut writer = Writer::new(&dir);
    for (what, arguments) in [
        ("every line, as text", &[][..]),
        ("every line, the message alone", &["-o", "raw"]),
        ("none of the lines", &["-e", "needle-in-the-log"]),
    ] {
        let mut follower = Command::new(&setup.weir)
            .args(["logs", "--dir", text(&dir), "--follow"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("weir runs");
        let (cpu, given) = measure(&mut writer, &follower);
        assert_eq!(follower.try_wait().expect("our child"), None, "the follower goes on");
        follower.kill().and_then(|()| follower.wait()).expect("our child");
        let wanted = if arguments.contains(&"-e") { 0.0 } else { 0.99 };
        assert!(given >= wanted, "{what}: {given:.2} of the lines were given");
        table::row(&[
            what,
            if wanted > 0.0 { "all" } else { "none" },
            &format!("{GOAL:.2}"),
            &table::below(cpu * 100.0, GOAL),
        ]);
    }
}

/// The share of a core that a follower takes while lines are written, and the share of their messages' bytes, at
/// most 1, that it gave.
fn measure(writer: &mut Writer, follower: &Child) -> (f64, f64) {
    writer.write_for(TIMES[0]);
    let (cpu, given, started) = (cpu_time_of(follower.id()), given_bytes(follower), Instant::now());
    let written = writer.write_for(TIMES[1]);
    let cpu = (cpu_time_of(follower.id()) - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    let given = given_bytes(follower) - given;
    (cpu, (given as f64 / written as f64).min(1.0))
}

/// Bytes that a process has written to whatever.
fn given_bytes(child: &Child) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", child.id())).expect("our child's figures");
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("a figure");
    written.parse().expect("a number")
}

/// Writes lines as a runtime does: one write for each.
struct Writer {
    files: Vec<File>,
    lines: u128,
}

impl Writer {
    fn new(dir: &std::path::Path) -> Writer {
        let open = |pod| {
            let path = log_of_pod(dir, pod).expect("a folder");
            OpenOptions::new().create(true).append(true).open(path).expect("a file")
        };
        Writer { files: (0..FILES).map(open).collect(), lines: 0 }
    }

    /// Writes for so long, at the pace of the clock, and returns how many bytes of messages there were.
    fn write_for(&mut self, time: Duration) -> u64 {
        let (started, first) = (Instant::now(), self.lines);
        let mut bytes = 0;
        while started.elapsed() < time {
            let due = first + started.elapsed().as_nanos() * RATE / Duration::from_secs(1).as_nanos();
            let now = jiff::Timestamp::now();
            while self.lines < due {
                bytes += self.write_line(now);
            }
            std::thread::sleep(TICK);
        }
        bytes
    }

    fn write_line(&mut self, now: jiff::Timestamp) -> u64 {
        let number = self.lines;
        let message = format!(
            "ts={number} level=info msg=\"GET /api/items\" status=200 user=u{:05} bytes={} duration={}us \
             agent=\"Mozilla/5.0 (X11; Linux x86_64) Gecko\"\n",
            number % 100_000,
            number % 65_536,
            number % 999_983,
        );
        let line = format!("{now:.9} stdout F {message}");
        let file = usize::try_from(number % FILES as u128).expect("less than there are files");
        self.files[file].write_all(line.as_bytes()).expect("room for the logs");
        self.lines += 1;
        message.len() as u64
    }
}
