//! The live part of a query that follows: what is written is read as it comes, merged by time within a bound,
//! and handed on.
//!
//! [`Run::round`] is the core: it takes what the watcher has seen and the time, reads what is new, and says how
//! long nothing more is due. It has no clock and waits for nothing; the loop around it does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use weir_scan::{Direction, LogSet, Scanner, Source, list_again, live_name, restart_of_live};

use crate::collect::Live;
use crate::event::{Event, Flow};
use crate::lateness::Lateness;
use crate::policing::Rule;
use crate::polled::Polled;
use crate::run::Run;
use crate::selection::Selection;
use crate::watch::{self, Changes, Watcher};
use crate::{Cancel, Inputs};

/// Least time between two rounds: what is written meanwhile is read at once.
const COALESCE: Duration = Duration::from_millis(20);

/// How long a file that was left for a newer one is given to get its last lines before the next look.
const SETTLE: Duration = Duration::from_millis(20);

/// How long after it couldn't be told whether something new may be read it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a log is still read after its container was started anew or its files are gone: a runtime writes out
/// what it holds.
const CLOSE_AFTER: Duration = Duration::from_secs(1);

/// What to tell the reader when the kernel's queue of events was full.
const LOST_EVENTS: &str = "the kernel dropped events, so everything was listed again: what a pod wrote that came and went \
                           meanwhile isn't here; fewer sources, or a higher fs.inotify.max_queued_events, help";

/// What following needs, from the plan.
pub(crate) struct FollowPlan {
    pub(crate) watcher: Watcher,
    pub(crate) inputs: Inputs,
    pub(crate) selection: Selection,
    /// How long a record is held back for older ones of other sources.
    pub(crate) hold: Duration,
    /// Of the past, only the end is asked for.
    pub(crate) tail: bool,
}

/// The instance of a container that a source is. The container's id isn't part of it: where it is known from a
/// link, it isn't while a file is being replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instance {
    namespace: String,
    pod: String,
    uid: String,
    container: String,
    restart: u32,
}

impl Instance {
    pub(crate) fn of(source: &Source) -> Instance {
        let Source { namespace, pod, container, restart, uid, container_id: _ } = source.clone();
        Instance { namespace, pod, uid, container, restart }
    }

    /// Whether it is of a pod, or, where that is known, of a container.
    pub(crate) fn is_below(&self, source: &Source) -> bool {
        let is_pod = (&self.namespace, &self.pod, &self.uid) == (&source.namespace, &source.pod, &source.uid);
        is_pod && (source.container.is_empty() || self.container == source.container)
    }

    /// The container, whichever instance of it.
    fn container(&self) -> Instance {
        Instance { restart: 0, ..self.clone() }
    }
}

/// What is known of the sources that are followed.
pub(crate) struct Follow {
    pub(crate) plan: FollowPlan,
    /// Directories that aren't watched for writes.
    pub(crate) polled: Polled,
    /// The past is over: sources that come are new, and read from their start.
    is_live: bool,
    /// Instances that are over from the beginning were told from the others.
    is_swept: bool,
    pub(crate) known: HashMap<Instance, usize>,
    /// By number of the lane.
    pub(crate) sources: Vec<Followed>,
    /// What was given.
    pub(crate) lateness: Lateness,
    /// When everything is to be listed again, since it couldn't be told of something whether it may be read.
    ask_again: Option<Instant>,
}

/// One source that is followed.
pub(crate) struct Followed {
    pub(crate) set: LogSet,
    /// Names under which files of it are created.
    live_names: Vec<String>,
    /// The scanner of what is written from now on, while the lane still reads the past.
    live: Option<Box<Scanner>>,
    /// When the records that wait in the lane were read.
    pub(crate) arrived: Option<Instant>,
    /// More may have been written since the last look.
    pub(crate) may_have_grown: bool,
    /// A directory of it isn't watched for writes, so that it is looked at in every round.
    pub(crate) is_polled: bool,
    /// When nothing more is expected of it.
    pub(crate) closes: Option<Instant>,
    /// Its files were gone when that was set.
    pub(crate) gone: bool,
    ended: bool,
}

/// Names under which files of a set are created: kubelet's, Docker's, or the one that the user named.
fn live_names(set: &LogSet) -> Vec<String> {
    let Source { pod, restart, container_id, .. } = &set.source;
    if pod.is_empty() && container_id.is_empty() {
        let names = set.files.iter().filter_map(|file| file.input.path()?.file_name()?.to_str());
        return names.map(str::to_owned).collect();
    }
    vec![live_name(*restart), format!("{container_id}-json.log")]
}

impl Follow {
    pub(crate) fn new(plan: FollowPlan) -> Follow {
        Follow {
            plan,
            polled: Polled::default(),
            is_live: false,
            is_swept: false,
            known: HashMap::new(),
            sources: Vec::new(),
            lateness: Lateness::default(),
            ask_again: None,
        }
    }

