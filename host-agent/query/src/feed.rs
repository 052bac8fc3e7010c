//! The reading of one source: pieces of it are claimed in order, searched by any thread in any order, and
//! accepted in order again.
//!
//! Which pieces there are depends on what was read, never on which thread was faster, so that a query takes the
//! same way every time.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_scan::{FileId, Gap, Interrupt, LogFile, Position, RecordBatch, ScanStats, Scanner, Step, Stripe};

use crate::job::{Done, Job, Original, Outcome, Steps, Work};

/// A source's scanner, what was claimed of the source, and the results that wait for their turn.
pub(crate) struct Feed {
    /// `None` while a job has it, or its result waits.
    scanner: Option<Box<Scanner>>,
    /// The stripe claimed last, and what it is searched by a fork of; `None` while the source is read by steps.
    striped: Option<(Stripe, Arc<Original>)>,
    /// Cleared once a stripe couldn't be read: then steps tell what is wrong.
    may_stripe: bool,
    /// Number of the next job.
    claimed: u64,
    /// Number of the next job to accept.
    accepted: u64,
    /// Results from number `accepted` on that are there.
    waiting: VecDeque<Option<Done>>,
    waiting_bytes: usize,
    /// As of the results that were accepted.
    told: Told,
    /// Bytes read for results that nobody wanted.
    wasted: u64,
    /// Everything that is written so far was accepted.
    idle: bool,
    ended: bool,
    /// Where the search stands; `None` when nobody will ask.
    stand: Option<Stand>,
}

/// Where a search stands, in terms that outlast it.
#[derive(Default)]
pub(crate) struct Stand {
    /// Behind what was accepted last.
    pub(crate) behind: Option<Position>,
    /// Where the records start that are open there: number of the file, offset.
    pub(crate) open: Vec<(u32, u64)>,
    /// The files of what was accepted last.
    pub(crate) files: Vec<(u32, FileId)>,
}

impl Stand {
    /// Of a scanner that has just begun.
    fn of(scanner: &mut Scanner) -> Stand {
        Stand { behind: scanner.position(), open: scanner.open_records().collect(), files: Vec::new() }
    }
}

/// What a source's scanner tells of itself.
#[derive(Clone, Copy, Default)]
struct Told {
    frontier: Option<i64>,
    stats: ScanStats,
}

impl Feed {
    /// A feed that has given nothing yet. With `positions`, [`Feed::stand`] is known.
    pub(crate) fn new(mut scanner: Scanner, positions: bool) -> Feed {
        let told = Told { frontier: scanner.frontier(), stats: scanner.stats() };
        let stand = positions.then(|| Stand::of(&mut scanner));
        Feed {
            scanner: Some(Box::new(scanner)),
            striped: None,
            may_stripe: true,
            claimed: 0,
            accepted: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            told,
            wasted: 0,
            idle: false,
            ended: false,
            stand,
        }
    }

    /// Where the search stands before and behind what was accepted last.
    pub(crate) fn stand(&self) -> Option<&Stand> {
        self.stand.as_ref()
    }

    /// Has the scanner, and those forked from it, end early when the flag says so.
    pub(crate) fn interrupted_by(&mut self, interrupt: Interrupt) {
        if let Some(scanner) = &mut self.scanner {
            scanner.interrupted_by(interrupt);
        }
    }

    /// A bound on what wasn't accepted yet, as [`Scanner::frontier`].
    pub(crate) fn frontier(&self) -> Option<i64> {
        self.told.frontier
    }

    /// What was done for what was accepted.
    pub(crate) fn stats(&self) -> ScanStats {
        self.told.stats
    }

