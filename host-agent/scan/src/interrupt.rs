//! How a search that runs is told that nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that a scanner looks at before each read and each 64 KiB that it decompresses. Clones share it.
///
/// It doesn't end a read that waits for the writer of a pipe.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Ends the scans that look at the flag. In one order with all other sequentially consistent operations,
    /// so that it can be told apart from what is done next.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether [`Interrupt::interrupt`] was called.
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
