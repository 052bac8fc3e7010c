//! How many records a session hands over in one call.
//!
//! A filter that is too slow or too hungry for whole batches would fail on each of them first. So the
//! size that was too much is remembered, and tried again only now and then.

use crate::failure::FailureReason;

/// Good calls of the largest allowed size before twice as many records are tried.
const STREAK: u32 = 16;

/// The largest number of records for one call.
#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    streak: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { most: usize::MAX, streak: 0 }
    }
}

impl Pace {
    /// How many of `records` to hand over at once.
    pub(crate) fn part(&self, records: usize) -> usize {
        records.min(self.most)
    }

    /// A call with so many records went well.
    pub(crate) fn good(&mut self, records: usize) {
        if records < self.most {
            return;
        }
        self.streak += 1;
        if self.streak == STREAK {
            self.streak = 0;
            self.most = self.most.saturating_mul(2);
        }
    }

    /// A call with so many records failed. One record alone is itself at fault, and explains the
    /// failures of the batches it was in.
    pub(crate) fn failed(&mut self, records: usize, reason: FailureReason) {
        use FailureReason::{Memory, Output, Time};
        if records == 1 {
            *self = Pace::default();
        } else if matches!(reason, Time | Memory | Output) {
            self.most = records / 2;
            self.streak = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, STREAK};
    use crate::failure::FailureReason;

    #[test]
    fn too_much_is_halved_and_tried_again_later() {
        let mut pace = Pace::default();
        assert_eq!(pace.part(1000), 1000);
        pace.failed(1000, FailureReason::Time);
        assert_eq!(pace.part(1000), 500);
        for _ in 1..STREAK {
            pace.good(500);
        }
        pace.good(3);
        assert_eq!(pace.part(1000), 500, "small batches prove nothing");
        pace.good(500);
        assert_eq!(pace.part(1000), 1000);
    }

    #[test]
    fn a_record_at_fault_slows_nothing_down() {
        let mut pace = Pace::default();
        for records in [8, 4, 2, 1] {
            pace.failed(records, FailureReason::Time);
        }
        assert_eq!(pace.part(1000), 1000);
        pace.failed(8, FailureReason::Trap);
        assert_eq!(pace.part(1000), 1000, "size is no reason to trap");
    }
}