    /// Begins with a source: returns the scanner that its lane is to read first.
    pub(crate) fn begin(&mut self, set: LogSet, mut scanner: Scanner, resumed: bool) -> Scanner {
        scanner.follow();
        self.known.insert(Instance::of(&set.source), self.sources.len());
        let mut live = None;
        let mut first = scanner;
        if self.plan.tail && !self.is_live && !resumed {
            first.seek_end();
            let past = first.before();
            live = Some(Box::new(std::mem::replace(&mut first, past)));
        }
        let live_names = live_names(&set);
        self.sources.push(Followed {
            set,
            live_names,
            live,
            arrived: None,
            may_have_grown: false,
            is_polled: false,
            closes: None,
            gone: false,
            ended: false,
        });
        first
    }

    /// Takes the next lane for one of a source that is gone.
    pub(crate) fn note_gone(&mut self) {
        let set = LogSet { source: Source::default(), files: Vec::new(), dirs: Vec::new() };
        self.sources.push(Followed {
            set,
            live_names: Vec::new(),
            live: None,
            arrived: None,
            may_have_grown: false,
            is_polled: false,
            closes: None,
            gone: false,
            ended: true,
        });
    }

    /// The lanes whose files are in a directory, which is spelt as in their sets: as text, since taking paths apart
    /// costs more than reading what is new.
    fn lanes_in(&self, dir: &Path) -> Vec<usize> {
        let lanes = self.sources.iter().enumerate();
        lanes
            .filter(|(_, source)| source.set.dirs.iter().any(|known| known.as_os_str() == dir.as_os_str()))
            .map(|(lane, _)| lane)
            .collect()
    }

    /// Whether the query takes a source that is new.
    pub(crate) fn selects(&mut self, source: &Source, now: Instant) -> bool {
        let mut look = self.plan.selection.look();
        let takes = look.takes(source);
        if look.finish().is_err() {
            self.ask_again = Some(now + ASK_AGAIN);
        }
        takes
    }
}

impl Run {
    /// Reads what is written from now on, until the answer is full or nobody waits for more.
    pub(crate) fn follow(&mut self, cancel: &Cancel, sink: &mut dyn FnMut(Event) -> Flow) {
        self.go_live(sink);
        loop {
            let wake = match cancel.wake() {
                Ok(wake) => wake,
                Err(error) => return self.collector.incomplete(format!("can't wait for more: {error}")),
            };
            let started = Instant::now();
            let due = self.round(started, sink);
            if self.collector.is_full() || self.was_ended() || cancel.is_cancelled() {
                return;
            }
            if cancel.is_winding_up() {
                self.flush();
                self.give_positions_from(0);
                self.collector.hand_on_all(sink);
                self.collector.stopped = true;
                return;
            }
            let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
            let follow = self.follow.as_ref().expect("only a query that follows comes here");
            let rest = COALESCE.saturating_sub(started.elapsed());
            let waited = follow.plan.watcher.wait(wake, wait).and_then(|()| watch::pause(wake, rest));
            if let Err(error) = waited {
                return self.collector.incomplete(format!("can't wait for more: {error}"));
            }
        }
    }

    /// Ends the part of the query that is about the past.
    pub(crate) fn go_live(&mut self, sink: &mut dyn FnMut(Event) -> Flow) {
        self.stop_reading();
        self.collector.release();
        while self.collector.give_released() {
            self.collector.hand_on_all(sink);
        }
        let context = self.context;
        let regroups = [self.regroups(false), self.regroups(true)];
        self.collector.go_live(Live { lead: context.before, trail: context.after });
        self.flush();
        self.direction = Direction::Forward;
        let Some(follow) = &mut self.follow else { return };
        follow.is_live = true;
        for (lane, source) in self.lanes.iter_mut().zip(&mut follow.sources) {
            if lane.rule == Rule::Refused {
                source.live = None;
            }
            if let Some(live) = source.live.take() {
                let most_bytes = regroups[usize::from(lane.rule != Rule::Open)];
                lane.go_live(live, most_bytes.map(|most_bytes| (context, most_bytes)));
            }
        }
        for lane in &mut self.lanes {
            lane.feed.interrupted_by(self.interrupt.clone());
        }
        self.give_positions_from(0);
        self.collector.hand_on_all(sink);
    }

