//! The merge of several engines' answers against the answer of one engine that has all of their logs, and against a
//! plain sort; and the live part, fed by hand.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::mpsc::{Sender, channel};
use weir_query::{
    Bucket, Cancel, Compiler, Context, Count, Direction, Engine, EngineConfig, Flags, Inputs, Limit, Output,
    PatternSpec, QuerySpec, Record, ResumeToken, Summary,
};

use super::*;
use crate::place::Place;
use crate::seat::{Member, Reach, Seat};

const AGENTS: [&str; 3] = ["one", "two", "three"];

/// Logs that several agents have, and all of them in one place.
struct Logs {
    _dirs: Vec<TempDir>,
    parts: Vec<Engine>,
    whole: Engine,
    /// Time, pod and message of each record, in the order in which they were written.
    records: Vec<(i64, String, String)>,
}

fn engine(dir: &Path) -> Engine {
    let compiler = Compiler::Child { program: "none".into(), args: Vec::new() };
    Engine::new(EngineConfig::new(Inputs::root(dir.to_owned()), compiler), &[]).expect("an engine")
}

impl Logs {
    /// Logs of up to nine pods, many of whose times are equal. With `steps`, clocks are set back at times.
    fn random(rng: &mut fastrand::Rng, steps: bool) -> Logs {
        let dirs: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let mut records = Vec::new();
        for pod in 0..rng.usize(1..=9) {
            let (pod, part) = (format!("pod-{pod}"), rng.usize(0..AGENTS.len()));
            let (mut log, mut second) = (String::new(), rng.i64(0..20));
            for number in 0..rng.usize(0..60) {
                second += rng.i64(0..4);
                if steps && rng.u8(0..20) == 0 {
                    second -= rng.i64(0..8);
                }
                let message = format!("{pod} {number} {}", rng.choice(["hit", "miss", "miss"]).expect("one"));
                let (minute, second_of) = (second.rem_euclid(3600) / 60, second.rem_euclid(60));
                log.push_str(&format!("2026-11-24T10:{minute:02}:{second_of:02}Z stdout F {message}\n"));
                records.push((second.rem_euclid(3600), pod.clone(), message));
            }
            for dir in [&dirs[part], &dirs[AGENTS.len()]] {
                let dir = dir.path().join(format!("ns_{pod}_uid/app"));
                fs::create_dir_all(&dir).expect("a folder");
                fs::write(dir.join("0.log"), &log).expect("a file");
            }
        }
        let mut engines: Vec<Engine> = dirs.iter().map(|dir| engine(dir.path())).collect();
        let whole = engines.pop().expect("four engines");
        Logs { _dirs: dirs, parts: engines, whole, records }
    }
}

/// What a query gave, with sources by name.
#[derive(Debug, Default)]
struct Answer {
    records: Vec<(String, String, Flags)>,
    counts: Vec<(Option<String>, u64)>,
    buckets: Vec<(Option<String>, Option<i64>, u64)>,
    summary: Summary,
    token: ResumeToken,
}

/// Collects an answer.
struct Taker {
    answer: Answer,
    names: Vec<String>,
    place: Place,
}

impl Taker {
    fn new(resume: &ResumeToken) -> Taker {
        Taker { answer: Answer::default(), names: Vec::new(), place: Place::new(resume.clone()) }
    }

    fn take(&mut self, event: Event) -> Flow {
        self.place.event(&event);
        let name = |source: &u32| self.names[*source as usize].clone();
        match event {
            Event::Source { id, source, .. } => {
                assert_eq!(id as usize, self.names.len(), "sources are numbered in order");
                self.names.push(source.pod);
            }
            Event::Records { batch, .. } => self.answer.records.extend(batch.records.iter().map(|record| {
                let message = String::from_utf8(batch.message(record).to_vec()).expect("text");
                (name(&record.source), message, record.flags)
            })),
            Event::Counts(counts) => {
                let count = |Count { source, matched }: &Count| (source.as_ref().map(name), *matched);
                self.answer.counts = counts.iter().map(count).collect();
            }
            Event::Histogram(buckets) => {
                let bucket = |Bucket { source, start, matched }: &Bucket| {
                    (source.as_ref().map(name), *start, *matched)
                };
                self.answer.buckets = buckets.iter().map(bucket).collect();
            }
            Event::Summary(summary) => self.answer.summary = summary,
            _ => {}
        }
        Flow::Continue
    }

