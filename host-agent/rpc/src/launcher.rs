//! Starts the threads of queries, on a thread of its own.
//!
//! Starting one takes locks of the process, of its memory and of its list of threads, that searches hold too. With many
//! searches at once, and their threads at a low priority, whoever holds such a lock may be off the processor for a tenth
//! of a second; the network's thread, and health checks with it, must not wait for that.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the thread that starts others waits for more to do before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

type Task = Box<dyn FnOnce() + Send>;

/// What starts threads; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Launcher(Arc<Mutex<State>>);

/// To the thread that starts others, while there is one.
type State = Option<Sender<Task>>;

impl Launcher {
    /// Has a thread do `task`, without waiting for it to start; within a tokio runtime. Where the system has no more
    /// threads, the task is dropped.
    pub(crate) fn launch(&self, task: impl FnOnce() + Send + 'static) {
        let task: Task = Box::new(task);
        let mut state = lock(&self.0);
        // Its receiver is gone only with its runtime.
        let task = match state.take() {
            Some(sender) => match sender.send(task) {
                Ok(()) => {
                    *state = Some(sender);
                    return;
                }
                Err(SendError(task)) => task,
            },
            None => task,
        };
        let (sender, tasks) = mpsc::channel();
        sender.send(task).expect("its receiver is here");
        *state = Some(sender);
        let shared = Arc::downgrade(&self.0);
        tokio::task::spawn_blocking(move || start_each(&tasks, &shared));
    }
}

/// Starts a thread for each task until there has been none for a while, or none can come; ends after all of them, so that
/// a runtime that waits for this waits for them.
fn start_each(tasks: &Receiver<Task>, shared: &Weak<Mutex<State>>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let task = match tasks.recv_timeout(KEEP_ALIVE) {
            Ok(task) => task,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                threads.retain(|thread| !thread.is_finished());
                let Some(shared) = shared.upgrade().filter(|_| threads.is_empty()) else { continue };
                let mut state = lock(&shared);
                // One may have come just now.
                let Ok(task) = tasks.try_recv() else {
                    *state = None;
                    return;
                };
                task
            }
        };
        threads.retain(|thread| !thread.is_finished());
        match std::thread::Builder::new().name("weir-query".to_owned()).spawn(task) {
            Ok(thread) => threads.push(thread),
            Err(error) => tracing::warn!(%error, "no more threads: a query is turned away"),
        }
    }
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a query's thread has panicked");
        }
    }
}

/// The state is one value: no panic can leave it half changed.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
