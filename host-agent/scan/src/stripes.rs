//! Stripes: pieces of one plain file that several scanners search at once.
//!
//! What a block yields depends on the lines that start in it and on nothing else, so a file can be cut
//! anywhere: a stripe gives the records whose first byte lies in it. Only the scanner that the others were
//! forked from tells gaps: a fork that can't read something gives its stripe up, and the scan goes on
//! there step by step.

use std::ops::Range;
use std::sync::Arc;

use crate::candidates::Candidates;
use crate::gap::ScanStats;
use crate::record::RecordBatch;
use crate::scanner::Scanner;
use crate::search::ScanLimits;
use crate::workspace::Workspace;

/// Bytes read behind a stripe to find where its last line ends; most lines are shorter.
const OVERHANG: usize = 1 << 10;

/// A piece of the file that a scanner is in, cut without regard to lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripe {
    file: usize,
    from: u64,
    to: u64,
}

/// How the search of a stripe ended.
#[derive(Clone, Copy, Debug)]
pub struct StripeEnd {
    /// Where the scan goes on; `None` when no line starts in the stripe.
    next: Option<u64>,
    frontier: Option<i64>,
    stats: ScanStats,
}

impl StripeEnd {
    /// Bytes read, those for the edges of the stripe included.
    pub fn bytes_read(&self) -> u64 {
        self.stats.bytes_read
    }
}

impl Scanner {
    /// The stripe behind `last` in scan order, or without one the first that is left of the file that is
    /// being read. `None` when the scan has to go on by [`Scanner::step`]: near the file's end, with context, in
    /// compressed files and pipes.
    pub fn next_stripe(&mut self, last: Option<Stripe>) -> Option<Stripe> {
        let file = self.file?;
        if self.context.is_wanted() || !self.units.lines.files.can_fork(file) {
            return None;
        }
        let ScanLimits { block_bytes, stripe_bytes, .. } = self.search.limits;
        // Where blocks are small since they give much, so are stripes.
        let size =
            if self.block_size < block_bytes { self.block_size.min(stripe_bytes) } else { stripe_bytes };
        let size = (size as u64).max(1);
        let len = self.units.lines.files.len(file);
        let span = self.bounds.span(&mut self.units.lines, file, &self.search);
        let (start, len) = (span.start, span.end.unwrap_or(len));
        // The last piece stays for the steps: they open the file behind it and note what became of this one.
        let (from, to) = if self.backward() {
            let to = last.map_or_else(|| self.offset.unwrap_or(len), |last| last.from);
            (to.checked_sub(size).filter(|from| *from >= start.saturating_add(size))?, to)
        } else {
            let from = last.map_or_else(|| self.offset.unwrap_or(start), |last| last.to);
            let to = from.checked_add(size)?;
            (from, Some(to).filter(|to| to.saturating_add(size) <= len)?)
        };
        Some(Stripe { file, from, to })
    }

    /// A scanner for stripes of the file that this one is in. It shares the open file and the search.
    pub fn fork(&self) -> Scanner {
        let files = self.units.lines.files.fork();
        let mut fork = Scanner::with_files(files, self.source, Arc::clone(&self.search));
        fork.file = self.file;
        fork
    }

    /// Searches one stripe and appends its records to `batch`, in scan order. `None` when not all of it
    /// could be read: then the batch means nothing, and neither this stripe nor one behind it may be passed.
    pub fn search_stripe(&mut self, stripe: Stripe, batch: &mut RecordBatch) -> Option<StripeEnd> {
        let mut work = Workspace::take();
        self.swap_buffers(&mut work.buffers);
        self.frontier = None;
        let first = batch.records.len();
        let lines = self.search_lines(stripe, &mut work.candidates, batch);
        self.swap_buffers(&mut work.buffers);
        work.give_back();
        let stats = self.take_stats();
        if !self.take_gaps().is_empty() || self.units.lines.files.is_interrupted() {
            return None;
        }
        let next = lines.map(|lines| if self.backward() { lines.start } else { lines.end });
        if self.backward() {
            batch.records[first..].reverse();
        }
        Some(StripeEnd { next, frontier: self.frontier, stats })
    }

    /// Moves this scanner behind a stripe that a fork has searched: the one that [`Scanner::next_stripe`]
    /// gives without a `last`.
    pub fn pass_stripe(&mut self, end: &StripeEnd) {
        self.offset = end.next.or(self.offset);
        self.frontier = end.frontier.or(self.frontier);
        let files = &mut self.units.lines.files;
        files.edge = end.frontier.or(files.edge);
        files.bytes_read += end.stats.bytes_read;
        self.units.lines.cut |= end.stats.met_long_line;
        self.stats += ScanStats { bytes_read: 0, met_long_line: false, ..end.stats };
    }

    /// Searches the lines that start in a stripe, in the order of the file. Returns where they start and
    /// end.
    fn search_lines(
        &mut self,
        stripe: Stripe,
        candidates: &mut Candidates,
        batch: &mut RecordBatch,
    ) -> Option<Range<u64>> {
        let Stripe { file, from, to } = stripe;
        let start = self.units.lines.first_start(file, from..to)?;
        let mut at = start;
        while at < to {
            let left = usize::try_from(to - at).unwrap_or(usize::MAX);
            let block = self.search.limits.block_bytes;
            // What is left after a block was cut at a line's end is no block of its own.
            let size = if left <= block + block / 4 { left + OVERHANG } else { block };
            let lines = &mut self.units.lines;
            if lines.take_block_after(file, at, size).is_none() {
                break;
            }
            lines.cut_block(to);
            at = lines.block_end();
            let first = batch.records.len();
            self.search_block(file, usize::MAX, candidates, batch);
            self.weave(file, batch);
            self.count_flags(&batch.records[first..]);
            // Of the edge in scan order, or the nearest to it that has a time.
            if self.frontier.is_none() || !self.backward() {
                self.move_frontier(file);
            }
            self.stats.blocks += 1;
        }
        Some(start..at)
    }

    fn take_stats(&mut self) -> ScanStats {
        let stats = self.stats();
        self.stats = ScanStats::default();
        self.units.lines.files.bytes_read = 0;
        self.units.lines.cut = false;
        stats
    }
}