    fn into_answer(mut self) -> Answer {
        self.answer.token = self.place.token().clone();
        self.answer
    }
}

fn seat(name: &str) -> Seat {
    let endpoint = weir_rpc::Endpoint::default();
    Seat::new(Member { name: name.to_owned(), reach: Reach::Endpoint(endpoint), own: None })
}

fn ask_whole(engine: &Engine, spec: &QuerySpec) -> Answer {
    let mut taker = Taker::new(&spec.resume);
    engine.plan(spec).expect("a plan").run(&Cancel::default(), &mut |event| taker.take(event));
    taker.into_answer()
}

fn ask_parts(engines: &[Engine], spec: &QuerySpec) -> Answer {
    let mut taker = Taker::new(&spec.resume);
    let rules = Rules::new(spec, true);
    let parts = resume::split(&spec.resume, &AGENTS).expect("their own token");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::scope(|scope| {
        let mut lanes = Vec::new();
        for ((engine, part), name) in engines.iter().zip(parts).zip(AGENTS) {
            let asked = rules.asked(spec, part.given());
            let asked = QuerySpec { resume: part.token, ..asked };
            let (merge, told) = channel(2);
            lanes.push(Lane::new(seat(name), told, part.stands));
            scope.spawn(move || {
                let tell = |told| merge.blocking_send(told).map_or(Flow::Stop, |()| Flow::Continue);
                tell(Told::Opened { asked: 0, missing: Vec::new() });
                let plan = engine.plan(&asked).expect("a plan");
                plan.run(&Cancel::default(), &mut |event| tell(Told::Event(event)));
            });
        }
        let mut sink = |event| taker.take(event);
        let merge = Merge::new(lanes, rules, &QueryLimits::default(), &mut sink);
        runtime.block_on(merge.run()).expect("an answer");
    });
    taker.into_answer()
}

fn random_spec(rng: &mut fastrand::Rng) -> QuerySpec {
    let count = rng.u64(0..30);
    let per_source = rng.bool();
    let step = NonZeroU64::new(7_000_000_000).expect("not zero");
    let patterns = if rng.bool() { vec!["hit".to_owned()] } else { Vec::new() };
    let mut context = || if rng.u8(0..3) == 0 { rng.usize(0..4) } else { 0 };
    let context = Context { before: context(), after: context() };
    QuerySpec {
        pattern: PatternSpec { patterns, ..PatternSpec::default() },
        limit: *rng.choice(&[Limit::All, Limit::Head(count), Limit::Tail(count)]).expect("one"),
        direction: *rng.choice(&[Direction::Forward, Direction::Backward]).expect("one"),
        output: *rng
            .choice(&[
                Output::Records,
                Output::Records,
                Output::Count { per_source },
                Output::Histogram { step, per_source },
            ])
            .expect("one"),
        context,
        ..QuerySpec::default()
    }
}

#[test]
fn several_agents_answer_as_one_that_has_all_logs() {
    let seed = fastrand::u64(..);
    for case in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(case));
        let steps = rng.bool();
        let logs = Logs::random(&mut rng, steps);
        for _ in 0..6 {
            let spec = random_spec(&mut rng);
            let what = format!("seed {seed}, case {case}: {spec:?}");
            let (whole, parts) = (ask_whole(&logs.whole, &spec), ask_parts(&logs.parts, &spec));
            assert_eq!(parts.records, whole.records, "{what}");
            assert_eq!(parts.counts, whole.counts, "{what}");
            assert_eq!(parts.buckets, whole.buckets, "{what}");
            let figures = |summary: &Summary| {
                let Summary { matched, records, limited, sources, oldest, .. } = *summary;
                (matched, records, limited, sources, oldest)
            };
            assert_eq!(figures(&parts.summary), figures(&whole.summary), "{what}");
            assert!(parts.summary.is_complete(), "{what}: {:?}", parts.summary);
        }
    }
}

