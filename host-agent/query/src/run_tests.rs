//! Random logs and queries: any number of threads, and any size of blocks and stripes, must give the same answer as
//! one thread; and a query that ends early leaves no thread behind.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use weir_scan::{Context, Direction, PatternSpec, Record, ScanLimits};

use super::*;
use crate::{Compiler, Engine, EngineConfig, Inputs, Limit, Output, QuerySpec, Summary};

/// A line of a log: how much later than the one before it, and what it says.
type Line = (u8, bool, bool, String);

/// How a query is to be searched.
#[derive(Clone, Copy, Debug)]
struct Way {
    threads: usize,
    block_bytes: usize,
    stripe_bytes: usize,
}

/// What a query told, without what depends on how much was read for it.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    records: Vec<(u32, u32, u64, Option<i64>, String, u8)>,
    counts: Vec<crate::Count>,
    histogram: Vec<crate::Bucket>,
    matched: Vec<u64>,
    summary: Summary,
}

impl Answer {
    fn take(&mut self, event: Event) {
        match event {
            Event::Records { batch, .. } => {
                for record in &batch.records {
                    let message = String::from_utf8_lossy(batch.message(record)).into_owned();
                    let Record { source, file, offset, time, flags, .. } = *record;
                    self.records.push((source, file, offset, time, message, flags.bits()));
                }
            }
            Event::Counts(counts) => self.counts = counts,
            Event::Histogram(histogram) => self.histogram = histogram,
            Event::SourceEnd(status) => self.matched.push(status.matched),
            Event::Summary(summary) => {
                let (bytes_read, elapsed) = (0, std::time::Duration::ZERO);
                self.summary = Summary { bytes_read, elapsed, ..summary };
                // Whether a line over the limit was met depends on how far the search had to read.
                self.summary.incomplete.retain(|reason| !reason.contains("line_bytes"));
            }
            Event::Gap(gap) => panic!("nothing is missing on disk: {gap:?}"),
            Event::Source { .. }
            | Event::Progress(_)
            | Event::Positions(_)
            | Event::Notice(_)
            | Event::Filter(_)
            | Event::Policy(_) => {}
        }
    }
}

fn line() -> impl Strategy<Value = Line> {
    let message = prop_oneof![
        8 => proptest::sample::select(&["a", "error", "an error", "", "b P c", "xyz"][..]).prop_map(str::to_owned),
        1 => (100..900usize).prop_map(|length| "ab error".repeat(length / 8)),
    ];
    (prop_oneof![2 => Just(0), 1 => 0..4u8], any::<bool>(), prop::bool::weighted(0.15), message)
}

/// Files of one source, oldest first, and whether the rotated ones are gzipped.
fn log() -> impl Strategy<Value = (Vec<Vec<Line>>, bool)> {
    (prop::collection::vec(prop::collection::vec(line(), 1..120), 1..4), any::<bool>())
}