    /// Bytes read, those for results that nobody wanted included.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.told.stats.bytes_read + self.wasted
    }

    /// Whether nothing more will be accepted.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many jobs were claimed and not accepted.
    pub(crate) fn outstanding(&self) -> usize {
        usize::try_from(self.claimed - self.accepted).expect("few jobs are outstanding")
    }

    /// Bytes of the results that wait for their turn.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Claims the next piece of the source, which is lane number `lane`: a stripe if there may be `stripes`, or `steps`. `None` when
    /// nothing is left, or it isn't known what is next before a result was accepted.
    pub(crate) fn claim(&mut self, lane: usize, steps: Steps, stripes: bool) -> Option<Job> {
        if self.ended || self.idle {
            return None;
        }
        let scanner = self.scanner.as_deref_mut()?;
        let last = self.striped.as_ref().map(|(stripe, _)| *stripe);
        if let Some(stripe) = scanner.next_stripe(last).filter(|_| stripes && self.may_stripe) {
            let original = match self.striped.take() {
                Some((_, original)) => original,
                None => Arc::new(Original::new(scanner)),
            };
            self.striped = Some((stripe, Arc::clone(&original)));
            return Some(self.job(lane, Work::Stripe { original, stripe }));
        }
        if self.outstanding() > 0 {
            return None;
        }
        self.striped = None;
        let scanner = self.scanner.take()?;
        Some(self.job(lane, Work::Steps { scanner, steps }))
    }

    fn job(&mut self, lane: usize, work: Work) -> Job {
        let number = self.claimed;
        self.claimed += 1;
        Job { lane, number, work }
    }

    /// Takes back a job that nobody has begun, after [`Feed::forget`].
    pub(crate) fn give_back(&mut self, job: Job) {
        if let Work::Steps { scanner, .. } = job.work {
            self.scanner = Some(scanner);
        }
    }

    /// Takes the result of a job, whose turn may not have come, or may have been forgotten.
    pub(crate) fn put(&mut self, done: Done) {
        let Some(at) = done.number.checked_sub(self.accepted) else {
            return self.waste(done);
        };
        let at = usize::try_from(at).expect("few jobs are outstanding");
        if self.waiting.len() <= at {
            self.waiting.resize_with(at + 1, || None);
        }
        self.waiting_bytes += done.bytes();
        self.waiting[at] = Some(done);
    }

    /// Whether [`Feed::accept`] has something to give.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.waiting.front(), Some(Some(_)))
    }

    /// Accepts the next result, if it is there. Its records go to `batch`; returns the gaps that were met.
    pub(crate) fn accept(&mut self, batch: &mut RecordBatch) -> Vec<Gap> {
        let Some(done) = self.waiting.pop_front_if(|next| next.is_some()).flatten() else {
            return Vec::new();
        };
        self.accepted += 1;
        self.waiting_bytes -= done.bytes();
        let (scanner, gaps) = match done.outcome {
            Outcome::Steps { mut scanner, step } => {
                self.ended |= step == Step::End;
                self.idle = step == Step::Idle;
                let gaps = scanner.take_gaps();
                (self.scanner.insert(scanner), gaps)
            }
            Outcome::Stripe(end) => {
                let scanner =
                    self.scanner.as_mut().expect("stripes are only claimed while the scanner is here");
                let Some(end) = end else {
                    self.may_stripe = false;
                    self.forget();
                    return Vec::new();
                };
                scanner.pass_stripe(&end);
                (scanner, Vec::new())
            }
        };
        self.told = Told { frontier: scanner.frontier(), stats: scanner.stats() };
        *batch = done.batch;
        if let Some(stand) = &mut self.stand {
            stand.behind = scanner.position();
            stand.open = scanner.open_records().collect();
            let mut files: Vec<u32> = batch.records.iter().map(|record| record.file).collect();
            files.dedup();
            let id = |file: u32| scanner.file_id(file).map(|id| (file, id));
            stand.files = files.into_iter().filter_map(id).collect();
        }
        gaps
    }

    /// Whether all that is written so far was accepted.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Whether nothing that is written is left to read, as far as is known without a look.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.scanner.as_ref().is_some_and(|scanner| scanner.is_caught_up())
    }

    /// Whether another look, a moment later, is needed.
    pub(crate) fn is_settling(&self) -> bool {
        !self.ended && self.scanner.as_ref().is_some_and(|scanner| scanner.is_settling())
    }

    /// Looks whether more was written; whether files are longer now, as far as their lengths are known.
    pub(crate) fn look(&mut self) -> bool {
        let Some(scanner) = &mut self.scanner else { return false };
        let before = scanner.known_bytes();
        scanner.look();
        self.idle = false;
        scanner.known_bytes() != before
    }

    /// Takes note of the files as they are listed now, of which so many were created since the last time, where
    /// that is known.
    pub(crate) fn update(&mut self, files: Vec<LogFile>, created: Option<usize>) {
        self.wake(|scanner| scanner.update(files, created));
    }

    /// Takes note of a file that came and went without having been listed.
    pub(crate) fn note_missed(&mut self) {
        self.wake(Scanner::note_missed);
    }

    /// Expects nothing more to be written.
    pub(crate) fn seal(&mut self) {
        self.wake(Scanner::seal);
    }

    fn wake(&mut self, change: impl FnOnce(&mut Scanner)) {
        if let Some(scanner) = &mut self.scanner {
            change(scanner);
            self.idle = false;
        }
    }

    /// Goes on with another scanner of the source, with numbers that go on too.
    pub(crate) fn go_live(&mut self, mut scanner: Box<Scanner>) {
        self.forget();
        self.wasted += self.told.stats.bytes_read;
        self.told = Told { frontier: None, stats: ScanStats::default() };
        if let Some(stand) = &mut self.stand {
            *stand = Stand::of(&mut scanner);
        }
        self.scanner = Some(scanner);
        (self.idle, self.ended) = (false, false);
    }

    /// Lets go of the scanner of a source that has ended.
    pub(crate) fn drop_scanner(&mut self) {
        self.scanner = None;
    }

    /// Accepts none of what was claimed so far.
    pub(crate) fn forget(&mut self) {
        self.accepted = self.claimed;
        self.striped = None;
        self.waiting_bytes = 0;
        for done in std::mem::take(&mut self.waiting).into_iter().flatten() {
            self.waste(done);
        }
    }

    /// Accepts nothing any more.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.forget();
    }

    fn waste(&mut self, done: Done) {
        match done.outcome {
            Outcome::Steps { scanner, .. } => {
                self.wasted = scanner.stats().bytes_read - self.told.stats.bytes_read;
                self.scanner = Some(scanner);
            }
            Outcome::Stripe(end) => self.wasted += end.map_or(0, |end| end.bytes_read()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use weir_scan::{Direction, ScanLimits, Search, file_set};

    use super::*;
    use crate::Cancel;
    use crate::crew::Bench;
    use crate::job::Hand;
    use crate::seats::Seats;

    /// What stands behind a piece that can't be read whole is claimed anew, by steps, or records would be missing.
    #[test]
    fn nothing_behind_a_piece_that_cannot_be_read_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "a line\n".repeat(1000)).unwrap();
        let limits = ScanLimits { block_bytes: 700, stripe_bytes: 700, ..ScanLimits::default() };
        let search = Search { direction: Direction::Backward, limits, ..Search::default() };
        let mut feed = Feed::new(Scanner::new(file_set(&path).unwrap(), 0, Arc::new(search)), false);
        let (mut hand, bench, mut batch) = (
            Hand::default(),
            Bench::new(&Cancel::default(), Arc::new(Seats::new(1))),
            RecordBatch::default(),
        );
        let steps = Steps { bytes: 0, batch: 1 };

        let first = feed.claim(0, steps, true).unwrap();
        feed.put(first.run(&mut hand, &bench));
        assert_eq!(feed.accept(&mut batch), []);
        let stripes: Vec<Job> = (0..4).map(|_| feed.claim(0, steps, true).unwrap()).collect();
        // The first step read less than the last 700 of 7000 bytes; the end of the first stripe gets lost.
        File::options().write(true).open(&path).unwrap().set_len(5670).unwrap();
        let mut done: Vec<Done> = stripes.into_iter().map(|job| job.run(&mut hand, &bench)).collect();
        let late = done.pop().unwrap();
        done.into_iter().for_each(|done| feed.put(done));
        assert!(feed.waiting_bytes() > 0, "the second stripe was read");

        assert_eq!(feed.accept(&mut batch), []);
        assert_eq!((feed.outstanding(), feed.waiting_bytes(), feed.is_ready()), (0, 0, false));
        feed.put(late);
        assert!(!feed.is_ready());
        let (mut lines, mut gaps) = (0, Vec::new());
        while !feed.has_ended() {
            let job = feed.claim(0, steps, true).unwrap();
            assert!(matches!(job.work, Work::Steps { .. }));
            feed.put(job.run(&mut hand, &bench));
            gaps.extend(feed.accept(&mut batch));
            lines += batch.records.len();
        }
        assert_eq!((lines, gaps.len()), (810, 1), "all that is left, and that something is lost");
    }
}
