//! The clock that interrupts guests: a thread that advances the engine's epoch while a guest runs.
//!
//! It sleeps when no call has run for a while and ends when it has slept for long, so that an agent
//! without filters at work has no such thread.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// Time between two epochs: how late a guest may be stopped.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// Ticks without a running call before the thread sleeps.
const IDLE_TICKS: u32 = 20;
/// Sleep after which the thread ends.
const SLEEP: Duration = Duration::from_secs(5);
/// The thread calls nothing deep.
const STACK_BYTES: usize = 128 << 10;

/// The clock of one engine.
pub(crate) struct Ticker {
    engine: EngineWeak,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Calls running now.
    running: AtomicUsize,
    /// False when the thread sleeps or does not exist: whoever starts a call then must wake it.
    awake: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The thread exists.
    thread: bool,
    /// The ticker is gone and the thread must go too.
    closing: bool,
}

/// The clock runs while this lives.
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn new(engine: &Engine) -> Ticker {
        Ticker { engine: engine.weak(), shared: Arc::default() }
    }

    /// Makes the clock run. Cheap when it already does.
    ///
    /// # Errors
    /// When there is no thread and none can be made: no guest may be called then.
    pub(crate) fn run(&self) -> io::Result<Running<'_>> {
        // The order matters: the thread first clears `awake` and then looks at `running`, so that one
        // of the two sides sees the other.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(&self.shared);
        if !self.shared.awake.load(Ordering::SeqCst) {
            self.wake()?;
        }
        Ok(running)
    }

    fn wake(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !state.thread {
            let shared = Arc::clone(&self.shared);
            let engine = self.engine.clone();
            std::thread::Builder::new()
                .name("weir-epoch".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || shared.tick(&engine))?;
            state.thread = true;
        }
        self.shared.awake.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is two flags, each set in one step: no panic can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn tick(&self, engine: &EngineWeak) {
        let mut idle = 0;
        let mut state = self.lock();
        loop {
            state = self.wait(state, TICK);
            let Some(engine) = engine.upgrade().filter(|_| !state.closing) else {
                break;
            };
            engine.increment_epoch();
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
                continue;
            }
            idle += 1;
            if idle < IDLE_TICKS {
                continue;
            }
            idle = 0;
            self.awake.store(false, Ordering::SeqCst);
            if self.running.load(Ordering::SeqCst) > 0 {
                self.awake.store(true, Ordering::SeqCst);
                continue;
            }
            drop(engine);
            let asleep = |state: &mut State| !state.closing && !self.awake.load(Ordering::SeqCst);
            let (woken, slept) =
                self.changed.wait_timeout_while(state, SLEEP, asleep).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if slept.timed_out() {
                break;
            }
        }
        self.awake.store(false, Ordering::SeqCst);
        state.thread = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Ticker;

    #[test]
    fn stops_a_loop_and_ends_with_its_ticker() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let engine = wasmtime::Engine::new(&config).expect("a plain engine");
        let ticker = Ticker::new(&engine);
        let module = wasmtime::Module::new(
            &engine,
            wat::parse_str("(module (func (export \"spin\") (loop (br 0))))").expect("valid text"),
        )
        .expect("a valid module");
        for _ in 0..2 {
            let running = ticker.run().expect("a thread");
            let mut store = wasmtime::Store::new(&engine, ());
            store.set_epoch_deadline(2);
            let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("no imports");
            let spin = instance.get_typed_func::<(), ()>(&mut store, "spin").expect("exported");
            assert!(spin.call(&mut store, ()).is_err());
            drop(running);
        }
        let shared = std::sync::Arc::clone(&ticker.shared);
        drop(ticker);
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut state = shared.lock();
        while state.thread {
            assert!(Instant::now() < deadline, "the thread outlived its ticker");
            // The mutex is free while waiting; a late wake-up only costs time.
            state = shared.wait(state, Duration::from_millis(5));
        }
    }
}