fn write(root: &Path, number: usize, files: &[Vec<Line>], gzip: bool) {
    let dir = root.join(format!("ns_pod-{number}_00000000-0000-0000-0000-000000000001/app"));
    std::fs::create_dir_all(&dir).unwrap();
    let mut seconds = 0u64;
    for (index, lines) in files.iter().enumerate() {
        let mut bytes = Vec::new();
        for (later, stderr, partial, message) in lines {
            seconds += u64::from(*later);
            let (stream, tag) = (if *stderr { "stderr" } else { "stdout" }, if *partial { "P" } else { "F" });
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            writeln!(
                bytes,
                "2026-11-24T{hours:02}:{minutes:02}:{:02}Z {stream} {tag} {message}",
                seconds % 60
            )
            .unwrap();
        }
        if index + 1 == files.len() {
            std::fs::write(dir.join("0.log"), bytes).unwrap();
        } else if gzip {
            let file = File::create(dir.join(format!("0.log.20261124-1000{index:02}.gz"))).unwrap();
            let mut encoder = GzEncoder::new(file, Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap();
        } else {
            std::fs::write(dir.join(format!("0.log.20261124-1000{index:02}")), bytes).unwrap();
        }
    }
}

fn spec() -> impl Strategy<Value = QuerySpec> {
    let pattern = proptest::sample::select(&["", "error", "^a", "b", "P", "no such text"][..]);
    let limit = prop_oneof![
        3 => Just(Limit::All),
        1 => (0..30u64).prop_map(Limit::Head),
        1 => (0..30u64).prop_map(Limit::Tail),
    ];
    let output = prop_oneof![
        4 => Just(Output::Records),
        1 => any::<bool>().prop_map(|per_source| Output::Count { per_source }),
        1 => any::<bool>().prop_map(|per_source| Output::Histogram {
            step: std::num::NonZeroU64::new(60_000_000_000).unwrap(),
            per_source,
        }),
    ];
    let context = prop_oneof![3 => Just((0, 0)), 1 => (0..3usize, 0..3usize)]
        .prop_map(|(before, after)| Context { before, after });
    let line_bytes = proptest::option::weighted(0.2, 50..200u32);
    (pattern, limit, output, context, any::<bool>(), line_bytes).prop_map(
        |(pattern, limit, output, context, backward, line_bytes)| QuerySpec {
            pattern: PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() },
            direction: if backward { Direction::Backward } else { Direction::Forward },
            limit,
            output,
            context,
            line_bytes,
            ..QuerySpec::default()
        },
    )
}

fn way() -> impl Strategy<Value = Way> {
    (2..5usize, prop_oneof![1..60usize, 60..2000usize], prop_oneof![1..100usize, 100..3000usize])
        .prop_map(|(threads, block_bytes, stripe_bytes)| Way { threads, block_bytes, stripe_bytes })
}

fn engine(root: &Path) -> Engine {
    Engine::new(EngineConfig::new(Inputs::root(root.to_owned()), Compiler::InProcess), &[]).unwrap()
}

fn plan(engine: &Engine, spec: &QuerySpec, way: Way) -> Plan {
    let mut plan = engine.plan(spec).unwrap();
    let mut search = Search::clone(&plan.search);
    let Way { threads, block_bytes, stripe_bytes } = way;
    // Blocks that shrink and grow again.
    let batch_bytes = (block_bytes / 2).max(1);
    search.limits = ScanLimits { block_bytes, batch_bytes, stripe_bytes, ..search.limits };
    let search = Arc::new(search);
    plan.policing.search_otherwise(Arc::clone(&search));
    Plan { threads, search, ..plan }
}

fn answer(engine: &Engine, spec: &QuerySpec, way: Way) -> Answer {
    let mut answer = Answer::default();
    plan(engine, spec, way).run(&Cancel::default(), &mut |event| {
        answer.take(event);
        Flow::Continue
    });
    answer
}

const ALONE: Way = Way { threads: 1, block_bytes: 128 << 10, stripe_bytes: 256 << 10 };

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn threads_don_t_change_an_answer(
        logs in prop::collection::vec(log(), 1..5),
        spec in spec(),
        ways in prop::collection::vec(way(), 3),
    ) {
        let root = tempfile::tempdir().unwrap();
        for (number, (files, gzip)) in logs.iter().enumerate() {
            write(root.path(), number, files, *gzip);
        }
        let engine = engine(root.path());
        let alone = answer(&engine, &spec, ALONE);
        for way in ways {
            prop_assert_eq!(&answer(&engine, &spec, way), &alone, "{:?}", way);
        }
    }
}

/// Two sources of `lines` lines each, a third of them errors.
fn two_logs(root: &Path, lines: usize) -> Engine {
    let message =
        |at: usize| if at.is_multiple_of(3) { "an error ".repeat(20) } else { "nothing".to_owned() };
    let lines: Vec<Line> =
        (0..lines).map(|at| (u8::from(at.is_multiple_of(2)), false, false, message(at))).collect();
    for number in 0..2 {
        write(root, number, std::slice::from_ref(&lines), false);
    }
    engine(root)
}

fn errors() -> QuerySpec {
    let pattern = PatternSpec { patterns: vec!["error".to_owned()], ..PatternSpec::default() };
    QuerySpec { pattern, ..QuerySpec::default() }
}

