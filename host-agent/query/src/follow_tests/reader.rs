//! What a query that follows has told, and whether that is what it must.

use std::collections::{BTreeSet, HashMap};

use super::world::{Log, World};
use crate::{Event, Flags, Gap, Limit, QuerySpec, ResumeToken, Source};

/// By how much a record may be older than the one before it.
const SLACK: i64 = 1_000_000_000;

/// What is asked for of the past.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    All,
    Last(u64),
}

/// A record that was given.
struct Given {
    instance: (String, u32),
    text: String,
    time: Option<i64>,
    flags: Flags,
    /// When.
    phase: Phase,
    /// Over which connection.
    connection: usize,
}

/// A part of what a query gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What was there before the first connection.
    Past,
    /// What was missed between two connections.
    Missed,
    /// What came while it was looked at.
    Live,
}

/// A client of the query, over several connections.
pub(super) struct Reader {
    ask: Ask,
    token: ResumeToken,
    /// Numbers of sources, anew with each connection.
    sources: HashMap<u32, Source>,
    given: Vec<Given>,
    gaps: Vec<((String, u32), Gap)>,
    connections: usize,
    /// How many records of each log there were before anything was asked.
    past: Vec<usize>,
    /// How many of all of them were whole.
    past_whole: u64,
    /// Logs and records that were lost before anything was asked.
    past_lost: BTreeSet<(usize, usize)>,
    /// Numbers of the logs by instance.
    logs: HashMap<(String, u32), usize>,
    /// Numbers of those that it was told of.
    heard_of: BTreeSet<usize>,
}

fn instance(source: &Source) -> (String, u32) {
    (source.pod.clone(), source.restart)
}

impl Reader {
    pub(super) fn new(ask: Ask, world: &World) -> Reader {
        Reader {
            ask,
            token: ResumeToken::default(),
            sources: HashMap::new(),
            given: Vec::new(),
            gaps: Vec::new(),
            connections: 0,
            past_whole: world.logs.iter().map(|log| log.whole()).sum(),
            past_lost: (0..)
                .zip(&world.logs)
                .flat_map(|(number, log)| log.lost().map(move |record| (number, record)))
                .collect(),
            past: world.logs.iter().map(|log| log.records.len()).collect(),
            logs: HashMap::new(),
            heard_of: BTreeSet::new(),
        }
    }

    /// Whether anything was told of a log.
    pub(super) fn has_heard_of(&self, log: usize) -> bool {
        self.heard_of.contains(&log)
    }

    pub(super) fn spec(&mut self) -> QuerySpec {
        self.sources.clear();
        self.connections += 1;
        let limit = match self.ask {
            Ask::All => Limit::All,
            Ask::Last(count) => Limit::Tail(count),
        };
        QuerySpec { follow: true, limit, resume: self.token.clone(), ..QuerySpec::default() }
    }

    /// Takes what the query tells.
    pub(super) fn take(&mut self, events: Vec<Event>, live: bool) {
        let phase = match (live, self.connections) {
            (true, _) => Phase::Live,
            (false, 1) => Phase::Past,
            (false, _) => Phase::Missed,
        };
        for event in events {
            match event {
                Event::Source { id, source, .. } => {
                    self.heard_of.extend(self.logs.get(&instance(&source)));
                    self.sources.insert(id, source);
                }
                Event::Records { batch, positions } => {
                    for record in &batch.records {
                        self.given.push(Given {
                            instance: instance(&self.sources[&record.source]),
                            text: String::from_utf8_lossy(batch.message(record)).into_owned(),
                            time: record.time,
                            flags: record.flags,
                            phase,
                            connection: self.connections,
                        });
                    }
                    self.note(positions);
                }
                Event::Positions(positions) => {
                    self.token.live = true;
                    self.note(positions);
                }
                Event::Gap(gap) => self.gaps.push((instance(&self.sources[&gap.source]), gap)),
                _ => {}
            }
        }
    }

    fn note(&mut self, positions: Vec<crate::SourcePosition>) {
        for position in positions {
            self.token.note(&self.sources[&position.source], position.position);
        }
    }

    /// Numbers of the logs and records that were given.
    pub(super) fn given(&self) -> BTreeSet<(usize, usize)> {
        let number = |given: &Given| given.text.split_once(':')?.0.parse().ok();
        self.given
            .iter()
            .filter_map(|given| Some((*self.logs.get(&given.instance)?, number(given)?)))
            .collect()
    }

    pub(super) fn learn(&mut self, world: &World) {
        for (number, log) in world.logs.iter().enumerate() {
            self.logs.insert((world.pod(number), log.restart), number);
        }
    }

