//! Whether a filter that keeps failing is called: a circuit breaker over all sessions of one binding.
//!
//! It has no clock of its own: whoever calls it says what time it is. Closed, it counts failures; open, it lets
//! nothing through until a pause is over; then one caller may try, and what comes of that closes it or opens it
//! for twice as long.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time in which failures are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// The longest pause, as a multiple of the first.
const LONGEST: u32 = 60;

#[derive(Debug)]
pub(crate) struct Breaker {
    /// Failures within the window that it stands.
    failures: usize,
    /// The first pause.
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed {
        /// When the latest failures were, oldest first; at most one more than the limit.
        recent: VecDeque<Instant>,
    },
    Open {
        until: Instant,
        pause: Duration,
    },
    /// One caller tries since then.
    Trial {
        since: Instant,
        pause: Duration,
    },
}

impl Breaker {
    /// A closed one, for [`FilterLimits::failures`](crate::FilterLimits::failures) and
    /// [`FilterLimits::breaker_pause`](crate::FilterLimits::breaker_pause).
    pub(crate) fn new(failures: usize, pause: Duration) -> Breaker {
        Breaker { failures, pause, state: Mutex::new(State::Closed { recent: VecDeque::new() }) }
    }

    /// Whether the filter may be called now.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { until, pause } if now >= until => {
                *state = State::Trial { since: now, pause };
                true
            }
            State::Open { .. } => false,
            // Whoever tried may have gone without a result.
            State::Trial { since, pause } if now >= since + pause => {
                *state = State::Trial { since: now, pause };
                true
            }
            State::Trial { .. } => false,
        }
    }

    /// Whether calls go through without being a trial.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    /// A call went well.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Trial { .. }) {
            *state = State::Closed { recent: VecDeque::new() };
        }
    }

    /// A failure was narrowed down. Whether that opened the breaker.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let mut state = self.lock();
        if let State::Closed { recent } = &mut *state {
            while recent.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
                recent.pop_front();
            }
            recent.push_back(now);
            if recent.len() <= self.failures {
                return false;
            }
        }
        self.open(&mut state, now)
    }

    /// The filter must not be called for a while, however few its failures. Whether that opened the breaker.
    pub(crate) fn trip(&self, now: Instant) -> bool {
        self.open(&mut self.lock(), now)
    }

    fn open(&self, state: &mut State, now: Instant) -> bool {
        let pause = match *state {
            State::Closed { .. } => self.pause,
            State::Trial { pause, .. } => pause.saturating_mul(2).min(self.pause.saturating_mul(LONGEST)),
            State::Open { .. } => return false,
        };
        *state = State::Open { until: now + pause, pause };
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment or one entry: no panic can leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn failures_within_the_window_open_it_and_a_good_trial_closes_it() {
        let start = Instant::now();
        let breaker = Breaker::new(2, PAUSE);
        assert!(!breaker.failed(start) && !breaker.failed(start) && breaker.allows(start));
        assert!(breaker.is_closed());
        assert!(!breaker.failed(start + WINDOW), "the first two are long ago");
        assert!(!breaker.failed(start + WINDOW));
        assert!(breaker.failed(start + WINDOW), "the third of the window");
        let opened = start + WINDOW;
        assert!(!breaker.allows(opened) && !breaker.allows(opened + PAUSE - Duration::from_nanos(1)));
        breaker.succeeded();
        assert!(!breaker.allows(opened), "a call that was under way proves nothing");
        assert!(breaker.allows(opened + PAUSE), "one may try");
        assert!(!breaker.allows(opened + PAUSE), "and no other");
        breaker.succeeded();
        assert!(breaker.allows(opened + PAUSE));
        assert!(!breaker.failed(opened + PAUSE), "it counts anew");
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_the_longest() {
        let mut now = Instant::now();
        let breaker = Breaker::new(0, PAUSE);
        assert!(breaker.trip(now) && !breaker.trip(now), "it is open already");
        let mut pause = PAUSE;
        for _ in 0..10 {
            assert!(!breaker.allows(now + pause - Duration::from_nanos(1)), "{pause:?}");
            now += pause;
            assert!(breaker.allows(now), "{pause:?}");
            assert!(breaker.failed(now));
            pause = (pause * 2).min(PAUSE * LONGEST);
        }
    }

    #[test]
    fn a_trial_that_never_ends_is_followed_by_another() {
        let now = Instant::now();
        let breaker = Breaker::new(0, PAUSE);
        assert!(breaker.trip(now));
        assert!(breaker.allows(now + PAUSE) && !breaker.allows(now + PAUSE));
        assert!(breaker.allows(now + 2 * PAUSE));
    }
}
