//! What one thread does for a query at a time: some steps of a source's scanner, or one stripe of the file
//! that it is in.

use std::sync::atomic::{AtomicBool, Ordering};

use weir_scan::{RecordBatch, Scanner, Step, Stripe, StripeEnd};

/// A piece of a source that is to be searched. It needs nothing else, so that any thread can do it.
pub(crate) struct Job {
    /// Index of the source's lane.
    pub(crate) lane: usize,
    /// Place of the piece in the order of the source.
    pub(crate) number: u64,
    pub(crate) work: Work,
}

/// What is to be done.
pub(crate) enum Work {
    /// Steps of the source's own scanner, until there are records or `bytes` were read.
    Steps { scanner: Box<Scanner>, bytes: u64 },
    /// One stripe, by a fork of it.
    Stripe { fork: Box<Scanner>, stripe: Stripe },
}

/// A job that was done.
pub(crate) struct Done {
    pub(crate) lane: usize,
    pub(crate) number: u64,
    pub(crate) batch: RecordBatch,
    pub(crate) outcome: Outcome,
}

/// What came of a job, besides its records.
pub(crate) enum Outcome {
    Steps { scanner: Box<Scanner>, step: Step },
    Stripe { fork: Box<Scanner>, end: Option<StripeEnd> },
}

impl Job {
    /// Does the job; ends early, within one block, when `stop` is set.
    pub(crate) fn run(self, stop: &AtomicBool) -> Done {
        let Job { lane, number, work } = self;
        let mut batch = RecordBatch::default();
        let outcome = match work {
            Work::Steps { mut scanner, bytes } => {
                let step = steps(&mut scanner, bytes, &mut batch, stop);
                Outcome::Steps { scanner, step }
            }
            Work::Stripe { mut fork, stripe } => {
                let end = fork.search_stripe(stripe, &mut batch);
                Outcome::Stripe { fork, end }
            }
        };
        Done { lane, number, batch, outcome }
    }
}

fn steps(scanner: &mut Scanner, bytes: u64, batch: &mut RecordBatch, stop: &AtomicBool) -> Step {
    let until = scanner.stats().bytes_read.saturating_add(bytes);
    loop {
        let step = scanner.step(batch);
        let enough = !batch.records.is_empty() || scanner.stats().bytes_read >= until;
        if step != Step::More || enough || stop.load(Ordering::Relaxed) {
            return step;
        }
    }
}

impl Done {
    /// Bytes that it holds while it waits.
    pub(crate) fn bytes(&self) -> usize {
        self.batch.bytes.capacity() + self.batch.records.capacity() * std::mem::size_of::<weir_scan::Record>()
    }
}
