//! What one thread does for a query at a time: some steps of a source's scanner, or one stripe of the file
//! that it is in.

use std::sync::{Arc, Mutex, PoisonError};

use weir_scan::{RecordBatch, Scanner, Step, Stripe, StripeEnd};

use crate::crew::Bench;

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
    /// Steps of the source's own scanner.
    Steps { scanner: Box<Scanner>, steps: Steps },
    /// One stripe, by a fork of it.
    Stripe { original: Arc<Original>, stripe: Stripe },
}

/// When steps have given enough: at least one is made.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Bytes of records.
    pub(crate) batch: usize,
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
    Steps {
        scanner: Box<Scanner>,
        step: Step,
    },
    /// `None` when not all of the stripe could be read.
    Stripe(Option<StripeEnd>),
}

/// What each thread that searches stripes of a file has a fork of.
pub(crate) struct Original(Mutex<Scanner>);

impl Original {
    /// Of the file that `scanner` is in.
    pub(crate) fn new(scanner: &Scanner) -> Original {
        Original(Mutex::new(scanner.fork()))
    }
}

/// What a thread keeps from job to job.
#[derive(Default)]
pub(crate) struct Hand {
    /// The fork used last, and what it is a fork of.
    fork: Option<(Arc<Original>, Scanner)>,
}

impl Hand {
    fn search(
        &mut self,
        original: Arc<Original>,
        stripe: Stripe,
        batch: &mut RecordBatch,
    ) -> Option<StripeEnd> {
        let mut fork = match self.fork.take() {
            Some((of, fork)) if Arc::ptr_eq(&of, &original) => fork,
            _ => original.0.lock().unwrap_or_else(PoisonError::into_inner).fork(),
        };
        // One that has met something it couldn't read isn't used again.
        let end = fork.search_stripe(stripe, batch)?;
        self.fork = Some((original, fork));
        Some(end)
    }
}

impl Job {
    /// Does the job, once there is a seat for it; ends early, within one block, when nobody waits for it.
    pub(crate) fn run(self, hand: &mut Hand, bench: &Bench) -> Done {
        let Job { lane, number, work } = self;
        let _seat = bench.seats().take();
        let mut batch = bench.spares().take();
        let outcome = match work {
            Work::Steps { mut scanner, steps } => {
                let step = steps.make(&mut scanner, &mut batch, bench);
                Outcome::Steps { scanner, step }
            }
            Work::Stripe { original, stripe } => Outcome::Stripe(hand.search(original, stripe, &mut batch)),
        };
        Done { lane, number, batch: bench.spares().fit(batch), outcome }
    }
}

impl Steps {
    fn make(self, scanner: &mut Scanner, batch: &mut RecordBatch, bench: &Bench) -> Step {
        let until = scanner.stats().bytes_read.saturating_add(self.bytes);
        loop {
            let step = scanner.step(batch);
            let enough = batch.used_bytes() >= self.batch || scanner.stats().bytes_read >= until;
            if step != Step::More || enough || bench.interrupt().is_interrupted() {
                return step;
            }
        }
    }
}

impl Done {
    /// Bytes that it holds while it waits.
    pub(crate) fn bytes(&self) -> usize {
        self.batch.used_bytes()
    }
}
