//! How a search that runs is told that nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that a scanner looks at before each read and each 64 KiB that it decompresses. Clones share it.
///
/// It doesn't end a read that waits for the writer of a pipe.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    above: Option<Arc<Interrupt>>,
}

impl Interrupt {
    /// Ends the scans that look at the flag. In one order with all other sequentially consistent operations,
    /// so that it can be told apart from what is done next.
    pub fn interrupt(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Whether [`Interrupt::interrupt`] was called.
    pub fn is_interrupted(&self) -> bool {
        self.flag.load(Ordering::SeqCst) || self.above.as_ref().is_some_and(|above| above.is_interrupted())
    }

    /// A flag for a part of what this one ends: it is also set when this one is.
    pub fn part(&self) -> Interrupt {
        Interrupt { flag: Arc::default(), above: Some(Arc::new(self.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_with_the_whole_and_not_the_other_way_round() {
        let whole = Interrupt::default();
        let (one, other) = (whole.part(), whole.part());
        one.interrupt();
        let ended = [&whole, &one, &other].map(Interrupt::is_interrupted);
        assert_eq!(ended, [false, true, false]);
        whole.interrupt();
        assert!(other.is_interrupted());
    }
}
