//! Batches that were used up: their memory serves the jobs to come.
//!
//! An allocator that gives memory back at once, as musl's does, spends more time on that than a search does on a record.

use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_scan::RecordBatch;

/// Bytes of memory that all spare batches of a query have at the most.
const BYTES: usize = 512 << 10;

/// The spare batches of one query.
#[derive(Default)]
pub(crate) struct Spares(Mutex<Held>);

#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    /// Of memory that they have.
    bytes: usize,
}

impl Spares {
    /// An empty batch, with memory if there is a spare one.
    pub(crate) fn take(&self) -> RecordBatch {
        let mut held = self.lock();
        let batch = held.batches.pop().unwrap_or_default();
        held.bytes -= batch.capacity_bytes();
        batch
    }

    /// Keeps the memory of a batch for another one, unless there is enough.
    pub(crate) fn give(&self, mut batch: RecordBatch) {
        let bytes = batch.capacity_bytes();
        if bytes == 0 {
            return;
        }
        batch.clear();
        let mut held = self.lock();
        if held.bytes + bytes <= BYTES {
            held.bytes += bytes;
            held.batches.push(batch);
        }
    }

    /// What was found, to wait for its turn: with little memory that it doesn't need, since many may wait.
    pub(crate) fn fit(&self, batch: RecordBatch) -> RecordBatch {
        if batch.capacity_bytes() <= 2 * batch.used_bytes() {
            return batch;
        }
        let fitting = batch.clone();
        self.give(batch);
        fitting
    }

    /// A list is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_no_more_than_a_little_is_kept() {
        let spares = Spares::default();
        let batch = |used: usize, room: usize| {
            let mut bytes = Vec::with_capacity(room);
            bytes.resize(used, b'x');
            RecordBatch { bytes, records: Vec::new() }
        };
        spares.give(batch(5, 100 << 10));
        let again = spares.take();
        assert_eq!((again.bytes.len(), again.bytes.capacity()), (0, 100 << 10));
        for _ in 0..20 {
            spares.give(batch(5, 100 << 10));
        }
        assert_eq!(spares.lock().bytes, 500 << 10);

        let spares = Spares::default();
        assert_eq!(spares.fit(batch(60 << 10, 100 << 10)).bytes.capacity(), 100 << 10);
        assert_eq!(spares.fit(batch(1000, 100 << 10)), batch(1000, 1000));
        assert_eq!(spares.take().bytes.capacity(), 100 << 10);
    }
}