    /// Whether what was given and told is right.
    pub(super) fn check(&mut self, world: &World) -> Result<(), String> {
        self.learn(world);
        let mut given_of: Vec<Vec<&Given>> = world.logs.iter().map(|_| Vec::new()).collect();
        for given in &self.given {
            let log =
                self.logs.get(&given.instance).ok_or_else(|| format!("{:?} isn't known", given.instance))?;
            given_of[*log].push(given);
        }
        for (number, log) in world.logs.iter().enumerate() {
            let name = format!("log {number} ({} restart {})", world.pod(number), log.restart);
            self.check_log(number, log, &given_of[number], world).map_err(|what| {
                let texts: Vec<_> = given_of[number].iter().map(|given| given.text.as_str()).collect();
                let gaps: Vec<_> = self.gaps.iter().map(|(instance, gap)| (instance, &gap.reason)).collect();
                format!(
                    "{name}: {what}\nwritten: {:?}\ngiven: {texts:?}\ngaps: {gaps:?}\nasked: {:?}",
                    log.records, self.ask
                )
            })?;
        }
        self.check_past()?;
        if world.stepped { Ok(()) } else { self.check_late() }
    }

    fn check_log(&self, number: usize, log: &Log, given: &[&Given], world: &World) -> Result<(), String> {
        let mine = (world.pod(number), log.restart);
        let gaps: Vec<&Gap> = self.gaps.iter().filter(|(of, _)| *of == mine).map(|(_, gap)| gap).collect();
        if !gaps.is_empty() && !log.damaged && !log.unrecognised && !log.records.is_empty() {
            return Err("a gap was told, but nothing was destroyed".to_owned());
        }
        let mut counts = vec![0; log.records.len()];
        let mut last = None;
        for given in given {
            let known = given.text.split_once(':').and_then(|(number, _)| number.parse::<usize>().ok());
            let Some(record) = known.filter(|record| *record < log.records.len()) else {
                // The rest of a record whose first part is lost.
                let is_cut = log.lost().next().is_some() || !gaps.is_empty();
                if is_cut && given.text.bytes().all(|byte| byte == b'x') {
                    continue;
                }
                return Err(format!("'{}' was never written", given.text));
            };
            counts[record] += 1;
            let written = &log.records[record];
            let is_whole =
                given.text == written.text && (written.ended || given.flags.has(Flags::UNFINISHED));
            // A record that reaches across a gap is cut there.
            let is_cut = written.lost || (written.reaches_across_files() && !gaps.is_empty());
            if !(is_whole || is_cut && written.text.starts_with(&given.text)) {
                return Err(format!("record {record} came out as '{}'", given.text));
            }
            if given.flags.has(Flags::LATE) || written.straggler {
                continue;
            }
            if last > Some(record) {
                return Err(format!("record {record} came behind {last:?} and isn't marked as late"));
            }
            last = Some(record);
        }
        for (record, (written, &count)) in log.records.iter().zip(&counts).enumerate() {
            let is_past = record < self.past.get(number).copied().unwrap_or(0);
            // A record whose end is still to be written is waited for.
            let is_asked = !(is_past && matches!(self.ask, Ask::Last(_)));
            let is_due =
                (written.ended || log.is_over()) && is_asked && !self.past_lost.contains(&(number, record));
            if count > 1 {
                return Err(format!("record {record} came {count} times"));
            }
            if count == 0 && is_due && !written.lost {
                return Err(format!("record {record} is missing"));
            }
            // A bound is the time of a record that stands beside the gap, and records stand nearly in order.
            let covers = |gap: &&Gap| {
                gap.from.is_none_or(|from| from <= written.time + SLACK)
                    && gap.to.is_none_or(|to| written.time <= to + SLACK)
            };
            let is_told = if world.stepped { !gaps.is_empty() } else { gaps.iter().any(covers) };
            if count == 0 && is_due && written.lost && !written.traceless && !is_told {
                return Err(format!("record {record} is missing and no gap covers it"));
            }
        }
        Ok(())
    }

    /// Of the past, as many records as were asked for, if there are so many.
    fn check_past(&self) -> Result<(), String> {
        let Ask::Last(count) = self.ask else { return Ok(()) };
        let past = self.given.iter().filter(|given| given.phase == Phase::Past).count() as u64;
        // What is left of a record that was destroyed in part counts too.
        if past > count || past < count.min(self.past_whole) {
            return Err(format!("{past} records of the past, not {count} of {}", self.past_whole));
        }
        Ok(())
    }

    /// A record that is older than one of another log that was given before it is marked.
    fn check_late(&self) -> Result<(), String> {
        for (index, given) in self.given.iter().enumerate().filter(|(_, given)| given.phase == Phase::Live) {
            let newer = self.given[..index]
                .iter()
                .rev()
                .take_while(|before| before.phase == Phase::Live && before.connection == given.connection)
                .find(|before| before.instance != given.instance && before.time > given.time);
            if let (Some(newer), false) = (newer, given.flags.has(Flags::LATE)) {
                return Err(format!(
                    "{:?} '{}' came behind the newer {:?} '{}' and isn't marked as late",
                    given.instance, given.text, newer.instance, newer.text
                ));
            }
        }
        Ok(())
    }
}