const TOGETHER: Way = Way { threads: 4, block_bytes: 500, stripe_bytes: 1000 };

/// Runs the merge of a query until it has seen `batches` batches, and gives what `look` sees of it then.
fn stopped_after<T>(
    engine: &Engine,
    spec: &QuerySpec,
    way: Way,
    batches: usize,
    look: impl FnOnce(&Run) -> T,
) -> T {
    let plan = plan(engine, spec, way);
    let cancel = Cancel::default();
    let mut left = batches;
    let mut sink = |event: Event| {
        if matches!(event, Event::Records { .. }) {
            left = left.saturating_sub(1);
            if left == 0 {
                cancel.cancel();
            }
        }
        Flow::Continue
    };
    let mut run = Run::new(plan, &cancel);
    run.merge(&cancel, &mut sink);
    look(&run)
}

#[test]
fn a_query_that_ends_early_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let engine = two_logs(root.path(), 40_000);
    let limited = QuerySpec { limit: Limit::Head(5000), ..errors() };
    for (spec, flow, cancels) in
        [(errors(), Flow::Stop, false), (errors(), Flow::Continue, true), (limited, Flow::Continue, false)]
    {
        let plan = plan(&engine, &spec, TOGETHER);
        let search = Arc::downgrade(&plan.search);
        let (cancel, mut batches, mut summaries) = (Cancel::default(), 0, 0);
        plan.run(&cancel, &mut |event| {
            summaries += usize::from(matches!(event, Event::Summary(_)));
            if matches!(event, Event::Records { .. }) {
                batches += 1;
                if cancels {
                    cancel.cancel();
                }
                return flow;
            }
            Flow::Continue
        });
        // Whoever still searched would have it.
        assert_eq!(search.strong_count(), 0, "{flow:?} {cancels}");
        let is_limited = flow == Flow::Continue && !cancels;
        assert_eq!((batches > 1, summaries), (is_limited, usize::from(is_limited)));
    }
}

/// A query that is left and taken up again gives what it gives without that, and holds no thread meanwhile.
#[test]
fn pauses_make_no_difference() {
    let root = tempfile::tempdir().unwrap();
    let engine = two_logs(root.path(), 20_000);
    let context = Context { before: 1, after: 2 };
    for spec in [
        errors(),
        QuerySpec { context, ..errors() },
        QuerySpec { direction: Direction::Backward, ..errors() },
        QuerySpec { limit: Limit::Tail(5000), context, ..errors() },
        QuerySpec { output: Output::Count { per_source: true }, ..errors() },
    ] {
        for way in [ALONE, TOGETHER] {
            let whole = answer(&engine, &spec, ALONE);
            let mut running = plan(&engine, &spec, way).start(Budget::default(), &Cancel::default());
            let (mut given, mut pauses, mut events) = (Answer::default(), 0, 0);
            loop {
                let going = running.go_on(&mut |event| {
                    events += 1;
                    given.take(event);
                    if events % 3 == 0 { Flow::Pause } else { Flow::Continue }
                });
                assert_eq!(running.run.crew.size(), 0);
                if going == Going::Over {
                    break;
                }
                pauses += 1;
            }
            assert!(given == whole, "{spec:?} {way:?}");
            assert_eq!(pauses, events / 3);
        }
    }
}

#[test]
fn threads_are_started_for_much_to_read_and_not_for_little() {
    let root = tempfile::tempdir().unwrap();
    let engine = two_logs(root.path(), 4000);
    let way = Way { block_bytes: 8 << 10, ..TOGETHER };
    assert_eq!(stopped_after(&engine, &errors(), way, usize::MAX, |run| run.crew.size()), 3);
    let few = QuerySpec { limit: Limit::Tail(3), ..errors() };
    assert_eq!(stopped_after(&engine, &few, way, usize::MAX, |run| run.crew.size()), 0);
}