#[test]
fn records_of_several_agents_come_sorted() {
    let mut rng = fastrand::Rng::new();
    for _ in 0..50 {
        let mut logs = Logs::random(&mut rng, false);
        // Stable: what one pod wrote keeps its order.
        logs.records
            .sort_by(|(time, pod, _), (other_time, other_pod, _)| (time, pod).cmp(&(other_time, other_pod)));
        let given = |spec: &QuerySpec| -> Vec<String> {
            ask_parts(&logs.parts, spec).records.into_iter().map(|(_, message, _)| message).collect()
        };
        let mut expected: Vec<&String> = logs.records.iter().map(|(.., message)| message).collect();
        assert_eq!(given(&QuerySpec::default()).iter().collect::<Vec<_>>(), expected);
        let newest = QuerySpec { direction: Direction::Backward, ..QuerySpec::default() };
        expected.reverse();
        assert_eq!(given(&newest).iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn pages_of_several_agents_add_up_to_the_whole() {
    let mut rng = fastrand::Rng::new();
    for _ in 0..10 {
        let seed = rng.get_seed();
        let logs = Logs::random(&mut rng, false);
        let patterns = if rng.bool() { vec!["hit".to_owned()] } else { Vec::new() };
        let pattern = PatternSpec { patterns, ..PatternSpec::default() };
        let all = QuerySpec { pattern, ..QuerySpec::default() };
        let whole = ask_parts(&logs.parts, &all).records;
        let limit = Limit::Head(rng.u64(7..70));
        let (mut pages, mut resume) = (Vec::new(), ResumeToken::default());
        loop {
            let page = ask_parts(&logs.parts, &QuerySpec { limit, resume, ..all.clone() });
            if page.records.is_empty() {
                break;
            }
            pages.extend(page.records);
            resume = page.token;
        }
        assert_eq!(pages, whole, "seed {seed}: {limit:?}");
    }
}

/// Lanes fed by hand, and the senders that feed them.
fn lanes(names: &[&str]) -> (Vec<Lane>, Vec<Sender<Told>>) {
    let lane = |name: &&str| {
        let (send, told) = channel(64);
        (Lane::new(seat(name), told, std::collections::HashMap::new()), send)
    };
    names.iter().map(lane).unzip()
}

fn source(pod: &str) -> Source {
    Source { namespace: "ns".into(), pod: pod.into(), container: "app".into(), ..Source::default() }
}

/// Records of the only source of an agent, by their times.
fn records(times: &[i64]) -> Told {
    let mut batch = RecordBatch::default();
    for &time in times {
        let (start, end) = batch.append(time.to_string().as_bytes());
        batch.records.push(Record {
            start,
            end,
            fields_start: end,
            fields_end: end,
            time: Some(time),
            source: 0,
            file: 0,
            offset: 0,
            stream: weir_query::Stream::Stdout,
            flags: Flags::default(),
        });
    }
    Told::Event(Event::Records { batch, positions: Vec::new() })
}

async fn feed(to: &Sender<Told>, told: impl IntoIterator<Item = Told>) {
    for told in told {
        to.send(told).await.expect("the merge listens");
    }
}

/// What an agent tells before the first record that comes while it is followed.
fn goes_live(pod: &str) -> [Told; 3] {
    let position = SourcePosition { source: 0, position: vec![1] };
    [
        Told::Opened { asked: 0, missing: Vec::new() },
        Told::Event(Event::Source { id: 0, source: source(pod), agent: None }),
        Told::Event(Event::Positions(vec![position])),
    ]
}

/// Follows lanes that are fed by `feeder`, and returns the times given, those that came late marked with a minus, and
/// what was said.
async fn follow(names: &[&str], feeder: impl AsyncFnOnce(Vec<Sender<Told>>)) -> (Vec<i64>, Vec<String>) {
    let spec = QuerySpec { follow: true, ..QuerySpec::default() };
    let (lanes, senders) = lanes(names);
    let (mut times, mut notices) = (Vec::new(), Vec::new());
    let mut sink = |event: Event| {
        match event {
            Event::Records { batch, .. } => times.extend(batch.records.iter().map(|record| {
                let time = record.time.expect("each has one");
                if record.flags.has(Flags::LATE) { -time } else { time }
            })),
            Event::Notice(notice) => notices.push(notice),
            _ => {}
        }
        Flow::Continue
    };
    let merge = Merge::new(lanes, Rules::new(&spec, names.len() > 1), &QueryLimits::default(), &mut sink);
    let (merged, ()) = tokio::join!(merge.run(), feeder(senders));
    merged.expect("an answer");
    (times, notices)
}

const HOLD: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn live_records_wait_for_older_ones_no_longer_than_the_bound() {
    let (times, _) = follow(&["a", "b"], async |agents| {
        feed(&agents[0], goes_live("a")).await;
        feed(&agents[1], goes_live("b")).await;
        feed(&agents[0], [records(&[10, 30])]).await;
        tokio::time::sleep(HOLD / 2).await;
        feed(&agents[1], [records(&[20, 40])]).await;
        tokio::time::sleep(HOLD * 2).await;
        feed(&agents[0], [records(&[60])]).await;
        tokio::time::sleep(HOLD * 2).await;
        feed(&agents[1], [records(&[50, 70])]).await;
    })
    .await;
    assert_eq!(times, [10, 20, 30, 40, 60, -50, 70]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_away_holds_nobody_up_and_comes_back() {
    let lost = || ClientError::Lost { message: "reset".to_owned() };
    let (times, notices) = follow(&["a", "b"], async |agents| {
        feed(&agents[0], goes_live("a")).await;
        feed(&agents[1], [Told::Away(lost())]).await;
        feed(&agents[0], [records(&[10])]).await;
        tokio::time::sleep(HOLD * 2).await;
        feed(&agents[1], goes_live("b")).await;
        feed(&agents[1], [records(&[5, 20])]).await;
        tokio::time::sleep(HOLD * 2).await;
        feed(&agents[1], [Told::Failed(lost())]).await;
        feed(&agents[0], [records(&[30])]).await;
    })
    .await;
    assert_eq!(times, [10, -5, 20, 30]);
    assert!(notices[0].starts_with("b: ") && notices[0].contains("as soon as it answers"), "{notices:?}");
    assert!(notices[1].starts_with("b: ") && notices[1].contains("without it"), "{notices:?}");
}

#[tokio::test]
async fn an_agent_that_speaks_of_unknown_sources_is_left() {
    let (lanes, senders) = lanes(&["a", "b"]);
    feed(&senders[0], [Told::Opened { asked: 0, missing: Vec::new() }, records(&[1])]).await;
    feed(
        &senders[1],
        [Told::Opened { asked: 0, missing: Vec::new() }, Told::Event(Event::Summary(Summary::default()))],
    )
    .await;
    drop(senders);
    let mut summary = Summary::default();
    let mut sink = |event| {
        if let Event::Summary(end) = event {
            summary = end;
        }
        Flow::Continue
    };
    let rules = Rules::new(&QuerySpec::default(), true);
    Merge::new(lanes, rules, &QueryLimits::default(), &mut sink).run().await.expect("an answer");
    let [reason] = summary.incomplete.as_slice() else { panic!("{summary:?}") };
    assert!(reason.starts_with("a: ") && reason.contains("source"), "{reason}");
}
