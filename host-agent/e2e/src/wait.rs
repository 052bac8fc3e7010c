//! Waiting for what other programs do. They send us no events, so we look again until a deadline.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often is looked again.
const LOOK: Duration = Duration::from_millis(50);

/// Calls `look` until it gives a value.
///
/// # Errors
///
/// The first error of `look`, or, after `limit`, that `what` didn't come true.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("waited {} s in vain for this: {what}", limit.as_secs());
        }
        thread::sleep(LOOK);
    }
}
