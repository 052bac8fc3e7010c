//! How a running query is told that nobody waits for it, or that it should come to its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use weir_scan::Interrupt;

/// A flag that a running query looks at once per block and its scanners before each read, and that wakes one that waits for more to be
/// written. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cancelled: Interrupt,
    winding_up: AtomicBool,
    /// Becomes readable; made when a query waits for the first time.
    wake: OnceLock<OwnedFd>,
}

impl Cancel {
    /// Ends the query within one read, or at once when it waits.
    pub fn cancel(&self) {
        self.0.cancelled.interrupt();
        self.wake_up();
    }

    /// Has a query that follows tell where it stands and end, as soon as the past was given. Any other goes on to
    /// its end.
    pub fn wind_up(&self) {
        self.0.winding_up.store(true, Ordering::Release);
        self.wake_up();
    }

    /// Whether [`Cancel::wind_up`] was called.
    pub fn is_winding_up(&self) -> bool {
        self.0.winding_up.load(Ordering::Acquire)
    }

    fn wake_up(&self) {
        // With its counterpart in `wake`: either this sees what is made there, or the flag is seen there.
        fence(Ordering::SeqCst);
        if let Some(wake) = self.0.wake.get() {
            let woken = rustix::io::write(wake, &1u64.to_ne_bytes());
            debug_assert!(matches!(woken, Ok(_) | Err(Errno::AGAIN)), "an eventfd takes a count");
        }
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_interrupted()
    }

    /// What the scanners look at.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.0.cancelled.clone()
    }

    /// What becomes readable when the query is cancelled or told to wind up. To be asked for before a look at the
    /// flags.
    ///
    /// # Errors
    /// No more file descriptors.
    pub(crate) fn wake(&self) -> Result<BorrowedFd<'_>, Errno> {
        if self.0.wake.get().is_none() {
            let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            // When another thread was faster, its own is as good.
            drop(self.0.wake.set(made));
            fence(Ordering::SeqCst);
        }
        Ok(self.0.wake.get().expect("it was just set").as_fd())
    }
}

/// Cancels when it is dropped, unless it was defused before.
#[derive(Debug)]
pub struct CancelWhenDropped(Option<Cancel>);

impl CancelWhenDropped {
    /// A guard of everything that looks at `cancel`.
    pub fn new(cancel: Cancel) -> CancelWhenDropped {
        CancelWhenDropped(Some(cancel))
    }

    /// From here on, somebody else cancels.
    pub fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelWhenDropped {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.cancel();
        }
    }
}