#[test]
fn a_lane_knows_what_was_given_of_it_while_stripes_are_under_way() {
    let root = tempfile::tempdir().unwrap();
    let engine = two_logs(root.path(), 20_000);
    let whole = answer(&engine, &errors(), ALONE);
    for direction in [Direction::Forward, Direction::Backward] {
        let spec = QuerySpec { direction, ..errors() };
        let mut under_way = 0;
        for batches in 1..8 {
            let places = stopped_after(&engine, &spec, TOGETHER, batches, |run| {
                under_way += usize::from(run.lanes.iter().any(|lane| lane.feed.outstanding() > 1));
                run.lanes
                    .iter()
                    .map(|lane| {
                        (lane.position(direction).unwrap().offset, run.collector.matched(lane.source))
                    })
                    .collect::<Vec<_>>()
            });
            for (source, (offset, given)) in (0..).zip(places) {
                let is_given = |record: &&(u32, u32, u64, Option<i64>, String, u8)| {
                    record.0 == source && (record.2 < offset) == (direction == Direction::Forward)
                };
                assert_eq!(
                    whole.records.iter().filter(is_given).count() as u64,
                    given,
                    "{direction:?} {batches}"
                );
                assert!(given > 0);
            }
        }
        assert!(under_way > 0, "{direction:?}");
    }
}

/// A pipe is only read when its records are due: what is read of it ahead could keep a query from its end.
#[test]
fn a_pipe_is_merged_with_files_that_threads_read() {
    let root = tempfile::tempdir().unwrap();
    let engine = two_logs(root.path(), 10_000);
    let whole = answer(&engine, &errors(), ALONE);
    let mut plan = plan(&engine, &errors(), TOGETHER);
    let content = std::fs::read(log_file(root.path(), 1)).unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&content).unwrap());
    plan.sets[1].files = weir_scan::pipe_set(File::from(std::os::fd::OwnedFd::from(reader)), "-").files;
    let mut given = Answer::default();
    plan.run(&Cancel::default(), &mut |event| {
        given.take(event);
        Flow::Continue
    });
    writing.join().unwrap();
    assert_eq!(given, whole);
}

/// What a thread can't read ahead is told as it is without it: once, and with the records before it.
#[test]
fn a_file_that_shrinks_under_several_threads_is_one_gap() {
    for direction in [Direction::Forward, Direction::Backward] {
        for way in [TOGETHER, Way { threads: 1, ..TOGETHER }] {
            let root = tempfile::tempdir().unwrap();
            let engine = two_logs(root.path(), 20_000);
            let spec = QuerySpec { direction, ..errors() };
            let mut whole = answer(&engine, &spec, ALONE);
            let plan = plan(&engine, &spec, way);
            let path = log_file(root.path(), 0);
            let len = std::fs::metadata(&path).unwrap().len();
            let (mut gaps, mut batches) = (Vec::new(), 0);
            let mut given = Answer::default();
            plan.run(&Cancel::default(), &mut |event| {
                if matches!(event, Event::Records { .. }) {
                    batches += 1;
                    if batches == 3 {
                        File::options().write(true).open(&path).unwrap().set_len(len / 2).unwrap();
                    }
                }
                match event {
                    Event::Gap(gap) => gaps.push(gap),
                    event => given.take(event),
                }
                Flow::Continue
            });
            let reasons: Vec<_> = gaps.iter().map(|gap| (gap.source, gap.reason.as_str())).collect();
            assert_eq!(reasons, [(0, "shrunk")], "{direction:?} {way:?}");
            assert_eq!(given.summary.incomplete.len(), 1);
            // Of what is left of the file, and of the other one, nothing is missing or given twice.
            let is_left = |record: &(u32, u32, u64, Option<i64>, String, u8)| {
                record.0 == 1 || record.2 < len / 2 - 1000
            };
            whole.records.retain(is_left);
            given.records.retain(is_left);
            assert!(given.records == whole.records, "{direction:?} {way:?}");
        }
    }
}

fn log_file(root: &Path, number: usize) -> std::path::PathBuf {
    root.join(format!("ns_pod-{number}_00000000-0000-0000-0000-000000000001/app/0.log"))
}