    /// Reads and hands on what has come by `now`. Returns when something is due without anything being
    /// written, if it is.
    pub(crate) fn round(&mut self, now: Instant, sink: &mut dyn FnMut(Event) -> Flow) -> Option<Instant> {
        self.notice_changes(now);
        if self.follow.as_mut().is_some_and(|follow| !std::mem::replace(&mut follow.is_swept, true)) {
            self.close_superseded(now);
        }
        self.close_ended(now);
        self.merge_live(now, sink);
        self.flush();
        self.retire();
        self.collector.hand_on_all(sink);
        let follow = self.follow.as_ref()?;
        let waits = follow.sources.iter().zip(&self.lanes).flat_map(|(source, lane)| {
            let held = source.arrived.filter(|_| lane.is_ready()).map(|arrived| arrived + follow.plan.hold);
            let settles = lane.feed.is_settling().then_some(now + SETTLE);
            let polled = source.is_polled && !lane.is_ready() && !lane.is_done();
            let polled = polled.then_some(now + COALESCE);
            [held, source.closes.filter(|_| !source.ended), settles, polled].into_iter().flatten()
        });
        waits.chain(follow.ask_again).min()
    }

    fn notice_changes(&mut self, now: Instant) {
        let Some(follow) = &mut self.follow else { return };
        let mut changes = follow.plan.watcher.take();
        follow.polled.begin_round(&mut follow.plan.watcher, &mut changes.writes);
        let notice = follow.plan.watcher.take_problem();
        let mut listed_all = changes.all;
        let mut containers = BTreeMap::new();
        for dir in &changes.names {
            if let Some(&lane) = follow.lanes_in(dir).first() {
                containers.insert(Instance::of(&follow.sources[lane].set.source).container(), lane);
            } else {
                // A pod's directory, or the root.
                listed_all = true;
            }
        }
        listed_all |= follow.ask_again.take_if(|due| *due <= now).is_some();
        if listed_all {
            self.list_all(&changes, now);
        } else {
            for (container, lane) in containers {
                self.list_container(&container, lane, &changes, now);
            }
        }
        if let Some(follow) = &mut self.follow {
            for (source, lane) in follow.sources.iter_mut().zip(&self.lanes) {
                let dirs = &source.set.dirs;
                source.is_polled = follow.polled.has_any_of(dirs);
                source.may_have_grown |= source.is_polled
                    || lane.feed.is_settling()
                    || dirs.iter().any(|dir| changes.writes.contains_key(dir.as_os_str()));
            }
        }
        let lost = changes.all.then(|| LOST_EVENTS.to_owned());
        for notice in notice.into_iter().chain(lost) {
            self.collector.give(Event::Notice(notice));
        }
    }

    /// Takes what has happened as if the kernel had told too little.
    #[cfg(test)]
    pub(crate) fn lose_events(&mut self) {
        self.follow.iter_mut().for_each(|follow| follow.plan.watcher.lose());
    }

    /// Lists everything again: pods and containers may have come or gone.
    fn list_all(&mut self, changes: &Changes, now: Instant) {
        let Some(Follow { plan, polled, sources, ask_again, .. }) = &mut self.follow else { return };
        let mut unknown: BTreeMap<Instance, Vec<LogSet>> = BTreeMap::new();
        if let Inputs::Root(root) = plan.inputs.clone() {
            let mut seen = BTreeSet::new();
            let mut look = plan.selection.look();
            let listed = root.list_visiting(&mut |dir, source| {
                let wanted = look.may_take(source);
                if wanted {
                    plan.watcher.watch(dir);
                    seen.insert(dir.to_owned());
                }
                wanted
            });
            if look.finish().is_err() {
                *ask_again = Some(now + ASK_AGAIN);
                // What is followed already goes on.
                seen.extend(
                    sources.iter().flat_map(|source| source.set.dirs.iter().map(|dir| dir.to_path_buf())),
                );
            }
            let sets = listed.unwrap_or_else(|error| {
                self.collector.incomplete(error.to_string());
                Vec::new()
            });
            for set in sets {
                set.dirs.iter().for_each(|dir| plan.watcher.watch(dir));
                seen.extend(set.dirs.iter().map(|dir| dir.to_path_buf()));
                unknown.entry(Instance::of(&set.source).container()).or_default().push(set);
            }
            plan.watcher.keep(|dir| seen.contains(dir));
            polled.keep(|dir| seen.contains(Path::new(dir)));
            self.note_passed(changes, &seen, now);
        }
        let Some(follow) = &self.follow else { return };
        let known: BTreeMap<Instance, usize> =
            follow.known.iter().map(|(instance, lane)| (instance.container(), *lane)).collect();
        for (container, lane) in known {
            unknown.remove(&container);
            self.list_container(&container, lane, changes, now);
        }
        for (container, sets) in unknown {
            self.note_passed_instances(&sets, changes, now);
            self.take_container(&container, sets, changes, now);
        }
    }

