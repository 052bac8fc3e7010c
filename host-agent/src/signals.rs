//! SIGTERM and SIGINT: the first asks the agent to end, the second to end at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts the signals that ask the agent to end.
#[derive(Clone, Debug)]
pub struct Signals(watch::Receiver<usize>);

/// Listens for signals from now on, within a tokio runtime.
///
/// # Errors
/// The system refuses.
pub fn signals() -> io::Result<Signals> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "asked to end");
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(Signals(counted))
}

impl Signals {
    /// Waits until so many signals have come.
    pub async fn reached(mut self, count: usize) {
        if self.0.wait_for(|now| *now >= count).await.is_err() {
            // The runtime is ending: there are no signals to come.
            std::future::pending::<()>().await;
        }
    }
}
