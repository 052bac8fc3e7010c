//! Two ways to do the same, of which the faster one is found by doing both in turn for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes that go the first way before the second is tried, so that a short search never prepares it.
const BEFORE: u64 = 128 << 10;

/// Bytes of the trial, both ways together.
const BYTES: u64 = 2 << 20;

/// Shorter blocks tell little of what a way costs, in bytes.
const BLOCK_MIN: usize = 8 << 10;

/// The trial, shared by the threads of a query.
#[derive(Debug)]
pub(crate) struct Trial {
    bytes: AtomicU64,
    blocks: AtomicU64,
    /// For each way, the least time that a block took: picoseconds for each byte. Noise only adds.
    least: [AtomicU64; 2],
}

/// One block on its way.
pub(crate) struct Run<'a> {
    trial: &'a Trial,
    second: bool,
    /// With the block's size; `None` when nothing is to be learnt from it.
    started: Option<(Instant, usize)>,
}

impl Default for Trial {
    fn default() -> Trial {
        let least = [AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)];
        Trial { bytes: AtomicU64::new(0), blocks: AtomicU64::new(0), least }
    }
}

impl Trial {
    /// Chooses the way for the next block, of `bytes` bytes.
    pub(crate) fn begin(&self, bytes: usize) -> Run<'_> {
        let [first, second] = &self.least;
        if self.bytes.load(Ordering::Relaxed) >= BEFORE + BYTES {
            let second = second.load(Ordering::Relaxed) < first.load(Ordering::Relaxed);
            return Run { trial: self, second, started: None };
        }
        let before = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before < BEFORE {
            return Run { trial: self, second: false, started: None };
        }
        let second = self.blocks.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let started = (bytes >= BLOCK_MIN).then(|| (Instant::now(), bytes));
        Run { trial: self, second, started }
    }
}

impl Run<'_> {
    /// Whether the block is to go the second way.
    pub(crate) fn is_second(&self) -> bool {
        self.second
    }

    /// Notes that so many bytes of the block are done, and the rest is left.
    pub(crate) fn end_after(mut self, bytes: usize) {
        if let Some((_, of)) = &mut self.started {
            *of = bytes.max(1);
        }
        self.end();
    }

    /// Notes that the block is done.
    pub(crate) fn end(self) {
        if let Some((started, bytes)) = self.started {
            let picoseconds = started.elapsed().as_nanos().saturating_mul(1000) / bytes as u128;
            let picoseconds = u64::try_from(picoseconds).unwrap_or(u64::MAX);
            self.trial.least[usize::from(self.second)].fetch_min(picoseconds, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 128 << 10;

    #[test]
    fn tries_both_and_keeps_to_the_faster() {
        let trial = Trial::default();
        let mut tries = [0, 0];
        for _ in 0..(BEFORE + BYTES) / BLOCK as u64 {
            let run = trial.begin(BLOCK);
            tries[usize::from(run.is_second())] += 1;
            run.end();
        }
        assert_eq!(tries, [9, 8]);
        for (first, second, is_second) in [(5, 3, true), (3, 5, false), (3, 3, false)] {
            trial.least[0].store(first, Ordering::Relaxed);
            trial.least[1].store(second, Ordering::Relaxed);
            assert_eq!(trial.begin(BLOCK).is_second(), is_second);
        }
    }

    #[test]
    fn a_short_search_goes_the_first_way() {
        let trial = Trial::default();
        assert!((0..8).all(|_| !trial.begin(16 << 10).is_second()));
    }
}