    /// Lists the directory of a container again, which a lane is of.
    fn list_container(&mut self, container: &Instance, lane: usize, changes: &Changes, now: Instant) {
        let Some(follow) = &self.follow else { return };
        let listed = list_again(&follow.sources[lane].set);
        self.take_container(container, listed, changes, now);
    }

    /// Takes note of all instances of a container as they are listed now, new ones included.
    fn take_container(&mut self, container: &Instance, listed: Vec<LogSet>, changes: &Changes, now: Instant) {
        let mut here = HashSet::new();
        for set in listed {
            let Some(follow) = &mut self.follow else { return };
            let instance = Instance::of(&set.source);
            here.insert(instance.clone());
            set.dirs.iter().for_each(|dir| follow.plan.watcher.watch(dir));
            match follow.known.get(&instance).copied() {
                Some(lane) if !follow.sources[lane].ended => {
                    let source = &mut follow.sources[lane];
                    let created = changes.created(&set.dirs, &source.live_names);
                    source.set =
                        LogSet { files: Vec::new(), source: source.set.source.clone(), ..set.clone() };
                    self.lanes[lane].feed.update(set.files, created);
                }
                // Read to its end, though its files are still there.
                Some(lane) if !follow.sources[lane].gone => {}
                _ if follow.selects(&set.source, now) => {
                    let (listed, created) = (set.files.len(), changes.created(&set.dirs, &live_names(&set)));
                    self.add_lane(set, None);
                    // Even if nothing is given of it before the reader is gone, it isn't forgotten.
                    self.give_positions_from(self.lanes.len() - 1);
                    if created.is_some_and(|created| created > listed) {
                        self.lanes
                            .iter_mut()
                            .next_back()
                            .into_iter()
                            .for_each(|lane| lane.feed.note_missed());
                    }
                }
                _ => {}
            }
        }
        self.note_absent(container, &here, changes, now);
        self.close_superseded(now);
    }

    /// Takes note of the instances of a container that aren't listed: those that were, and those that came and went
    /// between two listings.
    fn note_absent(
        &mut self,
        container: &Instance,
        here: &HashSet<Instance>,
        changes: &Changes,
        now: Instant,
    ) {
        let Some(follow) = &mut self.follow else { return };
        let mut set = None;
        for (instance, &lane) in
            follow.known.iter().filter(|(instance, _)| instance.container() == *container)
        {
            let source = &mut follow.sources[lane];
            set = Some(LogSet { files: Vec::new(), ..source.set.clone() });
            if !here.contains(instance) && !source.ended {
                let created = changes.created(&source.set.dirs, &source.live_names);
                self.lanes[lane].feed.update(Vec::new(), created);
                source.closes.get_or_insert(now + CLOSE_AFTER);
                source.gone = true;
            }
        }
        let Some(set) = set else { return };
        let restarts: BTreeSet<u32> =
            set.dirs.iter().flat_map(|dir| changes.created_in(dir)).filter_map(restart_of_live).collect();
        for restart in restarts {
            let set = LogSet { source: Source { restart, ..set.source.clone() }, ..set.clone() };
            let instance = Instance::of(&set.source);
            let is_known = self.follow.as_ref().is_none_or(|follow| follow.known.contains_key(&instance));
            if !here.contains(&instance) && !is_known && !set.source.pod.is_empty() {
                self.add_missed(set, now);
            }
        }
    }

    /// Expects nothing more of instances whose container was started anew.
    fn close_superseded(&mut self, now: Instant) {
        let Some(Follow { known, sources, .. }) = &mut self.follow else { return };
        let mut newest: HashMap<Instance, u32> = HashMap::new();
        for instance in known.keys() {
            let newest = newest.entry(instance.container()).or_default();
            *newest = (*newest).max(instance.restart);
        }
        for (instance, &lane) in known.iter() {
            if newest.get(&instance.container()) > Some(&instance.restart) {
                sources[lane].closes.get_or_insert(now + CLOSE_AFTER);
            }
        }
    }

    /// Has those sources read to their end of which nothing more is expected.
    fn close_ended(&mut self, now: Instant) {
        let Some(follow) = &mut self.follow else { return };
        for (source, lane) in follow.sources.iter_mut().zip(&mut self.lanes) {
            if source.closes.is_some_and(|closes| closes <= now) && !source.ended {
                source.ended = true;
                lane.feed.seal();
            }
        }
    }

    /// Tells the end of sources that have been read to theirs, and lets go of them.
    fn retire(&mut self) {
        for index in 0..self.lanes.len() {
            let is_over = self.follow.as_ref().is_some_and(|follow| follow.sources[index].ended);
            if is_over && self.lanes[index].is_done() && !self.lanes[index].is_told {
                self.tell_end(index);
                self.lanes[index].feed.drop_scanner();
            }
        }
    }
}

#[cfg(test)]
#[path = "follow_tests/mod.rs"]
mod tests;
